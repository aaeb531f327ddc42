"""Decisions of the experts: appended, never changed. They belong to a record's content, so later versions keep them.

`selection.decisions` says what they mean for a candidate.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from semievol.errors import UserError
from semievol.records import ACTIONS, Decision, Record
from semievol.selection.decisions import ASSERTS, REMOVES
from semievol.store import schema
from semievol.store.data.records import find_records
from semievol.store.data.versions import as_task
from semievol.store.database import Store, in_parts
from semievol.store.decisions.standing import COLUMNS, FIELDS, STANDS, load, refresh_candidates, standing_in
from semievol.store.runs.rounds import bump
from semievol.task.answers import allowed_answers

_AT_ONCE = 2_000


@dataclass(frozen=True)
class NewDecision:
    """One reviewer's decision, to be applied to one or more records.

    answer: for `edit`, the right one. key: names the key press or click; what arrives twice under it is stored once.
    """

    action: str
    answer: str | None = None
    reviewer: str = ""
    note: str = ""
    key: str | None = None


def decide(
    store: Store,
    project_id: int,
    round_id: int,
    record_id: str,
    action: str,
    answer_shown: str | None,
    answer: str | None = None,
    reviewer: str = "",
    note: str = "",
    key: str | None = None,
) -> Decision:
    """Appends a decision, which is on disk when this returns. The same `key` twice stores one decision."""
    shown = {record_id: answer_shown}
    return decide_many(
        store, project_id, round_id, shown, action, answer=answer, reviewer=reviewer, note=note, key=key
    )[0]


def decide_many(
    store: Store,
    project_id: int,
    round_id: int,
    shown: Mapping[str, str | None],
    action: str,
    answer: str | None = None,
    reviewer: str = "",
    note: str = "",
    key: str | None = None,
    only_undecided: bool = False,
    watch: Callable[[int], None] = lambda done: None,
) -> list[Decision]:
    """The same decision about many records (id -> answer shown), all of them or none; one `undo` takes all back.

    only_undecided: leaves out records that somebody has decided on meanwhile. watch: called with the number written.
    answer: for `edit`, the answer that all of them get. The same `key` twice stores them once.
    """
    with store.write() as connection:
        if only_undecided:
            c, v = schema.candidates.c, schema.records.c
            decided = select(v.record_id).join(schema.candidates, c.record_key == v.key)
            decided = decided.where(c.round_id == round_id, c.decision.in_((*ASSERTS, *REMOVES)))
            known = set(connection.execute(decided).scalars())
            shown = {record_id: answer_shown for record_id, answer_shown in shown.items() if record_id not in known}
        new = NewDecision(action=action, answer=answer, reviewer=reviewer, note=note, key=key)
        return write_decisions(connection, store, project_id, round_id, shown, new, watch)


def write_decisions(
    connection: Connection,
    store: Store,
    project_id: int,
    round_id: int,
    shown: Mapping[str, str | None],
    new: NewDecision,
    watch: Callable[[int], None] = lambda done: None,
) -> list[Decision]:
    """As `decide_many`, inside the caller's transaction."""
    known = _of_key(connection, project_id, new.key)
    if known:
        return known
    same = {"project_id": project_id, "round_id": round_id, "action": new.action, "note": new.note}
    same |= {"reviewer": new.reviewer, "at": store.now(connection), "undoes": None}
    same |= {"batch": uuid.uuid4().hex if len(shown) > 1 else None}
    rows = [
        same | {"record_id": record_id, "content_hash": content, "answer_shown": shown[record_id], "answer": asserted}
        for record_id, (content, asserted) in _checked(connection, project_id, round_id, shown, new).items()
    ]
    return _append(connection, project_id, rows, new.key, watch)


def newest(store: Store, project_id: int, reviewer: str) -> int | None:
    """Id of the decision that `undo` would take back (of a bulk decision the last one); None if there is none."""
    with store.read() as connection:
        found = _newest(connection, project_id, reviewer)
    return None if found is None else int(found.id)


def together(store: Store, project_id: int, decision_id: int) -> int:
    """How many standing decisions are taken back with this one: those of its batch."""
    c = schema.decisions.c
    batch = select(c.batch).where(c.project_id == project_id, c.id == decision_id).scalar_subquery()
    query = select(func.count()).where(c.project_id == project_id, (c.id == decision_id) | (c.batch == batch), *STANDS)
    return int(store.value(query))


