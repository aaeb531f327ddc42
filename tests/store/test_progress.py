"""Stages, metrics and events of a run."""

from __future__ import annotations

import math
import os

import pytest

from semievol.records import STAGES
from semievol.store.database import Store
from semievol.store.runs import claims, journal, progress, runs
from semievol.store.runs.progress import StageProgress
from tests.store.world import World


def stage(world: World, name: str) -> StageProgress:
    return progress.stages(world.store, world.run.id)[STAGES.index(name)]


def statuses(world: World) -> list[str]:
    return [found.status for found in progress.stages(world.store, world.run.id)]


def test_all_seven_stages_are_told_those_outside_the_span_are_skipped(world: World) -> None:
    run = runs.enqueue(world.store, world.round.id, world.config, "retrieve", "justify")
    found = progress.stages(world.store, run.id)
    assert [s.stage for s in found] == list(STAGES)
    assert [s.status for s in found] == ["skipped", "waiting", "waiting", "waiting", "skipped", "skipped", "skipped"]


def test_a_stage_runs_and_is_done(world: World) -> None:
    told = world.journal
    told.progress("warm_up", 3, 10)
    assert (stage(world, "warm_up").status, stage(world, "warm_up").done, stage(world, "warm_up").total) == (
        "running",
        3,
        10,
    )
    told.progress("warm_up", 10, 10)
    found = stage(world, "warm_up")
    assert (found.status, found.done) == ("done", 10)
    assert found.started is not None
    assert found.ended is not None
    assert world.run.started is not None
    assert world.run.started <= found.started <= found.ended


def test_a_stage_that_had_nothing_to_do_is_done_when_the_next_begins(world: World) -> None:
    told = world.journal
    told.progress("respond", 8, 8)
    told.progress("select", 1, 8)
    assert statuses(world) == ["done", "done", "done", "done", "running", "waiting", "waiting"]
    assert stage(world, "select").started == stage(world, "justify").ended


def test_at_the_end_everything_is_done(world: World) -> None:
    world.journal.progress("tune", 1, 2)
    claims.finish(world.store, world.run.id, 1, "done")
    assert statuses(world) == ["done"] * 7


def test_a_failure_marks_the_stage_that_was_running(world: World) -> None:
    world.journal.progress("respond", 1, 8)
    claims.finish(world.store, world.run.id, 1, "failed")
    assert statuses(world) == ["done", "done", "failed", "waiting", "waiting", "waiting", "waiting"]


def test_a_failure_before_any_progress_marks_the_first_stage(world: World) -> None:
    claims.finish(world.store, world.run.id, 1, "failed")
    assert statuses(world) == ["failed", *["waiting"] * 6]


def test_what_was_done_stays_done_when_a_run_is_resumed(world: World) -> None:
    world.journal.progress("warm_up", 2, 2)
    world.journal.progress("retrieve", 5, 9)
    claims.finish(world.store, world.run.id, 1, "interrupted")
    assert stage(world, "retrieve").status == "waiting"
    assert stage(world, "retrieve").done == 5
    runs.resume(world.store, world.run.id)
    assert statuses(world) == ["done", *["waiting"] * 6]


