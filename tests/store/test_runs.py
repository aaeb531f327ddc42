"""Runs: the queue, the states, and who may write."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import AbstractContextManager

import psutil
import pytest
from sqlalchemy import Connection, update
from sqlalchemy.exc import IntegrityError

from semievol.errors import UserError
from semievol.method.protocols import Stopped
from semievol.records import STAGES
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs import claims, liveness, progress, runs
from semievol.store.runs.runs import Run
from tests.store.world import World

ME = os.getpid()


def queued(world: World, count: int = 1) -> list[Run]:
    return [runs.enqueue(world.store, world.round.id, world.config) for _ in range(count)]


def status(world: World) -> str:
    return runs.get_run(world.store, world.run.id).status


def finish(world: World, how: runs.Ending = "done") -> None:
    claims.finish(world.store, world.run.id, world.run.attempt, how)


def rewrite(store: Store, run_id: int, **values: object) -> None:
    with store.write() as connection:
        connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(**values))


# --- the queue ------------------------------------------------------------------------------------------------------


def test_a_claimed_run_knows_its_worker(world: World) -> None:
    run = world.run
    assert (run.status, run.attempt, run.pid, run.ended) == ("running", 1, ME, None)
    assert run.started is not None
    assert run.heartbeat_at is not None
    assert runs.active_run(world.store) == run


def test_one_run_at_a_time_the_rest_wait_in_order(world: World) -> None:
    second, third = queued(world, 2)
    assert claims.claim_next(world.store, ME) is None
    with pytest.raises(UserError, match=f"Run {world.run.id} is active"):
        claims.claim(world.store, second.id, ME)
    finish(world)
    assert runs.queue(world.store) == [second, third]
    claimed = claims.claim_next(world.store, ME)
    assert claimed is not None
    assert claimed.id == second.id
    assert runs.queue(world.store) == [third]


def test_the_database_itself_refuses_a_second_active_run(world: World) -> None:
    [second] = queued(world)
    with pytest.raises(IntegrityError):
        rewrite(world.store, second.id, status="stopping")


def test_of_racing_workers_one_gets_the_run(world: World) -> None:
    finish(world)
    queued(world)
    claimed: list[Run | None] = []
    threads = [threading.Thread(target=lambda: claimed.append(claims.claim_next(world.store, ME))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(run is not None for run in claimed) == 1


def test_the_queue_can_be_reordered(world: World) -> None:
    a, b, c = (run.id for run in queued(world, 3))
    runs.reorder(world.store, c, 0)
    assert [run.id for run in runs.queue(world.store)] == [c, a, b]
    runs.reorder(world.store, c, 99)
    assert [run.id for run in runs.queue(world.store)] == [a, b, c]
    [d] = queued(world)
    assert [run.id for run in runs.queue(world.store)] == [a, b, c, d.id]
    with pytest.raises(UserError, match="does not wait"):
        runs.reorder(world.store, world.run.id, 0)


def test_runs_are_listed_newest_first(world: World) -> None:
    a, b = queued(world, 2)
    assert [run.id for run in runs.list_runs(world.store, world.project.id)] == [b.id, a.id, world.run.id]
    assert runs.list_runs(world.store, 99) == []
    assert len(runs.list_runs(world.store)) == 3


@pytest.mark.parametrize(
    ("first", "until", "selection"),
    [("nap", "tune", None), ("tune", "nap", None), ("tune", "respond", None), ("tune", "tune", 4)],
)
def test_a_run_that_makes_no_sense_is_not_queued(world: World, first: str, until: str, selection: int | None) -> None:
    with pytest.raises(UserError):
        runs.enqueue(world.store, world.round.id, world.config, first, until, selection)
    with pytest.raises(UserError, match="no round 99"):
        runs.enqueue(world.store, 99, world.config)
    assert runs.queue(world.store) == []


def test_a_run_covers_its_first_and_last_stage_and_all_between(world: World) -> None:
    run = runs.enqueue(world.store, world.round.id, world.config, "respond", "select")
    assert [stage for stage in STAGES if run.covers(stage)] == ["respond", "justify", "select"]


# --- states ---------------------------------------------------------------------------------------------------------


def test_a_running_run_is_asked_to_stop_a_queued_one_is_cancelled(world: World) -> None:
    [waiting] = queued(world)
    runs.request_stop(world.store, world.run.id)
    runs.request_stop(world.store, waiting.id)
    assert status(world) == "stopping"
    assert runs.get_run(world.store, waiting.id).status == "cancelled"
    runs.request_stop(world.store, world.run.id)
    assert status(world) == "stopping"
    finish(world, "cancelled")
    runs.request_stop(world.store, world.run.id)
    assert status(world) == "cancelled"


@pytest.mark.parametrize("how", ["cancelled", "interrupted", "failed"])
def test_what_did_not_end_well_can_be_resumed(world: World, how: runs.Ending) -> None:
    finish(world, how)
    [other] = queued(world)
    again = runs.resume(world.store, world.run.id)
    assert (again.status, again.error, again.ended) == ("queued", None, None)
    assert [run.id for run in runs.queue(world.store)] == [other.id, world.run.id]
    assert claims.claim(world.store, world.run.id, ME).attempt == 2


def test_what_runs_waits_or_is_done_cannot_be_resumed(world: World) -> None:
    [waiting] = queued(world)
    for run_id in (world.run.id, waiting.id):
        with pytest.raises(UserError, match="can be resumed"):
            runs.resume(world.store, run_id)
    finish(world)
    with pytest.raises(UserError, match="is done"):
        runs.resume(world.store, world.run.id)
    with pytest.raises(UserError, match="is done, not queued"):
        claims.claim(world.store, world.run.id, ME)


def test_an_error_is_kept_and_told(world: World) -> None:
    error = UserError("Too hot.", "gpu", "Cool it.").as_dict()
    claims.record_environment(world.store, world.run.id, 1, {"torch": "2"})
    claims.finish(world.store, world.run.id, 1, "failed", error=error)
    run = runs.get_run(world.store, world.run.id)
    assert (run.status, run.error, run.environment) == ("failed", error, {"torch": "2"})
    assert run.ended is not None
    assert [event.text for event in progress.events(world.store, run.id)] == ["Too hot."]
    with pytest.raises(ValueError, match="running"):
        claims.finish(world.store, world.run.id, 1, "running")  # type: ignore[arg-type]


# --- fencing --------------------------------------------------------------------------------------------------------


def test_a_worker_that_lost_its_run_writes_nothing(world: World) -> None:
    world.again()
    store, run_id = world.store, world.run.id
    assert claims.beat(store, run_id, 1) is False
    assert claims.beat(store, run_id, 2) is True
    for write in (
        lambda: claims.finish(store, run_id, 1, "done"),
        lambda: claims.record_environment(store, run_id, 1, {"stale": True}),
        lambda: claims.sample(store, run_id, 1, 1, {"cpu": 1.0}),
    ):
        with pytest.raises(Stopped):
            write()
    run = runs.get_run(store, run_id)
    assert (run.status, run.attempt, run.environment) == ("running", 2, {})
    assert progress.metrics(store, run_id).empty


def test_a_stopping_worker_still_owns_its_run(world: World) -> None:
    runs.request_stop(world.store, world.run.id)
    assert claims.beat(world.store, world.run.id, 1) is True
    claims.record_environment(world.store, world.run.id, 1, {"device": "cpu"})
    assert runs.get_run(world.store, world.run.id).environment == {"device": "cpu"}


def test_after_its_end_a_run_has_no_owner(world: World) -> None:
    finish(world)
    assert claims.beat(world.store, world.run.id, 1) is False


def test_what_a_worker_uses_becomes_metrics(world: World) -> None:
    claims.sample(world.store, world.run.id, 1, 3, {"cpu_percent": 50.0, "memory_bytes": 1e9})
    found = progress.metrics(world.store, world.run.id)
    assert list(found["stage"].unique()) == ["machine"]
    assert dict(zip(found["name"], found["value"], strict=True)) == {"cpu_percent": 50.0, "memory_bytes": 1e9}


# --- liveness -------------------------------------------------------------------------------------------------------


def test_a_living_worker_is_left_alone(world: World) -> None:
    assert claims.settle(world.store) == []
    assert status(world) == "running"


def test_a_dead_worker_is_settled_at_once(world: World) -> None:
    finish(world)
    child = subprocess.Popen(["sleep", "60"])
    world.run = claims.claim(world.store, queued(world)[0].id, child.pid)
    assert claims.settle(world.store) == []
    child.kill()  # a zombie until somebody waits for it: gone all the same
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        pass
    assert claims.settle(world.store) == [world.run.id]
    child.wait()
    assert status(world) == "interrupted"
    assert claims.settle(world.store) == []
    assert "can be resumed" in progress.events(world.store, world.run.id)[-1].text


def test_another_process_of_the_same_number_is_not_the_worker(world: World) -> None:
    rewrite(world.store, world.run.id, process_start=1.0)
    assert claims.settle(world.store) == [world.run.id]


def test_a_restarted_machine_has_no_workers(world: World) -> None:
    rewrite(world.store, world.run.id, boot="another boot")
    assert claims.settle(world.store) == [world.run.id]


@pytest.mark.parametrize("halted", [True, False])
def test_a_silent_worker_loses_its_run(world: World, monkeypatch: pytest.MonkeyPatch, halted: bool) -> None:
    """One that is seen to live may be loading from a slow disk; one that was halted will not come back by itself."""
    finish(world)
    child = subprocess.Popen(["sleep", "600"])
    world.run = claims.claim(world.store, queued(world)[0].id, child.pid)
    if halted:
        child.send_signal(signal.SIGSTOP)
        while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
            pass
    longest = 15 if halted else 120
    now = liveness.ticks()
    monkeypatch.setattr(liveness, "ticks", lambda: now + longest - 1)
    assert claims.settle(world.store) == []
    claims.beat(world.store, world.run.id, 1)
    monkeypatch.setattr(liveness, "ticks", lambda: now + 2 * (longest - 1))
    assert claims.settle(world.store) == []
    monkeypatch.setattr(liveness, "ticks", lambda: now + 2 * longest)
    assert claims.settle(world.store) == [world.run.id]
    child.kill()
    child.wait()


def test_a_worker_that_waited_for_its_turn_to_write_keeps_its_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks was waiting for the same turn, while many decisions were saved."""
    clock = [liveness.ticks() + 121]
    monkeypatch.setattr(liveness, "ticks", lambda: clock[0])
    write = Store.write

    def after_many(store: Store) -> AbstractContextManager[Connection]:
        monkeypatch.setattr(Store, "write", write)
        clock[0] += 5
        return store.write()

    monkeypatch.setattr(Store, "write", after_many)
    monkeypatch.setattr(time, "sleep", lambda _: claims.beat(world.store, world.run.id, 1))
    assert claims.settle(world.store) == []
    assert status(world) == "running"


