"""Files into a project: read, map, check, store. What the Data page and the `import` verb have in common.

Nothing is stored before everything was read; the original files are kept beside the project.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from semievol.engines.models import tokenizer
from semievol.errors import UserError
from semievol.export import arrival
from semievol.export.archive import ENDING
from semievol.importing.build import Imported, build_records
from semievol.importing.mapping import Mapping as ColumnMapping
from semievol.importing.mapping import align, parse_mapping, suggest_mapping
from semievol.importing.near_duplicates import Watch, unwatched
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.readers.sandbox import read_contained
from semievol.importing.table import Table, display_name
from semievol.importing.task_kind import infer_task
from semievol.jobs import planning
from semievol.records import SPLITS, Kind, Record, Split, Task
from semievol.store.data import projects, versions
from semievol.store.data.incoming import incoming_folder
from semievol.store.database import Store
from semievol.task.answers import instructed
from semievol.task.prompts import question_turn

FOLDERS = "SEMIEVOL_DATA_FOLDERS"
_MEASURED = 2_000
_FRAME_BYTES = 200  # of a prompt beside its texts: letters of the options, the words of the answer rule
SAMPLE_NAME = "City service line"
SAMPLE_FOLDER = Path(__file__).parents[2] / "assets" / "sample"
SAMPLE_ARCHIVE = SAMPLE_FOLDER / f"project{ENDING}"


@dataclass(frozen=True)
class TokenLengths:
    """Tokens of questions with options and answer rule, without demonstrations.

    sample: int64, of up to 2,000 records spread over all of them. context: what the model reads at most.
    too_long: records that do not fit; looked_at: whether all that could be too long were counted.
    """

    sample: np.ndarray
    context: int
    too_long: int
    looked_at: bool


@dataclass(frozen=True)
class Draft:
    """Files that were read and understood but not stored yet.

    kept: where the splits that are kept of an earlier version came from, as `kept_sources` tells it.
    """

    tables: Mapping[Split, Table]
    mapping: ColumnMapping
    task: Task
    imported: Imported
    kept: Sequence[dict[str, Any]] = ()


def read(
    files: Mapping[Split, Path],
    folder: Path,
    watch: Watch = unwatched,
    read_as: Mapping[Split, ReadAs] = MappingProxyType({}),
) -> dict[Split, Table]:
    """The tables of files that nobody has looked at yet, each read in a limited process of its own.

    folder: keeps the cells for as long as the tables are used. read_as: what a person says about some of the files.
    """
    tables = {}
    for split, path in files.items():
        try:
            size = path.stat().st_size
        except (OSError, ValueError) as error:
            raise UserError(
                f"The file cannot be read ({getattr(error, 'strerror', None) or error}).",
                display_name(path.name),
                "Check the path.",
            ) from None
        told = partial(_told, watch, f"Reading {split}", size)
        tables[split] = read_contained(
            path, path.name, folder / f"{split}.arrow", read_as=read_as.get(split, AS_FOUND), watch=told
        )
        watch(f"Reading {split}", size, size)
    return tables


def draft(
    tables: Mapping[Split, Table],
    kind: Kind | None = None,
    mapping: str | None = None,
    hide_gold: bool = False,
    strict: bool = False,
    base: int | None = None,
    watch: Watch = unwatched,
    instruction: str = "",
) -> Draft:
    """What the tables would become, taking every suggestion that is not given.

    base: number of the first option where answers are numbers. instruction: what is asked of every record, the system
    turn of all prompts. Raises UserError for what cannot be used at all.
    """
    if mapping:
        columns = parse_mapping(mapping, tables)
    else:
        columns = suggest_mapping(tables)
        tables = align(tables, columns)
    task = instructed(infer_task(tables, columns, kind), instruction)
    return Draft(tables, columns, task, build_records(tables, columns, task, hide_gold, strict, base, watch))


def store_draft(
    store: Store,
    project: projects.Project | str,
    accepted: Draft,
    files: Mapping[Split, Path],
    watch: Watch = unwatched,
) -> projects.Project:
    """Stores a draft as the next dataset version of a project, or of a new one by this name, with the original files.

    All of it or nothing, also where the process is killed in the middle.
    """
    hashes = {split: sha256(path) for split, path in files.items()}
    sources = [
        {"split": split, "name": accepted.tables[split].name, "sha256": hashes[split], "bytes": path.stat().st_size}
        | {"form": accepted.tables[split].form, "mapping": accepted.mapping.as_dict()}
        for split, path in files.items()
    ]
    sources = sorted([*sources, *accepted.kept], key=lambda source: SPLITS.index(source["split"]))
    touched: list[int] = []

    def keep(project_id: int) -> None:
        touched.append(project_id)
        uploads = projects.project_folder(store, project_id) / "uploads"
        uploads.mkdir(parents=True, exist_ok=True)
        for split, path in files.items():
            # Names on disk are ours: the content's hash, never what a user called the file.
            kept = uploads / hashes[split]
            try:
                if not kept.exists():
                    shutil.copyfile(path, kept.with_suffix(".tmp"))
                    os.replace(kept.with_suffix(".tmp"), kept)
            except OSError as error:
                raise UserError(
                    f"Not saved: the original file cannot be kept ({error.strerror}).",
                    display_name(path.name),
                    "Free some space on the disk, then try again.",
                ) from None

    imported = accepted.imported
    told = partial(_told, watch, "Storing", len(imported.records))
    new = versions.NewVersion(
        imported.records,
        imported.gold(),
        sources=sources,
        findings=imported.told(),
        task=accepted.task,
        watch=told,
        keep=keep,
    )
    try:
        if isinstance(project, str):
            return projects.create_with_data(store, project, new)
        versions.store_version(store, project.id, new)
    except BaseException:
        for project_id in touched:
            with suppress(UserError, OSError):  # what went wrong first is what is told
                projects.clear_leftovers(store, project_id)
        raise
    return projects.find_project(store, project.id)


def kept_sources(version: versions.Version, splits: Iterable[Split]) -> list[dict[str, Any]]:
    """Where the splits kept of a stored version came from: its own sources, with the version that imported them."""
    known = {source["split"]: source for source in version.sources}
    found = (known.get(split, {"split": split, "name": f"version {version.number}"}) for split in splits)
    return [{"kept_from": version.number, **source} for source in found]


def instruct(store: Store, project: projects.Project, instruction: str) -> projects.Project:
    """The project with another instruction: the same records as its next dataset version, or as they are where it is
    the instruction that they have."""
    if project.version_id is None:
        raise UserError(
            "The project has no data yet.", project.name, "Import records first; the import takes an instruction, too."
        )
    before = versions.task_of(store, project.version_id)
    task = instructed(before, instruction)
    if task != before:
        versions.store_task(store, project.id, task)
    return projects.find_project(store, project.id)


def import_files(
    store: Store,
    name: str,
    files: Mapping[Split, Path],
    kind: Kind | None = None,
    mapping: str | None = None,
    hide_gold: bool = False,
    strict: bool = False,
    base: int | None = None,
    watch: Watch = unwatched,
    read_as: Mapping[Split, ReadAs] = MappingProxyType({}),
    instruction: str = "",
) -> tuple[projects.Project, Draft]:
    """A new project from files, taking every suggestion; none where they cannot be read or stored."""
    projects.check_name(store, name)
    with incoming_folder(store) as folder:
        tables = read(files, folder, watch, read_as)
        accepted = draft(
            tables,
            kind=kind,
            mapping=mapping,
            hide_gold=hide_gold,
            strict=strict,
            base=base,
            watch=watch,
            instruction=instruction,
        )
        return store_draft(store, name, accepted, files, watch), accepted


def token_lengths(task: Task, imported: Imported, model: str) -> TokenLengths | None:
    """How long the records are for a model that is on this machine; None where that cannot be told."""
    folder = tokenizer.folder_of(model)
    context = None if folder is None else tokenizer.context_length(folder)
    if folder is None or context is None:
        return None
    records = imported.records
    spread = np.unique(np.linspace(0, len(records) - 1, min(len(records), _MEASURED)).astype(int))
    try:
        sample = tokenizer.token_counts(folder, [_prompt_text(task, records[i]) for i in spread.tolist()])
        room = context - tokenizer.TEMPLATE_TOKENS
        # A token is a byte at least, so that shorter records need not be counted.
        around = _FRAME_BYTES + sum(len(text.encode()) + 2 for text in (task.instruction, *task.labels))
        long = np.flatnonzero(imported.sizes[records.which] + around > room)
        counted = tokenizer.token_counts(folder, [_prompt_text(task, records[i]) for i in long[:_MEASURED].tolist()])
    except (OSError, ValueError):
        return None
    return TokenLengths(sample, context, int((counted > room).sum()), len(long) <= _MEASURED)


def _prompt_text(task: Task, record: Record) -> str:
    return "\n".join([task.instruction, question_turn(task, record)])


def server_file(text: str) -> Path:
    """A file on the dashboard's machine, in one of the folders that its operator opened (`FOLDERS`); else UserError."""
    roots = [Path(root).resolve() for root in os.environ.get(FOLDERS, "").split(os.pathsep) if root]
    refused = UserError(
        "This file is not in a folder that the operator has allowed.",
        "path",
        f"Choose a file in: {', '.join(map(str, roots))}." if roots else f"Ask the operator to set {FOLDERS}.",
    )
    try:
        path = Path(text).expanduser().resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise refused from None
    if not path.is_file() or not any(path.is_relative_to(root) for root in roots):
        raise refused
    return path


