"""Decisions of the experts: appended, never changed, carried over by content; and what they come to for a candidate.

A decision belongs to a record's content and the answer that was shown. `accept`, `edit` and `ambiguous` speak about the
record, whatever a later round answers; `reject` and `skip` only about the answer shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, insert, select, update

from semievol.errors import UserError
from semievol.method.tasks import allowed_answers
from semievol.records import Record, Task
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.history import history
from semievol.store.records import find_records
from semievol.store.rounds import bump
from semievol.store.selections import freeze, selection_frame, selections
from semievol.store.undone import STANDS
from semievol.store.versions import as_task, task_in

__all__ = [
    "Decision",
    "decide",
    "decide_many",
    "freeze",
    "history",
    "in_bulk",
    "newer",
    "restore",
    "selection_frame",
    "selections",
    "since",
    "standing",
    "take_back",
    "undo",
    "write_decisions",
]

Action = Literal["accept", "reject", "edit", "skip", "ambiguous", "undo"]
ACTIONS = ("accept", "reject", "edit", "skip", "ambiguous")
_ASSERTS = ("accept", "edit")
_ABOUT_RECORD = ("accept", "edit", "ambiguous")

_FIELDS = (
    *("id", "project_id", "round_id", "record_id", "content_hash", "action", "answer_shown", "answer", "note"),
    *("reviewer", "at", "undoes"),
)
_COLUMNS = [schema.decisions.c[name] for name in _FIELDS]


@dataclass(frozen=True)
class Decision:
    """answer: what the expert asserts (accept: the answer shown, edit: another one), None for the other actions."""

    id: int
    project_id: int
    round_id: int
    record_id: str
    content_hash: str
    action: Action
    answer_shown: str | None
    answer: str | None
    note: str
    reviewer: str
    at: float
    undoes: int | None


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
    """Appends a decision; when this returns, it is on disk. The same `key` twice stores one decision."""
    shown = {record_id: answer_shown}
    return decide_many(store, project_id, round_id, shown, action, answer, reviewer, note, key)[0]


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
) -> list[Decision]:
    """The same decision about many records (id -> answer shown), all of them or none; one `undo` takes all back.

    only_undecided: what somebody has decided on meanwhile is left as it is.
    answer: for `edit`, the answer that all of them get. The same `key` twice stores them once.
    """
    with store.write() as connection:
        if only_undecided:
            c, v = schema.candidates.c, schema.records.c
            decided = select(v.record_id).join(schema.candidates, c.record_key == v.key)
            decided = decided.where(c.round_id == round_id, c.decision.is_not(None), c.decision != "skip")
            known = set(connection.execute(decided).scalars())
            shown = {record_id: said for record_id, said in shown.items() if record_id not in known}
        return write_decisions(connection, store, project_id, round_id, shown, action, answer, reviewer, note, key)


def write_decisions(
    connection: Connection,
    store: Store,
    project_id: int,
    round_id: int,
    shown: Mapping[str, str | None],
    action: str,
    answer: str | None = None,
    reviewer: str = "",
    note: str = "",
    key: str | None = None,
) -> list[Decision]:
    """As `decide_many`, inside the caller's transaction."""
    known = _of_key(connection, project_id, key)
    if known:
        return known
    same = {"project_id": project_id, "round_id": round_id, "action": action, "note": note, "reviewer": reviewer}
    same |= {"at": store.now(connection), "batch": uuid.uuid4().hex if len(shown) > 1 else None, "undoes": None}
    rows = [
        same | {"record_id": record_id, "content_hash": content, "answer_shown": shown[record_id], "answer": asserted}
        for record_id, (content, asserted) in _checked(connection, project_id, round_id, shown, action, answer).items()
    ]
    return _append(connection, project_id, rows, key)