def undo(store: Store, project_id: int, reviewer: str = "", key: str | None = None) -> Decision | None:
    """Takes back the newest standing decision of this reviewer, a bulk decision as a whole; None if there is none.

    Returns the new entry `undo`; the decision stays in the history. The same `key` twice undoes once. Answers of a
    random review are left to `reviews.undo`, so that nobody reopens a question of a review by accident.
    """
    with store.write() as connection:
        known = _of_key(connection, project_id, key)
        if known:
            return known[-1]
        found = _newest(connection, project_id, reviewer)
        if found is None:
            return None
        return _take_back(connection, store, found, _own(project_id, reviewer), reviewer, key)[-1]


def _own(project_id: int, reviewer: str) -> tuple[Any, ...]:
    """SQL conditions: a standing decision of this reviewer that was not made in a random review."""
    c = schema.decisions.c
    in_review = select(schema.reviewed.c.id).where(schema.reviewed.c.decision_id == c.id).exists()
    return (c.project_id == project_id, c.reviewer == reviewer, ~in_review, *STANDS)


def _newest(connection: Connection, project_id: int, reviewer: str) -> Any:
    """Id and batch of this reviewer's newest decision that stands."""
    c = schema.decisions.c
    mine = select(c.id, c.batch).where(*_own(project_id, reviewer))
    return connection.execute(mine.order_by(c.id.desc()).limit(1)).one_or_none()


def take_back(
    store: Store,
    project_id: int,
    decision_id: int,
    reviewer: str = "",
    key: str | None = None,
    watch: Callable[[int], None] = lambda done: None,
) -> list[Decision]:
    """Undoes any entry of the history, whoever made it; a bulk decision as a whole.

    Returns the new entries `undo`; none if it is undone already. Raises UserError if there is no such decision.
    watch: called with the number taken back.
    """
    c = schema.decisions.c
    with store.write() as connection:
        known = _of_key(connection, project_id, key)
        if known:
            return known
        found = connection.execute(
            select(c.id, c.batch).where(c.project_id == project_id, c.id == decision_id, c.action != "undo")
        ).one_or_none()
        if found is None:
            raise UserError(f"There is no decision {decision_id} to take back.", "history", "Choose another entry.")
        return _take_back(connection, store, found, (c.project_id == project_id, *STANDS), reviewer, key, watch)


def restore(store: Store, project_id: int, decision_id: int, reviewer: str = "", key: str | None = None) -> Decision:
    """Repeats a decision of the history as a new entry of this reviewer, which then is the newest.

    Raises UserError if there is no such decision, or if its record is no longer in the data of its round.
    """
    c = schema.decisions.c
    with store.write() as connection:
        query = select(*COLUMNS).where(c.project_id == project_id, c.id == decision_id, c.action != "undo")
        found = load(connection, query)
        if not found:
            raise UserError(f"There is no decision {decision_id} to restore.", "history", "Choose another entry.")
        old = found[0]
        shown = {old.record_id: old.answer_shown}
        new = NewDecision(action=old.action, answer=old.answer, reviewer=reviewer, note=old.note, key=key)
        return write_decisions(connection, store, project_id, old.round_id, shown, new)[0]


def _take_back(
    connection: Connection,
    store: Store,
    entry: Any,
    conditions: Sequence[Any],
    reviewer: str,
    key: str | None,
    watch: Callable[[int], None] = lambda done: None,
) -> list[Decision]:
    """Undoes those decisions of the entry's batch that meet these SQL conditions; none may be left."""
    taken = _batch(connection, entry, *conditions)
    if not taken:
        return []
    at = store.now(connection)
    rows = [
        {"project_id": d.project_id, "round_id": d.round_id, "record_id": d.record_id, "action": "undo"}
        | {"content_hash": d.content_hash, "answer_shown": d.answer_shown, "answer": None, "note": ""}
        | {"reviewer": reviewer, "at": at, "undoes": d.id, "batch": entry.batch and f"undo {entry.batch}"}
        for d in taken
    ]
    return _append(connection, taken[0].project_id, rows, key, watch)