@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_a_changed_clock_kills_nobody(world: World, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    real = Store.now
    monkeypatch.setattr(Store, "now", lambda self, connection: real(self, connection) + jump)
    assert claims.settle(world.store) == []


def test_from_another_machine_the_heartbeat_decides(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Store.now
    rewrite(world.store, world.run.id, host="elsewhere", boot="its own", process_start=1.0)
    monkeypatch.setattr(Store, "now", lambda self, connection: real(self, connection) + 14)
    assert claims.settle(world.store) == []
    monkeypatch.setattr(Store, "now", lambda self, connection: real(self, connection) + 16)
    assert claims.settle(world.store) == [world.run.id]


def test_claiming_settles_first(world: World) -> None:
    [waiting] = queued(world)
    rewrite(world.store, world.run.id, process_start=1.0)
    claimed = claims.claim_next(world.store, ME)
    assert claimed is not None
    assert claimed.id == waiting.id
    assert status(world) == "interrupted"


def test_a_settled_worker_that_wakes_up_is_refused(world: World) -> None:
    rewrite(world.store, world.run.id, process_start=1.0)
    claims.settle(world.store)
    assert claims.beat(world.store, world.run.id, 1) is False
    with pytest.raises(Stopped):
        world.journal.event("tune", "I am back")
