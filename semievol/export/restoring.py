"""A project archive into the workspace: every byte is checked, then the project is stored whole or not at all.

Files are unpacked into a folder beside the projects, under names that the Studio chooses, and put in place by one
rename inside the transaction that stores the rows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from semievol.durable import sync
from semievol.engines.models.files import header_fault
from semievol.engines.models.resolve import refuse_code
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.export.adapter import FULL_FILES, LORA_FILES
from semievol.export.archive import FORMAT, KIND, LOG_BYTES
from semievol.export.sealed import Sealed
from semievol.progress import Watch, unwatched
from semievol.store import migrations
from semievol.store.archives import import_rows
from semievol.store.data import projects
from semievol.store.database import Store

_LONGEST_ROW = 256 * 2**20
_MEMBER = re.compile(
    r"tables/(\w+)\.jsonl|uploads/([0-9a-f]{64})|adapters/([1-9]\d*)/([\w.]+)|logs/([1-9]\d*)\.txt", re.A
)
_ADAPTER_FILES = {*LORA_FILES, *FULL_FILES, checkpoints.MARKER}
_ROOM = 2
"""How many times an archive's bytes must be free on the disk: rows are kept twice until they are stored."""
_DAMAGED = "Export the project again from its own workspace."


def restore(store: Store, path: Path, name: str | None = None, watch: Watch = unwatched) -> projects.Project:
    """The archive's project as a new one here, by its own name or by this one.

    Raises UserError if the file is damaged, of a later version, or no archive, and if the name is taken. The project is
    stored whole or not at all, even if the process is killed.
    """
    with Sealed(path, path.name) as sealed:
        _check_version(sealed)
        name = projects.check_name(store, str(sealed.about["project"]) if name is None else name)
        _check_room(store, sealed)
        _check_members(sealed)
        sealed.check(partial(watch, "Reading the archive"))
        try:
            with projects.incoming_folder(store) as folder, projects.clearing_leftovers(store) as touched:
                _unpack(sealed, folder / "project")
                return import_rows.restore(store, name, _new_project(store, sealed, folder / "project", touched, watch))
        except OSError as error:
            raise UserError(
                f"Not saved: the archive's files cannot be unpacked ({error.strerror or error}).",
                path.name,
                "Free some space on the disk, then try again.",
            ) from None


def model_of(path: Path) -> str:
    """The model that the archive's newest round was made with, as its settings name it."""
    with Sealed(path, path.name) as sealed:
        _check_version(sealed)
        place = sealed.about["tables"]["rounds"]["columns"].index("config")
        rows = [row[place] for row in _rows(sealed, "rounds")]
    if not rows:
        raise UserError("The archive holds no round.", path.name)
    return str(rows[-1]["model"])


def _check_version(sealed: Sealed) -> None:
    """Raises UserError if this is no archive of a project, or one of a later version."""
    update = "Update the Studio, then import it."
    about = sealed.about
    found: Any = about.get("format")
    number: Any = about.get("schema")
    kinds = {"format": int, "schema": int, "project": str, "tables": dict, "adapters": int}
    if about.get("kind") != KIND or any(type(about.get(name)) is not kind for name, kind in kinds.items()):
        raise sealed.refused("The file is no project archive of the Studio.", _DAMAGED)
    if found > FORMAT:
        what = f"The archive has format {found}, this version of the Studio knows formats up to {FORMAT}."
        raise sealed.refused(what, update)
    if number > migrations.newest():
        known = f"this version of the Studio knows schemas up to {migrations.newest()}"
        raise sealed.refused(f"The archive has schema {number}, {known}.", update)
    for table in about["tables"].values():
        if not (isinstance(table, dict) and type(table.get("rows")) is int and isinstance(table.get("columns"), list)):
            raise sealed.refused("The archive's manifest is damaged.", _DAMAGED)


def _check_room(store: Store, sealed: Sealed) -> None:
    free = shutil.disk_usage(store.home).free
    if _ROOM * sealed.size > free:
        raise UserError(
            f"The archive takes {_ROOM * sealed.size / 2**20:,.0f} MB, {free / 2**20:,.0f} MB are free.",
            sealed.where,
            "Free some space on the disk, then try again.",
        )


