"""Runs: asking for them, stopping and resuming them, and the queue in which they wait.

queued -> running -> done | failed | cancelled | interrupted, with `stopping` on the way; the last three can be resumed.
What the worker does with a run is in `claims`, how far it is in `progress`, the table itself in `run_table`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from semievol.config import Config
from semievol.errors import UserError
from semievol.records import STAGES
from semievol.store import schema
from semievol.store.data.versions import inserted_id
from semievol.store.database import Store
from semievol.store.runs.progress import open_stages
from semievol.store.runs.run_table import COLUMNS, RESUMABLE, Run, change, end_of_queue, get, load, queued

# --- asking ---------------------------------------------------------------------------------------------------------


def get_run(store: Store, run_id: int) -> Run:
    """The run with this id. Raises UserError where there is none."""
    with store.read() as connection:
        return get(connection, run_id)


def list_runs(store: Store, project_id: int | None = None) -> list[Run]:
    """Runs, newest first; of one project or of all."""
    query = select(*COLUMNS).order_by(schema.runs.c.id.desc())
    with store.read() as connection:
        return load(connection, query if project_id is None else query.where(schema.runs.c.project_id == project_id))


def active_run(store: Store) -> Run | None:
    """The run that a worker has now: running or stopping."""
    with store.read() as connection:
        found = load(connection, select(*COLUMNS).where(schema.runs.c.status.in_(schema.ACTIVE)))
        return found[0] if found else None


def queue(store: Store) -> list[Run]:
    """Queued runs in the order in which they will be claimed."""
    with store.read() as connection:
        return load(connection, queued())


# --- what a person asks for -----------------------------------------------------------------------------------------


def enqueue(
    store: Store,
    round_id: int,
    config: Config,
    first: str = "warm_up",
    until: str = "evaluate",
    selection: int | None = None,
) -> Run:
    """A new run at the end of the queue."""
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
        values: dict[str, Any] = {
            "project_id": project_id,
            "round_id": round_id,
            "first": first,
            "until": until,
            "status": "queued",
        }
        values |= {"config": config.model_dump(mode="json"), "selection": selection, "environment": {}}
        values |= {"position": end_of_queue(connection), "created": store.now(connection)}
        run_id = inserted_id(connection, schema.runs, values)
        open_stages(connection, run_id, first, until)
        return get(connection, run_id)


def request_stop(store: Store, run_id: int) -> None:
    """A running run is asked to stop, a queued one is cancelled; of others nothing is asked."""
    with store.write() as connection:
        run = get(connection, run_id)
        if run.status == "running":
            change(connection, run_id, status="stopping")
        elif run.status == "queued":
            change(connection, run_id, status="cancelled", ended=store.now(connection))


def resume(store: Store, run_id: int) -> Run:
    """Queues a cancelled, interrupted or failed run again, at the end; it will skip what is there."""
    with store.write() as connection:
        run = get(connection, run_id)
        if run.status not in RESUMABLE:
            raise UserError(
                f"Run {run_id} is {run.status}.", "run", f"Only a {', '.join(RESUMABLE)} run can be resumed."
            )
        change(connection, run_id, status="queued", position=end_of_queue(connection), error=None, ended=None)
        open_stages(connection, run_id, run.first, run.until)
        return get(connection, run_id)


def reorder(store: Store, run_id: int, position: int) -> None:
    """Moves a queued run to `position` of the queue, 0 being next."""
    with store.write() as connection:
        waiting = [run.id for run in load(connection, queued())]
        if run_id not in waiting:
            raise UserError(f"Run {run_id} does not wait in the queue.", "run", "Choose a queued one.")
        waiting.remove(run_id)
        waiting.insert(max(position, 0), run_id)
        for place, waiting_id in enumerate(waiting):
            change(connection, waiting_id, position=place)
