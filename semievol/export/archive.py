"""A whole project in one file: its rows as JSON Lines, its uploads, its finished adapters, the ends of its logs.

The same project gives the same bytes in every workspace, except for the time of writing. An archive holds no path of
this machine and no key, no checkpoints of unfinished trainings, and nothing that can be computed again (embeddings).
JSON Lines and not Parquet, since its bytes depend on no library's version, and a person can read them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from semievol import installed
from semievol.endpoints import is_endpoint, name_of, tuned_of
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.export import files
from semievol.export.adapter import contents
from semievol.export.sealed import Sealing
from semievol.progress import Watch, unwatched
from semievol.store import migrations
from semievol.store.archives import export_rows
from semievol.store.archives.redaction import without_paths
from semievol.store.columns import as_json
from semievol.store.data import projects, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store, in_parts, timestamp
from semievol.store.runs import runs
from semievol.store.schema import metadata as database

KIND = "SemiEvol Studio project"
FORMAT = 1
ENDING = ".semievol.zip"
LOG_BYTES = 64 * 2**10
"""Bytes at the end of every run's log that an archive holds."""
_LOG_READ = 4 * LOG_BYTES
_PIECE = 2**20
_TOLD_EVERY = 1_000
_PACKAGES = ("numpy", "torch", "transformers", "peft", "safetensors", "sqlalchemy")


def write(
    store: Store, project: Project, out: Path, overwrite: bool = False, watch: Watch = unwatched
) -> tuple[Path, list[str]]:
    """Writes the project's archive; returns its path, and sentences about what is left out.

    Others may work on the project meanwhile: the archive holds its state at the beginning.
    """
    if not out.name.endswith(".zip"):
        raise UserError(
            f'The ending "{out.suffix}" is not a format of this export.', str(out), f"End it with {ENDING}."
        )
    adapters = _Adapters(store)
    with (
        files.whole(out, overwrite) as path,
        Sealing(path) as sealing,
        export_rows.project_rows(store, project.id, adapters.number) as rows,
    ):
        tables = _write_rows(sealing, rows, watch)
        if runs.list_studies(store, project.id):
            adapters.notes.append("Studies are left out; they can be made again.")
        _write_uploads(sealing, store, project, adapters.notes)
        _write_adapters(sealing, adapters.folders, watch)
        for place, run_id in enumerate(rows.ids["runs"], start=1):
            if log := _log_end(projects.run_folder(store, project.id, run_id) / "log.txt", rows.hidden):
                with sealing.member(f"logs/{place}.txt") as put:
                    put(log)
        counts = {"tables": tables, "adapters": len(adapters.folders)}
        here = {"kind": KIND, "format": FORMAT, "schema": migrations.newest(), "project": project.name}
        sealing.close(here | {"made": timestamp(), "packages": installed.versions(_PACKAGES)} | counts)
    return out, adapters.notes


class _Adapters:
    """Numbers for the adapters that a project's rows name, in the order in which they are named."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, int | None] = {}
        self.folders: list[Path] = []
        self.notes: list[str] = []

    def number(self, path: str) -> int | None:
        if path not in self._known:
            folder = self._store.located(path)
            far = is_endpoint(path)
            wrong = f"it is at the endpoint {name_of(path)}" if far else checkpoints.fault(folder)
            what = f"The model {tuned_of(path)}" if far else "An adapter"
            if wrong:
                self.notes.append(f"{what} is left out: {wrong}.")
            else:
                self.folders.append(folder)
            self._known[path] = None if wrong else len(self.folders)
        return self._known[path]


def _write_rows(sealing: Sealing, project: export_rows.ProjectRows, watch: Watch) -> dict[str, Any]:
    """Every table as one member, a row a line; returns its columns and size for the manifest."""
    tables = {}
    done, total = 0, sum(project.sizes.values())
    for name, size in project.sizes.items():
        with sealing.member(f"tables/{name}.jsonl") as put:
            for some in in_parts(project.rows(name), _TOLD_EVERY):
                put("".join(f"{as_json(row)}\n" for row in some).encode())
                done += len(some)
                watch("Writing rows", done, total)
        tables[name] = {"columns": export_rows.columns(database.tables[name]), "rows": size}
    watch("Writing rows", total, total)
    return tables


def _write_uploads(sealing: Sealing, store: Store, project: Project, notes: list[str]) -> None:
    """The original files that the dataset versions name."""
    named = {s["sha256"] for version in versions.versions(store, project.id) for s in version.sources if "sha256" in s}
    folder = projects.project_folder(store, project.id) / "uploads"
    for name in sorted(named):
        path = folder / name
        if not path.is_file() or path.is_symlink() or files.sha256(path) != name:
            notes.append("An original file is left out: it is missing or has changed since it was imported.")
            continue
        with sealing.member(f"uploads/{name}") as put:
            for piece in _pieces(path):
                put(piece)


def _write_adapters(sealing: Sealing, folders: list[Path], watch: Watch) -> None:
    """Every adapter with a marker that holds the hashes of its files as they are in the archive."""
    total = sum(file.stat().st_size for folder in folders for file in folder.iterdir())
    done = 0
    for number, folder in enumerate(folders, start=1):
        members = contents(folder)
        marker = checkpoints.about(folder) | {
            "files": {name: files.sha256(content) for name, content in sorted(members)}
        }
        for name, content in [*members, (checkpoints.MARKER, json.dumps(marker, indent=1).encode())]:
            with sealing.member(f"adapters/{number}/{name}") as put:
                for piece in [content] if isinstance(content, bytes) else _pieces(content):
                    put(piece)
                    done += len(piece)
                    watch("Reading adapters", min(done, total), total)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _log_end(path: Path, hidden: Collection[str]) -> bytes:
    """The end of a log without paths and keys, in whole lines if possible; empty if there is no log.

    hidden: what else must not leave.
    """
    if not path.is_file() or path.is_symlink():
        return b""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _LOG_READ))
        text = stream.read(_LOG_READ).decode("utf-8", "replace")
    end = without_paths(text, hidden).encode()
    if len(end) > LOG_BYTES:
        end = end[-LOG_BYTES:]
        _, newline, lines = end.partition(b"\n")
        end = lines if newline else end.decode("utf-8", "ignore").encode()
    return end
