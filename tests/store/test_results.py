"""Results as frames, pages and single records."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from semievol.config import MEASURES
from semievol.errors import UserError
from semievol.presets import load
from semievol.records import Candidate, Record, Response, Task
from semievol.store.data import projects, records, versions
from semievol.store.database import Store
from semievol.store.results import collaborators, outcomes, results
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from tests.store.world import World, candidate, response

COLUMNS = ["record_key", "question", "answer", "flagged", "agreed", "justified", "exactness", *MEASURES]
COLUMNS += ["similarity", "gold", "content_hash"]
COLUMNS += ["decision", "decided_answer", "given", "spent"]


def page(world: World, **wanted: Any) -> tuple[list[str], int]:
    frame, total = results.candidates_page(world.store, world.round.id, **wanted)
    return list(frame.index), total


def test_the_candidate_frame_holds_the_pool(full: World) -> None:
    frame = results.candidate_frame(full.store, full.round.id)
    assert list(frame.columns) == COLUMNS
    assert not frame["spent"].any()
    assert list(frame.index) == [f"u{i}" for i in range(8)]
    assert frame.index.name == "record_id"
    assert {frame[m].dtype for m in (*MEASURES, "similarity")} == {pd.Series([0.5]).dtype}
    assert (frame["agreed"].dtype, frame["justified"].dtype) == (bool, bool)
    assert frame.index[~frame["given"]].tolist() == ["u3"]  # the judge's own
    assert list(frame.loc["u3", ["answer", "agreed", "justified", "gold"]]) == ["water", False, True, "road"]
    assert frame["answer_nll"].tolist() == [0.0, 0.1, 0.2, 0.35, 0.4, 0.5, 0.6, 0.7]
    assert frame["mean_nll"].isna().all()
    assert frame["similarity"].tolist() == [0.9 - i / 10 for i in range(8)]
    by_id = {r.id: r.content_hash for r in records.load_records(full.store, full.round.version_id)}
    assert frame["content_hash"].to_dict() == {key: by_id[key] for key in frame.index}


def test_the_calibration_frame_knows_the_truth(full: World) -> None:
    full.journal.save_candidates([candidate("l1", "road"), candidate("l2", None)])
    frame = results.calibration_frame(full.store, full.round.id)
    assert list(frame.columns) == [*COLUMNS, "correct", "cross_fitted"]
    assert frame["gold"].to_dict() == {"l0": "road", "l1": "water", "l2": "waste"}
    assert frame["correct"].to_dict() == {"l0": True, "l1": False, "l2": False}


def test_who_is_off_the_question_is_counted_by_collaborator(full: World) -> None:
    """Only respond's answers with a mass count: not those of the judge, nor of open tasks."""
    before = collaborators.unanswering(full.store, full.round.id)
    odd = [replace(response(f"u{i}", "odd"), mass=mass) for i, mass in enumerate((0.1, 0.49, 0.5, None))]
    full.journal.save_responses("respond", odd)
    full.journal.save_responses("justify", [replace(response("u5", "odd"), mass=0.01)])
    assert collaborators.unanswering(full.store, full.round.id) == before | {"odd": (2, 3)}
    assert before
    assert all(few == 0 for few, _ in before.values())


def test_numbers_are_right_where_the_task_says_so(store: Store) -> None:
    task = Task("numeric")
    project = projects.create_project(store, "numbers", task)
    versions.store_version(store, project.id, [Record("l0", "half?", (), "0.50", "labeled")], {}, [], [], task)
    config = load("studio")
    round_ = rounds.open_round(store, project.id, config)
    run = claims.claim(store, runs.enqueue(store, round_.id, config).id, os.getpid())
    StoreJournal(store, run).save_candidates([candidate("l0", "0.5")])
    assert results.calibration_frame(store, round_.id)["correct"].tolist() == [True]


def test_what_is_not_there_is_none_in_every_frame(full: World) -> None:
    full.journal.save_candidates([candidate("u1", None), candidate("l1", None)])
    for frame in (
        results.candidate_frame(full.store, full.round.id),
        results.calibration_frame(full.store, full.round.id),
        results.candidates_page(full.store, full.round.id, search="u1")[0],
    ):
        assert {frame[name].dtype for name in ("answer", "gold", "decision", "decided_answer")} == {np.dtype(object)}
        assert frame.loc[frame["answer"].isna(), ["answer", "decision", "decided_answer"]].values.tolist() == [
            [None] * 3
        ]


def test_a_round_without_candidates_gives_empty_frames(world: World) -> None:
    for frame in (
        results.candidate_frame(world.store, world.round.id),
        results.calibration_frame(world.store, world.round.id),
    ):
        assert list(frame.columns)[: len(COLUMNS)] == COLUMNS
        assert frame.empty
        assert frame["agreed"].dtype == bool
    assert page(world) == ([], 0)


def test_pages_are_sorted_with_absent_values_last(full: World) -> None:
    full.journal.save_candidates([candidate("u0", value=0.9), Candidate("u2", "road", True)])
    assert page(full)[0] == ["u1", "u3", "u4", "u5", "u6", "u7", "u0", "u2"]
    assert page(full, descending=True)[0] == ["u0", "u7", "u6", "u5", "u4", "u3", "u1", "u2"]
    assert page(full, sort="record", descending=True, limit=2) == (["u7", "u6"], 8)
    assert page(full, offset=6, limit=5) == (["u0", "u2"], 8)
    assert page(full, offset=8) == page(full, offset=99) == ([], 8)
    pages = [page(full, descending=True, offset=start, limit=3)[0] for start in (0, 3, 6)]
    assert [one for ids in pages for one in ids] == page(full, descending=True)[0]
    assert page(full, measure="vote_entropy")[0] == ["u0", "u1", "u3", "u4", "u5", "u6", "u7", "u2"]


