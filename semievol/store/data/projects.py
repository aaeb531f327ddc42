"""Projects: making, finding, changing, copying and deleting them, with their folders.

Their data is in `versions` and `records`.
"""

from __future__ import annotations

import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, literal, select, update
from sqlalchemy.exc import IntegrityError

from semievol.errors import UserError
from semievol.records import SPLITS, Split, Task
from semievol.store import schema
from semievol.store.data.versions import as_task, copy_rows, copy_version, in_use, inserted_id
from semievol.store.database import Store, timestamp
from semievol.store.settings import of_project, write

LONGEST_NAME = 120
_INCOMING = "incoming-"
_DELETED = "deleted projects"
"""The setting with `_deleted`."""
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Project:
    """Data, task and settings under one name; version and counts are those of the dataset version in use."""

    id: int
    name: str
    task: Task | None
    settings: dict[str, Any]
    created: str
    archived: bool
    version_id: int | None
    version_number: int | None
    counts: dict[Split, int]


def check_name(store: Store, name: str) -> str:
    """The name as it will be stored. Raises UserError if a new project cannot have it."""
    name = _valid_name(name)
    with store.read() as connection:
        if connection.execute(select(schema.projects.c.id).where(schema.projects.c.name == name)).first():
            raise taken(name)
    return name


def create_project(
    store: Store, name: str, task: Task | None = None, settings: dict[str, Any] | None = None
) -> Project:
    """A new, empty project."""
    name = _valid_name(name)
    with store.write() as connection:
        project_id = _insert(store, connection, name, task, settings or {})
    return find_project(store, project_id)


def with_first_version(store: Store, name: str) -> Callable[[Connection], int]:
    """A function that makes a project of this name where `versions.store_version` stores its data; call the latter
    inside `clearing_leftovers`."""
    return partial(_insert, store, name=_valid_name(name), task=None, settings={})


def find_project(store: Store, name_or_id: str | int) -> Project:
    """The project with this name, else with this id. Raises UserError naming the projects that there are."""
    c = schema.projects.c
    with store.read() as connection:
        found: list[Project] = []
        if isinstance(name_or_id, str):
            found = _load(connection, c.name == unicodedata.normalize("NFC", name_or_id.strip()))
        if not found and str(name_or_id).strip().isdecimal() and int(name_or_id) < 2**31:
            found = _load(connection, c.id == int(name_or_id))
        if found:
            return found[0]
        known = list(connection.execute(select(c.name).order_by(c.name).limit(10)).scalars())
    names = (
        "Known projects: " + ", ".join(f'"{name}"' for name in known) + "." if known else "There are no projects yet."
    )
    raise UserError(
        f'There is no project "{name_or_id:.{LONGEST_NAME}}".'
        if isinstance(name_or_id, str)
        else f"There is no project {name_or_id}.",
        "project",
        names,
    )


def list_projects(store: Store, archived: bool = False) -> list[Project]:
    """Projects, newest first. archived: whether archived ones are listed, too."""
    with store.read() as connection:
        return _load(connection, literal(True) if archived else schema.projects.c.archived.is_(False))


def update_project(
    store: Store, id: int, *, settings: dict[str, Any] | None = None, archived: bool | None = None
) -> Project:
    """Changes the given fields."""
    given = {"settings": settings, "archived": archived}
    values = {key: value for key, value in given.items() if value is not None}
    if values:
        with store.write() as connection:
            connection.execute(update(schema.projects).where(schema.projects.c.id == id).values(**values))
    return find_project(store, id)


def rename_project(store: Store, id: int, name: str) -> None:
    """Raises UserError for a name that another project has, or that none can have."""
    name = _valid_name(name)
    try:
        with store.write() as connection:
            connection.execute(update(schema.projects).where(schema.projects.c.id == id).values(name=name))
    except IntegrityError:
        raise taken(name) from None


def duplicate_project(store: Store, id: int, name: str) -> Project:
    """A new project with the data in use, the calibration split and the settings of another; without its results."""
    source = find_project(store, id)
    name = _valid_name(name)
    uploads = project_folder(store, id) / "uploads"
    with incoming_folder(store) as incoming, clearing_leftovers(store) as touched:
        try:
            if uploads.is_dir():
                shutil.copytree(uploads, incoming / "uploads")
        except OSError as error:
            raise UserError(f"Not copied ({error.strerror}).", source.name, "Free some space on the disk.") from None
        with store.write() as connection:
            copy_id = _insert(store, connection, name, source.task, source.settings)
            touched.append(copy_id)
            copy_rows(connection, schema.calibration, {"project_id": id}, {"project_id": copy_id})
            if source.version_id is not None:
                copy_version(connection, source.version_id, {"project_id": copy_id, "number": 1})
            if uploads.is_dir():
                (incoming / "uploads").rename(project_folder(store, copy_id) / "uploads")
    return find_project(store, copy_id)


