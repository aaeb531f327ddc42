"""Who works on a run: claiming it, keeping it by heartbeats, ending it, and losing it.

Every claim is a new attempt, and every write of a worker carries its attempt: once a run was taken from a worker, its
writes are refused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from semievol.errors import UserError
from semievol.method.protocols import Stopped
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs import liveness
from semievol.store.runs.progress import write_event, write_metrics
from semievol.store.runs.runs import RESUMABLE, Ending, Run, active_id, change, end, queued, run_in

_MOMENT_SECONDS = 0.5


def claim_next(store: Store, pid: int) -> Run | None:
    """Gives the next queued run to the process `pid`; None if nothing waits or a run is active."""
    settle(store)
    with store.write() as connection:
        if active_id(connection) is not None:
            return None
        waiting = connection.execute(queued().limit(1)).first()
        return None if waiting is None else _take(store, connection, waiting.id, pid)


def claim(store: Store, run_id: int, pid: int) -> Run:
    """Gives this queued run to the process `pid`. Raises UserError where another run is active."""
    settle(store)
    with store.write() as connection:
        run, other = run_in(connection, run_id), active_id(connection)
        if other is not None:
            raise UserError(f"Run {other} is active.", "run", "Wait until it has ended, or stop it.")
        if run.status != "queued":
            raise UserError(f"Run {run_id} is {run.status}, not queued.", "run", "Resume it, or start another one.")
        return _take(store, connection, run_id, pid)


def beat(store: Store, run_id: int, attempt: int) -> bool:
    """The owner's heartbeat; False if this attempt no longer owns the run."""
    with store.write() as connection:
        return _beat(store, connection, run_id, attempt)


def finish(store: Store, run_id: int, attempt: int, status: Ending, error: Mapping[str, Any] | None = None) -> None:
    """Ends the run. Raises `Stopped` where this attempt no longer owns it."""
    if status not in ("done", *RESUMABLE):
        raise ValueError(f"a run cannot finish as {status!r}")
    with store.write() as connection:
        check_owner(store, connection, run_id, attempt)
        end(connection, run_in(connection, run_id), status, store.now(connection), error)


def record_environment(store: Store, run_id: int, attempt: int, environment: Mapping[str, Any]) -> None:
    """Stores what the run's numbers come from: package versions, device, threads."""
    with store.write() as connection:
        check_owner(store, connection, run_id, attempt)
        change(connection, run_id, environment=dict(environment))


def sample(store: Store, run_id: int, attempt: int, second: int, values: Mapping[str, float]) -> None:
    """Stores what the worker process uses at this second of the run, as metrics of the stage `machine`."""
    with store.write() as connection:
        check_owner(store, connection, run_id, attempt)
        at = store.now(connection)
        write_metrics(connection, run_id, attempt, [("machine", name, second, v, at) for name, v in values.items()])


def check_owner(store: Store, connection: Connection, run_id: int, attempt: int) -> None:
    """Raises `Stopped` if this attempt no longer owns the run; otherwise counts as a heartbeat."""
    if not _beat(store, connection, run_id, attempt):
        raise Stopped(f"attempt {attempt} of run {run_id} was taken over; its writes are refused")


def fail_next(store: Store, error: Mapping[str, Any]) -> None:
    """Lets the next queued run fail before it begins, because no worker can be started for it."""
    with store.write() as connection:
        waiting = connection.execute(queued().limit(1)).first()
        if waiting is not None:
            end(connection, run_in(connection, waiting.id), "failed", store.now(connection), error)


# --- what any reader does -------------------------------------------------------------------------------------------


def settle(store: Store) -> list[int]:
    """Marks active runs whose worker is gone or silent as interrupted; returns their ids.

    A living worker may be silent because it waits for a long write of others. If this call had to wait for the write
    lock, too, it therefore gives the worker a moment to write, and looks again.
    """
    with store.read() as connection:
        if not _lost(store, connection):
            return []
    began = liveness.ticks()
    with store.write() as connection:
        if liveness.ticks() - began < _MOMENT_SECONDS:
            lost = _lost(store, connection)
            for run_id in lost:
                now = store.now(connection)
                write_event(
                    connection, run_id, "", "The worker process ended unexpectedly; the run can be resumed.", now
                )
                end(connection, run_in(connection, run_id), "interrupted", now)
            return lost
    time.sleep(_MOMENT_SECONDS)
    return settle(store)


def _lost(store: Store, connection: Connection) -> list[int]:
    c = schema.runs.c
    query = select(c.id, c.host, c.boot, c.pid, c.process_start, c.heartbeat_at, c.heartbeat_ticks)
    rows = connection.execute(query.where(c.status.in_(schema.ACTIVE))).all()
    now = store.now(connection)
    return [row.id for row in rows if liveness.gone(row, now)]


def _take(store: Store, connection: Connection, run_id: int, pid: int) -> Run:
    now = store.now(connection)
    values = {"status": "running", "attempt": schema.runs.c.attempt + 1, "started": now, "ended": None, "error": None}
    values |= liveness.owner(pid) | {"heartbeat_at": now, "heartbeat_ticks": liveness.ticks()}
    try:
        change(connection, run_id, **values)
    except IntegrityError:
        raise UserError("Another run is active.", "run", "Wait until it has ended, or stop it.") from None
    return run_in(connection, run_id)


def _beat(store: Store, connection: Connection, run_id: int, attempt: int) -> bool:
    c = schema.runs.c
    mine = update(schema.runs).where(c.id == run_id, c.attempt == attempt, c.status.in_(schema.ACTIVE))
    alive = mine.values(heartbeat_at=store.now(connection), heartbeat_ticks=liveness.ticks())
    return connection.execute(alive).rowcount == 1
