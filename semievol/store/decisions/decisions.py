"""Decisions of the experts: appended, never changed. They belong to a record's content, so later versions keep them.

A decision stands until a later entry takes it back. Of the standing ones, the one that counts for a candidate is
written beside it; `selection.decisions` says which that is, and what it means.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, bindparam, false, func, insert, or_, select, update

from semievol.errors import UserError
from semievol.records import ACTIONS, GOLD_REVIEWER, Decision, Record, Task
from semievol.selection.decisions import ASSERTS, DECIDES, standing_decision
from semievol.store import schema
from semievol.store.data.records import find_records
from semievol.store.data.versions import as_task, task_in
from semievol.store.database import Store, in_parts
from semievol.store.runs.rounds import bump
from semievol.task.answers import allowed_answers

_AT_ONCE = 2_000
REVIEWED = "-reviewed"
"""Ends the name of a batch in which somebody looked at each record."""
_FIELDS = (
    *("id", "project_id", "round_id", "record_id", "content_hash", "action", "answer_shown", "answer", "note"),
    *("reviewer", "at", "undoes"),
)
COLUMNS = [schema.decisions.c[name] for name in _FIELDS]
_undoing = schema.decisions.alias("undoing")


def was_undone(decision_id: Any) -> Any:
    """SQL condition: this column names a decision that was taken back; false where it names none."""
    return select(_undoing.c.id).where(_undoing.c.undoes == decision_id).exists()


STANDS = (schema.decisions.c.action != "undo", ~was_undone(schema.decisions.c.id))
"""SQL conditions: the entry is a decision, and was not taken back."""


def made_by(key_prefixes: Sequence[str], *columns: Any) -> Any:
    """SQL condition: a key in one of these columns begins with one of the prefixes.

    A session begins all its keys with prefixes of its own. So decisions that nobody signed are told apart.
    """
    keys = [func.coalesce(column, "") for column in columns]
    return or_(false(), *(key.startswith(prefix, autoescape=True) for key in keys for prefix in key_prefixes if prefix))


def from_gold(store: Store, round_id: int) -> int:
    """How many candidates of the round have a standing decision that was made from the hidden gold."""
    d, c, r = schema.decisions.c, schema.candidates.c, schema.rounds.c
    project = select(r.project_id).where(r.id == round_id).scalar_subquery()
    newest = select(func.max(d.id)).where(d.project_id == project, *STANDS).group_by(d.content_hash)
    contents = select(d.content_hash).where(d.reviewer == GOLD_REVIEWER, d.id.in_(newest))
    decided = (c.round_id == round_id, c.pool, c.decision.is_not(None), c.content_hash.in_(contents))
    return int(store.value(select(func.count()).select_from(schema.candidates).where(*decided)))


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
    """Appends a decision, which is on disk when this returns.

    answer: for `edit`, the right one. key: names the key press or click; what arrives twice under it is stored once.
    """
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
            decided = decided.where(c.round_id == round_id, c.decision.in_(DECIDES))
            known = set(connection.execute(decided).scalars())
            shown = {record_id: answer_shown for record_id, answer_shown in shown.items() if record_id not in known}
        return write_decisions(
            connection, store, project_id, round_id, shown, action, answer, reviewer, note, key, watch
        )


def write_decisions(
    connection: Connection,
    store: Store,
    project_id: int,
    round_id: int,
    shown: Mapping[str, str | None],
    action: str,
    answer: str | None,
    reviewer: str,
    note: str,
    key: str | None,
    watch: Callable[[int], None] = lambda done: None,
) -> list[Decision]:
    """As `decide_many`, inside the caller's transaction."""
    known = stored_under(connection, project_id, key)
    if known:
        return known
    same = {"project_id": project_id, "round_id": round_id, "action": action, "note": note}
    same |= {"reviewer": reviewer, "at": store.now(connection), "undoes": None}
    same |= {"batch": (key or uuid.uuid4().hex) if len(shown) > 1 else None}
    rows = [
        same | {"record_id": record_id, "content_hash": content, "answer_shown": shown[record_id], "answer": asserted}
        for record_id, (content, asserted) in _checked(connection, project_id, round_id, shown, action, answer).items()
    ]
    return append(connection, project_id, rows, key, watch)


def _checked(
    connection: Connection,
    project_id: int,
    round_id: int,
    shown: Mapping[str, str | None],
    action: str,
    answer: str | None,
) -> dict[str, tuple[str, str | None]]:
    """Record id -> (content hash, asserted answer). Raises UserError for an action or answer that is not allowed."""
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
        asserted = {"accept": shown[record_id], "edit": answer}.get(action)
        if action in ASSERTS:
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