def test_pages_are_filtered(full: World) -> None:
    assert page(full, answer="water") == (["u3"], 1)
    assert page(full, agreed=False) == (["u3"], 1)
    assert page(full, agreed=True)[1] == 7
    assert page(full, search="QUESTION 5") == (["u5"], 1)
    assert page(full, search="u6") == (["u6"], 1)
    assert page(full, search="%") == ([], 0)
    assert page(full, search="pool", agreed=True, offset=5, limit=9) == (["u6", "u7"], 7)
    assert page(full, status="undecided")[1] == 8
    assert page(full, status="accept") == ([], 0)


def test_a_page_shows_what_each_collaborator_said(full: World) -> None:
    full.journal.save_responses("respond", [response("u1", "three", None)])
    frame, _ = results.candidates_page(full.store, full.round.id, limit=2)
    assert list(frame.columns) == [*COLUMNS[:-1], "votes", "doubts"]
    assert frame["doubts"].tolist()[0] == {name: pytest.approx(0.7298, abs=1e-4) for name in ("one", "two")}
    assert frame["votes"].tolist() == [{"one": "road", "two": "road"}, {"one": "road", "two": "road", "three": None}]


def test_an_unknown_measure_is_refused(full: World) -> None:
    with pytest.raises(UserError, match="not a measure"):
        page(full, measure="id; DROP TABLE runs")


def test_a_record_is_shown_whole(full: World) -> None:
    view = results.record_view(full.store, full.round.id, "u3")
    assert (view.record.id, view.record.answer, view.gold) == ("u3", None, "road")
    assert [(d.record.id, d.record.answer, d.similarity) for d in view.demonstrations] == [
        ("l1", "water", 0.9 - 3 / 10),
        ("l2", "waste", 0.1),
    ]
    assert [r.collaborator for r in view.responses] == ["one", "two"]
    assert view.justification == response("u3", "judge", "water")
    assert view.candidate == candidate("u3", "water", value=0.35, agreed=False)
    assert view.decision is None


def test_a_record_that_was_not_asked_is_shown_too(full: World) -> None:
    view = results.record_view(full.store, full.round.id, "t1")
    assert (view.responses, view.candidate, view.justification, view.demonstrations) == ([], None, None, [])
    assert view.gold == "water"
    with pytest.raises(UserError, match="no record"):
        results.record_view(full.store, full.round.id, "nobody")
    with pytest.raises(UserError, match="no round 99"):
        results.record_view(full.store, 99, "u1")


def test_of_a_collaborators_answers_the_newest_is_shown(full: World) -> None:
    full.journal.save_responses("respond", [response("u1", "one", "waste", input_hash="later")])
    assert [r.answer for r in results.record_view(full.store, full.round.id, "u1").responses] == ["waste", "road"]


def test_coverage_tells_how_near_labeled_records_are(full: World) -> None:
    frame = results.coverage_frame(full.store, full.round.id)
    assert list(frame["record_id"]) == [f"u{i}" for i in range(8)]
    assert frame.iloc[2][["question", "nearest_answer", "nearest_id"]].tolist() == ["pool question 2", "water", "l1"]
    assert frame["similarity"].iloc[2] == 0.9 - 2 / 10


def test_predictions_are_judged_as_the_task_judges(full: World) -> None:
    told = full.journal
    free = Response("t1", "warm_up", "Water!", "water", token_logprobs=(-0.1, -0.3))
    told.save_predictions("base", [response("t0", "base"), response("t1", "base"), response("t2", "base", None)])
    told.save_predictions("warm_up", [free])
    frame = outcomes.predictions(full.store, full.run.id)
    assert list(frame.columns) == ["record_id", "model", "answer", "gold", "correct", "confidence", "question"]
    assert frame["correct"].tolist() == [True, False, False, True]
    assert frame["confidence"].iloc[0] == 0.7
    assert frame["confidence"].iloc[3] == pytest.approx(0.8187, abs=1e-4)
    assert frame["gold"].tolist() == ["road", "water", "waste", "water"]


def test_no_predictions_are_an_empty_frame(world: World) -> None:
    frame = outcomes.predictions(world.store, world.run.id)
    assert frame.empty
    assert "correct" in frame


def test_an_evaluation_comes_back(world: World) -> None:
    assert outcomes.evaluation(world.store, world.run.id) is None
    world.journal.save_evaluation({"n": 3, "base": {"accuracy": 1 / 3}})
    world.journal.save_evaluation({"n": 3, "base": {"accuracy": 2 / 3}})
    assert outcomes.evaluation(world.store, world.run.id) == {"n": 3, "base": {"accuracy": 2 / 3}}


def test_each_round_has_its_own_results(full: World) -> None:
    sibling = rounds.open_round(full.store, full.project.id, full.config, full.round.id)
    assert results.candidate_frame(full.store, sibling.id).empty
    assert outcomes.adapters(full.store, sibling.id) == {}
    assert results.revision(full.store, sibling.id) == 0
    with pytest.raises(UserError, match="no round 99"):
        results.revision(full.store, 99)
