"""What the collaborators of a round said, over all of its records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, case, func, select

from semievol.records import ANSWERING, Response
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.results.rows import as_response, response_columns

_s, _c, _r = schema.responses.c, schema.candidates.c, schema.records.c


def unanswering(store: Store, round_id: int) -> dict[str, tuple[int, int]]:
    """Collaborator -> (responses with a mass below ANSWERING, all responses that have a mass)."""
    low = func.sum(case((_s.mass < ANSWERING, 1), else_=0))
    query = select(_s.collaborator, low, func.count()).where(
        _s.round_id == round_id, _s.stage == "respond", _s.mass.is_not(None)
    )
    return {name: (int(few), int(all_)) for name, few, all_ in store.rows(query.group_by(_s.collaborator))}


def answered(store: Store, round_id: int) -> dict[str, int]:
    """Collaborator -> pool records of the round that it has answered."""
    query = select(_s.collaborator, func.count(func.distinct(_s.record_key))).join(
        schema.records, _r.key == _s.record_key
    )
    mine = (_s.round_id == round_id, _s.stage == "respond", _r.split == "unlabeled")
    return {name: int(count) for name, count in store.rows(query.where(*mine).group_by(_s.collaborator))}


def unanswered(store: Store, round_id: int, collaborators: Sequence[str]) -> dict[str, int]:
    """Collaborator -> pool records that it was to answer and did not; without those that answered all."""
    d = schema.demonstrations.c
    pool = (d.round_id == round_id, _r.split == "unlabeled")
    asked = select(func.count()).select_from(schema.demonstrations.join(schema.records, _r.key == d.record_key))
    total, given = int(store.value(asked.where(*pool)) or 0), answered(store, round_id)
    return {name: total - given.get(name, 0) for name in collaborators if given.get(name, 0) < total}


def known_responses(store: Store, round_id: int) -> tuple[list[Response], list[Response]]:
    """The collaborators' and the judge's responses to the records with known answers that no model had seen:
    calibration records, or labeled ones answered by the models of their fold."""
    query = _with_candidate(_s.stage, _r.record_id, _s.collaborator, *response_columns(schema.responses))
    query = query.join(schema.records, _r.key == _s.record_key).where(_s.round_id == round_id, _c.pool.is_(False))
    found: dict[str, list[Response]] = {"respond": [], "justify": []}
    for stage, *values in store.rows(query.where(_s.stage.in_(tuple(found))).order_by(_s.id)):
        found[stage].append(as_response(*values))
    return found["respond"], found["justify"]


def judged(store: Store, round_id: int) -> list[str]:
    """Ids of the records of the round's pool that the judge was asked about, in the order of the data."""
    query = _with_candidate(_r.record_id).join(schema.records, _r.key == _s.record_key)
    query = query.where(_s.round_id == round_id, _s.stage == "justify", _c.pool.is_(True)).distinct()
    return [row[0] for row in store.rows(query.add_columns(_s.record_key).order_by(_s.record_key))]


def votes(store: Store, round_id: int) -> list[dict[str, str | None]]:
    """For each record of the round's pool: collaborator -> answer."""
    query = _with_candidate(_s.record_key, _s.collaborator, _s.answer)
    query = query.where(_s.round_id == round_id, _s.stage == "respond", _c.pool.is_(True))
    found: dict[int, dict[str, str | None]] = {}
    for key, collaborator, answer in store.rows(query):
        found.setdefault(key, {})[collaborator] = answer
    return list(found.values())


def _with_candidate(*columns: Any) -> Any:
    same_record = and_(_c.round_id == _s.round_id, _c.record_key == _s.record_key)
    return select(*columns).select_from(schema.responses.join(schema.candidates, same_record))
