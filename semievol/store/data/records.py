"""Reading the records of a dataset version: all, a page, or single ones; hidden gold is read apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, Text, func, or_, select
from sqlalchemy import cast as cast_

from semievol.errors import UserError
from semievol.records import SPLITS, Record, Split, turns_of
from semievol.store import schema
from semievol.store.database import Store, in_parts

RECORD = (
    schema.records.c.record_id,
    schema.records.c.question,
    schema.records.c.options,
    schema.records.c.answer,
    schema.records.c.split,
    schema.records.c.row,
    schema.records.c.source_id,
    schema.records.c.group_id,
    schema.records.c.earlier,
)
_WALKED = 5_000


def load_records(store: Store, version_id: int, split: Split | None = None) -> list[Record]:
    """Records as they were imported, split by split, in order of their row."""
    query = select(*RECORD).where(*_in_split(version_id, split)).order_by(schema.records.c.position)
    return [as_record(row) for row in store.rows(query)]


def records_by_id(store: Store, version_id: int, ids: Iterable[str]) -> dict[str, Record]:
    """Some records of a version by id, in the order of `ids`. Raises UserError for one that it does not have."""
    with store.read() as connection:
        return find_records(connection, version_id, ids)


def linked(store: Store, version_id: int, record_id: str, search: str = "") -> tuple[Record, int | None] | None:
    """The record that an address names, and its place, counted from 0, among those of its split that `records_page`
    finds (None if it is not among them); None if there is no such record."""
    c = schema.records.c
    with store.read() as connection:
        row = connection.execute(
            select(c.position, *RECORD).where(c.version_id == version_id, c.record_id == record_id)
        ).one_or_none()
        if row is None:
            return None
        found = as_record(row[1:])
        where = [*_in_split(version_id, found.split), *_matching(connection, search)]
        place = select(func.count()).where(*where, c.position < row[0])
        there = select(func.count()).where(*where, c.position == row[0])
        return found, int(connection.execute(place).scalar_one()) if connection.execute(there).scalar_one() else None


def walk_records(store: Store, version_id: int, split: Split) -> Iterator[tuple[Record, str | None]]:
    """Records of a split in order of their row, each with its hidden gold; a few thousand at a time are in memory."""
    r, g = schema.records.c, schema.hidden_gold.c
    joined = schema.records.outerjoin(schema.hidden_gold, (g.version_id == r.version_id) & (g.record_id == r.record_id))
    query = select(r.position, g.answer, *RECORD).select_from(joined).where(*_in_split(version_id, split))
    last = -1
    while True:
        rows = store.rows(query.where(r.position > last).order_by(r.position).limit(_WALKED))
        if not rows:
            return
        last = rows[-1][0]
        yield from ((as_record(row[2:]), row[1]) for row in rows)


def content_hashes(store: Store, version_id: int, split: Split) -> list[str]:
    """The content hashes of a split's records."""
    rows = store.rows(select(schema.records.c.content_hash).where(*_in_split(version_id, split)))
    return [row.content_hash for row in rows]


def known_answers(store: Store, version_id: int) -> dict[Split, dict[str, int]]:
    """Split -> known answer -> how many records have it, most frequent first."""
    c = schema.records.c
    query = select(c.split, c.answer, func.count()).where(c.version_id == version_id, c.answer.is_not(None))
    found: dict[Split, dict[str, int]] = {}
    for split, answer, times in store.rows(query.group_by(c.split, c.answer).order_by(func.count().desc(), c.answer)):
        found.setdefault(split, {})[answer] = times
    return {split: found[split] for split in SPLITS if split in found}


def longest(store: Store, version_id: int, count: int) -> list[Record]:
    """The `count` records with the longest questions, options and earlier turns (bytes), in order of their row."""
    c = schema.records.c
    size = func.octet_length(c.question) + func.octet_length(cast_(c.options, Text))
    size += func.octet_length(func.coalesce(cast_(c.earlier, Text), ""))
    query = select(c.position, *RECORD).where(c.version_id == version_id).order_by(size.desc(), c.position).limit(count)
    return [as_record(row[1:]) for row in sorted(store.rows(query), key=lambda row: row.position)]