def append(
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
        _refresh_candidates(connection, project_id, (row["content_hash"] for row in some))
        watch(len(ids))
    bump(connection, project_id=project_id)
    given: list[dict[str, Any]] = [row | {"id": id} for id, row in zip(ids, rows, strict=True)]
    return [Decision(**{name: values[name] for name in _FIELDS}) for values in given]


def stored_under(connection: Connection, project_id: int, key: str | None) -> list[Decision]:
    """The entries that were stored under this key before, with their whole batch."""
    c = schema.decisions.c
    mine = select(c.id, c.batch).where(c.project_id == project_id, c.key == key)
    row = connection.execute(mine).one_or_none() if key is not None else None
    return [] if row is None else stored_with(connection, row, c.project_id == project_id)


def stored_with(connection: Connection, entry: Any, *conditions: Any) -> list[Decision]:
    """The entries stored together with this one (a row with `id` and `batch`), or it alone where there is no batch."""
    c = schema.decisions.c
    same = c.id == entry.id if entry.batch is None else c.batch == entry.batch
    return load(connection, select(*COLUMNS).where(*conditions, same).order_by(c.id))


def load(connection: Connection, query: Any) -> list[Decision]:
    """The decisions that a query for `COLUMNS` finds."""
    return [Decision(*row) for row in connection.execute(query)]


def standing(store: Store, project_id: int) -> dict[str, list[Decision]]:
    """Content hash -> decisions that were not undone, oldest first."""
    with store.read() as connection:
        return _standing_in(connection, project_id)


def of_session(store: Store, project_id: int, key_prefixes: Sequence[str]) -> set[int]:
    """Ids of all entries of the session with these prefixes of keys."""
    c = schema.decisions.c
    query = select(c.id).where(c.project_id == project_id, made_by(key_prefixes, c.key, c.batch))
    return {int(found) for (found,) in store.rows(query)}


def standing_for(connection: Connection, project_id: int, hashes: Iterable[str]) -> dict[str, list[Decision]]:
    """As `standing`, for some contents, inside the caller's transaction."""
    found: dict[str, list[Decision]] = {}
    for some in in_parts(dict.fromkeys(hashes)):
        found |= _standing_in(connection, project_id, some)
    return found


def _standing_in(
    connection: Connection, project_id: int, hashes: Sequence[str] | None = None
) -> dict[str, list[Decision]]:
    c = schema.decisions.c
    query = select(*COLUMNS).where(c.project_id == project_id, *STANDS).order_by(c.content_hash, c.id)
    found = load(connection, query if hashes is None else query.where(c.content_hash.in_(hashes)))
    return {content: list(group) for content, group in groupby(found, key=lambda d: d.content_hash)}


def in_bulk(store: Store, project_id: int) -> frozenset[str]:
    """Content hashes on which a bulk decision stands: one of many that were decided without a look at each."""
    c = schema.decisions.c
    bulk = (c.batch.is_not(None), ~c.batch.endswith(REVIEWED))
    query = select(c.content_hash).where(c.project_id == project_id, *bulk, *STANDS).distinct()
    return frozenset(content for (content,) in store.rows(query))


def allowed_in(connection: Connection, version_id: int, hashes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Content hash -> the answers that a dataset version allows for it; contents that it does not have are left out."""
    r = schema.records.c
    task = task_in(connection, version_id)
    query = select(r.content_hash, r.options).where(r.version_id == version_id)
    found: dict[str, tuple[str, ...]] = {}
    for some in in_parts(dict.fromkeys(hashes)) if task.closed else ():
        rows = connection.execute(query.where(r.content_hash.in_(some)))
        found |= {content: _allowed(task, options) for content, options in rows}
    return found


def _refresh_candidates(connection: Connection, project_id: int, hashes: Iterable[str]) -> None:
    """Writes the standing decision beside every candidate of the project that has one of these contents."""
    c, r, v = schema.candidates.c, schema.rounds.c, schema.records.c
    columns = (c.round_id, c.record_key, c.content_hash, c.answer, c.decision, c.decided_answer)
    query = select(*columns, v.version_id, v.options).join(schema.rounds, r.id == c.round_id)
    query = query.join(schema.records, v.key == c.record_key).where(r.project_id == project_id)
    wanted = list(dict.fromkeys(hashes))
    decisions = standing_for(connection, project_id, wanted)
    task_of = cache(partial(task_in, connection))
    changes = []
    for some in in_parts(wanted):
        for row in connection.execute(query.where(c.content_hash.in_(some))):
            allowed = _allowed(task_of(row.version_id), row.options)
            now = standing_decision(decisions.get(row.content_hash, ()), row.answer, allowed)
            decision, decided = (now.action, now.answer) if now else (None, None)
            if (decision, decided) != (row.decision, row.decided_answer):
                changes.append({"of": row.round_id, "key": row.record_key, "decision": decision, "decided": decided})
    if changes:
        where = (c.round_id == bindparam("of"), c.record_key == bindparam("key"))
        values: dict[str, Any] = {"decision": bindparam("decision"), "decided_answer": bindparam("decided")}
        connection.execute(update(schema.candidates).where(*where).values(**values), changes)


def _allowed(task: Task, options: Sequence[str]) -> tuple[str, ...]:
    """Answers that a record with these options can have; empty for open tasks."""
    return allowed_answers(task, Record("", "", tuple(options)))
