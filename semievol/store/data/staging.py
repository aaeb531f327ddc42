"""Writing records into a dataset version: gathered in temporary tables without a lock, then moved under the lock.

Making a million records takes long, moving them does not, so reviewers and runs can write meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, exists, func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from semievol.errors import UserError
from semievol.records import SPLITS, Record, Split
from semievol.store import schema
from semievol.store.columns import as_json
from semievol.store.database import SCRATCH, in_parts

_PLACES = ("position", "row")
_NAMES = [column.name for column in schema.records.columns if column.name not in ("key", "version_id")]
_staged = Table(
    "staged_records",
    MetaData(),
    *(Column(name, Integer if name in _PLACES else Text, primary_key=name == "position") for name in _NAMES),
    schema=SCRATCH,
)
_gold = Table(
    "staged_gold",
    MetaData(),
    Column("record_id", Text, primary_key=True),
    Column("answer", Text),
    schema=SCRATCH,
)
_AT_ONCE = 5_000


def gather(
    connection: Connection,
    records: Iterable[Record],
    hidden_gold: Mapping[str, str] | Iterable[tuple[str, str]],
    watch: Callable[[int], None] | None,
) -> Counter[Split]:
    """Puts records and hidden gold into temporary tables of this connection; returns the number of records per split.

    watch: called with the number of records gathered so far.
    """
    _staged.create(connection)
    _gold.create(connection)
    counts: Counter[Split] = Counter(dict.fromkeys(SPLITS, 0))
    for some in in_parts(records, _AT_ONCE):
        insert_rows(connection, _staged, [_row(place, one) for place, one in enumerate(some, counts.total())])
        counts.update(record.split for record in some)
        if watch is not None:
            watch(counts.total())
    for pairs in in_parts(hidden_gold.items() if isinstance(hidden_gold, Mapping) else hidden_gold, _AT_ONCE):
        insert_rows(connection, _gold, pairs)
    return counts


def move(connection: Connection, version_id: int) -> None:
    """Moves what was gathered on this connection into the version."""
    r, g, v = _staged.c, _gold.c, schema.records.c
    columns = ["version_id", *_NAMES]
    gathered = select(literal(version_id), *(r[name] for name in _NAMES)).order_by(r.position)
    try:
        connection.execute(insert(schema.records).from_select(columns, gathered))
    except IntegrityError:
        raise UserError("Two records have the same id.", "records", "Make ids differ.") from None
    # NOT EXISTS uses the index of the records; for NOT IN, PostgreSQL would scan all gathered rows once per answer.
    there = exists().where(v.version_id == version_id, v.record_id == g.record_id)
    lost = select(func.min(g.record_id)).where(~there)
    if (missing := connection.execute(lost).scalar()) is not None:
        raise ValueError(f"hidden gold for records that are not there: {missing}")
    answers = select(literal(version_id), g.record_id, g.answer).order_by(g.record_id)
    connection.execute(insert(schema.hidden_gold).from_select(["version_id", "record_id", "answer"], answers))


def _row(position: int, record: Record) -> tuple[Any, ...]:
    """A record in the order of `_NAMES`."""
    options = as_json(list(record.options))
    content = (record.id, record.split, record.question, options, record.answer)
    return (position, *content, record.row, record.content_hash, record.source_id, record.group)


def insert_rows(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """Inserts rows whose values are in the order of the columns, converted for the database already.

    Giving such tuples to SQLite's driver directly takes three fifths of the time."""
    names = [column.name for column in table.columns]
    if connection.dialect.name == "sqlite":
        statement = insert(table).compile(dialect=connection.dialect, column_keys=names)
        connection.exec_driver_sql(str(statement), rows)
    else:
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])