def spread(store: Store, version_id: int, split: Split, most: int) -> list[Record]:
    """At most `most` records of a split, in equal steps over its rows."""
    c = schema.records.c
    where = _in_split(version_id, split)
    counted = select(func.row_number().over(order_by=c.position).label("place"), *RECORD).where(*where).subquery()
    step = max(1, -(-int(store.value(select(func.count()).where(*where)) or 0) // most))
    query = select(*counted.c).where((counted.c.place - 1) % step == 0).order_by(counted.c.place)
    return [as_record(row[1:]) for row in store.rows(query)]


def records_page(
    store: Store, version_id: int, split: Split | None = None, search: str = "", offset: int = 0, limit: int = 100
) -> tuple[pd.DataFrame, int]:
    """One page of a version's records whose question or answer contains `search`, or whose id it is, and how many there
    are in all."""
    c = schema.records.c
    columns = [c.record_id, c.split, c.question, c.options, c.answer, c.earlier, c.source_id]
    with store.read() as connection:
        where = [*_in_split(version_id, split), *_matching(connection, search)]
        query = select(*columns).where(*where).order_by(c.position).offset(offset).limit(limit)
        total = connection.execute(select(func.count()).select_from(schema.records).where(*where)).scalar_one()
        return table(connection.execute(query).all(), [column.name for column in columns]), total


def hidden_gold(store: Store, version_id: int) -> dict[str, str]:
    """Record id -> hidden gold: the answer that is used for measuring only."""
    c = schema.hidden_gold.c
    rows = store.rows(select(c.record_id, c.answer).where(c.version_id == version_id))
    return {row.record_id: row.answer for row in rows}


def hidden_gold_count(store: Store, version_id: int) -> int:
    """How many records have hidden gold."""
    return int(store.value(select(func.count()).where(schema.hidden_gold.c.version_id == version_id)))


def record_keys(connection: Connection, round_id: int) -> dict[str, int]:
    """Record id -> key for all records of the round's dataset version."""
    r, v = schema.rounds.c, schema.records.c
    version_id = select(r.version_id).where(r.id == round_id).scalar_subquery()
    rows = connection.execute(select(v.record_id, v.key).where(v.version_id == version_id))
    return {row.record_id: row.key for row in rows}


def as_record(row: Sequence[Any]) -> Record:
    """A record from the columns of `RECORD`."""
    record_id, question, options, answer, split, number, source_id, group, earlier = tuple(row)
    turns = turns_of(earlier)
    return Record(record_id, question, tuple(options), answer, split, number, source_id, group, turns)


def find_record(connection: Connection, version_id: int, record_id: str) -> tuple[int, Record]:
    """A record and its key. Raises UserError where the version has no such record."""
    c = schema.records.c
    query = select(c.key, *RECORD).where(c.version_id == version_id, c.record_id == record_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise _unknown(record_id)
    return row[0], as_record(row[1:])


def find_records(connection: Connection, version_id: int, ids: Iterable[str]) -> dict[str, Record]:
    """Records by id, in the order of `ids`. Raises UserError for the first that the version does not have."""
    wanted = list(ids)
    found = known_records(connection, version_id, wanted)
    for record_id in wanted:
        if record_id not in found:
            raise _unknown(record_id)
    return {record_id: found[record_id] for record_id in wanted}


def known_records(connection: Connection, version_id: int, ids: Iterable[str]) -> dict[str, Record]:
    """Those of these records that the version has, by id, in no order."""
    found: dict[str, Record] = {}
    for some in in_parts(dict.fromkeys(ids)):
        mine = (schema.records.c.version_id == version_id, schema.records.c.record_id.in_(some))
        rows = connection.execute(select(*RECORD).where(*mine))
        found |= {row.record_id: as_record(row) for row in rows}
    return found


def _unknown(record_id: str) -> UserError:
    return UserError(f'There is no record "{record_id:.80}".', "record", "Choose another record.")


def containing(connection: Connection, column: Any, search: str) -> ColumnElement[bool]:
    """Whether `column` contains `search`, in upper or lower case."""
    # SQLite's LIKE ignores case for ASCII letters only, three times faster than with lower(), and so does lower() of a
    # PostgreSQL database with the locale C; other letters are spelled out.
    spellings = {search} if search.isascii() else {search, search.lower(), search.upper(), search.capitalize()}
    contains = column.contains if connection.dialect.name == "sqlite" else column.icontains
    return or_(*(contains(spelling, autoescape=True) for spelling in sorted(spellings)))


def table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as a data frame with these columns, also where there are none."""
    values: Iterable[Sequence[Any]] = zip(*rows, strict=True) if rows else [[] for _ in columns]
    return pd.DataFrame(dict(zip(columns, values, strict=True)), columns=list(columns))


def _matching(connection: Connection, search: str) -> list[ColumnElement[bool]]:
    """Question or answer contain `search`, or it is the record's id, ours or that of its file."""
    c = schema.records.c
    if not search:
        return []
    found = containing(connection, c.question, search) | containing(connection, c.answer, search)
    return [found | (c.record_id == search) | (c.source_id == search)]


def _in_split(version_id: int, split: Split | None) -> list[ColumnElement[bool]]:
    c = schema.records.c
    return [c.version_id == version_id] + ([c.split == split] if split else [])
