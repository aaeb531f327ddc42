"""The history of decisions: read, newest entry first, and its entries taken back or repeated.

Nothing is deleted: what takes a decision back is an entry, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection, and_, func, or_, select

from semievol.errors import UserError
from semievol.records import Decision
from semievol.store import schema
from semievol.store.data.records import containing, table
from semievol.store.database import Store, in_parts
from semievol.store.decisions.decisions import (
    COLUMNS,
    STANDS,
    append,
    load,
    made_by,
    stored_under,
    stored_with,
    was_undone,
    write_decisions,
)

_d, _r, _v = schema.decisions.c, schema.rounds.c, schema.records.c
_FIELDS = tuple(name for name in _d.keys() if name not in ("batch", "key"))  # noqa: SIM118 - a column collection
_UNDONE = was_undone(_d.id).label("undone")
_WITH_RECORDS = schema.decisions.join(schema.rounds, _r.id == _d.round_id).outerjoin(
    schema.records, (_v.version_id == _r.version_id) & (_v.record_id == _d.record_id)
)
_ENTRIES = select(*(_d[name] for name in _FIELDS), _v.question, _UNDONE).select_from(_WITH_RECORDS)
_SEARCHED = (_v.question, _d.note, _d.answer_shown, _d.answer, _d.reviewer)


@dataclass(frozen=True)
class HistoryPage:
    """entries: one page of the entries found, columns as `history`. found: how many were found, of `total`."""

    entries: pd.DataFrame
    found: int
    total: int


def history(store: Store, project_id: int) -> pd.DataFrame:
    """Every entry, newest first: the decision's fields, the question, and whether it was undone."""
    return _frame(store.rows(_ENTRIES.where(_d.project_id == project_id).order_by(_d.id.desc())))


def history_page(store: Store, project_id: int, *, search: str = "", offset: int = 0, limit: int = 100) -> HistoryPage:
    """The entries that `search` finds, newest first, `limit` of them after the first `offset`.

    search: part of the question, the note, an answer or the reviewer's name, or a record's whole id; empty: all.
    """
    mine = _d.project_id == project_id
    with store.read() as connection:
        total = connection.execute(select(func.count()).select_from(schema.decisions).where(mine)).scalar_one()
        newest = select(_d.id).where(mine).order_by(_d.id.desc())
        if search:
            newest = newest.select_from(_WITH_RECORDS).where(_matching(connection, search))
            matching = connection.execute(newest).scalars().all()  # reads every question, so it is done once
            found, page = len(matching), matching[offset : offset + limit]
        else:
            found, page = total, connection.execute(newest.offset(offset).limit(limit)).scalars().all()
        entries = _frame(connection.execute(_ENTRIES.where(_d.id.in_(page)).order_by(_d.id.desc())).all())
    return HistoryPage(entries, found, total)


def since(
    store: Store, project_id: int, after_id: int, content_hash: str | None = None, not_by: Sequence[str] = ()
) -> list[Decision]:
    """Every entry of the project after entry `after_id`, undone or not, oldest first; of one content if it is given.

    not_by: leaves out those of the session with these prefixes of keys (see `decisions.made_by`).
    """
    query = select(*COLUMNS).where(_d.project_id == project_id, _d.id > after_id).order_by(_d.id)
    query = query.where(~made_by(not_by, _d.key, _d.batch))
    if content_hash is not None:
        query = query.where(_d.content_hash == content_hash)
    return [Decision(*row) for row in store.rows(query)]


def last_entry(store: Store, project_id: int) -> int:
    """Id of the project's newest entry; 0 if there is none."""
    return int(store.value(select(func.coalesce(func.max(_d.id), 0)).where(_d.project_id == project_id)) or 0)


def contradicted(
    store: Store, project_id: int, after_id: int, reviewer: str, key_prefixes: Sequence[str], not_by: Sequence[str] = ()
) -> list[tuple[Decision, Decision]]:
    """(own, other) for every entry of somebody else after `after_id` on a content that was decided here before.

    own: the newest decision on the content that is signed with the name `reviewer` or was made in the session with
    these prefixes, that is older than the other entry, and that was not taken back here. A skip is no decision.
    not_by: prefixes of other sessions that are not somebody else either.
    """
    own = or_(made_by(key_prefixes, _d.key, _d.batch), and_(_d.reviewer == reviewer, _d.reviewer != ""))
    mine = select(*COLUMNS).where(_d.project_id == project_id, own)
    theirs = since(store, project_id, after_id, not_by=[*key_prefixes, *not_by])
    ours: list[Decision] = []
    with store.read() as connection:
        for some in in_parts({entry.content_hash for entry in theirs}):
            ours += load(connection, mine.where(_d.content_hash.in_(some)))
    taken = {entry.undoes for entry in ours}
    made: dict[str, list[Decision]] = {}
    for entry in sorted(ours, key=lambda entry: entry.id):
        if entry.id not in taken and entry.action not in ("undo", "skip"):
            made.setdefault(entry.content_hash, []).append(entry)
    found = []
    for entry in theirs:
        before = [one for one in made.get(entry.content_hash, ()) if one.id < entry.id]
        if before:
            found.append((before[-1], entry))
    return found


