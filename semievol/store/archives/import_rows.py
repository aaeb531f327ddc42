"""Rows from an archive as a new project: checked and gathered without a lock, then moved in one transaction.

Rows get the next free numbers of this workspace in the order of the archive, so that an order by number stays the same.
Knows nothing of files; `keep` puts them into the project's folder before anything is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    cast,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from semievol import presets
from semievol.config import Policy
from semievol.errors import UserError
from semievol.records import ACTIONS, SPLITS, STAGES, STEPS, turns_of
from semievol.store import schema
from semievol.store.archives import ownership
from semievol.store.archives.export_rows import ADAPTERS, FOLDS, SETTINGS, columns
from semievol.store.columns import Json, as_json
from semievol.store.data.projects import Project, adapter_place, check_name, clear_orphan, find_project, taken
from semievol.store.data.versions import as_task
from semievol.store.database import SCRATCH, Store, in_parts, insert_rows
from semievol.store.runs import rounds
from semievol.store.runs.runs import RESUMABLE

_AT_ONCE = 5_000
_LARGEST = 2**63 - 1
_DAMAGED = "Export the project again from its own workspace."


def _checked_counts(counts: Any) -> None:
    if not all(split in SPLITS and type(count) is int and count >= 0 for split, count in counts.items()):
        raise ValueError("a number of records that cannot be")


_CHECKED: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("projects", "settings"): presets.overlaid,
    ("projects", "task"): as_task,
    ("versions", "task"): as_task,
    ("versions", "counts"): _checked_counts,
    ("records", "earlier"): turns_of,
    ("rounds", "config"): presets.validate,
    ("runs", "config"): presets.validate,
    ("reviews", "policy"): Policy.model_validate,
    ("selections", "policy"): Policy.model_validate,
}
"""JSON columns that this version of the Studio must be able to read, with the function that reads them."""
_WORDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("records", "split"): SPLITS,
    ("runs", "status"): ("done", *RESUMABLE),
    ("runs", "first"): STAGES,
    ("runs", "until"): STAGES,
    ("stages", "stage"): STEPS,
    ("costs", "stage"): STAGES,
    ("decisions", "action"): (*ACTIONS, "undo"),
}
"""Text columns with a fixed set of values."""


@dataclass(frozen=True)
class ArchivedRows:
    """The rows of an archived project, to be imported.

    tables: table -> (columns, number of rows, a function that reads the rows). adapters: how many there are.
    keep: called with the project's id and the number of its first run before anything is committed; if it raises,
    nothing is stored. watch: called with the number of rows gathered so far.
    """

    tables: Mapping[str, tuple[Sequence[str], int, Callable[[], Iterable[list[Any]]]]]
    adapters: int
    keep: Callable[[int, int], None]
    watch: Callable[[int], None]


def restore(store: Store, name: str, new: ArchivedRows) -> Project:
    """A new project by this name from the rows of an archive, all of it or nothing."""
    name = check_name(store, name)
    _check_tables(new)
    tables = [table for table in ownership.tables() if table.name in new.tables]

    def gather(connection: Connection) -> None:
        done = 0
        for table in tables:
            done = _gather(connection, table, new, done)

    with store.write(beforehand=gather) as connection:
        first = {table.name: _next(connection, table, new.tables[table.name][1]) for table in tables}
        project_id = first["projects"]
        clear_orphan(store, project_id)
        staged = _staged(schema.projects, new.tables["projects"][0])
        connection.execute(update(staged).values(name=name))
        for table in tables:
            _move(connection, table, new, first, name)
        _renumber(connection, first)
        new.keep(project_id, first["runs"])
    return find_project(store, project_id)


def _check_tables(new: ArchivedRows) -> None:
    """Refuses tables and columns that this version does not know, and where one is missing that must have a value."""
    known = {table.name: table for table in ownership.tables()}
    for name, (found, size, _) in new.tables.items():
        if name not in known or not set(found) <= set(columns(known[name])) or len(set(found)) < len(found) or size < 0:
            raise UserError(f'The archive\'s table "{name}" is not one of ours.', "archive", _DAMAGED)
        for column in columns(known[name]):
            c = known[name].c[column]
            required = not c.nullable or (name, column) == ("runs", "round_id")
            if column not in found and required and c.server_default is None:
                raise UserError(f'The archive\'s table "{name}" has no column "{column}".', "archive", _DAMAGED)
    if new.tables.get("projects", ((), 0))[1] != 1 or "runs" not in new.tables or "rounds" not in new.tables:
        raise UserError("The archive does not hold exactly one project.", "archive", _DAMAGED)


# --- gathering ------------------------------------------------------------------------------------------------------


def _staged(table: Table, names: Sequence[str]) -> Table:
    """A temporary table of this connection for the rows of `table`: JSON as text, adapters as numbers."""
    kinds: dict[str, Any] = {name: table.c[name].type for name in names}
    kinds |= {name: Text for name, kind in kinds.items() if isinstance(kind, Json)}
    kinds |= {name: Integer for name in names if (table.name, name) in ADAPTERS}
    place = Column("archive_row", Integer, primary_key=True)
    columns_ = [Column(name, kind) for name, kind in kinds.items()]
    return Table(f"archived_{table.name}", MetaData(), place, *columns_, schema=SCRATCH)


def _gather(connection: Connection, table: Table, new: ArchivedRows, done: int) -> int:
    names, size, rows = new.tables[table.name]
    staged = _staged(table, names)
    staged.create(connection)
    checks = [_check(table, name, new) for name in names]
    own = [place for place, name in enumerate(names) if ownership.pointers(table).get(name) == table.name]
    count = 0
    for some in in_parts(rows(), _AT_ONCE):
        ready = []
        for values in some:
            count += 1
            if len(values) != len(checks):
                raise _wrong(table.name, count, "another number of values than of columns")
            try:
                row = [check(value) for check, value in zip(checks, values, strict=True)]
                if any(row[place] is not None and row[place] >= count for place in own):
                    raise _BadValue("the number of no earlier row")
                ready.append((count, *row))
            except _BadValue as problem:
                raise _wrong(table.name, count, str(problem)) from None
        insert_rows(connection, staged, ready)
        new.watch(done + count)
    if count != size:
        raise UserError(f'The archive\'s table "{table.name}" has {count} rows, not {size}.', "archive", _DAMAGED)
    return done + count


class _BadValue(ValueError):
    """A value that its column cannot hold."""


def _check(table: Table, name: str, new: ArchivedRows) -> Callable[[Any], Any]:
    """A function that checks an archived value of this column and converts it for the staged row; raises _BadValue."""
    column = table.c[name]
    here = (table.name, name)
    target = ownership.pointers(table).get(name)
    most = _LARGEST
    if target is not None:
        most = new.tables[target][1] if target in new.tables else 0
    elif here in ADAPTERS:
        most = new.adapters
    numbered = target is not None or here in ADAPTERS

    def check(value: Any) -> Any:
        if value is None:
            if not column.nullable or here == ("runs", "round_id"):  # archives hold no studies
                raise _BadValue(f'nothing in "{name}"')
            return None
        kind = column.type
        if numbered or isinstance(kind, Integer):
            fits = type(value) is int and (1 if numbered else -_LARGEST) <= value <= most
        elif isinstance(kind, Json):
            return _document(here, value, new)
        elif isinstance(kind, Boolean):
            fits = type(value) is bool
        elif isinstance(kind, Double):
            fits = type(value) is float or (type(value) is int and abs(value) <= _LARGEST)
        else:
            fits = type(value) is str and _storable(value) and value in _WORDS.get(here, (value,))
        if not fits:
            raise _BadValue(f'{value!r:.40} in "{name}"')
        return float(value) if isinstance(kind, Double) else value

    return check


def _storable(value: str) -> bool:
    """Whether a database can hold the text: without the character 0, and no half of a character."""
    return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def _document(here: tuple[str, str], value: Any, new: ArchivedRows) -> str:
    """The JSON text of a document, once it is known that this version can read it."""
    try:
        if here in _CHECKED:
            _CHECKED[here](value)
        if here in ownership.LISTS:
            most = new.tables[ownership.LISTS[here]][1]
            if not all(type(n) is int and 1 <= n <= most for n in value):
                raise ValueError("a number of no record")
        if here == FOLDS and not all(
            str(fold).isdecimal() and type(n) is int and 1 <= n <= new.adapters for fold, n in value.items()
        ):
            raise ValueError("a number of no adapter")
        written = as_json(presets.anywhere(value) if here in SETTINGS else value)
        if not _storable(written):
            raise ValueError("a text that cannot be stored")
        return written
    except (UserError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = error.what if isinstance(error, UserError) else type(error).__name__
        raise _BadValue(f'a document in "{here[1]}" that this version cannot read ({reason})') from None


def _wrong(table: str, row: int, what: str) -> UserError:
    return UserError(f'Row {row} of the archive\'s table "{table}" holds {what}.', "archive", _DAMAGED)


# --- moving ---------------------------------------------------------------------------------------------------------


def _next(connection: Connection, table: Table, count: int) -> int:
    """The first of `count` consecutive free numbers; with AUTOINCREMENT, numbers that no row ever had."""
    key = ownership.number(table)
    if key is None:
        return 0
    if connection.dialect.name != "sqlite":
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        first = int(connection.execute(select(func.nextval(sequence))).scalar_one())
        connection.execute(select(func.setval(sequence, first + max(count, 1) - 1)))
        return first
    used = connection.execute(select(func.max(key))).scalar() or 0
    if table.dialect_options["sqlite"]["autoincrement"]:
        ever = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        used = max(used, connection.execute(ever, {"name": table.name}).scalar() or 0)
    return int(used) + 1


def _move(connection: Connection, table: Table, new: ArchivedRows, first: Mapping[str, int], name: str) -> None:
    """Moves the gathered rows into the table, with this workspace's numbers."""
    adapters = adapter_place(first["projects"], "")
    names = new.tables[table.name][0]
    waiting = _staged(table, names).c
    pointers = ownership.pointers(table)
    values: dict[str, ColumnElement[Any]] = {}
    for column in names:
        values[column] = waiting[column]
        if column in pointers:
            values[column] = waiting[column] + (first[pointers[column]] - 1)
        elif (table.name, column) in ADAPTERS:
            values[column] = literal(adapters).concat(cast(waiting[column], Text))
    if (key := ownership.number(table)) is not None:
        values[key.name] = waiting.archive_row + (first[table.name] - 1)
    if table is schema.rounds:
        values["identity"] = cast(waiting.archive_row, Text)  # until `_renumber` computes the right one
    rows = select(*values.values()).order_by(waiting.archive_row)
    try:
        connection.execute(insert(table).from_select(list(values), rows))
    except IntegrityError as error:
        if table is schema.projects:
            raise taken(name) from None
        what = f'Rows of the archive\'s table "{table.name}" contradict each other.'
        raise UserError(what, "archive", _DAMAGED) from error


