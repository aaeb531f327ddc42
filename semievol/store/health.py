"""The database's kind, size and integrity, and backups of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from semievol.errors import UserError
from semievol.store.database import Store


@dataclass(frozen=True)
class Health:
    """kind: SQLite or PostgreSQL. size: bytes of the database file, None on a server. journal: SQLite's mode."""

    kind: str
    version: str
    size: int | None
    journal: str | None


def health(store: Store) -> Health:
    """Kind, version and size of the database; quick."""
    with store.read() as connection:
        if store.file is None:
            version = connection.exec_driver_sql("SHOW server_version").scalar_one()
            return Health("PostgreSQL", str(version), None, None)
        version = connection.exec_driver_sql("SELECT sqlite_version()").scalar_one()
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    return Health("SQLite", str(version), store.file.stat().st_size, str(journal))


def quick_check(store: Store) -> list[str]:
    """Faults of the database file; none if it is intact, or if the database is on a server."""
    if store.file is None:
        return []
    with store.read() as connection:
        found = [str(line) for line in connection.exec_driver_sql("PRAGMA quick_check").scalars()]
    return [] if found == ["ok"] else found


def backup(store: Store, path: Path) -> Path:
    """Writes a copy of the database as it is now, while others may read and write; returns its path.

    A file copied by other means during a write can be broken. Adapters and uploads are not in it (folder `projects`).
    """
    if store.file is None:
        raise UserError("The database is on a server.", store.where, "Let its administrator back it up (pg_dump).")
    if path.exists():
        raise UserError("There is a file of this name already.", str(path), "Choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.unlink(missing_ok=True)
    try:
        store.copy_to(unfinished)
        with open(unfinished, "rb") as stream:
            os.fsync(stream.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
