"""A whole project as plain rows, to be written to a file, and rows from a file as a project: all of them or none.

Numbers of rows are those of the archive, counted from one in every table, so that nothing of this workspace's own
numbers leaves with them. Knows nothing of files: adapters are numbers, too.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, select

from semievol.errors import UserError
from semievol.store import migrations, schema
from semievol.store.archives import belongings
from semievol.store.archives.traceless import without_paths, without_paths_inside
from semievol.store.database import Store

DROPPED: dict[str, tuple[str, ...]] = {
    "rounds": ("identity",),
    "runs": ("pid", "host", "boot", "process_start", "heartbeat_at", "heartbeat_ticks"),
}
"""What only this workspace or this machine can mean; a round's identity is told anew from its settings."""
ADAPTERS = {("rounds", "warm_up_adapter"), ("runs", "adapter")}
"""Columns with the folder of an adapter; in an archive its number."""
FOLDS = ("rounds", "fold_adapters")
"""The document that names one for every fold."""
_STATES = {"running": "interrupted", "stopping": "interrupted", "queued": "cancelled"}
_MACHINE_WORDS = {("events", "text"): without_paths}
_MACHINE_DOCUMENTS = {
    *(("projects", "settings"), ("rounds", "config")),
    *(("runs", "config"), ("runs", "environment"), ("runs", "error")),
}
_AT_ONCE = 2_000


def schema_number() -> int:
    """Number of the schema that rows leave with."""
    return migrations.newest()


def columns(table: Table) -> list[str]:
    """Names of a table's columns as they stand in an archive; a row's own number is its place."""
    own = belongings.number(table)
    dropped = DROPPED.get(table.name, ())
    return [c.name for c in table.columns if c is not own and c.name not in dropped]


@dataclass(frozen=True)
class Leaving:
    """One state of a project's rows. tables: names, in the order in which they are to be read; sizes: rows of each.

    ids: numbers of a table's rows here, in the order of the archive.
    """

    tables: list[str]
    sizes: dict[str, int]
    ids: dict[str, array[int]]
    _connection: Connection
    _project_id: int
    _adapter: Callable[[str], int | None]

    def rows(self, name: str) -> Iterator[list[Any]]:
        """The table's rows, values in the order of `columns`, read as they are asked for."""
        table = schema.metadata.tables[name]
        names = columns(table)
        changes = [(place, change) for place, c in enumerate(names) if (change := self._change(table, c)) is not None]
        query = select(*(table.c[c] for c in names)).where(belongings.owned(table, self._project_id))
        found = self._connection.execution_options(yield_per=_AT_ONCE).execute(query.order_by(*table.primary_key))
        for row in found:
            values = list(row)
            for place, change in changes:
                if values[place] is not None:
                    values[place] = change(values[place])
            yield values

    def _change(self, table: Table, column: str) -> Callable[[Any], Any] | None:
        """What happens to a value on its way out; None for nothing."""
        here = (table.name, column)
        if (target := belongings.pointers(table).get(column)) is not None:
            return self._local(target)
        if here in belongings.LISTS:
            local = self._local(belongings.LISTS[here])
            return lambda keys: [local(key) for key in keys]
        if here in ADAPTERS:
            return self._adapter
        if here == FOLDS:
            return lambda folds: {
                fold: n for fold, path in sorted(folds.items()) if (n := self._adapter(path)) is not None
            }
        if here == ("runs", "status"):
            return lambda status: _STATES.get(status, status)
        if here == ("stages", "status"):
            return lambda status: "waiting" if status == "running" else status
        if here == ("projects", "archived"):
            return lambda _: False
        return without_paths_inside if here in _MACHINE_DOCUMENTS else _MACHINE_WORDS.get(here)

    def _local(self, target: str) -> Callable[[int], int]:
        """A row's number here -> its number in the archive."""
        known = self.ids[target]

        def local(key: int) -> int:
            place = key - known[0] if dense else bisect_left(known, key)
            if not (0 <= place < len(known) and known[place] == key):
                raise UserError(
                    f"A row of the project points at number {key} of {target}, which is not there.",
                    "database",
                    "Check the database on the Settings page; restore a backup if it is damaged.",
                )
            return place + 1

        dense = bool(known) and known[-1] - known[0] + 1 == len(known)
        return local


@contextmanager
def leaving(store: Store, project_id: int, adapter: Callable[[str], int | None]) -> Iterator[Leaving]:
    """A project's rows as they are at one moment, while others go on writing.

    adapter: number of the adapter in a folder as it is stored; None leaves it out. Runs that are under way leave as
    interrupted ones, those that wait as cancelled ones: both can be resumed.
    """
    with store.read() as connection:
        sizes: dict[str, int] = {}
        ids: dict[str, array[int]] = {}
        for table in belongings.tables():
            mine = belongings.owned(table, project_id)
            if (key := belongings.number(table)) is not None and table.name in _targets():
                ids[table.name] = array("q", connection.execute(select(key).where(mine).order_by(key)).scalars())
            sizes[table.name] = connection.execute(select(func.count()).select_from(table).where(mine)).scalar_one()
        yield Leaving(list(sizes), sizes, ids, connection, project_id, adapter)


def _targets() -> set[str]:
    """Tables whose rows are pointed at."""
    pointed = {target for table in belongings.tables() for target in belongings.pointers(table).values()}
    return pointed | set(belongings.LISTS.values())
