"""The map of a round: where each of its records lies, and what is known of it there."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from sqlalchemy import Connection, and_, bindparam, func, select, update

from semievol.store import schema
from semievol.store.data.records import table
from semievol.store.database import Store
from semievol.store.runs.rounds import bump

QUESTION = 120
"""Characters of a question that the map shows."""
COLUMNS = ["record_key", "record_id", "split", "question", "label", "x", "y", "similarity", "answer", "agreed"]
COLUMNS += ["answer_nll", "decision"]


def mapped(store: Store, round_id: int) -> bool:
    """Whether the round has a map. Rounds of earlier versions have none."""
    d = schema.demonstrations.c
    return store.value(select(d.x).where(d.round_id == round_id, d.x.is_not(None)).limit(1)) is not None


def save(store: Store, round_id: int, places: Mapping[str, tuple[float, float]]) -> None:
    """places: record id -> two coordinates; of records without demonstrations none is kept."""
    with store.write() as connection:
        write(connection, round_id, places)
        bump(connection, round_id=round_id)


def write(connection: Connection, round_id: int, places: Mapping[str, tuple[float, float]]) -> None:
    """As `save`, as part of a transaction that is open."""
    r, d = schema.records.c, schema.demonstrations
    mine = select(r.key, r.record_id).join(d, d.c.record_key == r.key).where(d.c.round_id == round_id)
    rows = [
        {"key": key, "to_x": places[i][0], "to_y": places[i][1]} for key, i in connection.execute(mine) if i in places
    ]
    changed = update(d).where(d.c.round_id == round_id, d.c.record_key == bindparam("key"))
    if rows:
        connection.execute(changed.values(x=bindparam("to_x"), y=bindparam("to_y")), rows)


def of_pool(store: Store, round_id: int) -> pd.DataFrame:
    """The places of the round's unlabeled records: index record_id, columns x, y; NaN where a record has none."""
    r, d = schema.records.c, schema.demonstrations.c
    query = select(r.record_id, d.x, d.y).join(schema.records, r.key == d.record_key)
    rows = store.rows(query.where(d.round_id == round_id, r.split == "unlabeled").order_by(r.key))
    return table(rows, ["record_id", "x", "y"]).astype({"x": float, "y": float}).set_index("record_id")


def map_frame(store: Store, round_id: int) -> pd.DataFrame:
    """The labeled and unlabeled records of a round that have a place; index record_id, columns `COLUMNS`.

    label: the known answer. answer, agreed, answer_nll, decision: of the pool's candidates.
    """
    r, d, c = schema.records.c, schema.demonstrations.c, schema.candidates.c
    joined = schema.demonstrations.join(schema.records, r.key == d.record_key).outerjoin(
        schema.candidates, and_(c.round_id == d.round_id, c.record_key == d.record_key, c.pool.is_(True))
    )
    query = select(
        *(r.key, r.record_id, r.split, func.substr(r.question, 1, QUESTION), r.answer, d.x, d.y, d.similarity),
        *(c.answer, c.agreed, c.answer_nll, c.decision),
    )
    rows = store.rows(query.select_from(joined).where(d.round_id == round_id, d.x.is_not(None)).order_by(r.key))
    return table(rows, COLUMNS).astype({"similarity": float, "answer_nll": float}).set_index("record_id", drop=False)
