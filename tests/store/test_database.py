"""The database: one transaction or nothing, patience with others, nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from copy import copy
from pathlib import Path

import pysqlite3.dbapi2 as driver
import pytest
from sqlalchemy import event, func, select

from semievol.errors import UserError
from semievol.store import connecting, schema, settings
from semievol.store.data import projects
from semievol.store.database import NotSaved, Store, open_store
from semievol.store.decisions import history as decision_history
from tests.store.world import World

ROOT = Path(__file__).parents[2]


def put(store: Store, name: str, value: object) -> None:
    """One write: the newest value under a name."""
    with store.write() as connection:
        connection.execute(schema.settings.delete().where(schema.settings.c.name == name))
        connection.execute(schema.settings.insert().values(name=name, value=value))


def got(store: Store, name: str) -> object:
    """One read."""
    return store.value(select(schema.settings.c.value).where(schema.settings.c.name == name))


def python(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_the_workspace_belongs_to_its_user_alone(file_store: Store) -> None:
    assert stat.S_IMODE(file_store.home.stat().st_mode) == 0o700
    assert [stat.S_IMODE(f.stat().st_mode) for f in file_store.home.glob("studio.db*")] == [0o600] * len(
        list(file_store.home.glob("studio.db*"))
    )


@pytest.mark.parametrize("name", ["a?1", "a?2", "c%20d", "e#f", "g:h@i"])
def test_a_workspace_of_any_name_has_a_database_of_its_own(tmp_path: Path, name: str) -> None:
    store = open_store(tmp_path / name)
    assert projects.list_projects(store) == []
    projects.create_project(store, "P")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert (store.home / "studio.db").stat().st_size > 0


def test_a_home_of_nobody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMIEVOL_HOME", "~no-such-user-here/x")
    with pytest.raises(UserError, match="no such user"):
        open_store()


def test_the_environment_names_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMIEVOL_HOME", str(tmp_path / "elsewhere"))
    assert open_store().home == tmp_path / "elsewhere"


def test_opening_twice_gives_the_same_store(home: Path) -> None:
    assert open_store(home) is open_store(home)


def test_a_workspace_that_was_deleted_is_made_anew(file_store: Store) -> None:
    projects.create_project(file_store, "gone")
    for file in file_store.home.glob("studio.db*"):
        file.unlink()
    assert projects.list_projects(open_store(file_store.home)) == []


def test_connections_are_safe(file_store: Store) -> None:
    with file_store.read() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("foreign_keys", "synchronous")
        }
        assert pragma == {"foreign_keys": 1, "synchronous": 2}
        wanted = "wal" if driver.sqlite_version_info >= connecting.WAL_SAFE else "truncate"
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == wanted


def test_old_sqlite_gets_no_write_ahead_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "WAL_SAFE", (99,))
    monkeypatch.delenv("SEMIEVOL_DATABASE_URL", raising=False)
    store = open_store(home)
    put(store, "a", 1)
    with store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "truncate"


def test_what_fails_inside_a_write_leaves_nothing(store: Store) -> None:
    def half() -> None:
        with store.write() as connection:
            connection.execute(schema.settings.insert().values(name="a", value=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert got(store, "a") is None


def test_a_write_waits_for_its_turn(file_store: Store) -> None:
    other = holding(file_store)
    threading.Timer(0.2, other.rollback).start()
    put(file_store, "a", 1)
    assert got(file_store, "a") == 1


def test_a_write_waits_for_a_reader_at_its_commit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "WAL_SAFE", (99,))  # in the old journal mode a reader holds up COMMIT itself
    monkeypatch.delenv("SEMIEVOL_DATABASE_URL", raising=False)
    store = open_store(home)
    reader = driver.connect(str(store.file), isolation_level=None, check_same_thread=False)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM settings").fetchall()
    threading.Timer(0.3, reader.rollback).start()
    put(store, "a", 1)
    assert got(store, "a") == 1


def test_after_its_patience_a_write_says_so(file_store: Store) -> None:
    other = holding(file_store)
    file_store.patience = 0.1
    began = time.monotonic()
    with pytest.raises(NotSaved, match=r"Not saved: the database is busy\. Try again"):
        put(file_store, "a", 1)
    assert time.monotonic() - began < 2
    other.rollback()
    put(file_store, "a", 2)
    assert got(file_store, "a") == 2


def test_a_write_has_the_patience_of_its_store_on_a_server_too(store: Store) -> None:
    hasty = copy(store)
    hasty.patience = 0.1
    with store.write():
        began = time.monotonic()
        with pytest.raises(NotSaved):
            put(hasty, "a", 1)
        assert time.monotonic() - began < 2


def test_reading_needs_no_turn(file_store: Store) -> None:
    put(file_store, "a", 1)
    other = holding(file_store)
    assert got(file_store, "a") == 1
    other.rollback()


def test_a_full_disk_saves_nothing_and_says_so(file_store: Store) -> None:
    put(file_store, "small", 1)
    limit = True

    def nearly_full(connection: driver.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages if limit else 1_000_000}")

    event.listen(file_store._engine, "connect", nearly_full)
    with pytest.raises(NotSaved, match=r"Not saved: disk full\. Free some space"):
        put(file_store, "large", "x" * 100_000)
    assert (got(file_store, "small"), got(file_store, "large")) == (1, None)
    limit = False
    put(file_store, "large", "x" * 100_000)
    with file_store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_refused_write_to_the_file_is_not_a_traceback(file_store: Store) -> None:
    program = """
