"""What the stepper says about a round, from the runs that worked on it."""

from __future__ import annotations

import os
import time

import pytest

from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.runs import claims, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.progress import StageProgress
from semievol.store.runs.rounds import open_round
from semievol.store.runs.runs import Run
from semievol.ui.shell import live, session, state, time_left
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


def _claimed(
    store: Store, project: Project, first: str = "warm_up", until: str = "evaluate"
) -> tuple[Run, StoreJournal]:
    """A run that a worker has begun, and its journal."""
    config = state.config_of(project)
    run = claims.claim(store, runs.enqueue(store, 1, config, first, until).id, os.getpid())
    return run, StoreJournal(store, run)


def test_a_run_in_the_queue_hides_nothing_of_what_is_done_or_under_way(store: Store) -> None:
    project = made.with_results(store)
    waiting = runs.enqueue(store, 1, state.config_of(project), "tune", "evaluate")
    seen = live.snapshot(store, 1)
    assert seen.run is not None
    assert seen.run.status == "queued"
    assert set(_words(seen).values()) == {"done"}
    assert live.sentence(seen) == "A process is being started"
    assert "Starting · run" in live.run_badge(seen.run)
    runs.request_stop(store, waiting.id)
    _, journal = _claimed(store, project, "tune")
    runs.enqueue(store, 1, state.config_of(project))
    journal.progress("tune", 3, 10)
    seen = live.snapshot(store, 1)
    assert (_words(seen)["tune"], _words(seen)["evaluate"], _words(seen)["select"]) == ("running", "waiting", "done")
    assert live.sentence(seen).endswith("1 run waiting behind it")


def test_a_resumed_run_keeps_what_it_has_done_while_it_waits_and_when_it_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_data(store)
    open_round(store, project.id, state.config_of(project))
    run, journal = _claimed(store, project)
    journal.progress("warm_up", 10, 10)
    journal.progress("retrieve", 9, 9)
    journal.progress("respond", 30, 100)
    claims.finish(store, run.id, run.attempt, "cancelled")
    runs.resume(store, run.id)
    done = ["done", "done", "waiting", *["waiting"] * 4]
    seen = live.snapshot(store, 1)
    assert [progress.status for progress in seen.stages] == done
    assert "30 % done" in _drawn(seen, monkeypatch)
    journal = StoreJournal(store, claims.claim(store, run.id, os.getpid()))
    journal.progress("warm_up", 0, 0)
    assert [progress.status for progress in live.snapshot(store, 1).stages] == done
    journal.progress("respond", 30, 100)
    assert _words(live.snapshot(store, 1))["respond"] == "running"


def test_the_next_in_the_queue_is_the_one_that_was_put_first(store: Store) -> None:
    project = made.with_results(store)
    config = state.config_of(project)
    queued = [runs.enqueue(store, 1, config, first, "evaluate").id for first in ("tune", "evaluate")]
    assert live.snapshot(store, 1).run == runs.get_run(store, queued[0])
    runs.reorder(store, queued[1], 0)
    assert live.snapshot(store, 1).run == runs.get_run(store, queued[1])


