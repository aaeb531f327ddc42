"""A run as a value, and the steps on its row that others put together inside their transactions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, func, select, update

from semievol import config as settings
from semievol.config import Config
from semievol.errors import UserError
from semievol.store import schema
from semievol.store.runs.progress import close_stages, write_event

Status = Literal["queued", "running", "stopping", "done", "failed", "cancelled", "interrupted"]
Ending = Literal["done", "failed", "cancelled", "interrupted"]
RESUMABLE = ("cancelled", "interrupted", "failed")

_FIELDS = (
    *("id", "project_id", "round_id", "first", "until", "config", "selection", "status", "attempt", "pid"),
    *("heartbeat_at", "error", "created", "started", "ended", "environment", "selection_used"),
)
COLUMNS = [schema.runs.c[name] for name in _FIELDS]


@dataclass(frozen=True)
class Run:
    """One background execution of the stages `first` to `until` of a round. Times are unix seconds."""

    id: int
    project_id: int
    round_id: int
    first: str
    until: str
    config: Config
    selection: int | None
    status: Status
    attempt: int
    pid: int | None
    heartbeat_at: float | None
    error: dict[str, Any] | None
    created: float
    started: float | None
    ended: float | None
    environment: dict[str, Any]
    selection_used: int | None


def get(connection: Connection, run_id: int) -> Run:
    """The run with this id. Raises UserError where there is none."""
    found = load(connection, select(*COLUMNS).where(schema.runs.c.id == run_id))
    if not found:
        raise UserError(f"There is no run {run_id}.", "run", "Choose another run.")
    return found[0]


def load(connection: Connection, query: Any) -> list[Run]:
    """The runs that a query for `COLUMNS` finds."""
    return [_as_run(row) for row in connection.execute(query)]


def _as_run(row: Sequence[Any]) -> Run:
    values = dict(zip(_FIELDS, row, strict=True))
    return Run(**values | {"config": settings.validate(values["config"])})


def queued() -> Any:
    """The query for the queue, next run first."""
    c = schema.runs.c
    return select(*COLUMNS).where(c.status == "queued").order_by(c.position, c.id)


def end_of_queue(connection: Connection) -> int:
    c = schema.runs.c
    last = connection.execute(select(func.max(c.position)).where(c.status == "queued")).scalar()
    return 0 if last is None else last + 1


def active_id(connection: Connection) -> int | None:
    """The run that a worker has now."""
    return connection.execute(select(schema.runs.c.id).where(schema.runs.c.status.in_(schema.ACTIVE))).scalar()


def end(connection: Connection, run: Run, status: str, now: float, error: Mapping[str, Any] | None = None) -> None:
    """The run's last state, or the last before it is resumed, and what that means for its stages."""
    change(connection, run.id, status=status, ended=now, error=None if error is None else dict(error))
    if error:
        write_event(connection, run.id, "", str(error.get("what", "")), now)  # the error itself goes when it is resumed
    close_stages(connection, run.id, status, run.first, run.until, now)


def change(connection: Connection, run_id: int, **values: Any) -> None:
    connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(**values))
