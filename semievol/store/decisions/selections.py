"""Frozen selections: numbered within a round, never changed.

A selection is frozen in the transaction that makes sure that no decision was saved since its answers were found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import Connection, func, insert, select

from semievol.config import MEASURES, Policy
from semievol.errors import UserError
from semievol.records import GOLD_REVIEWER
from semievol.selection.decisions import ASSERTS
from semievol.selection.summary import Considered, Selection, accepted, why_none
from semievol.store import schema
from semievol.store.data.records import record_keys
from semievol.store.data.versions import inserted_id, task_of
from semievol.store.database import Store, in_parts, timestamp
from semievol.store.decisions.decisions import STANDS, in_bulk
from semievol.store.decisions.reviews import list_reviews
from semievol.store.results.results import calibration_frame, candidate_frame
from semievol.store.runs import rounds
from semievol.store.runs.rounds import bump

_n, _s, _r = schema.selections.c, schema.selected.c, schema.records.c
_k, _d = schema.candidates.c, schema.decisions.c
_PASSPORT = [
    *(_r.record_id, _r.question, _s.answer, _s.origin, _k.answer.label("candidate"), _k.agreed, _k.justified),
    *(_k[measure] for measure in MEASURES),
    *(_d.reviewer, _d.at.label("decided_at"), _d.note, _r.content_hash),
]
"""Columns of `passports`."""


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

    def __init__(self, store: Store, round_id: int, work: Callable[[], Selection]) -> None:
        with store.read() as connection:
            self._revision = rounds.revision_in(connection, round_id)
        self._round_id, self._work = round_id, work
        self._found = work()

    def now(self, connection: Connection) -> Selection:
        """As found before, or found again if the round changed meanwhile. The transaction keeps others from writing."""
        same = rounds.revision_in(connection, self._round_id) == self._revision
        return self._found if same else self._work()


def freeze(store: Store, round_id: int, policy: Policy) -> Selection:
    """Freezes what policy and decisions accept now as the round's next selection; the newest one if nothing changed.

    Raises UserError with the reason if nothing is accepted.
    """
    found = FoundBefore(store, round_id, lambda: accepted(policy, considered(store, round_id)))
    with store.write() as connection:
        now = found.now(connection)
        if not now.answers:
            cure = "Change the policy on the Selection page, or accept records by hand."
            raise UserError(why_none(policy, considered(store, round_id)), "selection", cure)
        return write_selection(connection, round_id, now)


def write_selection(connection: Connection, round_id: int, kept: Selection, run_id: int | None = None) -> Selection:
    """Freezes `kept`, inside the caller's transaction, as the round's next selection; returns the newest one if it is
    the same. run_id: the run that freezes it, if one does."""
    policy, answers = kept.policy, dict(kept.answers)
    origins = {record_id: kept.origins.get(record_id, "pseudo") for record_id in answers}
    newest = newest_selection(connection, round_id)
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
    return replace(kept, answers=answers, origins=origins, number=number)


def _decisions_behind(connection: Connection, keys: Sequence[int]) -> dict[int, int]:
    """Record key -> the newest standing decision that asserts an answer for the record's content."""
    v = schema.versions.c
    joined = schema.records.join(schema.versions, v.id == _r.version_id).join(
        schema.decisions, (_d.content_hash == _r.content_hash) & (_d.project_id == v.project_id)
    )
    query = select(_r.key, func.max(_d.id).label("newest")).select_from(joined).where(_d.action.in_(ASSERTS), *STANDS)
    found: dict[int, int] = {}
    for some in in_parts(keys):
        rows = connection.execute(query.where(_r.key.in_(some)).group_by(_r.key))
        found |= {row.key: row.newest for row in rows}
    return found


def newest_selection(connection: Connection, round_id: int) -> Selection | None:
    """The round's selection with the highest number; None if there is none."""
    newest = select(func.max(_n.number)).where(_n.round_id == round_id)
    number = connection.execute(newest).scalar()
    return None if number is None else load_selection(connection, round_id, number)


