"""A whole project as plain rows, to be written to an archive.

Rows are numbered anew, from 1 in every table, so that an archive does not depend on this workspace's own numbers.
Knows nothing of files: an adapter is a number, too.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Table, func, select

from semievol import presets
from semievol.errors import UserError
from semievol.store import schema
from semievol.store.archives import ownership
from semievol.store.archives.redaction import without_paths, without_paths_inside
from semievol.store.database import Store
from semievol.store.settings import keys

DROPPED: dict[str, tuple[str, ...]] = {
    "rounds": ("identity",),
    "runs": ("pid", "host", "boot", "process_start", "heartbeat_at", "heartbeat_ticks", "study"),
}
"""Columns that mean something in this workspace or on this machine only, or in a study only, which is not archived; an
import computes a round's identity anew."""
ADAPTERS = {("rounds", "warm_up_adapter"), ("runs", "adapter")}
"""Columns that hold an adapter's folder; an archive holds the adapter's number instead."""
FOLDS = ("rounds", "fold_adapters")
"""The JSON column that maps every fold to an adapter's folder."""
_REPLACED: dict[tuple[str, str], dict[Any, Any]] = {
    ("runs", "status"): {"running": "interrupted", "stopping": "interrupted", "queued": "cancelled"},
    ("stages", "status"): {"running": "waiting"},
    ("projects", "archived"): {True: False},
}
"""Column -> values that an archive replaces, as nothing in it is under way or hidden."""
_MACHINE_WORDS = {("events", "text")}
SETTINGS = {("projects", "settings"), ("rounds", "config"), ("runs", "config")}
"""Columns with settings. Those that say where a run computes are neither exported nor imported."""
_MACHINE_DOCUMENTS = {("runs", "environment"), ("runs", "error")}
_NO_ADDRESS = {"", "auto", "local"}
_AT_ONCE = 2_000


def columns(table: Table) -> list[str]:
    """Names of a table's columns in an archive. A row's own number is left out: it is the row's place."""
    own = ownership.number(table)
    dropped = DROPPED.get(table.name, ())
    return [c.name for c in table.columns if c is not own and c.name not in dropped]


@dataclass(frozen=True)
class ProjectRows:
    """One state of a project's rows.

    sizes: table -> number of rows, in the order in which the tables are to be read. ids: table -> the numbers of its
    rows in this workspace, in the order of the archive. hidden: what its texts may hold and no archive may.
    """

    sizes: dict[str, int]
    ids: dict[str, array[int]]
    _connection: Connection
    _project_id: int
    _adapter: Callable[[str], int | None]
    hidden: frozenset[str]

    def rows(self, name: str) -> Iterator[list[Any]]:
        """The table's rows, values in the order of `columns`; read lazily."""
        table = schema.metadata.tables[name]
        names = columns(table)
        changes = [(place, change) for place, c in enumerate(names) if (change := self._change(table, c)) is not None]
        query = select(*(table.c[c] for c in names)).where(ownership.owned(table, self._project_id))
        found = self._connection.execution_options(yield_per=_AT_ONCE).execute(query.order_by(*table.primary_key))
        for row in found:
            values = list(row)
            for place, change in changes:
                if values[place] is not None:
                    values[place] = change(values[place])
            yield values

    def _change(self, table: Table, column: str) -> Callable[[Any], Any] | None:
        """How a value of this column is changed for the archive; None if it is not."""
        here = (table.name, column)
        if (target := ownership.pointers(table).get(column)) is not None:
            return self._local(target)
        if here in ownership.LISTS:
            local = self._local(ownership.LISTS[here])
            return lambda keys: [local(key) for key in keys]
        if here in ADAPTERS:
            return self._adapter
        if here == FOLDS:
            return lambda folds: {
                fold: n for fold, path in sorted(folds.items()) if (n := self._adapter(path)) is not None
            }
        if here in _REPLACED:
            return lambda value: _REPLACED[here].get(value, value)
        if here in SETTINGS:
            return lambda settings: without_paths_inside(presets.anywhere(settings), self.hidden)
        if here in _MACHINE_DOCUMENTS:
            return partial(without_paths_inside, hidden=self.hidden)
        return partial(without_paths, hidden=self.hidden) if here in _MACHINE_WORDS else None

    def _local(self, target: str) -> Callable[[int], int]:
        """A row's number here -> its number in the archive."""
        known = self.ids[target]

        def local(key: int) -> int:
            place = bisect_left(known, key)
            if place == len(known) or known[place] != key:
                raise UserError(
                    f"A row of the project points at number {key} of {target}, which is not there.",
                    "database",
                    "Check the database on the Settings page; restore a backup if it is damaged.",
                )
            return place + 1

        return local


@contextmanager
def project_rows(store: Store, project_id: int, adapter: Callable[[str], int | None]) -> Iterator[ProjectRows]:
    """A project's rows as they are at one moment, while others go on writing.

    adapter: a stored adapter path -> the adapter's number in the archive; None leaves it out. Active runs are exported
    as interrupted, queued ones as cancelled: both can be resumed.
    """
    kept_here = _hidden(store, project_id)
    with store.read() as connection:
        sizes: dict[str, int] = {}
        ids: dict[str, array[int]] = {}
        for table in ownership.tables():
            mine = ownership.owned(table, project_id)
            if (key := ownership.number(table)) is not None and table.name in _targets():
                ids[table.name] = array("q", connection.execute(select(key).where(mine).order_by(key)).scalars())
            sizes[table.name] = connection.execute(select(func.count()).select_from(table).where(mine)).scalar_one()
        yield ProjectRows(sizes, ids, connection, project_id, adapter, kept_here)


def _hidden(store: Store, project_id: int) -> frozenset[str]:
    """What texts of the project may hold and no archive may: keys of endpoints, and addresses of clusters."""
    p, r, w = schema.projects.c, schema.rounds.c, schema.runs.c
    asked = (
        select(p.settings).where(p.id == project_id),
        select(r.config).where(r.project_id == project_id),
        select(w.config).where(w.project_id == project_id),
    )
    found = {str(row[0].get("cluster") or "") for query in asked for row in store.rows(query)}
    return frozenset(found - _NO_ADDRESS) | keys(store)


def _targets() -> set[str]:
    """Tables whose rows are pointed at."""
    pointed = {target for table in ownership.tables() for target in ownership.pointers(table).values()}
    return pointed | set(ownership.LISTS.values())