def undo(store: Store, project_id: int, reviewer: str = "", key: str | None = None) -> Decision | None:
    """Takes back the newest standing decision of this reviewer, a bulk decision as a whole; None if there is none.

    Returns the entry that undoes; what was undone stays in the history. The same `key` twice undoes once. Answers of a
    random review are taken back there (`reviews.undo`), so that nobody opens one again without knowing.
    """
    c = schema.decisions.c
    in_review = select(schema.reviewed.c.id).where(schema.reviewed.c.decision_id == c.id).exists()
    mine = (c.project_id == project_id, c.reviewer == reviewer, ~in_review, *STANDS)
    with store.write() as connection:
        known = _of_key(connection, project_id, key)
        if known:
            return known[-1]
        newest = connection.execute(select(c.id, c.batch).where(*mine).order_by(c.id.desc()).limit(1)).one_or_none()
        if newest is None:
            return None
        which = c.id == newest.id if newest.batch is None else c.batch == newest.batch
        taken = _all(connection, select(*_COLUMNS).where(*mine, which).order_by(c.id))
        return _take_back(connection, store, taken, reviewer, newest.batch, key)[-1]


def take_back(
    store: Store, project_id: int, decision_id: int, reviewer: str = "", key: str | None = None
) -> list[Decision]:
    """Undoes one entry of the history, whoever made it and however long ago, a bulk decision as a whole.

    Returns the entries that undo; none where it is undone already. Raises UserError where there is no such decision.
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
        which = c.id == found.id if found.batch is None else c.batch == found.batch
        taken = _all(connection, select(*_COLUMNS).where(c.project_id == project_id, which, *STANDS).order_by(c.id))
        return _take_back(connection, store, taken, reviewer, found.batch, key) if taken else []


def restore(store: Store, project_id: int, decision_id: int, reviewer: str = "", key: str | None = None) -> Decision:
    """Says again what an entry of the history said, as a new entry of this reviewer, which then is the newest.

    Raises UserError where there is no such decision, or its record is not in the data of its round any more.
    """
    c = schema.decisions.c
    with store.write() as connection:
        query = select(*_COLUMNS).where(c.project_id == project_id, c.id == decision_id, c.action != "undo")
        found = _all(connection, query)
        if not found:
            raise UserError(f"There is no decision {decision_id} to restore.", "history", "Choose another entry.")
        old = found[0]
        shown = {old.record_id: old.answer_shown}
        said = (old.action, old.answer, reviewer, old.note, key)
        return write_decisions(connection, store, project_id, old.round_id, shown, *said)[0]


def _take_back(
    connection: Connection, store: Store, taken: Sequence[Decision], reviewer: str, batch: str | None, key: str | None
) -> list[Decision]:
    at = store.now(connection)
    rows = [
        {"project_id": d.project_id, "round_id": d.round_id, "record_id": d.record_id, "action": "undo"}
        | {"content_hash": d.content_hash, "answer_shown": d.answer_shown, "answer": None, "note": ""}
        | {"reviewer": reviewer, "at": at, "undoes": d.id, "batch": batch and f"undo {batch}"}
        for d in taken
    ]
    return _append(connection, taken[0].project_id, rows, key)


def standing(store: Store, project_id: int) -> dict[str, list[Decision]]:
    """Content hash -> decisions that were not undone, oldest first."""
    with store.read() as connection:
        return _standing(connection, project_id)


def newer(store: Store, project_id: int, content_hash: str, after_id: int) -> list[Decision]:
    """What was said about one content after entry `after_id`, undone or not: what a page that showed that entry as the
    last one (`RecordView.last_entry`) does not know yet."""
    c = schema.decisions.c
    mine = (c.project_id == project_id, c.content_hash == content_hash, c.id > after_id)
    with store.read() as connection:
        return _all(connection, select(*_COLUMNS).where(*mine).order_by(c.id))


def since(store: Store, project_id: int, after_id: int) -> list[Decision]:
    """Every entry of the project after entry `after_id`, oldest first."""
    c = schema.decisions.c
    with store.read() as connection:
        query = select(*_COLUMNS).where(c.project_id == project_id, c.id > after_id)
        return _all(connection, query.order_by(c.id))


def in_bulk(store: Store, project_id: int) -> frozenset[str]:
    """Content hashes on which a bulk decision stands."""
    c = schema.decisions.c
    with store.read() as connection:
        query = select(c.content_hash).where(c.project_id == project_id, c.batch.is_not(None), *STANDS).distinct()
        return frozenset(connection.execute(query).scalars())


def effective(decisions: Sequence[Decision], allowed: Sequence[str] = ()) -> list[Decision]:
    """The standing decisions on one content that still have a say, the weakest first.

    Of those that apply to a candidate (see `applies`) the last one counts: a skip gives way to everything; what was
    said last about the record wins over a reject of another answer; an asserted answer falls when it is rejected later,
    and where it is not among the `allowed` ones, those of the dataset version at hand (empty: any).
    """
    ordered = sorted(decisions, key=lambda d: d.id)
    by_answer = {d.answer_shown: d for d in ordered if d.action == "skip"}
    rejected = {d.answer_shown: d for d in ordered if d.action == "reject"}
    said = next((d for d in reversed(ordered) if d.action in _ABOUT_RECORD), None)
    if said is not None:
        fallen = rejected.get(said.answer if said.action in _ASSERTS else said.answer_shown)
        gone = bool(allowed) and said.action in _ASSERTS and said.answer not in allowed
        if gone or (fallen is not None and fallen.id > said.id):
            said = None
    return [*by_answer.values(), *rejected.values(), *([said] if said else [])]


def applies(decision: Decision, answer: str | None) -> bool:
    """Whether a decision speaks about a candidate with this answer."""
    return decision.action in _ABOUT_RECORD or decision.answer_shown == answer


def verdict(decisions: Sequence[Decision], answer: str | None, allowed: Sequence[str] = ()) -> Decision | None:
    """What the standing decisions on one content come to for a candidate with this answer; allowed: see `effective`."""
    return next((d for d in reversed(effective(decisions, allowed)) if applies(d, answer)), None)


def allowed_in(connection: Connection, version_id: int, hashes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Content hash -> the answers that a dataset version allows for it; those that it does not have are left out."""
    r = schema.records.c
    task = task_in(connection, version_id)
    query = select(r.content_hash, r.options).where(r.version_id == version_id)
    found: dict[str, tuple[str, ...]] = {}
    for some in _in_parts(dict.fromkeys(hashes)) if task.closed else ():
        rows = connection.execute(query.where(r.content_hash.in_(some)))
        found |= {content: _allowed(task, options) for content, options in rows}
    return found