def load_selection(connection: Connection, round_id: int, number: int) -> Selection:
    """The round's selection of this number. Raises UserError where there is none."""
    row = _stored(connection, round_id, number)
    members = select(_r.record_id, _s.answer, _s.origin).join(schema.records, _r.key == _s.record_key)
    found = connection.execute(members.where(_s.selection_id == row.id).order_by(_s.record_key)).all()
    policy = None if row.policy is None else Policy.model_validate(row.policy)
    answers, origins = {i: answer for i, answer, _ in found}, {i: origin for i, _, origin in found}
    return Selection(policy, answers, origins, row.evidence, number)


def get_selection(store: Store, round_id: int, number: int) -> Selection:
    """As `load_selection`, in a transaction of its own."""
    with store.read() as connection:
        return load_selection(connection, round_id, number)


def selections(store: Store, round_id: int) -> list[dict[str, Any]]:
    """The round's selections, oldest first: number, created, policy, evidence, size, origins (how many of each)."""
    query = select(_n.number, _n.created, _n.policy, _n.evidence, _n.size, _n.origins)
    return [row._asdict() for row in store.rows(query.where(_n.round_id == round_id).order_by(_n.number))]


def decided_since(store: Store, round_id: int) -> int:
    """How many records were decided after the round's newest selection was frozen; 0 if there is none. Counts decisions
    that stand and decide something, to the second."""
    made = store.value(select(_n.created).where(_n.round_id == round_id).order_by(_n.number.desc()).limit(1))
    if made is None:
        return 0
    project = select(schema.rounds.c.project_id).where(schema.rounds.c.id == round_id).scalar_subquery()
    later = _d.at >= datetime.fromisoformat(made).timestamp() + 1
    query = select(func.count(_d.content_hash.distinct()))
    return int(store.value(query.where(_d.project_id == project, later, _d.action != "skip", *STANDS)))


def from_gold(store: Store, round_id: int, number: int) -> int:
    """How many answers of a selection rest on a decision that was made from the hidden gold."""
    joined = schema.selected.join(schema.decisions, _d.id == _s.decision_id)
    joined = joined.join(schema.selections, _n.id == _s.selection_id)
    mine = (_n.round_id == round_id, _n.number == number, _d.reviewer == GOLD_REVIEWER)
    return int(store.value(select(func.count()).select_from(joined).where(*mine)))


def passports(store: Store, round_id: int, number: int) -> list[dict[str, Any]]:
    """What is known of each answer of a selection: record_id, question, answer, origin; what the candidate was: its
    answer ("candidate"), agreed, justified and the measures; of the decision behind the answer, where there is one,
    reviewer, decided_at (unix seconds) and note; content_hash."""
    joined = (
        schema.selected.join(schema.records, _r.key == _s.record_key)
        .outerjoin(schema.candidates, (_k.round_id == round_id) & (_k.record_key == _s.record_key))
        .outerjoin(schema.decisions, _d.id == _s.decision_id)
    )
    query = select(*_PASSPORT).select_from(joined).order_by(_s.record_key)
    with store.read() as connection:
        selection_id = _stored(connection, round_id, number).id
        return [row._asdict() for row in connection.execute(query.where(_s.selection_id == selection_id))]


def selection_frame(store: Store, round_id: int, number: int) -> pd.DataFrame:
    """As `passports`, a line per answer."""
    frame = pd.DataFrame(passports(store, round_id, number), columns=[column.name for column in _PASSPORT])
    return frame.astype(dict.fromkeys((*MEASURES, "decided_at"), "float64"))


def _stored(connection: Connection, round_id: int, number: int) -> Any:
    """Id, policy and evidence of a selection."""
    query = select(_n.id, _n.policy, _n.evidence).where(_n.round_id == round_id, _n.number == number)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UserError(f"There is no selection {number} in this round.", "selection", "Choose another selection.")
    return row
