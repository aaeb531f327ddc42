"""Random reviews: which records were drawn when, and every answer, stored in one transaction with its decision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from semievol.config import Policy
from semievol.errors import UserError
from semievol.evidence.reviews import Mode, Review, Sample, Seen
from semievol.selection.decisions import ASSERTS
from semievol.store import schema
from semievol.store.data.records import find_record, record_keys
from semievol.store.data.versions import inserted_id, task_in
from semievol.store.database import Store
from semievol.store.decisions.decisions import made_by, was_undone, write_decisions
from semievol.store.decisions.history import take_back
from semievol.store.runs.rounds import bump

_v, _a, _r = schema.reviews.c, schema.reviewed.c, schema.rounds.c
_STANDING = (~was_undone(_a.decision_id), _a.retracted.is_(False))
NOTE = "random review"
MOST = 500
"""Records that one review may ask about."""


def begin(
    store: Store,
    round_id: int,
    policy: Policy,
    order: Sequence[str],
    mode: Mode,
    size: int,
    prior: tuple[float, float] = (1.0, 1.0),
    reviewer: str = "",
) -> Review:
    """Opens the round's next review. order: record ids of the kept set, in the order in which they are drawn."""
    if not order:
        raise UserError("There is nothing to draw from.", "review", "Choose a policy that keeps undecided records.")
    if not 1 <= size <= MOST:
        raise UserError(f"A review asks about 1 to {MOST} records, not {size}.", "review", "Choose another number.")
    with store.write() as connection:
        if any(one.open for one in _load(connection, _v.round_id == round_id)):
            raise UserError("A random review of this round is still open.", "review", "Continue it, or end it first.")
        keys = record_keys(connection, round_id)
        number = 1 + (connection.execute(select(func.max(_v.number)).where(_v.round_id == round_id)).scalar() or 0)
        values: dict[str, Any] = {"round_id": round_id, "number": number, "mode": mode, "reviewer": reviewer}
        values["size"] = min(size, len(order))
        values |= {"drawn": [keys[record_id] for record_id in order], "policy": policy.model_dump(mode="json")}
        values |= {"prior": list(prior), "created": store.now(connection)}
        review_id = inserted_id(connection, schema.reviews, values)
        bump(connection, project_id=_project_id(connection, round_id))
    return get(store, review_id)


def answer(
    store: Store,
    review: Review,
    record_id: str,
    action: str,
    right_answer: str | None = None,
    repeat: bool = False,
    reviewer: str = "",
    key: str | None = None,
) -> bool:
    """Appends an answer and the decision that it makes; an answer to a repeated question makes none. The same `key`
    twice stores them once. Returns False, and stores nothing, if somebody has answered the question meanwhile. Raises
    UserError where the review was ended meanwhile, since its result has been stated.

    right_answer: the asserted answer, where `action` asserts one.
    """
    with store.write() as connection:
        mine = select(_a.id).where(_a.review_id == review.id)
        if key is not None and connection.execute(mine.where(_a.key == key)).first():
            return True
        if connection.execute(select(_v.ended).where(_v.id == review.id)).scalar() is not None:
            raise UserError("This review was ended meanwhile.", "review", "Begin another one, or decide on Review.")
        home = connection.execute(select(_r.project_id, _r.version_id).where(_r.id == review.round_id)).one()
        record_key, _ = find_record(connection, home.version_id, record_id)
        there = mine.where(_a.record_key == record_key, _a.repeat.is_(repeat), *_STANDING)
        if connection.execute(there).first():
            return False
        decision_id = None
        if not repeat:
            shown = {record_id: review.sample.shown.get(record_id)}
            named = None if key is None else f"{key} review {review.id}"
            made = write_decisions(
                connection, store, home.project_id, review.round_id, shown, action, right_answer, reviewer, NOTE, named
            )
            decision_id = made[0].id
        asserted = right_answer if action in ASSERTS else None
        values = {"review_id": review.id, "record_key": record_key, "repeat": repeat, "action": action}
        values |= {"answer": asserted, "decision_id": decision_id, "key": key, "reviewer": reviewer}
        connection.execute(insert(schema.reviewed).values(values))
        bump(connection, project_id=home.project_id)
    return True