def standing(store: Store, project_id: int) -> dict[str, list[Decision]]:
    """Content hash -> decisions that were not undone, oldest first."""
    with store.read() as connection:
        return standing_in(connection, project_id)


def since(store: Store, project_id: int, after_id: int, content_hash: str | None = None) -> list[Decision]:
    """Every entry of the project after entry `after_id`, undone or not, oldest first; of one content if it is given."""
    c = schema.decisions.c
    query = select(*COLUMNS).where(c.project_id == project_id, c.id > after_id).order_by(c.id)
    if content_hash is not None:
        query = query.where(c.content_hash == content_hash)
    return [Decision(*row) for row in store.rows(query)]


def in_bulk(store: Store, project_id: int) -> frozenset[str]:
    """Content hashes on which a bulk decision stands."""
    c = schema.decisions.c
    query = select(c.content_hash).where(c.project_id == project_id, c.batch.is_not(None), *STANDS).distinct()
    return frozenset(content for (content,) in store.rows(query))


def _checked(
    connection: Connection, project_id: int, round_id: int, shown: Mapping[str, str | None], new: NewDecision
) -> dict[str, tuple[str, str | None]]:
    """Record id -> (content hash, asserted answer). Raises UserError for an action or answer that is not allowed."""
    if new.action not in ACTIONS:
        raise UserError(f'"{new.action}" is not a decision.', "action", f"Choose one of: {', '.join(ACTIONS)}.")
    r, v = schema.rounds.c, schema.versions.c
    query = select(r.version_id, v.task).join(schema.versions, v.id == r.version_id)
    row = connection.execute(query.where(r.id == round_id, r.project_id == project_id)).one_or_none()
    if row is None:
        raise UserError(f"There is no round {round_id} in this project.", "round", "Choose another round.")
    task = as_task(row.task)
    found = {}
    for record_id, record in find_records(connection, row.version_id, shown).items():
        asserted = {"accept": shown[record_id], "edit": new.answer}.get(new.action)
        if new.action in ASSERTS:
            _check_answer(record, asserted, allowed_answers(task, record) if task else ())
        found[record_id] = (record.content_hash, asserted)
    return found


def _check_answer(record: Record, answer: str | None, allowed: Sequence[str]) -> None:
    if answer is None or not answer.strip():
        raise UserError(
            "There is no answer to save.", record.id, "Type the right answer, or reject or skip the record."
        )
    if allowed and answer not in allowed:
        known = f"Choose one of: {', '.join(allowed):.300}."
        raise UserError(f'"{answer:.80}" is not an allowed answer.', record.id, known)


def _append(
    connection: Connection,
    project_id: int,
    rows: list[dict[str, Any]],
    key: str | None,
    watch: Callable[[int], None] = lambda done: None,
) -> list[Decision]:
    """Stores the rows. `key` is stored with the last one only, and is found there for the whole batch."""
    entry = insert(schema.decisions).returning(schema.decisions.c.id, sort_by_parameter_order=True)
    ids: list[int] = []
    for some in in_parts(rows, _AT_ONCE):
        keyed = [row | {"key": key if row is rows[-1] else None} for row in some]
        ids += connection.execute(entry, keyed).scalars()
        refresh_candidates(connection, project_id, (row["content_hash"] for row in some))
        watch(len(ids))
    bump(connection, project_id=project_id)
    given: list[dict[str, Any]] = [row | {"id": id} for id, row in zip(ids, rows, strict=True)]
    return [Decision(**{name: values[name] for name in FIELDS}) for values in given]


def _of_key(connection: Connection, project_id: int, key: str | None) -> list[Decision]:
    """The entries that were stored under this key before, with their whole batch."""
    c = schema.decisions.c
    mine = select(c.id, c.batch).where(c.project_id == project_id, c.key == key)
    row = connection.execute(mine).one_or_none() if key is not None else None
    return [] if row is None else _batch(connection, row, c.project_id == project_id)


def _batch(connection: Connection, entry: Any, *conditions: Any) -> list[Decision]:
    """The entries stored together with this one (a row with `id` and `batch`), or it alone where there is no batch."""
    c = schema.decisions.c
    same = c.id == entry.id if entry.batch is None else c.batch == entry.batch
    return load(connection, select(*COLUMNS).where(*conditions, same).order_by(c.id))
