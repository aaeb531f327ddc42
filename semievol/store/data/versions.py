"""Dataset versions: records are written once, whole; hidden gold is stored apart. Also the calibration split.

Records are gathered in temporary tables without a lock, then moved under the lock: making a million records takes long,
moving them does not, so reviewers and runs can write meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy import cast as cast_
from sqlalchemy.exc import IntegrityError

from semievol.errors import UserError
from semievol.records import SPLITS, Kind, Record, Split, Task, pairs_of
from semievol.store import schema
from semievol.store.columns import as_json
from semievol.store.database import SCRATCH, Store, in_parts, insert_rows, timestamp

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


@dataclass(frozen=True)
class Version:
    """A stored dataset version.

    sources: for every split where its records came from (split, name, sha256, form, …). findings: those of
    `importing.checks` at the import.
    """

    id: int
    number: int
    created: str
    task: Task
    counts: Mapping[Split, int]
    sources: Sequence[Mapping[str, Any]]
    findings: Sequence[Mapping[str, Any]]


def store_version(
    store: Store,
    project: int | Callable[[Connection], int],
    records: Iterable[Record],
    hidden_gold: Mapping[str, str] | Iterable[tuple[str, str]],
    sources: Sequence[Mapping[str, Any]],
    findings: Sequence[Mapping[str, Any]],
    task: Task,
    *,
    watch: Callable[[int], None] | None = None,
    keep: Callable[[int], None] | None = None,
) -> int:
    """Stores the next version of a project's data, all of it or nothing, and returns its id. From then on it is the one
    in use, and the project's task is that of its records. Other writers are not blocked while records are gathered.

    project: its id, or a function that makes it in the same transaction. records: split by split, in the order in which
    they are to be read. hidden_gold: pairs of record id and answer. Both are read lazily, a few thousand at a time.
    watch: called with the number of records gathered so far. keep: called with the project's id before anything is
    committed; if it raises, nothing is stored.
    """
    counts: Counter[Split] = Counter(dict.fromkeys(SPLITS, 0))
    with store.write(beforehand=lambda own: _gather(own, records, hidden_gold, counts, watch)) as connection:
        project_id = project if isinstance(project, int) else project(connection)
        _put_in_use(connection, project_id, None, asdict(task))
        number = _newest_number(connection, project_id) + 1
        values = {"project_id": project_id, "number": number, "created": timestamp(), "task": asdict(task)}
        values |= {"counts": counts, "sources": sources, "findings": findings}
        version_id = inserted_id(connection, schema.versions, values)
        _move(connection, version_id)
        if keep is not None:
            keep(project_id)
    return version_id


def _gather(
    connection: Connection,
    records: Iterable[Record],
    hidden_gold: Mapping[str, str] | Iterable[tuple[str, str]],
    counts: Counter[Split],
    watch: Callable[[int], None] | None,
) -> None:
    """Puts records and hidden gold into temporary tables of this connection, and counts the records per split.

    watch: called with the number of records gathered so far.
    """
    _staged.create(connection)
    _gold.create(connection)
    for some in in_parts(records, _AT_ONCE):
        insert_rows(connection, _staged, [_row(place, one) for place, one in enumerate(some, counts.total())])
        counts.update(record.split for record in some)
        if watch is not None:
            watch(counts.total())
    for pairs in in_parts(hidden_gold.items() if isinstance(hidden_gold, Mapping) else hidden_gold, _AT_ONCE):
        insert_rows(connection, _gold, pairs)


def _move(connection: Connection, version_id: int) -> None:
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
    earlier = pairs_of(record.earlier)
    named = (record.content_hash, record.source_id, record.group, earlier and as_json(earlier))
    return (position, *content, record.row, *named)


def store_task(store: Store, project_id: int, task: Task) -> int:
    """Stores the records in use once more under another task of the same kind and labels: the next version, whose id
    is returned. Rounds of the version before keep their task."""
    with store.write() as connection:
        return next_version(connection, project_id, task)


def next_version(connection: Connection, project_id: int, task: Task | None = None) -> int:
    """Copies the version in use as the project's next one, which is then in use, and returns its id. task: if not the
    same."""
    source_id = id_in_use(connection, project_id)
    document = asdict(task or task_in(connection, source_id))
    _put_in_use(connection, project_id, None, document)
    number = _newest_number(connection, project_id) + 1
    return copy_version(connection, source_id, {"number": number, "task": document})


def id_in_use(connection: Connection, project_id: int) -> int:
    """Id of the project's version in use. Raises UserError where it has none."""
    joined = schema.versions.join(schema.projects, in_use())
    query = select(schema.versions.c.id).select_from(joined).where(schema.projects.c.id == project_id)
    found = connection.execute(query).scalar()
    if found is None:
        raise UserError("The project has no data yet.", "data", "Import labeled and unlabeled records first.")
    return int(found)


