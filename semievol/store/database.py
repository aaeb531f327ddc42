"""Opening the workspace's database, reading it, and writing to it so that nothing committed is lost.

A connection lives for one call; it is never shared between threads or inherited by a fork. Every write is one
transaction that takes the write lock at its beginning. Knows nothing of what the tables mean.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pysqlite3.dbapi2 as driver
from sqlalchemy import Connection, Select, Table, insert, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from semievol.errors import UserError
from semievol.store import connecting, migrations, swap

SCRATCH = "scratch"
"""Schema of temporary tables that are one connection's own."""

_AGAIN = "Try again in a moment."
_FREE = "Free some space on the disk, then try again."
_CAUSES = {
    driver.SQLITE_BUSY: ("the database is busy", _AGAIN),
    driver.SQLITE_LOCKED: ("the database is busy", _AGAIN),
    driver.SQLITE_FULL: ("disk full", _FREE),
    driver.SQLITE_IOERR: ("disk full, or it does not answer", _FREE),
    driver.SQLITE_READONLY: ("the database may only be read", "Give this user the right to write the file."),
    driver.SQLITE_CANTOPEN: ("the database cannot be opened", "Check that the folder exists and may be written."),
    driver.SQLITE_CORRUPT: ("the database file is damaged", "Restore a backup."),
    driver.SQLITE_NOTADB: ("studio.db is not a database", "Restore a backup, or choose another workspace."),
}
"""SQLite's primary result code -> the cause in words, and the remedy."""


Value = TypeVar("Value")


class NotSaved(UserError):
    """The database refused; nothing was written, and the same call may succeed later."""


