"""Puts a restored backup in the place of the workspace's database and files: all of it, or nothing, even if the process
is killed in between.

The files are moved first, while the database is locked against all writers, and the database follows in one
transaction. Until then a marker says what was moved where, and nobody may write. It is locked as long as its process
lives; whoever prepares or writes the database and finds it unlocked moves the files back, unless the database was
replaced by then.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pysqlite3.dbapi2 as driver

from semievol.durable import sync

MARKER = "restoring.json"
FILES = "projects"
_SETTING = "restored"
"""The setting with the token of the exchange that the database came with."""
_DATABASE = "studio.db"
_PATIENCE_SECONDS = 30


class Exchange(AbstractContextManager["Exchange"]):
    """An exchange that is undone at the end of the block, unless the database was replaced by then (`done`).

    new: folder with the other workspace, on the same disk; its database must not be in use. kept: folder that takes the
    files that were there. Raises FileExistsError while another exchange is under way.
    """

    def __init__(self, home: Path, new: Path, kept: Path) -> None:
        self._home, self._new, self._kept = home, new, kept
        self.done = False

    def __enter__(self) -> Exchange:
        token = uuid.uuid4().hex
        with closing(driver.connect(str(self._new / _DATABASE))) as connection, connection:
            connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_SETTING, json.dumps(token)))
        self._about = {
            "new": str(self._new.relative_to(self._home)),
            "kept": str(self._kept.relative_to(self._home)),
            "token": token,
            "had": (self._home / FILES).exists(),
        }
        self._stream = open(self._home / MARKER, "x", encoding="utf-8")
        fcntl.flock(self._stream, fcntl.LOCK_EX)
        json.dump(self._about, self._stream)
        self._stream.flush()
        os.fsync(self._stream.fileno())
        sync(self._home)
        return self

    def move_files(self) -> None:
        """Call it while the database is locked."""
        ours, theirs = self._home / FILES, self._new / FILES
        if ours.exists():
            ours.rename(self._kept / FILES)
            sync(self._kept)
        if theirs.exists():
            _put(theirs, ours, self._new)
        sync(self._home)

    def __exit__(self, *error: object) -> None:
        with self._stream:
            self.done = _end(self._home, self._about)


def pending(home: Path) -> bool:
    """Whether an exchange is under way, or waits to be ended: nothing may be written then."""
    return (home / MARKER).exists()


def recover(home: Path) -> None:
    """Ends an exchange whose process was killed: the files are then those of the database as it is."""
    marker = home / MARKER
    if not marker.exists():
        return
    # Not there: it was ended a moment ago. Locked: its process lives, or another one is ending it.
    with suppress(FileNotFoundError, BlockingIOError), open(marker, encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not marker.exists():
            return
        try:
            about = json.load(stream)
        except ValueError:  # killed before anything was moved
            marker.unlink()
            return
        done = _end(home, about)
        for left in ("new",) if done else ("new", "kept"):
            shutil.rmtree(home / about[left], ignore_errors=True)


def _end(home: Path, about: dict[str, Any]) -> bool:
    """Whether the database was replaced; if not, the files are moved back."""
    with _locked(home / _DATABASE) as connection:
        found = connection.execute("SELECT value FROM settings WHERE name = ?", (_SETTING,)).fetchone()
        done = found is not None and json.loads(found[0]) == about["token"]
        if not done:
            _undo(home, about)
        (home / MARKER).unlink()
    return done


def _undo(home: Path, about: dict[str, Any]) -> None:
    """Moves the files back, as far as they were moved."""
    ours, kept = home / FILES, home / about["kept"] / FILES
    if kept.exists():
        _put(kept, ours, home / about["new"])
    elif not about["had"] and ours.exists():
        _aside(ours, home / about["new"])
    sync(home)


def _put(source: Path, target: Path, aside: Path) -> None:
    """Renames a folder. What stands in its place is put aside: files of the backup, or a folder that a page made."""
    while True:
        try:
            source.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            _aside(target, aside)


def _aside(folder: Path, place: Path) -> None:
    place.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        folder.rename(place / f"aside-{uuid.uuid4().hex}")


@contextmanager
def _locked(database: Path) -> Iterator[Any]:
    """A connection that keeps all writers out."""
    with closing(driver.connect(str(database), isolation_level=None, timeout=_PATIENCE_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("ROLLBACK")
