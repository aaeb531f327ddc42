"""Frozen selections: numbered within a round, never changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Connection, func, insert, select

from semievol.config import MEASURES, Policy
from semievol.errors import UserError
from semievol.method.protocols import Frozen
from semievol.selection.decisions import ASSERTS
from semievol.selection.freezing import Accepted
from semievol.store import schema
from semievol.store.data.records import table
from semievol.store.data.versions import inserted_id
from semievol.store.database import Store, timestamp
from semievol.store.decisions.standing import STANDS
from semievol.store.runs.rounds import bump


def write_selection(
    connection: Connection, round_id: int, policy: Policy | None, accepted: Accepted, run_id: int | None = None
) -> Frozen:
    """Freezes what is accepted, inside the caller's transaction: the round's next selection, or the newest one itself
    where nothing has changed since. run_id: the run that froze it, if one did."""
    answers = dict(accepted.answers)
    origins = {record_id: accepted.origins.get(record_id, "pseudo") for record_id in answers}
    newest = load_selection(connection, round_id)
    if newest is not None and (newest.policy, newest.answers, newest.origins) == (policy, answers, origins):
        return newest
    keys = record_keys(connection, round_id)
    unknown = [record_id for record_id in answers if record_id not in keys]
    if unknown:
        raise UserError(f'There is no record "{unknown[0]:.80}".', "selection", "Freeze records of this round only.")
    number = 1 if newest is None else newest.number + 1
    values = {"round_id": round_id, "number": number, "created": timestamp(), "run_id": run_id}
    values["evidence"] = None if accepted.evidence is None else dict(accepted.evidence)
    values |= {"policy": None if policy is None else policy.model_dump(mode="json")}
    values |= {"size": len(answers), "origins": dict(Counter(origins.values()))}
    selection_id = inserted_id(connection, schema.selections, values)
    behind = _decisions_behind(connection, [keys[i] for i, origin in origins.items() if origin == "expert"])
    rows = [
        {"selection_id": selection_id, "record_key": keys[record_id], "answer": answer}
        | {"origin": origins[record_id], "decision_id": behind.get(keys[record_id])}
        for record_id, answer in answers.items()
    ]
    if rows:
        connection.execute(insert(schema.selected), rows)
    bump(connection, round_id=round_id)
    return Frozen(number, policy, answers, origins)


def _decisions_behind(connection: Connection, keys: Sequence[int]) -> dict[int, int]:
    """Record key -> the newest standing decision that asserts an answer for the record's content."""
    d, r = schema.decisions.c, schema.records.c
    joined = schema.records.join(schema.versions, schema.versions.c.id == r.version_id).join(
        schema.decisions,
        (d.content_hash == r.content_hash) & (d.project_id == schema.versions.c.project_id),
    )
    query = select(r.key, func.max(d.id).label("newest")).select_from(joined).where(d.action.in_(ASSERTS), *STANDS)
    found: dict[int, int] = {}
    for start in range(0, len(keys), 500):
        some = query.where(r.key.in_(keys[start : start + 500])).group_by(r.key)
        found |= {row.key: row.newest for row in connection.execute(some)}
    return found


def load_selection(connection: Connection, round_id: int, number: int | None = None) -> Frozen | None:
    """A round's selection, the newest where no number is given; None if there is none."""
    c, s, r = schema.selections.c, schema.selected.c, schema.records.c
    query = select(c.id, c.number, c.policy).where(c.round_id == round_id)
    query = query.order_by(c.number.desc()).limit(1) if number is None else query.where(c.number == number)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    members = select(r.record_id, s.answer, s.origin).join(schema.records, r.key == s.record_key)
    found = connection.execute(members.where(s.selection_id == row.id).order_by(s.record_key)).all()
    policy = None if row.policy is None else Policy.model_validate(row.policy)
    return Frozen(row.number, policy, {i: answer for i, answer, _ in found}, {i: origin for i, _, origin in found})


def selections(store: Store, round_id: int) -> list[dict[str, Any]]:
    """The round's selections, oldest first: number, created, policy, evidence, size, origins (how many of each)."""
    c = schema.selections.c
    query = select(c.number, c.created, c.policy, c.evidence, c.size, c.origins)
    return [row._asdict() for row in store.rows(query.where(c.round_id == round_id).order_by(c.number))]


def selection_frame(store: Store, round_id: int, number: int) -> pd.DataFrame:
    """Record id, question, answer, origin, what the candidate was (its answer, agreement and measures), and the
    decision behind the answer where there is one: reviewer, decided (unix seconds), note."""
    n, s, r, k, d = (
        t.c for t in (schema.selections, schema.selected, schema.records, schema.candidates, schema.decisions)
    )
    measures = [k[measure] for measure in MEASURES]
    columns = [r.record_id, r.question, s.answer, s.origin, k.answer.label("candidate"), k.agreed, k.justified]
    columns += [d.reviewer, d.at.label("decided"), d.note]
    joined = (
        schema.selected.join(schema.selections, n.id == s.selection_id)
        .join(schema.records, r.key == s.record_key)
        .outerjoin(schema.candidates, (k.round_id == n.round_id) & (k.record_key == s.record_key))
        .outerjoin(schema.decisions, d.id == s.decision_id)
    )
    query = select(*columns, *measures).select_from(joined).where(n.round_id == round_id, n.number == number)
    with store.read() as connection:
        exists = select(n.id).where(n.round_id == round_id, n.number == number)
        if connection.execute(exists).first() is None:
            raise UserError(f"There is no selection {number} in this round.", "selection", "Choose another.")
        rows = connection.execute(query.order_by(s.record_key)).all()
    frame = table(rows, [column.name for column in columns] + list(MEASURES))
    return frame.astype(dict.fromkeys((*MEASURES, "decided"), "float64"))


def record_keys(connection: Connection, round_id: int) -> dict[str, int]:
    """Record id -> key for all records of the round's dataset version."""
    r, v = schema.rounds.c, schema.records.c
    version_id = select(r.version_id).where(r.id == round_id).scalar_subquery()
    rows = connection.execute(select(v.record_id, v.key).where(v.version_id == version_id))
    return {row.record_id: row.key for row in rows}
