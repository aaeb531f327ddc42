"""One freeze: a person and a run freeze the same bytes where policy and state are the same."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from semievol.config import Policy, Rule
from semievol.errors import UserError
from semievol.evidence.reviews import drawing_order
from semievol.jobs import planning
from semievol.method.evolve import evolve
from semievol.presets import load
from semievol.records import Candidate, Record, Task
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.decisions import decisions, reviews, selections
from semievol.store.results import results
from semievol.store.runs import claims, progress, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.rounds import Round
from tests.fakes import FakeEngine

TASK = Task("classification", ("road", "water"))
POLICY = Policy(rule=Rule(kind="fraction", value=0.6))


def propagated(store: Store) -> Round:
    """A round with 40 candidates, 12 calibration records, a shift test, a random review and decisions of all kinds."""
    project = projects.create_project(store, "Calls", TASK)
    labeled = [Record(f"l{i}", f"labeled {i}", (), TASK.labels[i % 2], "labeled", i) for i in range(16)]
    pool = [Record(f"u{i}", f"pool {i}", (), None, "unlabeled", i) for i in range(40)]
    gold = {record.id: TASK.labels[i % 2] for i, record in enumerate(pool)}
    versions.store_version(store, project.id, [*labeled, *pool], gold, [], [], TASK)
    config = load("studio").model_copy(update={"policy": POLICY})
    round_ = rounds.open_round(store, project.id, config, held={record.content_hash for record in labeled[:12]})
    journal = StoreJournal(store, claimed(store, round_, "warm_up", "justify"))
    journal.save_candidates(
        Candidate(record.id, TASK.labels[i // 2 % 2], i % 5 > 0, {"answer_nll": i / 10, "vote_entropy": i % 5 / 5})
        for i, record in enumerate([*pool, *labeled[:12]])
    )
    journal.save_shift({"auc": 0.52, "p_value": 0.4, "labeled": 16, "pool": 40})
    claims.finish(store, runs.list_runs(store)[0].id, 1, "done")
    hashes = {record.id: record.content_hash for record in pool[:24]}
    review = reviews.begin(store, round_.id, POLICY, drawing_order(hashes), "fixed", 6)
    while (question := review.sample.next_question()) is not None:
        right = review.sample.agrees(question[0], gold[question[0]])
        reviews.answer(store, review, question[0], "accept" if right else "edit", gold[question[0]], question[1])
        review = reviews.get(store, review.id)
    shown = results.candidate_frame(store, round_.id)["answer"].to_dict()
    decisions.decide(store, project.id, round_.id, "u30", "accept", shown["u30"])
    decisions.decide(store, project.id, round_.id, "u31", "edit", shown["u31"], "water")
    decisions.decide(store, project.id, round_.id, "u0", "skip", shown["u0"])
    decisions.decide_many(store, project.id, round_.id, {i: shown[i] for i in ("u2", "u3")}, "reject")
    return round_


def claimed(store: Store, round_: Round, first: str, until: str) -> runs.Run:
    return claims.claim(store, runs.enqueue(store, round_.id, round_.config, first, until).id, os.getpid())


def by_run(store: Store, round_: Round) -> runs.Run:
    """The `select` stage, as a worker runs it."""
    run = claimed(store, round_, "select", "select")
    evolve(planning.make_plan(store, run)[0], FakeEngine(), StoreJournal(store, run), "select", "select")
    return run


def frozen(store: Store) -> list[tuple[Any, ...]]:
    """Every stored byte of the selections, but when and by which run they were frozen."""
    about = "SELECT number, policy, evidence, size, origins FROM selections ORDER BY id"
    members = "SELECT record_key, answer, origin, decision_id FROM selected ORDER BY selection_id, record_key"
    with store.read() as connection:
        return [tuple(row) for query in (about, members) for row in connection.execute(text(query))]


def test_a_person_and_a_run_freeze_the_same_bytes(tmp_path: Path) -> None:
    person, run = open_store(tmp_path / "person"), open_store(tmp_path / "run")
    selections.freeze(person, propagated(person).id, POLICY)
    by_run(run, propagated(run))
    assert frozen(person) == frozen(run)
    (about,) = [row for row in frozen(person) if len(row) == 5]
    for known in ("estimated", "verified", "shift"):
        assert f'"{known}"' in about[2], "this test needs all evidence there is"


def test_a_run_that_finds_nothing_changed_uses_what_a_person_froze(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    round_ = propagated(store)
    made = selections.freeze(store, round_.id, POLICY)
    assert runs.get_run(store, by_run(store, round_).id).selection_used == made.number
    assert len(frozen(store)) == 1 + len(made.answers)


def test_where_nothing_is_accepted_both_say_why(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    round_ = propagated(store)
    shown = results.candidate_frame(store, round_.id)["answer"]
    decided = {str(record_id): str(answer) for record_id, answer in shown.items()}
    decisions.decide_many(store, round_.project_id, round_.id, decided, "ambiguous")
    with pytest.raises(UserError, match="rejected by hand"):
        selections.freeze(store, round_.id, POLICY)
    run = by_run(store, round_)
    told = "No candidate is accepted. Every candidate that the policy keeps was rejected by hand."
    assert [event.text for event in progress.events(store, run.id)] == [told]
