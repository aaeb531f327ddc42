"""What the stepper says about a round, from the runs that worked on it."""

from __future__ import annotations

import os
import time

import pytest

from semievol.store.database import Store
from semievol.store.runs import claims, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.progress import StageProgress
from semievol.store.runs.rounds import open_round
from semievol.ui.shell import live, state
from tests.ui import made


def _words(snapshot: live.Snapshot) -> dict[str, str]:
    return {progress.stage: progress.status for progress in snapshot.stages}


def test_a_round_without_runs_waits_for_everything(store: Store) -> None:
    seen = live.snapshot(store, None)
    assert seen.run is None
    assert set(_words(seen).values()) == {"waiting"}


def test_stages_of_several_runs_make_one_line(store: Store) -> None:
    project = made.with_results(store, until="justify")
    assert _words(live.snapshot(store, 1)) == {
        **dict.fromkeys(("warm_up", "retrieve", "respond", "justify"), "done"),
        **dict.fromkeys(("select", "tune", "evaluate"), "waiting"),
    }
    made.evolved(store, project, "select", "evaluate")
    assert set(_words(live.snapshot(store, 1)).values()) == {"done"}


def test_a_queued_run_claims_its_stages_again(store: Store) -> None:
    project = made.with_results(store)
    runs.enqueue(store, 1, state.config_of(project), "tune", "evaluate")
    seen = live.snapshot(store, 1)
    assert seen.run is not None
    assert seen.run.status == "queued"
    assert _words(seen)["tune"] == "waiting"
    assert _words(seen)["justify"] == "done"
    assert live.sentence(seen) == "Waiting in the queue"


def test_what_a_stopped_run_left_behind_waits_and_what_a_failed_one_left_has_failed(store: Store) -> None:
    project = made.with_data(store)
    round_ = open_round(store, project.id, state.config_of(project))
    for status, shown in (("cancelled", "waiting"), ("failed", "failed")):
        run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
        StoreJournal(store, run).progress("warm_up", 3, 10)
        assert _words(live.snapshot(store, round_.id))["warm_up"] == "running"
        claims.finish(store, run.id, run.attempt, status)  # type: ignore[arg-type]
        assert _words(live.snapshot(store, round_.id))["warm_up"] == shown


def test_the_signature_moves_with_stages_and_not_with_steps(store: Store) -> None:
    project = made.with_data(store)
    round_ = open_round(store, project.id, state.config_of(project))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    journal = StoreJournal(store, run)
    journal.progress("warm_up", 1, 10)
    before = live.snapshot(store, round_.id).signature
    journal.progress("warm_up", 9, 10)
    assert live.snapshot(store, round_.id).signature == before
    journal.progress("warm_up", 10, 10)
    assert live.snapshot(store, round_.id).signature != before


def test_who_comes_late_is_told_the_time_left_by_the_pace_so_far() -> None:
    progress = StageProgress("respond", "running", 25, 100, time.time() - 10, None)
    assert live.seconds_left(progress) == pytest.approx(30, abs=1)
    assert live.share(progress) == 0.25
    assert live.seconds_left(StageProgress("respond", "running", 0, 100, time.time(), None)) is None


def test_time_left_follows_the_pace_seen_and_not_the_loading_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.st, "session_state", {})
    for seconds, done, left in ((100, 1, None), (100.5, 2, None), (110, 11, 89), (120, 41, 29.5)):
        monkeypatch.setattr(live.time, "time", lambda now=seconds: 1000.0 + now)
        found = live.seconds_left(StageProgress("tune", "running", done, 100, 1000.0, None))
        assert found == (None if left is None else pytest.approx(left, abs=0.01)), f"{done} done after {seconds} s"


def test_what_a_resumed_stage_finds_done_is_no_part_of_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.st, "session_state", {})
    for seconds, done, left in ((2, 60, 1.33), (12, 70, 30)):
        monkeypatch.setattr(live.time, "time", lambda now=seconds: 1000.0 + now)
        found = live.seconds_left(StageProgress("respond", "running", done, 100, 1000.0, None))
        assert found == pytest.approx(left, abs=0.01), f"{done} done after {seconds} s"
