"""Decisions: appended, undone by an entry of their own, carried over by content."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from semievol.errors import UserError
from semievol.records import Decision, Record, Task
from semievol.store.data import projects, versions
from semievol.store.decisions import decisions
from semievol.store.decisions import history as decision_history
from semievol.store.results import results
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from tests.store.world import TASK, World, candidate, records


def decide(world: World, record_id: str, action: str, shown: str | None = "road", **more: str) -> Decision:
    return decisions.decide(world.store, world.project.id, world.round.id, record_id, action, shown, **more)


def decided(world: World, record_id: str, round_id: int | None = None) -> tuple[str | None, str | None]:
    """Decision and decided answer of a candidate as the frame shows them."""
    frame = results.candidate_frame(world.store, round_id or world.round.id)
    return tuple(frame.loc[record_id, ["decision", "decided_answer"]])


# --- writing --------------------------------------------------------------------------------------------------------


def test_a_decision_is_kept_whole(full: World) -> None:
    made = decide(full, "u1", "edit", answer="water", reviewer="Ada", note="leak, not hole")
    assert (made.action, made.answer_shown, made.answer, made.reviewer) == ("edit", "road", "water", "Ada")
    assert (made.note, made.undoes, made.record_id, made.round_id) == ("leak, not hole", None, "u1", full.round.id)
    assert decisions.standing(full.store, full.project.id) == {made.content_hash: [made]}


@pytest.mark.parametrize(
    ("action", "answer", "stored"),
    [
        ("accept", None, "road"),
        ("accept", "waste", "road"),
        ("edit", "waste", "waste"),
        ("reject", "waste", None),
        ("skip", None, None),
        ("ambiguous", None, None),
    ],
)
def test_accept_and_edit_assert_an_answer_the_others_none(
    full: World, action: str, answer: str | None, stored: str | None
) -> None:
    assert decide(full, "u1", action, answer=answer).answer == stored  # type: ignore[arg-type]
    assert decided(full, "u1") == (action, stored)


def test_the_same_key_twice_is_one_decision(full: World) -> None:
    first = decide(full, "u1", "reject", key="click-1")
    assert decide(full, "u1", "reject", key="click-1") == first
    assert decide(full, "u1", "reject", key="click-2") != first
    assert len(decision_history.history(full.store, full.project.id)) == 2


def test_a_storm_of_the_same_click_is_one_decision(full: World) -> None:
    made: list[Decision] = []
    threads = [threading.Thread(target=lambda: made.append(decide(full, "u1", "accept", key="k"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_two_reviewers_at_once_both_stand_in_the_history(full: World) -> None:
    barrier = threading.Barrier(2)

    def press(reviewer: str, answer: str) -> None:
        barrier.wait()
        decide(full, "u1", "edit", answer=answer, reviewer=reviewer)

    threads = [threading.Thread(target=press, args=pair) for pair in (("ada", "water"), ("bob", "waste"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = decision_history.history(full.store, full.project.id)
    assert set(history["reviewer"]) == {"ada", "bob"}
    assert decided(full, "u1") == ("edit", history["answer"][0]), "the later one counts"


@pytest.mark.parametrize(
    ("record_id", "action", "shown", "answer"),
    [
        ("nobody", "accept", "road", None),
        ("u1", "praise", "road", None),
        ("u1", "undo", "road", None),
        ("u1", "accept", None, None),
        ("u1", "edit", "road", None),
        ("u1", "edit", "road", " "),
        ("u1", "edit", "road", "moon"),
    ],
)
def test_what_makes_no_sense_is_refused(
    full: World, record_id: str, action: str, shown: str | None, answer: str | None
) -> None:
    with pytest.raises(UserError):
        decide(full, record_id, action, shown, answer=answer)  # type: ignore[arg-type]
    assert decision_history.history(full.store, full.project.id).empty


def test_a_round_of_another_project_is_refused(full: World) -> None:
    other = projects.create_project(full.store, "other")
    with pytest.raises(UserError, match="in this project"):
        decisions.decide(full.store, other.id, full.round.id, "u1", "accept", "road")


def test_open_tasks_take_any_answer(full: World) -> None:
    version = versions.store_version(full.store, full.project.id, records(), {}, [], [], Task("text"))
    round_ = rounds.open_round(full.store, full.project.id, full.config)
    assert round_.version_id == version
    made = decisions.decide(full.store, full.project.id, round_.id, "u1", "edit", None, "anything 🙂")
    assert made.answer == "anything 🙂"


def test_every_decision_raises_the_revision_of_the_projects_rounds(full: World) -> None:
    child = rounds.open_round(full.store, full.project.id, full.config, full.round.id)
    before = [results.revision(full.store, r.id) for r in (full.round, child)]
    decide(full, "u1", "accept")
    decision_history.undo(full.store, full.project.id)
    after = [results.revision(full.store, r.id) for r in (full.round, child)]
    assert [a - b for a, b in zip(after, before, strict=True)] == [2, 2]


# --- many at once ---------------------------------------------------------------------------------------------------


def many(world: World, ids: Sequence[str], action: str = "accept", **more: Any) -> list[Decision]:
    shown = dict.fromkeys(ids, "road")
    return decisions.decide_many(world.store, world.project.id, world.round.id, shown, action, **more)


def test_one_decision_about_many_records_is_undone_at_once(full: World) -> None:
    before = decide(full, "u7", "accept", reviewer="ada")
    made = many(full, ["u2", "u0", "u1"], "edit", answer="water", reviewer="ada")
    assert [(d.record_id, d.answer) for d in made] == [("u2", "water"), ("u0", "water"), ("u1", "water")]
    assert [decided(full, i) for i in ("u0", "u1", "u2")] == [("edit", "water")] * 3
    undone = decision_history.undo(full.store, full.project.id, "ada")
    assert undone is not None
    assert [decided(full, i) for i in ("u0", "u1", "u2")] == [(None, None)] * 3
    assert decisions.standing(full.store, full.project.id) == {before.content_hash: [before]}


def test_many_are_stored_whole_or_not_at_all(full: World) -> None:
    with pytest.raises(UserError, match="no record"):
        many(full, ["u0", "u1", "nobody"])
    with pytest.raises(UserError, match="not an allowed answer"):
        many(full, ["u0", "u1"], "edit", answer="moon")
    assert decision_history.history(full.store, full.project.id).empty


def test_many_under_the_same_key_are_stored_once(full: World) -> None:
    first = many(full, ["u0", "u1"], key="click")
    assert many(full, ["u0", "u1"], key="click") == first
    undone = decision_history.undo(full.store, full.project.id, key="back")
    assert decision_history.undo(full.store, full.project.id, key="back") == undone
    assert len(decision_history.history(full.store, full.project.id)) == 4


def test_no_records_are_no_decision(full: World) -> None:
    assert many(full, []) == []
    assert decision_history.history(full.store, full.project.id).empty


def test_a_page_learns_what_others_said_meanwhile(full: World) -> None:
    decide(full, "u1", "accept", reviewer="ada")
    shown = results.record_view(full.store, full.round.id, "u1")
    theirs = decide(full, "u1", "edit", answer="waste", reviewer="bob")
    mine = decide(full, "u1", "edit", answer="water", reviewer="ada")
    found = decision_history.since(full.store, full.project.id, shown.last_entry, shown.record.content_hash)
    assert found == [theirs, mine]
    assert results.record_view(full.store, full.round.id, "u2").last_entry == 0


def test_unsigned_decisions_are_told_apart_by_what_their_keys_begin_with(full: World) -> None:
    about = (full.store, full.project.id)
    mine = decide(full, "u1", "accept", key="one%_-1")
    bulk = many(full, ["u1", "u2"], "reject", key="two-1")
    assert [e.record_id for e in decision_history.since(*about, 0, not_by=("one%_",))] == ["u1", "u2"]
    assert decision_history.since(*about, 0, not_by=("one%_", "two")) == []
    assert decisions.of_session(*about, ("two",)) == {entry.id for entry in bulk}
    assert decisions.of_session(*about, ("oneX",)) == decisions.of_session(*about, ()) == set()
    assert decision_history.contradicted(*about, 0, "", ("one%_",)) == [(mine, bulk[0])]
    assert decision_history.undo(*about, key="three-1", key_prefixes=("three",)) is None
    assert decision_history.newest(*about, "", ("two",)) == bulk[-1].id
    decision_history.undo(*about, key="two-2", key_prefixes=("two",))
    assert decided(full, "u1") == ("accept", "road")
    assert decision_history.since(*about, 0, not_by=("one%_", "two")) == []  # the undo of many is its own, too


# --- taking back ----------------------------------------------------------------------------------------------------


def test_undo_takes_back_the_newest_of_this_reviewer(full: World) -> None:
    first = decide(full, "u1", "accept", reviewer="ada")
    second = decide(full, "u1", "reject", reviewer="ada")
    decide(full, "u2", "accept", reviewer="bob")
    undone = decision_history.undo(full.store, full.project.id, "ada")
    assert undone is not None
    assert (undone.action, undone.undoes, undone.reviewer) == ("undo", second.id, "ada")
    assert decided(full, "u1") == ("accept", "road")
    again = decision_history.undo(full.store, full.project.id, "ada")
    assert again is not None
    assert again.undoes == first.id
    assert decided(full, "u1") == (None, None)
    assert decision_history.undo(full.store, full.project.id, "ada") is None
    assert decided(full, "u2") == ("accept", "road")


def test_what_undo_would_take_back_is_known_before(full: World) -> None:
    about = (full.store, full.project.id)
    assert decision_history.newest(*about, "ada") is None
    one = decide(full, "u3", "accept", reviewer="ada")
    batch = decisions.decide_many(*about, full.round.id, {"u1": "road", "u2": "road"}, "reject", reviewer="ada")
    decide(full, "u3", "reject", reviewer="bob")
    newest = decision_history.newest(*about, "ada")
    assert newest == batch[-1].id
    assert [decision_history.together(*about, entry.id) for entry in (one, *batch)] == [1, 2, 2]
    told: list[int] = []
    assert len(decision_history.take_back(*about, newest, "ada", watch=told.append)) == told[-1] == 2
    assert decision_history.together(*about, newest) == 0
    assert decision_history.newest(*about, "ada") == one.id


def test_a_double_click_on_undo_undoes_once(full: World) -> None:
    decide(full, "u1", "accept")
    decide(full, "u2", "accept")
    first = decision_history.undo(full.store, full.project.id, key="click")
    assert decision_history.undo(full.store, full.project.id, key="click") == first
    assert decided(full, "u1") == ("accept", "road")


def test_the_history_tells_everything_newest_first(full: World) -> None:
    decide(full, "u1", "edit", answer="water", reviewer="ada", note="why")
    decide(full, "u2", "accept", reviewer="ada")
    decision_history.undo(full.store, full.project.id, "ada")
    history = decision_history.history(full.store, full.project.id)
    assert history["action"].tolist() == ["undo", "accept", "edit"]
    assert history["undone"].tolist() == [False, True, False]
    assert history["question"].tolist() == ["pool question 2", "pool question 2", "pool question 1"]
    assert history.iloc[2][["reviewer", "note", "answer_shown", "answer"]].tolist() == ["ada", "why", "road", "water"]


def test_an_empty_history_has_its_columns(full: World) -> None:
    assert {"action", "reviewer", "question", "undone"} <= set(
        decision_history.history(full.store, full.project.id).columns
    )


# --- what decisions come to -----------------------------------------------------------------------------------------


def test_decisions_carry_over_by_content(full: World) -> None:
    """Accept and edit assert the answer in later rounds and versions; reject concerns the answer that was shown."""
    decide(full, "u0", "accept")
    decide(full, "u1", "edit", answer="waste")
    decide(full, "u2", "reject")
    decide(full, "u4", "reject")
    decide(full, "u5", "skip")
    claims.finish(full.store, full.run.id, 1, "done")
    renamed = [Record(f"new-{r.id}", r.question, r.options, r.answer, r.split, r.row) for r in records()]
    versions.store_version(full.store, full.project.id, renamed, {}, [], [], TASK)
    later = rounds.open_round(full.store, full.project.id, full.config)
    queued = runs.enqueue(full.store, later.id, full.config)
    told = StoreJournal(full.store, claims.claim(full.store, queued.id, os.getpid()))
    told.save_candidates([*(candidate(f"new-u{i}", "water") for i in (0, 1, 2, 5)), candidate("new-u4", "road")])
    assert {i: decided(full, f"new-u{i}", later.id) for i in (0, 1, 2, 4, 5)} == {
        0: ("accept", "road"),
        1: ("edit", "waste"),
        2: (None, None),
        4: ("reject", None),
        5: (None, None),
    }


def test_an_answer_that_is_no_label_any_more_is_asserted_no_more(full: World) -> None:
    decide(full, "u0", "accept")
    decide(full, "u1", "edit", answer="waste")
    decide(full, "u2", "reject")
    decide(full, "u2", "edit", answer="waste")
    claims.finish(full.store, full.run.id, 1, "done")
    fewer = [record for record in records() if record.answer != "waste"]
    versions.store_version(full.store, full.project.id, fewer, {}, [], [], Task("classification", ("road", "water")))
    later = rounds.open_round(full.store, full.project.id, full.config)
    queued = runs.enqueue(full.store, later.id, full.config)
    told = StoreJournal(full.store, claims.claim(full.store, queued.id, os.getpid()))
    told.save_candidates(candidate(f"u{i}") for i in range(4))
    expected = {0: ("accept", "road"), 1: (None, None), 2: ("reject", None), 3: (None, None)}
    assert {i: decided(full, f"u{i}", later.id) for i in range(4)} == expected
    view = results.record_view(full.store, later.id, "u1")
    assert view.decision is None
    assert told.considered().pool["decided_answer"].dropna().tolist() == ["road"]
    decide(full, "u3", "edit", answer="waste")
    assert decided(full, "u3", later.id) == (None, None), "said in the old round, where it is a label"
    assert decided(full, "u1") == ("edit", "waste")


def test_the_frame_the_page_and_the_record_agree(full: World) -> None:
    decide(full, "u0", "accept", reviewer="ada")
    decide(full, "u3", "reject", shown="water")
    frame = results.candidate_frame(full.store, full.round.id)
    page, total = results.candidates_page(full.store, full.round.id, status="decided", sort="record")
    assert (total, page["decision"].tolist()) == (2, ["accept", "reject"])
    assert frame["decision"].dropna().to_dict() == {"u0": "accept", "u3": "reject"}
    view = results.record_view(full.store, full.round.id, "u0")
    assert view.decision is not None
    assert (view.decision.action, view.decision.answer, view.decision.reviewer) == ("accept", "road", "ada")