def _renumber(connection: Connection, first: Mapping[str, int]) -> None:
    """Brings rounds' identities and the numbers inside JSON columns to the numbers of this workspace."""
    c, project_id = schema.rounds.c, first["projects"]
    known: set[str] = set()
    mine = select(c.id, c.version_id, c.parent_id, c.warm_up_adapter, c.config, c.fold_adapters)
    for row in connection.execute(mine.where(c.project_id == project_id).order_by(c.id)).all():
        own = presets.validate(row.config)
        taken_from = row.warm_up_adapter if row.parent_id is not None else None
        identity = rounds.identity_of(row.version_id, row.parent_id, taken_from, own)
        if identity in known:  # two models with folders of one name: only the earlier round is found again
            identity = f"{identity} {row.id}"
        known.add(identity)
        changed: dict[str, Any] = {"identity": identity}
        if row.fold_adapters is not None:
            changed["fold_adapters"] = {f: adapter_place(project_id, n) for f, n in row.fold_adapters.items()}
        connection.execute(update(schema.rounds).where(c.id == row.id).values(**changed))
    for (name, column), target in ownership.LISTS.items():
        table = schema.metadata.tables[name]
        key = ownership.number(table)
        assert key is not None, "a list of numbers in a row without one"
        lists = select(key, table.c[column]).where(ownership.owned(table, project_id))
        for number, found in connection.execute(lists).all():
            shifted = [n + first[target] - 1 for n in found]
            connection.execute(update(table).where(key == number).values({column: shifted}))
