"""Puts a restored backup in the place of the workspace's database and files: all of it, or nothing, even if the process
is killed in between.

The files are moved first, while the database is locked against all writers, and the database follows in one
transaction. Until then a marker says what was moved where. It is locked as long as its process lives; whoever prepares
or writes the database and finds it unlocked moves the files back, unless the database was replaced by then.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as driver

MARKER = "restoring.json"
FILES = "projects"
_SETTING = "restored"
"""The setting with the token of the exchange that the database came with."""
_DATABASE = "studio.db"


@contextmanager
def exchange(home: Path, new: Path, kept: Path) -> Iterator[_Exchange]:
    """An exchange that is undone if the block fails, and finished if it does not.

    new: folder with the other workspace, on the same disk; its database must not be in use. kept: folder that takes the
    files that were there.
    """
    token = uuid.uuid4().hex
    with closing(driver.connect(str(new / _DATABASE))) as connection, connection:
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_SETTING, json.dumps(token)))
    inside = {"new": str(new.relative_to(home)), "kept": str(kept.relative_to(home))}
    about = inside | {"token": token, "had": (home / FILES).exists()}
    marker = home / MARKER
    with open(marker, "x", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        json.dump(about, stream)
        stream.flush()
        os.fsync(stream.fileno())
        _sync(home)
        try:
            yield _Exchange(home, new, kept)
        except BaseException:
            _undo(home, about)
            raise
        marker.unlink()


class _Exchange:
    """What an `exchange` does while the database is locked."""

    def __init__(self, home: Path, new: Path, kept: Path) -> None:
        self._home, self._new, self._kept = home, new, kept

    def move_files(self) -> None:
        ours, theirs = self._home / FILES, self._new / FILES
        if ours.exists():
            ours.rename(self._kept / FILES)
            _sync(self._kept)
        if theirs.exists():
            theirs.rename(ours)
        _sync(self._home)


def recover(home: Path) -> None:
    """Ends an exchange whose process was killed: the files are then those of the database as it is."""
    marker = home / MARKER
    if not marker.exists():
        return
    # Not there: it was finished a moment ago. Locked: its process lives.
    with suppress(FileNotFoundError, BlockingIOError), open(marker, encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if marker.exists():
            _end(home, stream.read())


def _end(home: Path, written: str) -> None:
    try:
        about = json.loads(written)
    except ValueError:  # killed before anything was moved
        (home / MARKER).unlink()
        return
    if about["token"] == _token(home / _DATABASE):
        (home / MARKER).unlink()
    else:
        _undo(home, about)
    shutil.rmtree(home / about["new"], ignore_errors=True)


def _undo(home: Path, about: dict[str, Any]) -> None:
    """Moves the files back, as far as they were moved. What stands at their place meanwhile came with the backup."""
    ours, kept, new = home / FILES, home / about["kept"] / FILES, home / about["new"] / FILES
    if ours.exists() and (kept.exists() or not about["had"]) and not new.exists():
        new.parent.mkdir(exist_ok=True)
        ours.rename(new)
    if kept.exists() and not ours.exists():
        kept.rename(ours)
    _sync(home)
    (home / MARKER).unlink()


def _token(database: Path) -> str | None:
    """The token of the exchange that the database came with."""
    with closing(driver.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        found = connection.execute("SELECT value FROM settings WHERE name = ?", (_SETTING,)).fetchone()
    return json.loads(found[0]) if found else None


def _sync(folder: Path) -> None:
    """Waits until the names in a folder are on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