def newest(store: Store, project_id: int, reviewer: str, key_prefixes: Sequence[str] | None = None) -> int | None:
    """Id of the decision that `undo` would take back (of a bulk decision the last one); None if there is none."""
    with store.read() as connection:
        found = _newest(connection, project_id, reviewer, key_prefixes)
    return None if found is None else int(found.id)


def together(store: Store, project_id: int, decision_id: int) -> int:
    """How many standing decisions are taken back with this one: those of its batch."""
    batch = select(_d.batch).where(_d.project_id == project_id, _d.id == decision_id).scalar_subquery()
    query = select(func.count()).where(
        _d.project_id == project_id, (_d.id == decision_id) | (_d.batch == batch), *STANDS
    )
    return int(store.value(query))


def undo(
    store: Store, project_id: int, reviewer: str = "", key: str | None = None, key_prefixes: Sequence[str] | None = None
) -> Decision | None:
    """Takes back the newest standing decision of this reviewer, a bulk decision as a whole; None if there is none.

    key_prefixes: those of the session that asks (see `decisions.made_by`). Of decisions that nobody signed it takes
    back only its own. None: everything that nobody signed.

    Returns the new entry `undo`; the decision stays in the history. The same `key` twice undoes once. Answers of a
    random review are left to `reviews.undo`, so that nobody reopens a question of a review by accident.
    """
    with store.write() as connection:
        known = stored_under(connection, project_id, key)
        if known:
            return known[-1]
        found = _newest(connection, project_id, reviewer, key_prefixes)
        if found is None:
            return None
        return _take_back(connection, store, found, _own(project_id, reviewer, key_prefixes), reviewer, key)[-1]


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
    with store.write() as connection:
        known = stored_under(connection, project_id, key)
        if known:
            return known
        found = connection.execute(
            select(_d.id, _d.batch).where(_d.project_id == project_id, _d.id == decision_id, _d.action != "undo")
        ).one_or_none()
        if found is None:
            raise UserError(f"There is no decision {decision_id} to take back.", "history", "Choose another entry.")
        return _take_back(connection, store, found, (_d.project_id == project_id, *STANDS), reviewer, key, watch)


def restore(store: Store, project_id: int, decision_id: int, reviewer: str = "", key: str | None = None) -> Decision:
    """Repeats a decision of the history as a new entry of this reviewer, which then is the newest.

    Raises UserError if there is no such decision, or if its record is no longer in the data of its round.
    """
    with store.write() as connection:
        query = select(*COLUMNS).where(_d.project_id == project_id, _d.id == decision_id, _d.action != "undo")
        found = load(connection, query)
        if not found:
            raise UserError(f"There is no decision {decision_id} to restore.", "history", "Choose another entry.")
        old = found[0]
        shown = {old.record_id: old.answer_shown}
        return write_decisions(
            connection, store, project_id, old.round_id, shown, old.action, old.answer, reviewer, old.note, key
        )[0]


def _newest(connection: Connection, project_id: int, reviewer: str, key_prefixes: Sequence[str] | None) -> Any:
    """Id and batch of this reviewer's newest decision that stands."""
    mine = select(_d.id, _d.batch).where(*_own(project_id, reviewer, key_prefixes))
    return connection.execute(mine.order_by(_d.id.desc()).limit(1)).one_or_none()


def _own(project_id: int, reviewer: str, key_prefixes: Sequence[str] | None) -> tuple[Any, ...]:
    """SQL conditions: a standing decision of this reviewer that was not made in a random review."""
    in_review = select(schema.reviewed.c.id).where(schema.reviewed.c.decision_id == _d.id).exists()
    unsigned = () if reviewer or key_prefixes is None else (made_by(key_prefixes, _d.key, _d.batch),)
    return (_d.project_id == project_id, _d.reviewer == reviewer, ~in_review, *STANDS, *unsigned)


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
    taken = stored_with(connection, entry, *conditions)
    if not taken:
        return []
    at = store.now(connection)
    rows = [
        {"project_id": d.project_id, "round_id": d.round_id, "record_id": d.record_id, "action": "undo"}
        | {"content_hash": d.content_hash, "answer_shown": d.answer_shown, "answer": None, "note": ""}
        | {"reviewer": reviewer, "at": at, "undoes": d.id, "batch": entry.batch and (key or f"undo {entry.batch}")}
        for d in taken
    ]
    return append(connection, taken[0].project_id, rows, key, watch)


def _matching(connection: Connection, search: str) -> Any:
    return or_(_d.record_id == search, *(containing(connection, column, search) for column in _SEARCHED))


def _frame(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    return table(rows, [*_FIELDS, "question", "undone"]).astype({"undone": bool})
