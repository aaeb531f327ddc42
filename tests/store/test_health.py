"""The database's health, and a copy of it."""

from __future__ import annotations

import stat
from pathlib import Path

import pysqlite3.dbapi2 as driver
import pytest

from semievol.errors import UserError
from semievol.store import health
from semievol.store.data import projects
from semievol.store.database import NotSaved, Store, open_store
from tests.store.world import World


def test_health_names_the_database(store: Store) -> None:
    found = health.health(store)
    assert found.kind == ("SQLite" if store.file else "PostgreSQL")
    assert health.quick_check(store) == []


def test_a_damaged_page_is_found(full: World) -> None:
    if full.store.file is None:
        pytest.skip("needs a database file")
    with driver.connect(str(full.store.file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(full.store.file.read_bytes())
    content[4096 * 5 : 4096 * 6] = b"\xff" * 4096
    full.store.file.write_bytes(content)
    try:
        assert health.quick_check(full.store) != []
    except UserError as error:
        assert "damaged" in error.what  # noqa: PT017


def test_a_backup_is_a_whole_database_made_under_use(file_store: Store, tmp_path: Path) -> None:
    projects.create_project(file_store, "kept")
    other = driver.connect(str(file_store.file), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    copy = health.backup(file_store, tmp_path / "copies" / "studio.db")
    other.rollback()
    projects.create_project(file_store, "later")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [p.name for p in copy.parent.iterdir()] == ["studio.db"]
    assert [p.name for p in projects.list_projects(open_store(copy.parent))] == ["kept"]


def test_a_backup_overwrites_nothing(file_store: Store, tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(UserError, match="already"):
        health.backup(file_store, tmp_path / "b")
    assert (tmp_path / "b").read_text() == "mine"


def test_a_database_is_replaced_whole_or_not_at_all(file_store: Store, tmp_path: Path) -> None:
    projects.create_project(file_store, "before")
    copy = health.backup(file_store, tmp_path / "studio.db")
    projects.create_project(file_store, "later")
    file_store.patience = 0.2
    other = driver.connect(str(file_store.file), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotSaved, match="the database is busy"):
        file_store.replace_by(copy)
    other.rollback()
    assert len(projects.list_projects(file_store)) == 2
    file_store.replace_by(copy)
    assert [project.name for project in projects.list_projects(file_store)] == ["before"]