def undo(
    store: Store, review: Review, reviewer: str = "", key: str | None = None, key_prefixes: Sequence[str] | None = None
) -> bool:
    """Takes back this reviewer's newest answer of the review, so that its question is open again; False if there is
    none. The same `key` twice takes one back. key_prefixes: as `history.undo`."""
    columns = (_a.id, _a.decision_id, _a.record_key)
    newest = select(*columns).where(_a.review_id == review.id, _a.reviewer == reviewer, *_STANDING)
    if key_prefixes is not None and not reviewer:
        newest = newest.where(made_by(key_prefixes, _a.key))
    with store.write() as connection:
        project_id = _project_id(connection, review.round_id)
        if key is not None and _known(connection, project_id, review.id, key):
            return True
        found = connection.execute(newest.order_by(_a.id.desc()).limit(1)).one_or_none()
        if found is None:
            return False
        if found.decision_id is None:
            connection.execute(update(schema.reviewed).where(_a.id == found.id).values(retracted=True))
            press = {"review_id": review.id, "record_key": found.record_key, "repeat": True, "action": "undo"}
            press |= {"retracted": True, "key": key, "reviewer": reviewer}
            connection.execute(insert(schema.reviewed).values(press))  # only so that its key is found again
            bump(connection, project_id=project_id)
            return True
    return bool(take_back(store, project_id, found.decision_id, reviewer, key))


def _known(connection: Connection, project_id: int, review_id: int, key: str) -> bool:
    """Whether an answer to a repeated question, or a decision, was taken back under this key."""
    d = schema.decisions.c
    keyed = (
        select(_a.id).where(_a.review_id == review_id, _a.key == key),
        select(d.id).where(d.project_id == project_id, d.key == key),
    )
    return any(connection.execute(query).first() is not None for query in keyed)


def _project_id(connection: Connection, round_id: int) -> int:
    return int(connection.execute(select(_r.project_id).where(_r.id == round_id)).scalar_one())


def end(store: Store, review_id: int) -> None:
    """Ends an open review early. Its answers stay valid, with the bound that holds at any time."""
    with store.write() as connection:
        found = _load(connection, _v.id == review_id)
        if found and found[0].open:
            connection.execute(update(schema.reviews).where(_v.id == review_id).values(ended=store.now(connection)))
            bump(connection, project_id=_project_id(connection, found[0].round_id))


def get(store: Store, review_id: int) -> Review:
    """The review with this id. Raises UserError where there is none."""
    with store.read() as connection:
        found = _load(connection, _v.id == review_id)
    if not found:
        raise UserError(f"There is no review {review_id}.", "review", "Choose another.")
    return found[0]


def list_reviews(store: Store, round_id: int) -> list[Review]:
    """The round's reviews, oldest first."""
    with store.read() as connection:
        return reviews_in(connection, round_id)


def reviews_in(connection: Connection, round_id: int) -> list[Review]:
    """As `list_reviews`, inside the caller's transaction."""
    return _load(connection, _v.round_id == round_id)


def _load(connection: Connection, where: Any) -> list[Review]:
    found = []
    for row in connection.execute(select(schema.reviews).where(where).order_by(_v.id)).all():
        home = connection.execute(select(_r.project_id, _r.version_id).where(_r.id == row.round_id)).one()
        names = _names(connection, row.round_id, row.drawn[: row.size])
        standing = select(_a.record_key, _a.action, _a.answer, _a.repeat).where(_a.review_id == row.id, *_STANDING)
        ever = set(connection.execute(select(_a.record_key).where(_a.review_id == row.id)).scalars())
        reached = max((place for place, key in enumerate(row.drawn[: row.size], start=1) if key in ever), default=0)
        seen = [
            Seen(names[key][0], action, given, repeat)
            for key, action, given, repeat in connection.execute(standing.order_by(_a.id))
        ]
        mode: Mode = "any_time" if row.ended is not None else row.mode
        shown = dict(names.values())
        sample = Sample(
            task=task_in(connection, home.version_id),
            mode=mode,
            kept=len(row.drawn),
            order=list(shown),
            shown=shown,
            seen=seen,
            reached=reached,
        )
        review = Review(
            id=row.id,
            round_id=row.round_id,
            number=row.number,
            policy=Policy.model_validate(row.policy),
            keys=frozenset(row.drawn),
            prior=(float(row.prior[0]), float(row.prior[1])),
            reviewer=row.reviewer,
            created=row.created,
            ended=row.ended,
            sample=sample,
        )
        found.append(review)
    return found


def _names(connection: Connection, round_id: int, keys: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """Record key -> record id and the candidate's answer, in the order of `keys`."""
    c, v = schema.candidates.c, schema.records.c
    query = select(c.record_key, v.record_id, c.answer).join(schema.records, v.key == c.record_key)
    rows = connection.execute(query.where(c.round_id == round_id, c.record_key.in_(keys)))
    found = {key: (record_id, shown) for key, record_id, shown in rows}
    return {key: found[key] for key in keys if key in found}
