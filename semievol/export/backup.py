"""The whole workspace in one file, and back: the database, and of every project its uploads, adapters, checkpoints and
logs.

It is written while others work: the database is copied by SQLite's backup API, which gives one consistent state, and
before the files, so that every file it names is there. Checkpoints that were caught half written are passed over when a
run is resumed, as their hashes are wrong. Uploads that are not imported yet and earlier exports are left out. Keys are
in no backup, because the Studio stores none.

Restoring replaces a workspace only if it is told to. What was there is kept beside it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path

from semievol.errors import UserError
from semievol.export import files
from semievol.export.sealed import Sealed, Sealing, acceptable
from semievol.progress import Watch, unwatched
from semievol.store import health, migrations, swap
from semievol.store.data import projects
from semievol.store.database import Store, timestamp
from semievol.store.runs import runs

KIND = "SemiEvol Studio workspace"
FORMAT = 1
ENDING = ".workspace.zip"
KEPT = "before-restore"
"""Folder of the workspace with what restoring replaced."""
_DATABASE = "studio.db"
_MEMBER = re.compile(rf"{re.escape(_DATABASE)}|projects/\d+/.+", re.A)
_LEFT_OUT = ("incoming", "exports")
_PIECE = 2**20
_AGAIN = "Make the backup again, or choose another one."


def write(store: Store, out: Path, overwrite: bool = False, watch: Watch = unwatched) -> Path:
    """Writes a backup of the workspace and returns its path. Raises UserError where the database is on a server."""
    swap.recover(_home(store))
    if not out.name.endswith(".zip"):
        raise UserError(f'The ending "{out.suffix}" is not that of a backup.', str(out), f"End it with {ENDING}.")
    with (
        files.whole(out, overwrite) as path,
        projects.incoming_folder(store, ".backup-") as folder,
    ):
        copy = health.backup(store, folder / _DATABASE)
        with Sealing(path) as sealing:
            os.chmod(path, 0o600)
            members = [(_DATABASE, copy), *_files(store)]
            total, done, left_out = sum(_size(file) for _, file in members), 0, 0
            for name, file in members:
                try:
                    stream = file.open("rb")
                except OSError:  # removed since it was listed, such as an older checkpoint
                    left_out += 1
                    continue
                with stream, sealing.member(name) as put:
                    while piece := stream.read(_PIECE):
                        put(piece)
                        done += len(piece)
                        watch("Writing the backup", min(done, total), total)
            found = len(projects.list_projects(store, archived=True))
            about = {"kind": KIND, "format": FORMAT, "schema": migrations.newest(), "made": timestamp()}
            sealing.close(about | {"projects": found, "left_out": left_out})
    return out


def restore(store: Store, path: Path, replace: bool = False, watch: Watch = unwatched) -> Path | None:
    """Puts a backup in the place of everything in this workspace; returns the folder with what was there before, None
    if there were no projects.

    replace: whether projects that are here may be replaced. Raises UserError, and changes nothing, if they may not, if
    the file is damaged or no backup, and while a run is active or queued. Runs that were not finished when the backup
    was made can be resumed.
    """
    swap.recover(_home(store))
    with Sealed(path, path.name) as sealed:
        _check(sealed)
        _check_place(store, replace)
        free = shutil.disk_usage(_home(store)).free
        if 2 * sealed.size > free:
            raise UserError(
                f"The backup takes {2 * sealed.size / 2**20:,.0f} MB, {free / 2**20:,.0f} MB are free.",
                path.name,
                "Free some space on the disk, then try again.",
            )
        sealed.check(partial(watch, "Reading the backup"))
        with projects.incoming_folder(store, ".restoring-") as new:
            _unpack(sealed, new)
            prepared = Store(new)
            prepared.prepare()  # an older schema is brought up to date before anything is replaced
            if wrong := health.quick_check(prepared):
                raise sealed.refused(f"The backup's database is damaged: {wrong[0]:.100}.", _AGAIN)
            runs.interrupt_all(prepared)
            return _swap(store, new, replace)


def _swap(store: Store, new: Path, replace: bool) -> Path | None:
    """Replaces database and files, all or nothing. What is there is copied while nobody can write, so that nothing that
    was saved is lost."""
    kept, had_projects = _folder_to_keep(store), True
    exchange = swap.Exchange(store.home, new, kept)
    try:
        with exchange:

            def locked() -> None:
                nonlocal had_projects
                had_projects = _check_place(store, replace)
                health.backup(store, kept / _DATABASE)
                exchange.move_files()

            store.replace_by(new / _DATABASE, locked)
    except BaseException as error:
        if not exchange.done:
            shutil.rmtree(kept, ignore_errors=True)
        if isinstance(error, FileExistsError):
            raise UserError("Another backup is being restored.", str(store.home), "Wait until that is done.") from None
        if not isinstance(error, OSError):
            raise
        raise UserError(
            f"Not restored: the files cannot be put in place ({error.strerror}).", str(store.home), "Check the folder."
        ) from None
    if had_projects:
        return kept
    shutil.rmtree(kept)
    with suppress(OSError):  # it holds what an earlier restore replaced
        kept.parent.rmdir()
    return None


def _folder_to_keep(store: Store) -> Path:
    """A new folder for what was there before."""
    now = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    for number in count(1):
        folder = store.home / KEPT / (now if number == 1 else f"{now}-{number}")
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700, parents=True)
            return folder
    raise AssertionError("there is always a next number")


def _check(sealed: Sealed) -> None:
    """Raises UserError if this is no backup of a workspace, or one of a later version."""
    about = sealed.about
    if about.get("kind") != KIND or type(about.get("format")) is not int or type(about.get("schema")) is not int:
        raise sealed.refused("The file is no backup of a workspace.", "A project archive is imported on Overview.")
    if about["format"] > FORMAT or about["schema"] > migrations.newest():
        raise sealed.refused("The backup was made by a later version of the Studio.", "Update the Studio first.")
    if _DATABASE not in sealed.members or not all(_MEMBER.fullmatch(name) for name in sealed.members):
        raise sealed.refused("The backup holds files that are no part of one.", _AGAIN)


def _check_place(store: Store, replace: bool) -> bool:
    """Whether the workspace has projects. Raises UserError if they may not be replaced, or while a run works."""
    there = projects.list_projects(store, archived=True)
    if there and not replace:
        many = "1 project" if len(there) == 1 else f"{len(there)} projects"
        raise UserError(
            f"What this workspace has would be replaced ({many}).",
            str(store.home),
            "Confirm that (`--replace`), or restore into another workspace.",
        )
    if busy := runs.unfinished(store):
        raise UserError(
            f"Run {busy[0].id} is not finished.", "Training", "Wait for it, or stop it, before a backup is restored."
        )
    return bool(there)


def _unpack(sealed: Sealed, folder: Path) -> None:
    for name in sealed.members:
        file = folder / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            for piece in sealed.pieces(name):
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())


def _files(store: Store) -> Iterator[tuple[str, Path]]:
    """Name in the backup and path of every file of the projects."""
    # `os.walk` passes over a folder that is removed meanwhile, such as an older checkpoint; `rglob` would fail.
    found = (Path(folder) / name for folder, _, names in os.walk(store.home / "projects") for name in names)
    for file in sorted(found):
        name = file.relative_to(store.home).as_posix()
        wanted = acceptable(name) and _MEMBER.fullmatch(name) and name.split("/")[2] not in _LEFT_OUT
        if wanted and file.is_file() and not file.is_symlink() and file.suffix not in (".part", ".partial", ".tmp"):
            yield name, file


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _home(store: Store) -> Path:
    if store.file is None:
        raise UserError("The database is on a server.", store.where, "Let its administrator back it up (pg_dump).")
    return store.home
