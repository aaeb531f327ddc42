"""How far a run is: its stages, its metrics, its events. Functions that write take the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import pandas as pd
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from semievol.records import CROSS_FIT, STAGES, STEPS
from semievol.store import schema
from semievol.store.data.records import table
from semievol.store.database import Store

StageStatus = Literal["waiting", "running", "done", "failed", "skipped"]


@dataclass(frozen=True)
class StageProgress:
    """A stage, or cross-fitting. started, ended: unix seconds; earlier attempts of the run are counted in by an earlier
    start. found, worked: how much was done, and for how many seconds, before the present attempt began."""

    stage: str
    status: StageStatus
    done: int
    total: int
    started: float | None
    ended: float | None
    found: int = 0
    worked: float = 0.0

    @property
    def seconds(self) -> float | None:
        """Seconds that it took in all attempts; None where it has not ended."""
        return None if self.started is None or self.ended is None else self.ended - self.started


@dataclass(frozen=True)
class Event:
    """One message of a run; ids grow."""

    id: int
    at: float
    stage: str
    text: str


def stages(store: Store, run_id: int) -> list[StageProgress]:
    """All seven stages in order, those outside the run's span skipped, and cross-fitting where the run does it."""
    c = schema.stages.c
    query = select(*(c[field.name] for field in fields(StageProgress))).where(c.run_id == run_id)
    found = {row.stage: StageProgress(*row) for row in store.rows(query)}
    steps = [stage for stage in STEPS if stage in found or stage != CROSS_FIT]
    return [found.get(stage, StageProgress(stage, "skipped", 0, 0, None, None)) for stage in steps]


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


def open_stages(connection: Connection, run_id: int, first: str, until: str, cross_fits: bool = False) -> None:
    """Sets the stages of a queued run: waiting inside its span, skipped outside. A stage that is done stays done; one
    that was begun keeps its times, to which `advance` adds. cross_fits: whether `justify` is to cross-fit."""
    c = schema.stages.c
    span = steps(first, until)
    known = set(connection.execute(select(c.stage).where(c.run_id == run_id)).scalars())
    rows = [
        {"run_id": run_id, "stage": stage, "status": "waiting" if stage in span else "skipped"}
        for stage in STEPS
        if stage not in known and (stage != CROSS_FIT or (cross_fits and stage in span))
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
    earlier = _before(stage)
    open_before = (c.run_id == run_id, c.stage.in_(earlier), c.status.in_(("waiting", "running")))
    connection.execute(update(schema.stages).where(*open_before, c.started.is_(None)).values(started=now))
    connection.execute(update(schema.stages).where(*open_before).values(status="done", ended=now))
    columns = (c.stage, c.status, c.done, c.started, c.ended)
    rows = {row.stage: row for row in connection.execute(select(*columns).where(c.run_id == run_id))}
    if stage not in rows:  # queued by a version that did not know this step
        connection.execute(insert(schema.stages).values(run_id=run_id, stage=stage, status="waiting"))
    own = rows.get(stage)
    if own is not None and own.status == "done":
        return
    finished = done >= total > 0
    values: dict[str, Any] = {"status": "done" if finished else "running", "done": done, "total": total}
    if own is None or own.status != "running":
        found, before = 0, 0.0
        if own is not None and own.started is not None and own.ended is not None:
            found, before = own.done, own.ended - own.started
        ends = [began, *(row.ended for row in rows.values() if row.stage != stage and row.ended is not None)]
        values |= {"started": min(now, max(ends)) - before, "worked": before, "found": found}
    values |= {"ended": now if finished else None}
    connection.execute(update(schema.stages).where(c.run_id == run_id, c.stage == stage).values(**values))


def close_stages(connection: Connection, run_id: int, run_status: str, first: str, until: str, now: float) -> None:
    """Sets the stages of a run that has ended: all done, or the running one failed, or waiting to be resumed."""
    c = schema.stages.c
    mine = (c.run_id == run_id, c.stage.in_(steps(first, until)))
    if run_status == "done":
        unfinished = (*mine, c.status.in_(("waiting", "running")))
        connection.execute(update(schema.stages).where(*unfinished).values(status="done", ended=now))
        return
    if run_status == "failed":
        running = update(schema.stages).where(c.run_id == run_id, c.status == "running")
        if connection.execute(running.values(status="failed", ended=now)).rowcount == 0:
            waiting = set(connection.execute(select(c.stage).where(*mine, c.status == "waiting")).scalars())
            broken = next((stage for stage in STEPS if stage in waiting), None)
            failed = update(schema.stages).where(c.run_id == run_id, c.stage == broken)
            connection.execute(failed.values(status="failed", ended=now))
        return
    stopped = update(schema.stages).where(c.run_id == run_id, c.status == "running")
    connection.execute(stopped.values(status="waiting", ended=now))


def steps(first: str, until: str) -> tuple[str, ...]:
    """What a run of these stages may report progress of."""
    span = STAGES[STAGES.index(first) : STAGES.index(until) + 1]
    return (*span, CROSS_FIT) if "justify" in span else span


def _before(stage: str) -> tuple[str, ...]:
    """What is done when this stage begins. Cross-fitting comes before `justify` where it earns the weights that this
    needs, else after it, so that neither ends the other."""
    if stage == CROSS_FIT:
        return STAGES[: STAGES.index("justify")]
    earlier = STAGES[: STAGES.index(stage)]
    return (*earlier, CROSS_FIT) if "justify" in earlier else earlier