import resource, sys
from pathlib import Path
from semievol.store import settings
from semievol.store.database import NotSaved, open_store
store = open_store(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (store.file.stat().st_size,) * 2)
try:
    settings.save_model(store, settings.Model("x" * 2_000_000, "folder"))
except NotSaved as error:
    print(error.what)
"""
    out, _ = python(program, file_store.home).communicate(timeout=30)
    assert out.startswith("Not saved: disk full")
    assert settings.models(file_store) == [settings.STARTER]


def test_a_file_that_is_no_database_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEMIEVOL_DATABASE_URL", raising=False)
    home.mkdir()
    (home / "studio.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(UserError, match=r"studio\.db is not a database\. Restore"):
        open_store(home)


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be used"):
        open_store(tmp_path / "file" / "workspace")


def test_other_databases_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMIEVOL_DATABASE_URL", "mysql://user:secret@host/name")
    with pytest.raises(UserError, match="PostgreSQL") as caught:
        open_store(home)
    assert "secret" not in str(caught.value)


def test_a_store_survives_a_fork(store: Store) -> None:
    put(store, "before", 1)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            put(store, "child", 2)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    put(store, "after", 3)
    assert [got(store, name) for name in ("before", "child", "after")] == [1, 2, 3]


def test_reads_of_one_thread_may_share_a_connection_which_holds_no_state_between_them(store: Store) -> None:
    def count() -> int:
        return len(projects.list_projects(store))

    with store.connected():
        with store.read() as first, store.read() as within:
            assert first is not within, "what is read within a read sees its own state"
        with store.read() as second:
            assert second is first
        assert count() == 0
        made = threading.Thread(target=projects.create_project, args=(store, "another thread's"))
        made.start()
        made.join()
        assert count() == 1
        projects.create_project(store, "its own")
        assert count() == 2
        with pytest.raises(ZeroDivisionError), store.read():
            1 / 0  # noqa: B018
        assert count() == 2
    with store.read() as after:
        assert after is not first


def test_threads_share_a_store(store: Store) -> None:
    def work(number: int) -> None:
        for i in range(5):
            projects.create_project(store, f"{number}-{i}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(projects.list_projects(store)) == 20


def test_a_killed_writer_loses_nothing_that_it_acknowledged(world: World) -> None:
    program = """
import sys
from pathlib import Path
from semievol.store.decisions import decisions
from semievol.store.database import open_store
store = open_store(Path(sys.argv[1]))
for i in range(10_000):
    print(decisions.decide(store, int(sys.argv[2]), int(sys.argv[3]), f"u{i % 8}", "skip", "road").id, flush=True)
"""
    writer = python(program, world.store.home, world.project.id, world.round.id)
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(40)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().splitlines() if line]
    writer.wait()
    kept = decision_history.history(world.store, world.project.id)["id"]
    assert set(acknowledged) <= set(kept)
    assert len(kept) <= len(acknowledged) + 1


def test_racing_processes_lose_no_decision(world: World) -> None:
    program = """
import sys
from pathlib import Path
from semievol.store.decisions import decisions
from semievol.store.database import open_store
store = open_store(Path(sys.argv[1]))
print("ready", flush=True)
for i in range(25):
    decisions.decide(store, int(sys.argv[2]), int(sys.argv[3]), "u1", "edit", "road", "water", reviewer=sys.argv[4])
"""
    writers = [python(program, world.store.home, world.project.id, world.round.id, name) for name in ("ada", "bob")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    history = decision_history.history(world.store, world.project.id)
    assert history["reviewer"].value_counts().to_dict() == {"ada": 25, "bob": 25}
    with world.store.read() as connection:
        revision = select(schema.rounds.c.revision).where(schema.rounds.c.id == world.round.id)
        assert connection.execute(revision).scalar() == 50
        assert connection.execute(select(func.count()).select_from(schema.decisions)).scalar() == 50


def holding(store: Store) -> driver.Connection:
    """Another process's connection that holds the write lock."""
    other = driver.connect(str(store.file), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other
