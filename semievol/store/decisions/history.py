"""Reading the history of decisions, newest entry first: whole, or searched and a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Connection, func, or_, select

from semievol.store import schema
from semievol.store.data.records import containing, table
from semievol.store.database import Store
from semievol.store.decisions.standing import was_undone

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


def _matching(connection: Connection, search: str) -> Any:
    return or_(_d.record_id == search, *(containing(connection, column, search) for column in _SEARCHED))


def _frame(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    return table(rows, [*_FIELDS, "question", "undone"]).astype({"undone": bool})
