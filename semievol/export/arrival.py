"""A project archive into the workspace: every byte checked, then stored whole or not at all, under a name of its own.

Files are unpacked beside the projects under names of ours and put in place by one rename inside the transaction that
stores the rows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from semievol.engines.models.headers import header_fault
from semievol.engines.models.resolve import refuse_code
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.export.adapter import FULL_FILES, LORA_FILES
from semievol.export.archive import FORMAT, KIND, LOG_BYTES
from semievol.export.sealed import Sealed
from semievol.importing.near_duplicates import Watch, unwatched
from semievol.store.archives import restoring, taking
from semievol.store.data import projects
from semievol.store.data.projects import incoming_folder
from semievol.store.database import Store

_LONGEST_ROW = 256 * 2**20
_MEMBER = re.compile(
    r"tables/(\w+)\.jsonl|uploads/([0-9a-f]{64})|adapters/([1-9]\d*)/([\w.]+)|logs/([1-9]\d*)\.txt", re.A
)
_ADAPTER_FILES = {*LORA_FILES, *FULL_FILES, checkpoints.MARKER}
_ROOM = 2
"""How many times an archive's bytes must be free: files or rows, and the room in which rows wait."""
_DAMAGED = "Export the project again from its own workspace."


def restore(store: Store, path: Path, name: str | None = None, watch: Watch = unwatched) -> projects.Project:
    """The archive's project as a new one here, by its own name or by this one.

    Raises UserError, and stores nothing, for an archive that is damaged, of a later version, or not one, and where the
    name is taken. All of it or nothing, also where the process is killed in the middle.
    """
    where = path.name
    with Sealed(path, where) as sealed:
        _check_version(sealed.told, where)
        name = projects.check_name(store, str(sealed.told["project"]) if name is None else name)
        _check_room(store, sealed, where)
        _check_members(sealed, where)
        sealed.check(partial(watch, "Reading the archive"))
        with incoming_folder(store) as folder:
            touched: list[int] = []
            try:
                _unpack(sealed, folder / "project", where)
                return restoring.restore(store, name, _arriving(store, sealed, folder / "project", touched, watch))
            except BaseException as error:
                for project_id in touched:
                    with suppress(UserError, OSError):  # what went wrong first is what is told
                        projects.clear_leftovers(store, project_id)
                if not isinstance(error, OSError):
                    raise
                raise UserError(
                    f"Not saved: the archive's files cannot be unpacked ({error.strerror or error}).",
                    where,
                    "Free some space on the disk, then try again.",
                ) from None


def model_of(path: Path) -> str:
    """The model that the archive's newest round was made with, as its settings name it."""
    with Sealed(path, path.name) as sealed:
        _check_version(sealed.told, path.name)
        place = sealed.told["tables"]["rounds"]["columns"].index("config")
        rows = [row[place] for row in _rows(sealed, "rounds")]
    if not rows:
        raise UserError("The archive holds no round.", path.name)
    return str(rows[-1]["model"])


def _check_version(told: dict[str, Any], where: str) -> None:
    """Refuses what is no archive, or one that says more than this version understands."""
    update = "Update the Studio, then import it."
    found: Any = told.get("format")
    number: Any = told.get("schema")
    sound = told.get("kind") == KIND and type(found) is int and type(number) is int and type(told.get("project")) is str
    if not sound or not isinstance(told.get("tables"), dict) or type(told.get("adapters")) is not int:
        raise UserError("The file is no project archive of the Studio. Nothing was imported.", where, _DAMAGED)
    if found > FORMAT:
        what = f"The archive has format {found}, this version of the Studio knows formats up to {FORMAT}."
        raise UserError(f"{what} Nothing was imported.", where, update)
    if number > taking.schema_number():
        what = f"The archive has schema {number}, this version of the Studio knows schemas up to"
        raise UserError(f"{what} {taking.schema_number()}. Nothing was imported.", where, update)
    for table in told["tables"].values():
        if not (isinstance(table, dict) and type(table.get("rows")) is int and isinstance(table.get("columns"), list)):
            raise UserError("The archive's manifest is damaged. Nothing was imported.", where, _DAMAGED)


def _check_room(store: Store, sealed: Sealed, where: str) -> None:
    free = shutil.disk_usage(store.home).free
    if _ROOM * sealed.size > free:
        raise UserError(
            f"The archive takes {_ROOM * sealed.size / 2**20:,.0f} MB, {free / 2**20:,.0f} MB are free.",
            where,
            "Free some space on the disk, then try again.",
        )


def _check_members(sealed: Sealed, where: str) -> None:
    """Refuses a member whose name says that it is none of an archive's parts."""
    for name in sealed.members:
        found = _MEMBER.fullmatch(name)
        known = found is not None and (found[4] is None or found[4] in _ADAPTER_FILES)
        if found and found[1] is not None:
            known = found[1] in sealed.told["tables"]
        elif found and found[5] is not None:
            known = int(found[5]) <= sealed.told["tables"].get("runs", {"rows": 0})["rows"]
        if not known:
            raise UserError(
                f'The archive holds "{name:.80}", which is no part of one. Nothing was imported.', where, _DAMAGED
            )
    for table in sealed.told["tables"]:
        if f"tables/{table}.jsonl" not in sealed.members:
            raise UserError(f'The archive has no table "{table:.80}". Nothing was imported.', where, _DAMAGED)


def _unpack(sealed: Sealed, folder: Path, where: str) -> None:
    """Uploads, adapters and logs into a folder laid out as a project's is; names are ours, checked by `_MEMBER`."""
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
            raise UserError(
                "An original file is not the one that its name says. Nothing was imported.", where, _DAMAGED
            )
        if name.startswith("logs/") and path.stat().st_size > LOG_BYTES:
            raise UserError("A log is longer than an archive's may be. Nothing was imported.", where, _DAMAGED)
    for number in range(1, sealed.told["adapters"] + 1):
        if wrong := _adapter_fault(folder / "adapters" / str(number)):
            raise UserError(
                f"Adapter {number} of the archive is damaged: {wrong}. Nothing was imported.", where, _DAMAGED
            )
    there = folder / "adapters"
    if there.is_dir() and len(list(there.iterdir())) > sealed.told["adapters"]:
        raise UserError("The archive holds an adapter too many. Nothing was imported.", where, _DAMAGED)


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


def _arriving(store: Store, sealed: Sealed, folder: Path, touched: list[int], watch: Watch) -> restoring.Arriving:
    tables = sealed.told["tables"]
    total = sum(table["rows"] for table in tables.values())

    def rows_of(table: str) -> Callable[[], Iterable[list[Any]]]:
        return lambda: _rows(sealed, table)

    def keep(project_id: int, first_run: int) -> None:
        """The transaction is open: nobody else makes a project of this number."""
        touched.append(project_id)
        for log in sorted((folder / "logs").glob("*.txt")):
            place = folder / "runs" / str(first_run + int(log.stem) - 1)
            place.mkdir(mode=0o700, parents=True)
            log.rename(place / "log.txt")
        shutil.rmtree(folder / "logs", ignore_errors=True)
        final = projects.project_folder(store, project_id)
        folder.replace(final)
        checkpoints.sync(final.parent)

    return restoring.Arriving(
        {name: (table["columns"], table["rows"], rows_of(name)) for name, table in tables.items()},
        sealed.told["adapters"],
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
