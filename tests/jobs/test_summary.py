"""What a run came to, as one dict, also where an answer could not be read or the task has changed since."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from semievol.config import Policy
from semievol.jobs.summary import summary
from semievol.presets import load
from semievol.records import Candidate, Record, Task
from semievol.selection.summary import Selection
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


def finished(store: Store, task: Task, gold: Sequence[str], answers: Sequence[str | None], kept: Sequence[int]) -> int:
    """A run over a pool with this gold, whose candidates have these answers; those at `kept` are selected."""
    project = projects.create_project(store, "Sums", task)
    labeled = Record("l0", "2 + 2?", (), gold[0], "labeled")
    pool = [Record(f"u{i}", f"{i} + {i}?", (), None, "unlabeled", i) for i in range(len(gold))]
    versions.store_version(store, project.id, [labeled, *pool], dict(zip(ids(pool), gold, strict=True)), [], [], task)
    round_ = rounds.open_round(store, project.id, load("studio"))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    journal = StoreJournal(store, run)
    journal.save_candidates(Candidate(r.id, a, a is not None) for r, a in zip(pool, answers, strict=True))
    journal.freeze(lambda: Selection(Policy(), {pool[i].id: answers[i] or "" for i in kept}))
    claims.finish(store, run.id, run.attempt, "done")
    return run.id


def ids(records: Sequence[Record]) -> list[str]:
    return [record.id for record in records]


@pytest.mark.parametrize("kind", ["numeric", "text"])
def test_an_unreadable_answer_is_a_wrong_one(store: Store, kind: str) -> None:
    task = Task(kind)  # type: ignore[arg-type]
    found = summary(store, finished(store, task, ["1", "2", "3", "4"], ["1", None, "3", "5"], kept=[0, 3]))
    assert (found["candidates"], found["agreed"], found["accepted"]) == (4, 3, 2)
    assert found["pseudo_accuracy"] == {"all": 0.5, "accepted": 0.5}


def test_without_a_single_readable_answer_everything_is_wrong(store: Store) -> None:
    found = summary(store, finished(store, Task("numeric"), ["1", "2"], [None, None], kept=[]))
    assert found["pseudo_accuracy"] == {"all": 0.0, "accepted": None}


def test_an_old_run_is_judged_by_the_task_of_its_data(store: Store) -> None:
    run_id = finished(store, Task("numeric"), ["1", "2"], ["1.0", "3"], kept=[0])
    project = runs.get_run(store, run_id).project_id
    versions.store_version(store, project, [Record("l0", "2 + 2?", (), "4", "labeled")], {}, [], [], Task("text"))
    assert summary(store, run_id)["pseudo_accuracy"] == {"all": 0.5, "accepted": 1.0}


def test_without_hidden_gold_no_accuracy_is_told(store: Store) -> None:
    task = Task("text")
    project = projects.create_project(store, "Bare", task)
    versions.store_version(store, project.id, [Record("u0", "why?")], {}, [], [], task)
    round_ = rounds.open_round(store, project.id, load("studio"))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    assert summary(store, run.id)["candidates"] is None
    StoreJournal(store, run).save_candidates([Candidate("u0", "so", True)])
    found = summary(store, run.id)
    assert (found["candidates"], found["accepted"], found["pseudo_accuracy"]) == (1, None, None)


def test_what_the_run_said_is_told_once_however_often_it_was_resumed(store: Store) -> None:
    project = projects.create_project(store, "Talk", Task("text"))
    versions.store_version(store, project.id, [Record("l0", "a?", (), "b", "labeled")], {}, [], [], Task("text"))
    round_ = rounds.open_round(store, project.id, load("studio"))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    for _ in range(2):
        journal = StoreJournal(store, run)
        journal.event("respond", "One question was too long.")
        journal.event("select", "No candidate is accepted.")
        journal.progress("select", 1, 1)
        claims.finish(store, run.id, run.attempt, "interrupted")
        runs.resume(store, run.id)
        run = claims.claim(store, run.id, os.getpid())
    assert summary(store, run.id)["notes"] == [
        "respond: One question was too long.",
        "select: No candidate is accepted.",
    ]


def test_what_ended_a_run_is_its_error_and_no_note_besides(store: Store) -> None:
    project = projects.create_project(store, "Broken", Task("text"))
    versions.store_version(store, project.id, [Record("l0", "a?", (), "b", "labeled")], {}, [], [], Task("text"))
    round_ = rounds.open_round(store, project.id, load("studio"))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    error = {"what": "The model cannot be loaded.", "where": "model", "remedy": "Choose another."}
    claims.finish(store, run.id, run.attempt, "failed", error=error)
    told = summary(store, run.id)
    assert (told["error"], told["notes"]) == (error, [])