def _told(watch: Watch, what: str, total: int, done: int) -> None:
    watch(what, done, total)


def open_sample(store: Store, say: Callable[[str], None] = lambda sentence: None) -> projects.Project:
    """The bundled sample project; made on the first call, found again afterwards, also where it was archived.

    Made from the bundled archive, with a round that is complete, where that is there, whole, and its model is
    installed; else from the files alone, and `say` is told why.
    """
    project = next((p for p in projects.list_projects(store, archived=True) if p.name == SAMPLE_NAME), None)
    if project is None:
        project = _finished_sample(store, say)
    if project is None or project.version_id is None:
        project = plain_sample(store, project)
    return projects.update_project(store, project.id, archived=False)


def plain_sample(store: Store, project: projects.Project | None = None) -> projects.Project:
    """The sample's records without any results, in this project or a new one."""
    files: dict[Split, Path] = {
        "labeled": SAMPLE_FOLDER / "labeled.csv",
        "unlabeled": SAMPLE_FOLDER / "unlabeled.csv",
        "test": SAMPLE_FOLDER / "test.csv",
    }
    tables = {split: read_table(path, path.name) for split, path in files.items()}
    sample = draft(tables, "classification", hide_gold=True)
    return store_draft(store, project or SAMPLE_NAME, sample, files)


def _finished_sample(store: Store, say: Callable[[str], None]) -> projects.Project | None:
    try:
        if not SAMPLE_ARCHIVE.is_file():
            raise UserError("its archive is not in this copy of the Studio.")
        planning.check_model(arrival.model_of(SAMPLE_ARCHIVE))
        return arrival.restore(store, SAMPLE_ARCHIVE, SAMPLE_NAME)
    except UserError as error:
        say(f'The sample opens without its finished round: {error.what} Press "Run everything" to make one.')
        return None


def sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
