"""Which run that ended early is offered to be resumed."""

from __future__ import annotations

import os

import pytest

from semievol.config import Config, Policy
from semievol.jobs import resuming
from semievol.presets import load
from semievol.records import STAGES
from semievol.store.data.projects import Project
from semievol.store.database import Store, open_store
from semievol.store.decisions import selections
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.runs import Ending, Run
from tests.ui import made


@pytest.fixture
def store(_own_home: None) -> Store:
    return open_store()


@pytest.fixture
def project(store: Store) -> Project:
    return made.with_data(store)


def _run(
    store: Store,
    project: Project,
    status: Ending,
    at: str,
    share: float = 0.5,
    first: str = "warm_up",
    selection: int | None = None,
) -> Run:
    """A run of the first round up to `evaluate` (or up to `at`, if it is done), ended in this stage."""
    config: Config = load("studio")
    round_ = rounds.open_round(store, project.id, config)
    until = at if status == "done" else "evaluate"
    run = claims.claim(store, runs.enqueue(store, round_.id, config, first, until, selection).id, os.getpid())
    journal = StoreJournal(store, run)
    for stage in STAGES[STAGES.index(first) : STAGES.index(at)]:
        journal.progress(stage, 1, 1)
    journal.progress(at, round(100 * share), 100)
    claims.finish(store, run.id, run.attempt, status)
    return run


def _offered(store: Store) -> tuple[int, str, float] | None:
    found = resuming.furthest(store, runs.list_runs(store))
    return None if found is None else (found.run.id, found.stage, found.share)


def test_of_several_the_furthest_is_offered(store: Store, project: Project) -> None:
    assert _offered(store) is None
    _run(store, project, "cancelled", "retrieve")
    far = _run(store, project, "interrupted", "respond", 0.4)
    _run(store, project, "failed", "respond", 0.1)
    assert _offered(store) == (far.id, "respond", 0.4)


def test_what_a_later_run_has_done_is_not_offered_again(store: Store, project: Project) -> None:
    _run(store, project, "cancelled", "respond")
    _run(store, project, "done", "justify")
    assert _offered(store) is None
    left = _run(store, project, "cancelled", "tune", 0.2)
    assert _offered(store) == (left.id, "tune", 0.2)


def test_a_run_that_ended_before_is_no_reason_against_a_later_one(store: Store, project: Project) -> None:
    _run(store, project, "done", "evaluate")
    left = _run(store, project, "failed", "respond")
    assert _offered(store) == (left.id, "respond", 0.5)


def test_a_newer_selection_ends_the_training_on_an_older_one(store: Store) -> None:
    project = made.with_results(store, until="justify")
    round_id = made.round_of(store, project)
    config = runs.list_runs(store)[0].config
    selections.freeze(store, round_id, config.policy)
    run = claims.claim(store, runs.enqueue(store, round_id, config, "tune", "evaluate", 1).id, os.getpid())
    StoreJournal(store, run).progress("tune", 3, 10)
    claims.finish(store, run.id, run.attempt, "cancelled")
    assert _offered(store) == (run.id, "tune", 0.3)
    selections.freeze(store, round_id, Policy())
    assert _offered(store) is None


def test_a_run_that_was_taken_from_the_queue_is_not_offered(store: Store, project: Project) -> None:
    round_ = rounds.open_round(store, project.id, load("studio"))
    runs.request_stop(store, runs.enqueue(store, round_.id, load("studio")).id)
    assert _offered(store) is None
