"""How far a run is: its stages, its metrics, its events. Functions that write take the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from semievol.records import STAGES
from semievol.store import schema
from semievol.store.data.records import table
from semievol.store.database import Store

StageStatus = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass(frozen=True)
class StageProgress:
    """started, ended: unix seconds."""

    stage: str
    status: StageStatus
    done: int
    total: int
    started: float | None
    ended: float | None


@dataclass(frozen=True)
class Event:
    """One message of a run; ids grow."""

    id: int
    at: float
    stage: str
    text: str


def stages(store: Store, run_id: int) -> list[StageProgress]:
    """All seven stages in order; those outside the run's span are skipped."""
    c = schema.stages.c
    query = select(c.stage, c.status, c.done, c.total, c.started, c.ended).where(c.run_id == run_id)
    found = {row.stage: StageProgress(*row) for row in store.rows(query)}
    return [found.get(stage, StageProgress(stage, "skipped", 0, 0, None, None)) for stage in STAGES]


def metrics(store: Store, run_id: int) -> pd.DataFrame:
    """Columns stage, name, step, value (may be NaN), at (unix seconds), sorted by stage, name and step."""
    c = schema.metrics.c
    query = select(c.stage, c.name, c.step, c.value, c.at).where(c.run_id == run_id).order_by(c.stage, c.name, c.step)
    frame = table(store.rows(query), ["stage", "name", "step", "value", "at"])
    return frame.astype({"step": "int64", "value": "float64", "at": "float64"})


def events(store: Store, run_id: int) -> list[Event]:
    """The run's events, oldest first."""
    c = schema.events.c
    query = select(c.id, c.at, c.stage, c.text).where(c.run_id == run_id).order_by(c.id)
    return [Event(*row) for row in store.rows(query)]


def write_metrics(
    connection: Connection, run_id: int, attempt: int, points: Sequence[tuple[str, str, int, float, float]]
) -> None:
    """Stores points (stage, name, step, value, at). Of one attempt the first value of a step counts. If a resumed
    attempt repeats a step, the newest attempt's value counts, since it led to the adapter."""
    rows = [
        {"run_id": run_id, "attempt": attempt, "stage": stage, "name": name, "step": step, "at": at}
        | {"value": None if math.isnan(value) else float(value)}
        for stage, name, step, value, at in points
    ]
    statement = upsert(connection, schema.metrics)
    changed = {name: statement.excluded[name] for name in ("value", "at", "attempt")}
    newer = statement.excluded.attempt > schema.metrics.c.attempt
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(schema.metrics.primary_key), set_=changed, where=newer),
        rows,
    )


def write_event(connection: Connection, run_id: int, stage: str, text: str, now: float) -> None:
    connection.execute(insert(schema.events).values(run_id=run_id, at=now, stage=stage, text=text))


def upsert(connection: Connection, into: Any) -> Any:
    """The database's own INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(into)


def open_stages(connection: Connection, run_id: int, first: str, until: str) -> None:
    """Sets the stages of a queued run: waiting inside its span, skipped outside. A stage that is done stays done; one
    that was begun keeps its times, to which `advance` adds."""
    c = schema.stages.c
    span = _span(first, until)
    known = set(connection.execute(select(c.stage).where(c.run_id == run_id)).scalars())
    rows = [
        {"run_id": run_id, "stage": stage, "status": "waiting" if stage in span else "skipped"}
        for stage in STAGES
        if stage not in known
    ]
    if rows:
        connection.execute(insert(schema.stages), rows)
    again = update(schema.stages).where(c.run_id == run_id, c.stage.in_(span), c.status != "done")
    connection.execute(again.values(status="waiting"))


def advance(connection: Connection, run_id: int, stage: str, done: int, total: int, now: float, began: float) -> None:
    """Stores that stage `stage` is at `done` of `total`; the run's earlier stages are therefore done.

    A stage's time starts when the one before it ended, or at `began` for the first one; earlier by what an attempt that
    was cut short has worked on it. A stage that is done keeps its times, as a resumed run passes through it again
    without work.
    """
    c = schema.stages.c
    earlier = STAGES[: STAGES.index(stage)]
    open_before = (c.run_id == run_id, c.stage.in_(earlier), c.status.in_(("waiting", "running")))
    connection.execute(update(schema.stages).where(*open_before, c.started.is_(None)).values(started=now))
    connection.execute(update(schema.stages).where(*open_before).values(status="done", ended=now))
    rows = connection.execute(select(c.stage, c.status, c.started, c.ended).where(c.run_id == run_id)).all()
    own = next(row for row in rows if row.stage == stage)
    if own.status == "done":
        return
    ends = [began] + [row.ended for row in rows if row.stage in earlier and row.ended is not None]
    finished = done >= total > 0
    values: dict[str, Any] = {"status": "done" if finished else "running", "done": done, "total": total}
    started = own.started
    if own.status != "running":
        worked = own.ended - own.started if own.started is not None and own.ended is not None else 0.0
        started = min(now, max(ends)) - worked
    values |= {"started": started, "ended": now if finished else None}
    connection.execute(update(schema.stages).where(c.run_id == run_id, c.stage == stage).values(**values))


def close_stages(connection: Connection, run_id: int, run_status: str, first: str, until: str, now: float) -> None:
    """Sets the stages of a run that has ended: all done, or the running one failed, or waiting to be resumed."""
    c = schema.stages.c
    mine = (c.run_id == run_id, c.stage.in_(_span(first, until)))
    if run_status == "done":
        unfinished = (*mine, c.status.in_(("waiting", "running")))
        connection.execute(update(schema.stages).where(*unfinished).values(status="done", ended=now))
        return
    if run_status == "failed":
        running = update(schema.stages).where(c.run_id == run_id, c.status == "running")
        if connection.execute(running.values(status="failed", ended=now)).rowcount == 0:
            waiting = set(connection.execute(select(c.stage).where(*mine, c.status == "waiting")).scalars())
            broken = next((stage for stage in STAGES if stage in waiting), None)
            failed = update(schema.stages).where(c.run_id == run_id, c.stage == broken)
            connection.execute(failed.values(status="failed", ended=now))
        return
    stopped = update(schema.stages).where(c.run_id == run_id, c.status == "running")
    connection.execute(stopped.values(status="waiting", ended=now))


def _span(first: str, until: str) -> tuple[str, ...]:
    return STAGES[STAGES.index(first) : STAGES.index(until) + 1]