def test_what_a_resumed_run_only_passes_through_keeps_its_times(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1e9
    monkeypatch.setattr(Store, "now", lambda store, connection: now)
    world.run = world.again()
    world.journal.progress("warm_up", 0, 0)
    now += 2
    world.journal.progress("warm_up", 3, 3)
    world.journal.progress("retrieve", 1, 8)
    now += 500
    world.run = world.again()
    told = world.journal
    told.progress("warm_up", 0, 0)
    told.progress("retrieve", 0, 0)
    now += 4
    told.progress("retrieve", 8, 8)
    told.progress("respond", 0, 0)
    first_two = stage(world, "warm_up"), stage(world, "retrieve")
    took = [(found.status, found.done, (found.ended or 0) - (found.started or 0)) for found in first_two]
    assert took == [("done", 3, 2), ("done", 8, 500 + 4)]  # the first attempt was cut short after 500 seconds
    assert (first_two[1].found, first_two[1].worked) == (1, 500)
    assert runs.worked(world.store, runs.get_run(world.store, world.run.id)) == 2 + 504


def test_the_time_of_a_stage_that_was_cut_short_counts_all_attempts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1e9
    monkeypatch.setattr(Store, "now", lambda store, connection: now)
    world.run = world.again()
    world.journal.progress("warm_up", 0, 0)
    now += 30
    world.journal.progress("warm_up", 6, 10)
    now += 40_000  # the machine slept; nobody looked before the next morning
    with world.store.write() as connection:
        runs.end(connection, runs.run_in(connection, world.run.id), "interrupted", now)
    runs.resume(world.store, world.run.id)
    world.run = claims.claim(world.store, world.run.id, os.getpid())
    world.journal.progress("warm_up", 0, 0)
    now += 12
    world.journal.progress("warm_up", 10, 10)
    found = stage(world, "warm_up")
    assert found.started is not None
    assert found.ended is not None
    assert found.ended - found.started == pytest.approx(42, abs=1)


def test_progress_is_written_twice_a_second_and_at_both_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(journal.time, "monotonic", lambda: now)
    told = world.journal

    def seen(done: int) -> int:
        told.progress("respond", done, 8)
        return stage(world, "respond").done

    assert [seen(1), seen(2)] == [1, 1]
    now += 0.6
    assert [seen(3), seen(4), seen(8)] == [3, 3, 8]


def test_metrics_are_there_once_progress_is_told(world: World) -> None:
    told = world.journal
    told.progress("tune", 0, 9)
    told.metric("tune", "loss", 2, 0.5)
    told.metric("tune", "loss", 1, 0.75)
    told.metric("tune", "rate", 1, 1e-4)
    told.progress("tune", 2, 9)
    found = progress.metrics(world.store, world.run.id)
    assert list(found.columns) == ["stage", "name", "step", "value", "at"]
    assert found[["name", "step", "value"]].values.tolist() == [["loss", 1, 0.75], ["loss", 2, 0.5], ["rate", 1, 1e-4]]


def test_a_loss_that_is_no_number_is_told_at_once(world: World) -> None:
    world.journal.metric("tune", "loss", 1, math.nan)
    world.journal.metric("tune", "loss", 2, math.inf)
    assert progress.metrics(world.store, world.run.id)["value"].isna().tolist() == [True, False]
    assert progress.metrics(world.store, world.run.id)["value"].tolist()[1] == math.inf


def test_of_a_repeated_step_the_newest_attempt_stands(world: World) -> None:
    first = world.journal
    for step, value in ((1, 0.9), (2, 0.8), (2, 0.7)):
        first.metric("tune", "loss", step, value)
    first.progress("tune", 2, 3)
    world.run = world.again()
    second = world.journal
    second.metric("tune", "loss", 2, 0.85)
    second.metric("tune", "loss", 3, 0.6)
    second.progress("tune", 3, 3)
    assert progress.metrics(world.store, world.run.id)["value"].tolist() == [0.9, 0.85, 0.6]


def test_no_metrics_are_an_empty_frame(world: World) -> None:
    found = progress.metrics(world.store, world.run.id)
    assert found.empty
    assert list(found.columns) == ["stage", "name", "step", "value", "at"]


def test_events_come_oldest_first(world: World) -> None:
    told = world.journal
    told.event("warm_up", "begins")
    told.event("warm_up", "ends")
    found = progress.events(world.store, world.run.id)
    assert [(e.stage, e.text) for e in found] == [("warm_up", "begins"), ("warm_up", "ends")]
    assert found[0].id < found[1].id


@pytest.mark.parametrize("first", ["cross_fit", "justify"])
def test_cross_fitting_and_justify_have_times_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    now = 1e9
    monkeypatch.setattr(Store, "now", lambda store, connection: now)
    world.run = world.again()
    told, second = world.journal, {"cross_fit": "justify", "justify": "cross_fit"}[first]
    told.progress("respond", 8, 8)
    for step, seconds in ((first, 40), (second, 3)):
        told.progress(step, 0, 0)
        assert {one.stage for one in progress.stages(world.store, world.run.id) if one.status == "running"} == {step}
        now += seconds
        told.progress(step, 5, 5)
    told.progress("select", 0, 0)
    took = {one.stage: one.seconds for one in progress.stages(world.store, world.run.id)}
    assert (took[first], took[second]) == (40, 3)


def test_a_run_knows_from_the_start_whether_it_cross_fits(world: World) -> None:
    folds = world.config.model_copy(update={"cross_fit": 5})
    cases = (("justify", folds, True), ("respond", folds, False), ("justify", world.config, False))
    for until, config, expected in cases:
        run = runs.enqueue(world.store, world.round.id, config, until=until)
        assert ("cross_fit" in {one.stage for one in progress.stages(world.store, run.id)}) == expected