def copy_version(connection: Connection, source_id: int, changed: Mapping[str, Any]) -> int:
    """Copies a version and its records, with some columns of its row changed; returns the copy's id."""
    source = connection.execute(select(schema.versions).where(schema.versions.c.id == source_id)).mappings().one()
    values = {key: value for key, value in source.items() if key != "id"} | {"created": timestamp(), **changed}
    version_id = inserted_id(connection, schema.versions, values)
    for table in (schema.records, schema.hidden_gold):
        copy_rows(connection, table, {"version_id": source_id}, {"version_id": version_id})
    return version_id


def copy_rows(connection: Connection, table: Table, where: Mapping[str, int], changed: Mapping[str, int]) -> None:
    """Copies the rows of `table` that match `where`, with some columns changed."""
    names = [column.name for column in table.c if not (column.primary_key and column.autoincrement is True)]
    values = [literal(changed[name]) if name in changed else table.c[name] for name in names]
    source = select(*values).where(*(table.c[name] == value for name, value in where.items()))
    connection.execute(insert(table).from_select(names, source))


def inserted_id(connection: Connection, table: Any, values: Mapping[str, Any]) -> int:
    """Inserts one row and returns the number that the database gave it."""
    key = connection.execute(insert(table).values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def versions(store: Store, project_id: int) -> list[Version]:
    """Every dataset version of a project, oldest first."""
    return _versions(store, schema.versions.c.project_id == project_id)


def get_version(store: Store, version_id: int) -> Version:
    """The dataset version with this id. Raises UserError where there is none."""
    found = _versions(store, schema.versions.c.id == version_id)
    if not found:
        raise UserError(f"There is no dataset version {version_id}.", "dataset version", "Choose another one.")
    return found[0]


def _versions(store: Store, where: Any) -> list[Version]:
    query = select(*(schema.versions.c[field.name] for field in fields(Version)))
    rows = store.rows(query.where(where).order_by(schema.versions.c.number))
    return [Version(**{**row._asdict(), "task": as_task(row.task)}) for row in rows]


def use_version(store: Store, project_id: int, number: int) -> None:
    """Puts a stored version in use, with its task: the next propagation works on its records. Nothing is deleted."""
    v = schema.versions.c
    with store.write() as connection:
        known = select(v.task).where(v.project_id == project_id, v.number == number)
        task = connection.execute(known).scalar_one_or_none()
        if task is None:
            raise UserError(f"There is no dataset version {number}.", "dataset version", "Choose another one.")
        newest = _newest_number(connection, project_id)
        _put_in_use(connection, project_id, None if number == newest else number, task)


def in_use() -> ColumnElement[bool]:
    """SQL condition: this row of `versions` is in use by its row of `projects`: the newest, or an older one chosen."""
    p, v = schema.projects.c, schema.versions.c
    others = schema.versions.alias("others").c
    newest = select(func.max(others.number)).where(others.project_id == p.id).correlate(schema.projects)
    return (v.project_id == p.id) & (v.number == func.coalesce(p.current_version, newest.scalar_subquery()))


def _put_in_use(connection: Connection, project_id: int, number: int | None, task: dict[str, Any]) -> None:
    """As `use_version`, inside the caller's transaction. number: None for the newest."""
    known = update(schema.projects).where(schema.projects.c.id == project_id)
    if connection.execute(known.values(current_version=number, task=task)).rowcount == 0:
        raise UserError(f"There is no project {project_id}.", "project", "Choose another project.")


def _newest_number(connection: Connection, project_id: int) -> int:
    """Number of the project's newest version; 0 where it has none."""
    v = schema.versions.c
    return connection.execute(select(func.max(v.number)).where(v.project_id == project_id)).scalar() or 0


@dataclass(frozen=True)
class Changes:
    """Differences between two versions. added, gone: records that only the later or only the earlier one has.
    relabeled: records of both with another known answer. moved: records of both in another split."""

    added: int
    gone: int
    relabeled: int
    moved: int


def changes(store: Store, earlier: int, later: int) -> Changes:
    """The differences between two dataset versions. Records are compared by id, which is made from the content."""
    old, new = schema.records.alias("old"), schema.records.alias("new")
    both = (old.c.version_id == earlier) & (new.c.version_id == later) & (old.c.record_id == new.c.record_id)
    answers = func.coalesce(old.c.answer, "") != func.coalesce(new.c.answer, "")
    moved = old.c.split != new.c.split
    query = select(func.count(), func.sum(cast_(answers & ~moved, Integer)), func.sum(cast_(moved, Integer)))
    with store.read() as connection:
        shared, relabeled, elsewhere = connection.execute(query.select_from(old, new).where(both)).one()
        sizes = []
        for version_id in (earlier, later):
            size = select(func.count()).where(schema.records.c.version_id == version_id)
            sizes.append(connection.execute(size).scalar_one())
    return Changes(sizes[1] - shared, sizes[0] - shared, relabeled or 0, elsewhere or 0)


def added(store: Store, earlier: int, later: int) -> dict[Split, int]:
    """Split -> how many records of the later version the earlier one does not have; only splits with such records."""
    old, new = schema.records.alias("old"), schema.records.alias("new")
    same = (old.c.version_id == earlier) & (old.c.record_id == new.c.record_id)
    query = select(new.c.split, func.count()).where(new.c.version_id == later, ~exists().where(same))
    return {row.split: row[1] for row in store.rows(query.group_by(new.c.split))}


def task_of(store: Store, version_id: int) -> Task:
    """The task of this dataset version; a project's own task is that of the version in use."""
    with store.read() as connection:
        return task_in(connection, version_id)


def task_in(connection: Connection, version_id: int) -> Task:
    """As `task_of`, inside the caller's transaction."""
    v = schema.versions.c
    task = as_task(connection.execute(select(v.task).where(v.id == version_id)).scalar())
    if task is None:
        raise UserError(f"There is no dataset version {version_id}.", "dataset version", "Choose another one.")
    return task


def as_task(stored: dict[str, Any] | None) -> Task | None:
    """A task from its stored document. Raises ValueError for a kind that there is not."""
    if stored is None:
        return None
    if stored["kind"] not in get_args(Kind):
        raise ValueError(f"there is no kind of task {stored['kind']!r:.40}")
    return Task(**{**stored, "labels": tuple(stored["labels"])})


def calibration(store: Store, project_id: int) -> frozenset[str] | None:
    """Content hashes of the labeled records that the project holds out; None if no split was cut yet."""
    with store.read() as connection:
        return _calibration(connection, project_id) or None


def save_calibration(store: Store, project_id: int, hashes: Iterable[str]) -> frozenset[str]:
    """Stores the project's calibration split, unless it has one already, and returns the stored one."""
    wanted = frozenset(hashes)
    with store.write() as connection:
        standing = _calibration(connection, project_id)
        if not standing and wanted:
            rows = [{"project_id": project_id, "content_hash": value} for value in sorted(wanted)]
            connection.execute(insert(schema.calibration), rows)
            standing = wanted
    return standing


def _calibration(connection: Connection, project_id: int) -> frozenset[str]:
    c = schema.calibration.c
    return frozenset(connection.execute(select(c.content_hash).where(c.project_id == project_id)).scalars())
