"""Frozen selections: numbered within a round, never changed.

A selection is frozen in the transaction that makes sure that no decision was saved since its answers were found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import Connection, func, insert, select

from semievol.config import MEASURES, Policy
from semievol.errors import UserError
from semievol.method.protocols import Frozen
from semievol.selection.decisions import ASSERTS
from semievol.selection.freezing import Accepted, Considered, accepted
from semievol.store import schema
from semievol.store.data.records import record_keys, table
from semievol.store.data.versions import inserted_id, task_of
from semievol.store.database import Store, in_parts, timestamp
from semievol.store.decisions.decisions import in_bulk
from semievol.store.decisions.reviews import list_reviews
from semievol.store.decisions.standing import STANDS
from semievol.store.results.results import calibration_frame, candidate_frame
from semievol.store.runs import rounds
from semievol.store.runs.rounds import bump


def considered(store: Store, round_id: int) -> Considered:
    """What a selection of this round is made from at present; the hidden gold of the pool is left out."""
    round_ = rounds.get_round(store, round_id)
    return Considered(
        task=task_of(store, round_.version_id),
        pool=candidate_frame(store, round_id).assign(gold=None),
        calibration=calibration_frame(store, round_id),
        texts=rounds.shift(store, round_id),
        reviews=list_reviews(store, round_id),
        in_bulk=in_bulk(store, round_.project_id),
    )


class FoundBefore:
    """What `work` finds accepted in a round: found before a transaction, and found again in it if it is out of date.

    So the long search holds no lock, and no decision that is saved meanwhile is lost.
    work: reads on connections of its own, and writes nothing.
    """

    def __init__(self, store: Store, round_id: int, work: Callable[[], Accepted]) -> None:
        with store.read() as connection:
            self._revision = rounds.revision_in(connection, round_id)
        self._round_id, self._work = round_id, work
        self._found = work()

    def now(self, connection: Connection) -> Accepted:
        """As found before, or found again if the round changed meanwhile. The transaction keeps others from writing."""
        same = rounds.revision_in(connection, self._round_id) == self._revision
        return self._found if same else self._work()


def freeze(store: Store, round_id: int, policy: Policy) -> Frozen:
    """Freezes what policy and decisions accept now as the round's next selection; the newest one if nothing changed.

    Raises UserError with the reason if nothing is accepted.
    """
    found = FoundBefore(store, round_id, lambda: accepted(policy, considered(store, round_id)))
    with store.write() as connection:
        now = found.now(connection)
        if not now.answers:
            cure = "Change the policy on the Selection page, or accept records by hand."
            raise UserError(now.reason, "selection", cure)
        return write_selection(connection, round_id, policy, now)


def write_selection(
    connection: Connection, round_id: int, policy: Policy | None, kept: Accepted, run_id: int | None = None
) -> Frozen:
    """Freezes `kept`, inside the caller's transaction, as the round's next selection; returns the newest one if it is
    the same. run_id: the run that freezes it, if one does."""
    answers = dict(kept.answers)
    origins = {record_id: kept.origins.get(record_id, "pseudo") for record_id in answers}
    newest = load_selection(connection, round_id)
    if newest is not None and (newest.policy, newest.answers, newest.origins) == (policy, answers, origins):
        return newest
    keys = record_keys(connection, round_id)
    unknown = [record_id for record_id in answers if record_id not in keys]
    if unknown:
        raise UserError(f'There is no record "{unknown[0]:.80}".', "selection", "Freeze records of this round only.")
    number = 1 if newest is None else newest.number + 1
    values = {"round_id": round_id, "number": number, "created": timestamp(), "run_id": run_id}
    values["evidence"] = None if kept.evidence is None else dict(kept.evidence)
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
    for some in in_parts(keys):
        rows = connection.execute(query.where(r.key.in_(some)).group_by(r.key))
        found |= {row.key: row.newest for row in rows}
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
