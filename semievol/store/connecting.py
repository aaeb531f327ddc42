"""How connections to the database are made, and how their transactions begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as driver
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from semievol.errors import UserError

PATIENCE_SECONDS = 10.0  # how long a write waits for the lock before it gives up
WAL_SAFE = (3, 51, 3)  # older SQLite can corrupt a write-ahead log that two processes reset at once
_WRITE_LOCK = 0x53454D49  # PostgreSQL's advisory lock: one writer at a time, as in SQLite
_SERVER_DRIVER = "postgresql+psycopg"
"""What an address that begins with "postgresql:" means."""


def to_file(file: Path) -> Engine:
    """An engine of a SQLite file."""
    # Not as text, in which a "?" or "%20" of a folder's name would mean something else.
    engine = create_engine(URL.create("sqlite", database=str(file)), module=driver, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver opens no transactions of its own
        # Closing the last connection empties the write-ahead log under an exclusive lock, which a reader waits for.
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE_SECONDS * 1000:.0f}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        if driver.sqlite_version_info < WAL_SAFE:
            connection.execute("PRAGMA journal_mode = TRUNCATE")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if "semievol_write" in connection.get_execution_options():
            connection.exec_driver_sql("PRAGMA busy_timeout = 100")  # `database` does the waiting, with random pauses
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def to_server(url: str) -> Engine:
    """An engine of a PostgreSQL database. Raises UserError for another kind, and without its driver."""
    address = make_url(url)
    if address.get_backend_name() != "postgresql":
        raise UserError(
            f'"{address.get_backend_name()}" is not supported.', "SEMIEVOL_DATABASE_URL", "Name a PostgreSQL database."
        )
    if address.drivername == "postgresql":
        address = address.set(drivername=_SERVER_DRIVER)
    try:
        engine = create_engine(address, poolclass=NullPool)
    except ModuleNotFoundError as missing:
        raise UserError(
            f"The driver of PostgreSQL is not installed ({missing.name}).",
            "SEMIEVOL_DATABASE_URL",
            'Install it: pip install "psycopg[binary]"',
        ) from None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        patience = connection.get_execution_options().get("semievol_write")
        if patience is not None:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{1000 * patience:.0f}ms'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
        else:
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    return engine
