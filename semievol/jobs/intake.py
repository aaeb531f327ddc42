"""Files into a project: read, map, check, store. What the Data page and the `import` verb have in common.

Nothing is stored before everything was read; the original files are kept beside the project.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from semievol.data.importing import Imported, build_records
from semievol.data.mapping import Mapping as ColumnMapping
from semievol.data.mapping import infer_task, parse_mapping, suggest_mapping
from semievol.data.readers import Table, read_table
from semievol.errors import UserError
from semievol.records import Kind, Split, Task
from semievol.store import projects
from semievol.store.database import Store

SAMPLE_NAME = "City service line"
SAMPLE_FOLDER = Path(__file__).parents[2] / "assets" / "sample"


@dataclass(frozen=True)
class Draft:
    """Files that were read and understood but not stored yet."""

    tables: Mapping[Split, Table]
    mapping: ColumnMapping
    task: Task
    imported: Imported


def draft(
    files: Mapping[Split, Path],
    kind: Kind | None = None,
    mapping: str | None = None,
    hide_gold: bool = False,
    strict: bool = False,
) -> Draft:
    """Reads `files` and says what they would become. Raises UserError for what cannot be read at all."""
    tables = {split: read_table(path, path.name) for split, path in files.items()}
    columns = parse_mapping(mapping, tables) if mapping else suggest_mapping(tables)
    task = infer_task(tables, columns, kind)
    return Draft(tables, columns, task, build_records(tables, columns, task, hide_gold, strict=strict))


def store_draft(store: Store, project: projects.Project, accepted: Draft, files: Mapping[Split, Path]) -> int:
    """Stores a draft as the project's next dataset version and returns the version's id."""
    sources = [
        {"split": split, "name": accepted.tables[split].name, "sha256": _sha256(path), "bytes": path.stat().st_size}
        for split, path in files.items()
    ]
    version = projects.add_version(
        store,
        project.id,
        accepted.imported.records,
        accepted.imported.hidden_gold,
        sources,
        [finding.as_dict() for finding in accepted.imported.findings],
        accepted.task,
    )
    uploads = projects.project_folder(store, project.id) / "uploads"
    uploads.mkdir(parents=True, exist_ok=True)
    for path, source in zip(files.values(), sources, strict=True):
        # Names on disk are ours: the content's hash, never what a user called the file.
        kept = uploads / str(source["sha256"])
        if not kept.exists():
            shutil.copyfile(path, kept.with_suffix(".tmp"))
            os.replace(kept.with_suffix(".tmp"), kept)
    return version


def import_files(
    store: Store,
    name: str,
    files: Mapping[Split, Path],
    kind: Kind | None = None,
    mapping: str | None = None,
    hide_gold: bool = False,
    strict: bool = False,
) -> tuple[projects.Project, Draft]:
    """A new project from files, taking every suggestion; none where they cannot be read or stored."""
    projects.check_name(store, name)
    accepted = draft(files, kind, mapping, hide_gold, strict)
    project = projects.create_project(store, name, accepted.task)
    try:
        store_draft(store, project, accepted, files)
    except BaseException:  # Ctrl-C too: an empty project would keep the name
        with suppress(UserError):
            projects.delete_project(store, project.id)
        raise
    return projects.find_project(store, project.id), accepted


def open_sample(store: Store) -> projects.Project:
    """The bundled sample project; made on the first call, found again afterwards, also where it was archived."""
    files: dict[Split, Path] = {
        "labeled": SAMPLE_FOLDER / "labeled.csv",
        "unlabeled": SAMPLE_FOLDER / "unlabeled.csv",
        "test": SAMPLE_FOLDER / "test.csv",
    }
    project = next((p for p in projects.list_projects(store, archived=True) if p.name == SAMPLE_NAME), None)
    if project is None:
        return import_files(store, SAMPLE_NAME, files, "classification", hide_gold=True)[0]
    if project.version_id is None:
        store_draft(store, project, draft(files, "classification", hide_gold=True), files)
    return projects.update_project(store, project.id, archived=False)


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
