"""Runs: queueing, stopping and resuming them, and the steps on a run's row that are part of a larger transaction.

A run works in a round, or carries out a study (`studies`), which waits in the same queue.

queued -> running -> done | failed | cancelled | interrupted, with `stopping` on the way; the last three can be resumed.
What the worker does with a run is in `claims`, how far it is in `progress`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, select, update

from semievol import presets
from semievol.config import Config
from semievol.errors import UserError
from semievol.records import STAGES
from semievol.store import schema
from semievol.store.data.versions import inserted_id
from semievol.store.database import Store
from semievol.store.runs.progress import close_stages, open_stages, stages, write_event

Status = Literal["queued", "running", "stopping", "done", "failed", "cancelled", "interrupted"]
Ending = Literal["done", "failed", "cancelled", "interrupted"]
RESUMABLE = ("cancelled", "interrupted", "failed")


@dataclass(frozen=True)
class Run:
    """One background execution of the stages `first` to `until` of a round. Times are unix seconds.

    study: what the run compares, if it carries out a study; its `round_id` is then 0, which no round has. spent: what
    it has spent on endpoints, a document that `spending.read` reads.
    """

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
    study: dict[str, Any] | None = None
    spent: dict[str, Any] | None = None

    def covers(self, stage: str) -> bool:
        """Whether the stage is one of those that the run carries out."""
        return STAGES.index(self.first) <= STAGES.index(stage) <= STAGES.index(self.until)


_COLUMNS = [schema.runs.c[field.name] for field in fields(Run)]

# --- reading --------------------------------------------------------------------------------------------------------


def get_run(store: Store, run_id: int) -> Run:
    """The run with this id. Raises UserError where there is none."""
    with store.read() as connection:
        return run_in(connection, run_id)


def list_runs(store: Store, project_id: int | None = None) -> list[Run]:
    """Runs of rounds, newest first; of one project or of all."""
    return _listed(store, project_id, schema.runs.c.round_id.is_not(None))


def list_studies(store: Store, project_id: int | None = None) -> list[Run]:
    """Runs that carry out studies, newest first; of one project or of all."""
    return _listed(store, project_id, schema.runs.c.round_id.is_(None))


def _listed(store: Store, project_id: int | None, kind: ColumnElement[bool]) -> list[Run]:
    query = select(*_COLUMNS).where(kind).order_by(schema.runs.c.id.desc())
    if project_id is not None:
        query = query.where(schema.runs.c.project_id == project_id)
    return [_as_run(row) for row in store.rows(query)]


def unfinished(store: Store) -> list[Run]:
    """Runs of both kinds that a worker has or will have, the active one first."""
    active = active_run(store)
    return [*([active] if active else []), *queue(store)]


def active_run(store: Store) -> Run | None:
    """The run that a worker has now: running or stopping."""
    rows = store.rows(select(*_COLUMNS).where(schema.runs.c.status.in_(schema.ACTIVE)))
    return _as_run(rows[0]) if rows else None


def queue(store: Store) -> list[Run]:
    """Queued runs in the order in which they will be claimed."""
    return [_as_run(row) for row in store.rows(queued())]


def worked(store: Store, run: Run) -> float | None:
    """Seconds that the run has worked, in all of its attempts (a study: in the last); None before the first."""
    if run.started is None:
        return None
    until = run.ended or run.heartbeat_at or run.started
    found = [(one.ended or until) - one.started for one in stages(store, run.id) if one.started is not None]
    return sum(found) if found else until - run.started


# --- queueing and stopping ------------------------------------------------------------------------------------------


def enqueue(
    store: Store,
    round_id: int,
    config: Config,
    first: str = "warm_up",
    until: str = "evaluate",
    selection: int | None = None,
    once: bool = False,
) -> Run:
    """A new run at the end of the queue. once: where the same run waits or runs already, that one instead."""
    for stage in (first, until):
        if stage not in STAGES:
            raise UserError(f'There is no stage "{stage}".', "stage", f"Choose one of: {', '.join(STAGES)}.")
    if STAGES.index(first) > STAGES.index(until):
        raise UserError(f"{first} comes after {until}.", "stages", "Let the run begin with the earlier one.")
    with store.write() as connection:
        project_id = connection.execute(
            select(schema.rounds.c.project_id).where(schema.rounds.c.id == round_id)
        ).scalar()
        if project_id is None:
            raise UserError(f"There is no round {round_id}.", "round", "Choose another round.")
        if selection is not None:
            c = schema.selections.c
            if not connection.execute(select(c.id).where(c.round_id == round_id, c.number == selection)).first():
                raise UserError(
                    f"There is no selection {selection} in this round.", "selection", "Choose another selection."
                )
        same = (round_id, first, until, selection, config)
        there = [_as_run(row) for row in connection.execute(_waiting_or_running())] if once else []
        for other in there:
            if (other.round_id, other.first, other.until, other.selection, other.config) == same:
                return other
        values: dict[str, Any] = {
            "project_id": project_id,
            "round_id": round_id,
            "first": first,
            "until": until,
        }
        run = insert_run(store, connection, config, values | {"selection": selection})
        open_stages(connection, run.id, first, until, _cross_fits(connection, round_id, config))
        return run


def request_stop(store: Store, run_id: int) -> None:
    """Asks a running run to stop and cancels a queued one; changes no other."""
    with store.write() as connection:
        run = run_in(connection, run_id)
        if run.status == "running":
            change(connection, run_id, status="stopping")
        elif run.status == "queued":
            change(connection, run_id, status="cancelled", ended=store.now(connection))


def resume(store: Store, run_id: int, budget: float | None = None, config: Config | None = None) -> Run:
    """Queues a cancelled, interrupted or failed run again, at the end; it will skip what is stored.

    budget: for what the run spends on endpoints in all of its attempts, from now on; None: as it was. config: settings
    that give the same numbers, in the place of the run's own.
    """
    with store.write() as connection:
        run = run_in(connection, run_id)
        if run.status not in RESUMABLE:
            raise UserError(
                f"Run {run_id} is {run.status}.", "run", f"Only a {', '.join(RESUMABLE)} run can be resumed."
            )
        change(connection, run_id, status="queued", position=_end_of_queue(connection), error=None, ended=None)
        if budget is not None:
            allowed = presets.validate(run.config.model_dump(mode="json") | {"budget": budget})
            change(connection, run_id, config=allowed.model_dump(mode="json"))
        if config is not None:
            change(connection, run_id, config=config.model_dump(mode="json"))
        if run.study is None:
            open_stages(connection, run_id, run.first, run.until)
        return run_in(connection, run_id)


def reorder(store: Store, run_id: int, position: int) -> None:
    """Moves a queued run to `position` of the queue, 0 being next."""
    with store.write() as connection:
        waiting = [row.id for row in connection.execute(queued())]
        if run_id not in waiting:
            raise UserError(f"Run {run_id} does not wait in the queue.", "run", "Choose a queued one.")
        waiting.remove(run_id)
        waiting.insert(max(position, 0), run_id)
        for place, waiting_id in enumerate(waiting):
            change(connection, waiting_id, position=place)


# --- inside the caller's transaction --------------------------------------------------------------------------------


def run_in(connection: Connection, run_id: int) -> Run:
    """As `get_run`."""
    row = connection.execute(select(*_COLUMNS).where(schema.runs.c.id == run_id)).one_or_none()
    if row is None:
        raise UserError(f"There is no run {run_id}.", "run", "Choose another run.")
    return _as_run(row)


def insert_run(store: Store, connection: Connection, config: Config, values: Mapping[str, Any]) -> Run:
    """A new run at the end of the queue. values: columns of its own kind."""
    shared: dict[str, Any] = {"config": config.model_dump(mode="json"), "environment": {}, "status": "queued"}
    shared |= {"position": _end_of_queue(connection), "created": store.now(connection)}
    return run_in(connection, inserted_id(connection, schema.runs, shared | dict(values)))


def queued() -> Any:
    """The query for the queue, next run first."""
    c = schema.runs.c
    return select(*_COLUMNS).where(c.status == "queued").order_by(c.position, c.id)


def _waiting_or_running() -> Any:
    c = schema.runs.c
    return select(*_COLUMNS).where(c.status.in_(("queued", "running")), c.study.is_(None)).order_by(c.id)


def active_id(connection: Connection) -> int | None:
    """Id of the run that a worker has now."""
    return connection.execute(select(schema.runs.c.id).where(schema.runs.c.status.in_(schema.ACTIVE))).scalar()


def end(connection: Connection, run: Run, status: str, now: float, error: Mapping[str, Any] | None = None) -> None:
    """Gives the run its last status (the last before it is resumed) and its stages the one that follows from it."""
    change(connection, run.id, status=status, ended=now, error=None if error is None else dict(error))
    if error:
        # Resuming the run clears its error; the event stays.
        write_event(connection, run.id, "", str(error.get("what", "")), now)
    # Of a run that was killed nobody knows more than when it was alive last; it may be settled the next morning.
    worked = min(now, run.heartbeat_at) if status == "interrupted" and run.heartbeat_at else now
    close_stages(connection, run.id, status, run.first, run.until, worked)


def interrupt_all(store: Store) -> None:
    """Marks every unfinished run as interrupted. Made for a copy of a database, whose workers work for the original."""
    with store.write() as connection:
        c = schema.runs.c
        now = store.now(connection)
        for id in connection.execute(select(c.id).where(c.status.in_(schema.NOT_ENDED))).scalars().all():
            end(connection, run_in(connection, id), "interrupted", now)


def change(connection: Connection, run_id: int, **values: Any) -> None:
    connection.execute(update(schema.runs).where(schema.runs.c.id == run_id).values(**values))


def _end_of_queue(connection: Connection) -> int:
    c = schema.runs.c
    last = connection.execute(select(func.max(c.position)).where(c.status == "queued")).scalar()
    return 0 if last is None else last + 1


def _cross_fits(connection: Connection, round_id: int, config: Config) -> bool:
    """Whether a run with this config cross-fits in `justify`: a round that holds out calibration records does not."""
    held = connection.execute(select(schema.rounds.c.held).where(schema.rounds.c.id == round_id)).scalar()
    return bool(config.cross_fit) and not held


def _as_run(row: Any) -> Run:
    return Run(**{**row._asdict(), "config": presets.validate(row.config), "round_id": row.round_id or 0})