def _check_members(sealed: Sealed) -> None:
    """Raises UserError for a member that no archive has, and for a missing table."""
    for name in sealed.members:
        found = _MEMBER.fullmatch(name)
        known = found is not None and (found[4] is None or found[4] in _ADAPTER_FILES)
        if found and found[1] is not None:
            known = found[1] in sealed.about["tables"]
        elif found and found[5] is not None:
            known = int(found[5]) <= sealed.about["tables"].get("runs", {"rows": 0})["rows"]
        if not known:
            raise sealed.refused(f'The archive holds "{name:.80}", which is no part of one.', _DAMAGED)
    for table in sealed.about["tables"]:
        if f"tables/{table}.jsonl" not in sealed.members:
            raise sealed.refused(f'The archive has no table "{table:.80}".', _DAMAGED)


def _unpack(sealed: Sealed, folder: Path) -> None:
    """Uploads, adapters and logs into a folder laid out like a project's; `_MEMBER` has checked the names."""
    folder.mkdir(mode=0o700)
    for name in sealed.members:
        if name.startswith("tables/"):
            continue
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as stream:
            for piece in sealed.pieces(name):
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        if name.startswith("uploads/") and sealed.members[name]["sha256"] != path.name:
            raise sealed.refused("An original file is not the one that its name says.", _DAMAGED)
        if name.startswith("logs/") and path.stat().st_size > LOG_BYTES:
            raise sealed.refused("A log is longer than an archive's may be.", _DAMAGED)
    for number in range(1, sealed.about["adapters"] + 1):
        if wrong := _adapter_fault(folder / "adapters" / str(number)):
            raise sealed.refused(f"Adapter {number} of the archive is damaged: {wrong}.", _DAMAGED)
    there = folder / "adapters"
    if there.is_dir() and len(list(there.iterdir())) > sealed.about["adapters"]:
        raise sealed.refused("The archive holds an adapter too many.", _DAMAGED)


def _adapter_fault(folder: Path) -> str | None:
    if not folder.is_dir():
        return "it is missing"
    weights = [file for file in (folder / LORA_FILES[0], folder / FULL_FILES[0]) if file.is_file()]
    if len(weights) != 1:
        return "it has no weights, or twice"
    if wrong := header_fault(weights[0]):
        return f"{weights[0].name}: {wrong}"
    refuse_code(folder, f"adapter {folder.name}")
    return checkpoints.fault(folder)


def _new_project(
    store: Store, sealed: Sealed, folder: Path, touched: list[int], watch: Watch
) -> import_rows.ArchivedRows:
    """The archive's rows, with what puts its files in place; `touched` gets the project's id once that has begun."""
    tables = sealed.about["tables"]
    total = sum(table["rows"] for table in tables.values())

    def keep(project_id: int, first_run: int) -> None:
        """Puts the files in place inside the open transaction, so nobody else can make a project of this number."""
        touched.append(project_id)
        for log in sorted((folder / "logs").glob("*.txt")):
            place = folder / "runs" / str(first_run + int(log.stem) - 1)
            place.mkdir(mode=0o700, parents=True)
            log.rename(place / "log.txt")
        shutil.rmtree(folder / "logs", ignore_errors=True)
        final = projects.project_folder(store, project_id)
        folder.replace(final)
        sync(final.parent)

    return import_rows.ArchivedRows(
        {name: (table["columns"], table["rows"], partial(_rows, sealed, name)) for name, table in tables.items()},
        sealed.about["adapters"],
        keep,
        lambda done: watch("Storing", done, total),
    )


def _rows(sealed: Sealed, table: str) -> Iterable[list[Any]]:
    for number, line in enumerate(sealed.lines(f"tables/{table}.jsonl", _LONGEST_ROW), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, list):
            raise UserError(f'Row {number} of the archive\'s table "{table}" cannot be read.', sealed.where, _DAMAGED)
        yield row