def standing_for(connection: Connection, project_id: int, hashes: Iterable[str]) -> dict[str, list[Decision]]:
    """As `standing`, for some contents, inside the caller's transaction."""
    found: dict[str, list[Decision]] = {}
    for some in _in_parts(dict.fromkeys(hashes)):
        found |= _standing(connection, project_id, some)
    return found


def refresh_candidates(connection: Connection, project_id: int, hashes: Iterable[str]) -> None:
    """Writes what the decisions on these contents come to beside every candidate of the project that has them."""
    c, r, v = schema.candidates.c, schema.rounds.c, schema.records.c
    columns = (c.round_id, c.record_key, c.content_hash, c.answer, c.decision, c.decided_answer)
    query = select(*columns, v.version_id, v.options).join(schema.rounds, r.id == c.round_id)
    query = query.join(schema.records, v.key == c.record_key).where(r.project_id == project_id)
    wanted = list(dict.fromkeys(hashes))
    said = standing_for(connection, project_id, wanted)
    task_of = cache(partial(task_in, connection))
    changes = []
    for some in _in_parts(wanted):
        for row in connection.execute(query.where(c.content_hash.in_(some))):
            allowed = _allowed(task_of(row.version_id), row.options)
            now = verdict(said.get(row.content_hash, ()), row.answer, allowed)
            decision, decided = (now.action, now.answer) if now else (None, None)
            if (decision, decided) != (row.decision, row.decided_answer):
                changes.append({"of": row.round_id, "key": row.record_key, "decision": decision, "decided": decided})
    if changes:
        where = (c.round_id == bindparam("of"), c.record_key == bindparam("key"))
        values: dict[str, Any] = {"decision": bindparam("decision"), "decided_answer": bindparam("decided")}
        connection.execute(update(schema.candidates).where(*where).values(**values), changes)