def delete_project(store: Store, id: int) -> None:
    """Deletes a project with everything in it, the folder too. Refused while one of its runs is active.

    The folders of earlier ones go, too, if whoever deleted them was killed before that.
    """
    with store.write() as connection:
        c = schema.runs.c
        if connection.execute(select(c.id).where(c.project_id == id, c.status.in_(schema.ACTIVE))).first():
            raise UserError("A run of this project is active.", "project", "Stop it first, then delete the project.")
        connection.execute(delete(schema.projects).where(schema.projects.c.id == id))
        connection.execute(delete(schema.settings).where(schema.settings.c.name.in_(of_project(id))))
        write(connection, _DELETED, [*_deleted(connection), id])
    with store.write() as connection:
        for number in _deleted(connection):
            shutil.rmtree(_folder(store, number), ignore_errors=True)
        connection.execute(delete(schema.settings).where(schema.settings.c.name == _DELETED))


def _deleted(connection: Connection) -> list[int]:
    """Numbers of projects that were deleted, and whose folders may still be there."""
    c = schema.settings.c
    return connection.execute(select(c.value).where(c.name == _DELETED)).scalar() or []


def project_folder(store: Store, id: int) -> Path:
    """The folder of the project's files; made if it does not exist."""
    folder = _folder(store, id)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def incoming_folder(store: Store, prefix: str = _INCOMING) -> Iterator[Path]:
    """An empty folder for files that are not stored yet, on the workspace's own disk, so that they can be put in place
    by a rename. It is removed at the end of the block; folders of processes that were killed are removed a day later.
    """
    for left in store.home.glob(f"{prefix}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _DAY_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=store.home, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def clearing_leftovers(store: Store) -> Iterator[list[int]]:
    """A list to which the block adds the projects whose folders it writes to; if it fails, they are cleaned up."""
    touched: list[int] = []
    try:
        yield touched
    except BaseException:
        for id in touched:
            with suppress(UserError, OSError):  # the first error is the one to show
                _clear_leftovers(store, id)
        raise


def _clear_leftovers(store: Store, id: int) -> None:
    """Removes what a failed import left: uploads that no version names, and the folder if there is no such project."""
    v = schema.versions.c
    with store.write() as connection:  # so that nobody else stores meanwhile
        if not _load(connection, schema.projects.c.id == id):
            shutil.rmtree(_folder(store, id), ignore_errors=True)
            return
        stored = connection.execute(select(v.sources).where(v.project_id == id)).scalars()
        named = {source.get("sha256") for sources in stored for source in sources}
        for path in (_folder(store, id) / "uploads").glob("*"):
            if path.name not in named:
                path.unlink(missing_ok=True)


def clear_orphan(store: Store, id: int) -> None:
    """Empties the folder of a project that is about to be made. Numbers are given out once, so what is in it was left
    by an import that was killed. The caller holds the write lock."""
    shutil.rmtree(_folder(store, id), ignore_errors=True)


def adapter_place(id: int, number: int | str) -> str:
    """Path of an adapter that was imported with the project, relative to the workspace, as paths are stored."""
    return f"projects/{int(id)}/adapters/{number}"


def run_folder(store: Store, id: int, run_id: int) -> Path:
    """The folder of a run's log, checkpoints and evolved adapter; it may not exist yet."""
    return _folder(store, id) / "runs" / str(run_id)


def _insert(store: Store, connection: Connection, name: str, task: Task | None, settings: dict[str, Any]) -> int:
    """A new row of `projects`, whose folder is empty."""
    values = {"name": name, "task": task and asdict(task), "settings": settings, "created": timestamp()}
    try:
        project_id = inserted_id(connection, schema.projects, values)
    except IntegrityError:
        raise taken(name) from None
    clear_orphan(store, project_id)
    return project_id


def _folder(store: Store, id: int) -> Path:
    return store.home / "projects" / str(int(id))


def _load(connection: Connection, where: Any) -> list[Project]:
    p, v = schema.projects.c, schema.versions.c
    joined = schema.projects.outerjoin(schema.versions, in_use())
    columns = (p.id, p.name, p.task, p.settings, p.created, p.archived, v.id, v.number, v.counts)
    rows = connection.execute(select(*columns).select_from(joined).where(where).order_by(p.id.desc()))
    return [
        Project(
            id, name, as_task(task), _as_before(settings), created, bool(archived), version_id, number, _counts(counts)
        )
        for id, name, task, settings, created, archived, version_id, number, counts in rows
    ]


def _as_before(settings: dict[str, Any]) -> dict[str, Any]:
    """A policy that was saved before it had the choice `ungiven` accepts such answers, whatever its preset does now."""
    policy = settings.get("policy")
    return {**settings, "policy": {"ungiven": True, **policy}} if policy else settings


def _counts(stored: dict[str, int] | None) -> dict[Split, int]:
    return {split: (stored or {}).get(split, 0) for split in SPLITS}


def _valid_name(name: str) -> str:
    name = unicodedata.normalize("NFC", name.strip())
    if not name:
        raise UserError("A project needs a name.", "name", "Type one.")
    if len(name) > LONGEST_NAME:
        raise UserError(
            f"The name has {len(name)} characters, {LONGEST_NAME} are allowed.", "name", "Choose a shorter one."
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise UserError("The name holds a control character.", "name", "Write it on one line, in plain text.")
    return name


def taken(name: str) -> UserError:
    """Says that a project has this name already."""
    return UserError(f'There is already a project "{name}".', "name", "Choose another name.")
