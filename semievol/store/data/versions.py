"""Dataset versions: records are written once, whole; hidden gold is stored apart. Also the calibration split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Table, func, insert, literal, select, update
from sqlalchemy import cast as cast_

from semievol.errors import UserError
from semievol.records import Record, Split, Task
from semievol.store import schema
from semievol.store.data import staging
from semievol.store.database import Store, timestamp


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


@dataclass(frozen=True)
class NewVersion:
    """A dataset version on its way to the store.

    records: split by split, in the order in which they are to be read. hidden_gold: pairs of record id and answer. Both
    are read lazily, a few thousand at a time. watch: called with the number of records gathered so far. keep: called
    with the project's id before anything is committed; if it raises, nothing is stored.
    """

    records: Iterable[Record]
    hidden_gold: Mapping[str, str] | Iterable[tuple[str, str]]
    sources: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    task: Task
    watch: Callable[[int], None] | None = None
    keep: Callable[[int], None] | None = None


def store_version(store: Store, project_id: int, new: NewVersion) -> int:
    """Stores the next version of a project's data, all of it or nothing, and returns its id.

    From then on it is the one in use, and the project's task is that of its records.
    """
    with gathered(store, new) as (connection, counts):
        return write_version(connection, project_id, new, counts)


def store_task(store: Store, project_id: int, task: Task) -> int:
    """Stores the records in use once more under another task of the same kind and labels: the next version, whose id
    is returned. Rounds of the version before keep their task."""
    joined = schema.versions.join(schema.projects, in_use())
    with store.write() as connection:
        query = select(schema.versions.c.id).select_from(joined).where(schema.projects.c.id == project_id)
        source_id = connection.execute(query).scalar()
        if source_id is None:
            raise UserError("The project has no data yet.", "data", "Import labeled and unlabeled records first.")
        _put_in_use(connection, project_id, None, asdict(task))
        number = _newest_number(connection, project_id) + 1
        return copy_version(connection, source_id, {"number": number, "task": asdict(task)})


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


@contextmanager
def gathered(store: Store, new: NewVersion) -> Iterator[tuple[Connection, Mapping[Split, int]]]:
    """Gathers a version's records without blocking other writers; then gives a transaction for `write_version`, and the
    number of records per split."""
    counts: Counter[Split] = Counter()

    def gather(connection: Connection) -> None:
        counts.update(staging.gather(connection, new.records, new.hidden_gold, new.watch))

    with store.write(beforehand=gather) as connection:
        yield connection, counts


def write_version(connection: Connection, project_id: int, new: NewVersion, counts: Mapping[Split, int]) -> int:
    """As `store_version`, inside a transaction of `gathered`, with its number of records per split."""
    _put_in_use(connection, project_id, None, asdict(new.task))
    values = {"project_id": project_id, "number": _newest_number(connection, project_id) + 1, "created": timestamp()}
    values |= {"task": asdict(new.task), "counts": counts, "sources": new.sources, "findings": new.findings}
    version_id = inserted_id(connection, schema.versions, values)
    staging.move(connection, version_id)
    if new.keep is not None:
        new.keep(project_id)
    return version_id


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
    """A task from its stored document."""
    return None if stored is None else Task(**{**stored, "labels": tuple(stored["labels"])})


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