def test_a_stage_that_a_later_run_only_passes_through_keeps_the_time_that_it_took(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr(Store, "now", lambda store, connection: now)
    project = made.with_data(store)
    open_round(store, project.id, state.config_of(project))
    seconds: list[list[float]] = []
    for pause in (40, 0.01):
        run, journal = _claimed(store, project, until="respond")
        for stage in ("warm_up", "retrieve", "respond"):
            journal.progress(stage, 0, 0)
            now += pause
            journal.progress(stage, 5, 5)
            seconds.append([(one.ended or 0) - (one.started or 0) for one in live.snapshot(store, 1).stages[:3]])
        claims.finish(store, run.id, run.attempt, "done")
        now += 500
    assert [set(found) for found in seconds[2:]] == [{40.0}] * 4
    assert "40 s" in _drawn(live.snapshot(store, 1), monkeypatch)


def test_what_is_added_to_a_stage_that_was_done_is_seen(store: Store) -> None:
    project = made.with_results(store, until="justify")
    for share in (1, 0.3):  # cross-fitting once, then again with more folds
        run, journal = _claimed(store, project, until="justify")
        journal.progress("warm_up", 0, 0)
        assert _words(live.snapshot(store, 1))["warm_up"] == "done"
        journal.progress("cross_fit", round(10 * share), 10)
        seen = live.snapshot(store, 1)
        found = next(one for one in seen.stages if one.stage == "cross_fit")
        assert (found.status, time_left.share(found)) == ("done" if share == 1 else "running", share)
        assert len({one.stage for one in seen.stages}) == 8
        if share < 1:
            assert live.sentence(seen).startswith("Checking on labeled records · 3 of 10")
        claims.finish(store, run.id, run.attempt, "done")


def test_a_run_of_another_project_is_said_to_be_one(store: Store) -> None:
    mine, other = made.with_results(store), made.with_data(store, "Other")
    round_ = open_round(store, other.id, state.config_of(other))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    StoreJournal(store, run).progress("warm_up", 2, 10)
    seen = live.snapshot(store, 1)
    assert (seen.in_other_round, seen.where) == (True, "In Other: Round 1 · starter")
    assert set(_words(seen).values()) == {"done"}
    assert live.snapshot(store, round_.id).where == ""
    beside = open_round(store, other.id, state.config_of(other, seed=7))
    assert live.snapshot(store, beside.id).where == "In Round 1 · starter"
    assert mine.id != other.id


def _drawn(seen: live.Snapshot, monkeypatch: pytest.MonkeyPatch) -> str:
    drawn: list[str] = []
    monkeypatch.setattr(live.parts, "html", drawn.append)
    live.stepper(seen.stages)
    return "".join(drawn)


def test_a_stage_that_was_stopped_says_how_far_it_came(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = made.with_data(store)
    open_round(store, project.id, state.config_of(project))
    run, journal = _claimed(store, project)
    journal.progress("warm_up", 3, 10)
    claims.finish(store, run.id, run.attempt, "cancelled")
    assert "30 % done" in _drawn(live.snapshot(store, 1), monkeypatch)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((), "Preparing Warm-up: loading the model"),
        ((("warm_up", 10, 10),), "Preparing Retrieve: storing the results so far"),
        ((("warm_up", 0, 0),), "Warm-up · preparing the examples"),
        ((("evaluate", 9, 9),), "Finishing: storing the results"),
    ],
)
def test_between_two_stages_the_sentence_says_what_goes_on(
    store: Store, steps: tuple[tuple[str, int, int], ...], words: str
) -> None:
    project = made.with_data(store)
    open_round(store, project.id, state.config_of(project))
    _, journal = _claimed(store, project)
    for step in steps:
        journal.progress(*step)
    assert live.sentence(live.snapshot(store, 1)) == words


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
    assert time_left.seconds_left(progress) == pytest.approx(30, abs=1)
    assert time_left.share(progress) == 0.25
    assert time_left.seconds_left(StageProgress("respond", "running", 0, 100, time.time(), None)) is None


def test_time_left_follows_the_pace_seen_and_not_the_loading_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.st, "session_state", {})
    for seconds, done, left in ((100, 1, None), (100.5, 2, None), (110, 11, 89), (120, 41, 29.5)):
        monkeypatch.setattr(time_left.time, "time", lambda now=seconds: 1000.0 + now)
        found = time_left.seconds_left(StageProgress("tune", "running", done, 100, 1000.0, None))
        assert found == (None if left is None else pytest.approx(left, abs=0.01)), f"{done} done after {seconds} s"


def test_what_a_resumed_stage_finds_done_is_no_part_of_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.st, "session_state", {})
    for seconds, done, left in ((302, 60, None), (305, 61, None), (310, 65, 43.75), (320, 71, 43.5)):
        monkeypatch.setattr(time_left.time, "time", lambda now=seconds: 1000.0 + now)
        before = (60, 300.0)  # done in 300 seconds of an attempt that was cut short
        found = time_left.seconds_left(StageProgress("respond", "running", done, 100, 1000.0, None, *before))
        assert found == (None if left is None else pytest.approx(left, abs=0.01)), f"{done} done after {seconds} s"


def test_the_time_of_the_whole_run_counts_the_stages_that_wait() -> None:
    expected = {"respond": 100.0, "justify": 20.0, "tune": 60.0}
    working = [
        StageProgress("warm_up", "done", 9, 9, 1.0, 5.0),
        StageProgress("respond", "running", 0, 100, 5.0, None),
        StageProgress("justify", "waiting", 0, 0, None, None),
        StageProgress("tune", "waiting", 50, 100, 1.0, 2.0, 50, 1.0),
        StageProgress("evaluate", "skipped", 0, 0, None, None),
    ]
    assert time_left.seconds_until(working, expected) == pytest.approx(100 + 20 + 30)


def test_a_warm_up_that_nothing_needs_has_no_tick() -> None:
    passed, trained = StageProgress("warm_up", "done", 0, 0, 5.0, 5.1), StageProgress("warm_up", "done", 9, 9, 1.0, 4.0)
    assert live._one("warm_up", [passed]).status == "skipped"
    assert live._one("warm_up", [passed, trained]) == trained
    for status in ("running", "failed"):
        now = StageProgress("warm_up", status, 0, 0, 6.0, None)
        assert live._one("warm_up", [now, passed]) == now
    assert live._one("select", [StageProgress("select", "done", 0, 0, 5.0, 5.1)]).status == "done"