class Store:
    """The workspace: its folder and its database."""

    def __init__(self, home: Path, url: str | None = None) -> None:
        self.home = home
        self.file = home / "studio.db" if url is None else None
        self.patience = connecting.PATIENCE_SECONDS
        self._engine = connecting.to_server(url) if url else connecting.to_file(home / "studio.db")
        self._thread = threading.local()

    @property
    def where(self) -> str:
        """Where the database is, for messages; without a password."""
        return str(self.file or self._engine.url.render_as_string(hide_password=True))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the database; its transaction ends with the block."""
        kept: Connection | None = getattr(self._thread, "connection", None)
        if kept is not None and not kept.in_transaction():
            with self._errors("Not read"), kept.begin():
                yield kept
        else:
            with self._errors("Not read"), self._engine.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Within the block, reads of this thread follow each other on one connection. A page reads seventy times, and
        opening a connection takes twice as long as a short query; between its reads no transaction is open."""
        if getattr(self._thread, "connection", None) is not None:
            yield
            return
        with self._errors("Not read"):
            connection = self._engine.connect()
        with connection:
            self._thread.connection = connection
            try:
                yield
            finally:
                self._thread.connection = None

    def rows(self, query: Select[Any]) -> Sequence[Any]:
        """All rows of one query."""
        with self.read() as connection:
            return connection.execute(query).all()

    def value(self, query: Select[Any]) -> Any:
        """The first value in the first row of one query; None where there is no row."""
        with self.read() as connection:
            return connection.execute(query).scalar()

    def located(self, path: str) -> Path:
        """A stored path as it is now: a path inside the workspace is stored relative to it, so that it may be moved."""
        return self.home / path

    def relative(self, path: str) -> str:
        """A path as it is stored: the reverse of `located`."""
        return str(Path(path).relative_to(self.home)) if Path(path).is_relative_to(self.home) else path

    @contextmanager
    def write(self, beforehand: Callable[[Connection], None] | None = None) -> Iterator[Connection]:
        """A connection inside one transaction that holds the write lock; committed, and on disk, when the block ends.

        Waits up to `patience` seconds for the lock, then raises `NotSaved`; nothing is ever half written.
        beforehand: fills temporary tables of this connection (schema `SCRATCH`), before the lock is taken.
        """
        swap.recover(self.home)
        with self._errors("Not saved"), self._engine.connect() as connection:
            if beforehand is not None:
                self._attach_scratch(connection)
                with connection.begin():
                    beforehand(connection)
            deadline = time.monotonic() + self.patience
            connection = connection.execution_options(semievol_write=self.patience)
            transaction = _insist(connection.begin, deadline)
            try:
                if self.file is not None and swap.pending(self.home):
                    raise NotSaved("Not saved: a backup is being restored.", self.where, _AGAIN)
                yield connection
                if self.file is not None:
                    # If a reader blocks COMMIT, SQLAlchemy would give the transaction up; SQLite allows another try.
                    _insist(lambda: connection.exec_driver_sql("COMMIT"), deadline)
                transaction.commit()
            except BaseException:
                transaction.rollback()
                raise

    def _attach_scratch(self, connection: Connection) -> None:
        """Makes the schema `SCRATCH`. For SQLite it is a file that is unlinked at once, since this SQLite keeps
        temporary tables in memory; PostgreSQL has a temporary schema of its own."""
        if self.file is None:
            connection.execution_options(schema_translate_map={SCRATCH: "pg_temp"})
            return
        path = self.home / f".{SCRATCH}-{uuid.uuid4().hex}"
        raw: Any = connection.connection.driver_connection
        raw.execute(f"ATTACH ? AS {SCRATCH}", (str(path),))
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):
            raw.execute(f"PRAGMA {SCRATCH}.{pragma}")
        path.unlink()

    def now(self, connection: Connection) -> float:
        """Unix seconds by the clock that all users of this database share."""
        if self.file is not None:
            return time.time()
        return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def copy_to(self, path: Path) -> None:
        """Writes a whole copy of the database file, readable by this user alone."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with self._errors("Not saved"), self._engine.connect() as connection, _file(path) as copy:
            self._copy(connection.connection.driver_connection, copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it

    def replace_by(self, path: Path, locked: Callable[[], None] = lambda: None) -> None:
        """Replaces the content of the database by that of another file in one transaction, which readers see whole or
        not at all. locked: called once nobody else can write, before anything is replaced; if it raises, nothing is."""
        self._choose_journal()  # beside a rollback journal nobody could read meanwhile
        with self._errors("Not restored"), self._engine.connect() as connection, _file(path) as source:
            self._copy(source, connection.connection.driver_connection, locked)

    def _copy(self, source: Any, target: Any, locked: Callable[[], None] | None = None) -> None:
        """SQLite's online backup: one consistent state. It waits up to `patience` seconds for writers.

        The first step takes the target's write lock, the last one commits. So `locked` is called after a first step of
        one page."""
        deadline = time.monotonic() + self.patience
        waiting = [] if locked is None else [locked]

        def patient(status: int, _left: int, _total: int) -> None:
            if status in (driver.SQLITE_BUSY, driver.SQLITE_LOCKED):
                if time.monotonic() > deadline:
                    error = driver.OperationalError("database is locked")
                    error.sqlite_errorcode = driver.SQLITE_BUSY
                    raise error
            elif waiting:
                waiting.pop()()

        for connection in (source, target):
            connection.execute("PRAGMA busy_timeout = 100")
        source.backup(target, pages=1 if waiting else -1, progress=patient, sleep=0.05)

    def prepare(self) -> None:
        """Makes the folders and the database, or brings it to the newest schema."""
        if not self.home.is_dir():
            self.home.mkdir(mode=0o700, parents=True)
        if self.file is not None and not self.file.exists():
            os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
        swap.recover(self.home)
        with self.read() as connection:
            if migrations.check(migrations.standing(connection), self.where):
                return
        if self.file is not None:
            self._choose_journal()
        with self.write() as connection:
            migrations.migrate(connection, self.where)

    def _choose_journal(self) -> None:
        """Turns write-ahead logging on where it is safe; the database file remembers it."""
        if driver.sqlite_version_info < connecting.WAL_SAFE:
            return
        deadline = time.monotonic() + self.patience
        with self._errors("Not saved"), self._engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            _insist(lambda: raw.execute("PRAGMA journal_mode = WAL"), deadline)

    @contextmanager
    def _errors(self, consequence: str) -> Iterator[None]:
        """Turns errors of the database into a UserError."""
        try:
            yield
        except (DBAPIError, driver.Error) as error:
            known = _CAUSES.get(_code(error))
            if known is None and not isinstance(error, OperationalError):
                raise
            cause, remedy = known or (_cause(error), "Check the database, then try again.")
            raise NotSaved(f"{consequence}: {cause}.", self.where, remedy) from error


def open_store(home: Path | None = None) -> Store:
    """The store of a workspace: `home`, else $SEMIEVOL_HOME, else ~/.semievol. $SEMIEVOL_DATABASE_URL may name another
    database. It is made if there is none, migrated if it is old, and cheap to open again."""
    folder = Path(home or os.environ.get("SEMIEVOL_HOME") or Path.home() / ".semievol")
    try:
        folder = folder.expanduser().absolute()
    except RuntimeError:
        raise UserError("There is no such user.", str(folder), "Choose another workspace with SEMIEVOL_HOME.") from None
    url = os.environ.get("SEMIEVOL_DATABASE_URL") or None
    with _opening:
        store = _open.get((folder, url))
        if store is None or (store.file is not None and not store.file.exists()):
            try:
                store = Store(folder, url)
                store.prepare()
            except OSError as error:
                raise UserError(
                    f"The workspace cannot be used ({error.strerror}).",
                    str(folder),
                    "Choose another with SEMIEVOL_HOME.",
                ) from None
            except SQLAlchemyError as error:
                raise UserError(f"The database cannot be used: {_cause(error)}.", "SEMIEVOL_DATABASE_URL") from error
            _open[folder, url] = store
        return store


def in_parts(values: Iterable[Value], size: int = 500) -> Iterator[list[Value]]:
    """The values, at most `size` at a time; 500 are few enough for the parameters of one statement."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part


def insert_rows(connection: Connection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """Inserts rows whose values are in the order of the columns, converted for the database already.

    Giving such tuples to SQLite's driver directly takes three fifths of the time."""
    names = [column.name for column in table.columns]
    if connection.dialect.name == "sqlite":
        statement = insert(table).compile(dialect=connection.dialect, column_keys=names)
        connection.exec_driver_sql(str(statement), rows)
    else:
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) for row in rows])


def timestamp() -> str:
    """Now in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


_open: dict[tuple[Path, str | None], Store] = {}
_opening = threading.Lock()


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    """A plain connection to another database file."""
    connection = driver.connect(str(path), isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _insist(attempt: Callable[[], Any], deadline: float) -> Any:
    """Calls `attempt` until the database is not busy, with random pauses, up to `deadline`."""
    while True:
        try:
            return attempt()
        except (DBAPIError, driver.Error) as error:
            if _code(error) not in (driver.SQLITE_BUSY, driver.SQLITE_LOCKED) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.005, 0.05))


def _code(error: BaseException) -> int:
    """SQLite's primary result code, -1 where there is none."""
    code = getattr(getattr(error, "orig", error), "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def _cause(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0].rstrip(".")