def _checked(
    connection: Connection,
    project_id: int,
    round_id: int,
    shown: Mapping[str, str | None],
    action: str,
    answer: str | None,
) -> dict[str, tuple[str, str | None]]:
    """Record id -> content hash and the answer that is asserted. Raises UserError for what makes no sense."""
    if action not in ACTIONS:
        raise UserError(f'"{action}" is not a decision.', "action", f"Choose one of: {', '.join(ACTIONS)}.")
    r, v = schema.rounds.c, schema.versions.c
    query = select(r.version_id, v.task).join(schema.versions, v.id == r.version_id)
    row = connection.execute(query.where(r.id == round_id, r.project_id == project_id)).one_or_none()
    if row is None:
        raise UserError(f"There is no round {round_id} in this project.", "round", "Choose another round.")
    task = as_task(row.task)
    found = {}
    for record_id, record in find_records(connection, row.version_id, shown).items():
        asserted = shown[record_id] if action == "accept" else answer if action == "edit" else None
        if action in _ASSERTS:
            _check_answer(record, asserted, allowed_answers(task, record) if task else ())
        found[record_id] = (record.content_hash, asserted)
    return found


def _allowed(task: Task, options: Sequence[str]) -> tuple[str, ...]:
    """Answers that a record with these options can have; empty for open tasks."""
    return allowed_answers(task, Record("", "", tuple(options)))


def _check_answer(record: Record, answer: str | None, allowed: Sequence[str]) -> None:
    if answer is None or not answer.strip():
        raise UserError(
            "There is no answer to save.", record.id, "Type the right answer, or reject or skip the record."
        )
    if allowed and answer not in allowed:
        known = f"Choose one of: {', '.join(allowed):.300}."
        raise UserError(f'"{answer:.80}" is not an allowed answer.', record.id, known)


def _append(connection: Connection, project_id: int, rows: list[dict[str, Any]], key: str | None) -> list[Decision]:
    """Stores the rows; `key` stands with the last of them and so stands for all of their batch."""
    c = schema.decisions.c
    keyed = [row | {"key": key if row is rows[-1] else None} for row in rows]
    entry = insert(schema.decisions).returning(c.id, sort_by_parameter_order=True)
    ids = connection.execute(entry, keyed).scalars().all() if keyed else []
    refresh_candidates(connection, project_id, (row["content_hash"] for row in rows))
    bump(connection, project_id=project_id)
    given: list[dict[str, Any]] = [row | {"id": id} for id, row in zip(ids, rows, strict=True)]
    return [Decision(**{name: values[name] for name in _FIELDS}) for values in given]


def _of_key(connection: Connection, project_id: int, key: str | None) -> list[Decision]:
    """What was stored under this key before, the whole batch of it."""
    c = schema.decisions.c
    mine = select(c.id, c.batch).where(c.project_id == project_id, c.key == key)
    row = connection.execute(mine).one_or_none() if key is not None else None
    if row is None:
        return []
    which = c.id == row.id if row.batch is None else c.batch == row.batch
    return _all(connection, select(*_COLUMNS).where(c.project_id == project_id, which).order_by(c.id))


def _standing(
    connection: Connection, project_id: int, hashes: Sequence[str] | None = None
) -> dict[str, list[Decision]]:
    c = schema.decisions.c
    query = select(*_COLUMNS).where(c.project_id == project_id, *STANDS).order_by(c.content_hash, c.id)
    found = _all(connection, query if hashes is None else query.where(c.content_hash.in_(hashes)))
    return {content: list(group) for content, group in groupby(found, key=lambda d: d.content_hash)}


def _all(connection: Connection, query: Any) -> list[Decision]:
    return [Decision(*row) for row in connection.execute(query)]


def _in_parts(hashes: Iterable[str]) -> Iterator[list[str]]:
    """Few enough at a time for one statement's parameters."""
    wanted = list(hashes)
    for start in range(0, len(wanted), 500):
        yield wanted[start : start + 500]
