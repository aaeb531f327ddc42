"""What responses took: seconds and tokens, summed by run, stage and collaborator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields

from sqlalchemy import Connection, func, select

from semievol.records import Cost
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs.progress import upsert

_c = schema.costs.c
_NUMBERS = [field.name for field in fields(Cost)]


def add_costs(connection: Connection, run_id: int, stage: str, costs: Mapping[str, Cost]) -> None:
    """Adds to what the run's responses took so far, in the caller's transaction. costs: by collaborator."""
    whose = {"run_id": run_id, "stage": stage}
    rows = [whose | {"collaborator": name} | asdict(cost) for name, cost in costs.items()]
    if rows:
        statement = upsert(connection, schema.costs)
        sums = {name: _c[name] + statement.excluded[name] for name in _NUMBERS}
        connection.execute(
            statement.on_conflict_do_update(index_elements=list(schema.costs.primary_key), set_=sums), rows
        )


def costs(store: Store, round_id: int, stage: str) -> dict[str, Cost]:
    """Collaborator -> what its responses of this stage took, over all runs of the round; without those of rounds that
    were answered before this was stored."""
    query = select(_c.collaborator, *(func.sum(_c[name]) for name in _NUMBERS)).join(
        schema.runs, schema.runs.c.id == _c.run_id
    )
    mine = query.where(schema.runs.c.round_id == round_id, _c.stage == stage).group_by(_c.collaborator)
    return {
        name: Cost(int(records), float(seconds), int(read), int(written))
        for name, records, seconds, read, written in store.rows(mine)
    }
