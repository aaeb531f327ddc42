"""Importing files into a project: read, map, check, store. The Data page and the verb `import` share it.

Nothing is stored before everything was read. The original files are kept in the project's folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from semievol.durable import sync
from semievol.engines.models import tokenizer
from semievol.errors import UserError
from semievol.export import restoring
from semievol.export.archive import ENDING
from semievol.export.files import sha256
from semievol.importing.build import build_records
from semievol.importing.doubts import ABOUT_COLUMNS, ABOUT_TASK, shared_instruction
from semievol.importing.imported import Imported
from semievol.importing.joined_columns import with_joined
from semievol.importing.label_names import named, with_names
from semievol.importing.label_spellings import parse_relabel
from semievol.importing.mapping import context_in, parse_mapping
from semievol.importing.nameless_columns import agreed
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.readers.sandbox import read_contained
from semievol.importing.suggestions import align, suggest_mapping
from semievol.importing.table import Table, display_name
from semievol.importing.task_kind import infer_task
from semievol.jobs import planning
from semievol.progress import Watch, unwatched
from semievol.records import SPLITS, Kind, Record, Split, Task
from semievol.store.data import projects, versions
from semievol.store.data.projects import incoming_folder
from semievol.store.database import Store
from semievol.task.answers import instructed
from semievol.task.prompts import question_turn

FOLDERS = "SEMIEVOL_DATA_FOLDERS"
_MEASURED = 2_000
_FRAME_BYTES = 200  # of a prompt without its texts: letters of the options, the words of the answer rule
SAMPLE_NAME = "City service line"
SAMPLE_FOLDER = Path(__file__).parents[2] / "assets" / "sample"
SAMPLE_ARCHIVE = SAMPLE_FOLDER / f"project{ENDING}"


@dataclass(frozen=True)
class TokenLengths:
    """Tokens of questions with options and answer rule, without demonstrations.

    sample: int64, of up to 2,000 records spread over all of them. context: most tokens that the model can read.
    too_long: records that do not fit. looked_at: whether all records that could be too long were counted.
    """

    sample: np.ndarray
    context: int
    too_long: int
    looked_at: bool


def read(
    files: Mapping[Split, Path],
    folder: Path,
    watch: Watch = unwatched,
    read_as: Mapping[Split, ReadAs] = MappingProxyType({}),
) -> dict[Split, Table]:
    """The tables of untrusted files, each read in a limited process of its own.

    folder: holds the cells while the tables are in use. read_as: how a person says that some of the files are read.
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
        progress = partial(_report, watch, f"Reading {split}", size)
        tables[split] = read_contained(
            path, path.name, folder / f"{split}.arrow", read_as=read_as.get(split, AS_FOUND), watch=progress
        )
        watch(f"Reading {split}", size, size)
    return tables


def prepare(
    tables: Mapping[Split, Table],
    kind: Kind | None = None,
    mapping: str | None = None,
    hide_gold: bool = False,
    strict: bool = False,
    base: int | None = None,
    watch: Watch = unwatched,
    instruction: str = "",
    labels: str = "",
    confirmed: Collection[str] = (),
    relabel: Sequence[str] = (),
) -> Imported:
    """The records that the tables would become; what is not given is inferred.

    base: number of the first option where answers are numbers. instruction: the system turn of all prompts; without it,
    the one that the conversations of the files share. labels: names, see `label_names`. confirmed: kinds of findings
    that `strict` does not refuse. relabel: see `label_spellings.parse_relabel`. Raises
    UserError if the tables cannot be used at all.
    """
    tables = agreed(tables)
    if mapping:
        tables = with_joined(tables, context_in(mapping, tables))
        columns = parse_mapping(mapping, tables)
    else:
        columns = suggest_mapping(tables)
        tables = align(tables, columns)
    for table in tables.values() if instruction else ():
        if table.instruction not in ("", instruction.strip()):
            table.notes.append("The instruction that was given takes the place of the conversations' system turn.")
    if labels:
        tables, task = with_names(tables, columns, named(labels))
    else:
        task = infer_task(tables, columns, kind)
    task = instructed(task, instruction or shared_instruction(tables))
    settled = (ABOUT_COLUMNS if mapping else ()) + (ABOUT_TASK if kind else ())
    settled += ("number_labels",) if kind == "numeric" else ()
    read_as = parse_relabel(relabel, tables, columns, task, hide_gold)
    return build_records(tables, columns, task, hide_gold, strict, base, watch, {*confirmed, *settled}, read_as)


def store_imported(
    store: Store,
    project: projects.Project | str,
    imported: Imported,
    files: Mapping[Split, Path],
    watch: Watch = unwatched,
    kept: Sequence[dict[str, Any]] = (),
) -> projects.Project:
    """Stores the records as the next dataset version of a project, or of a new one by this name, with the original
    files.

    kept: the sources of splits that are kept from an earlier version, see `kept_sources`.
    All of it or nothing, also where the process is killed in the middle.
    """
    hashes = {split: sha256(path) for split, path in files.items()}
    sources = [
        {"split": split, "name": imported.tables[split].name, "sha256": hashes[split], "bytes": path.stat().st_size}
        | {"form": imported.tables[split].form, "mapping": imported.mapping.as_dict()}
        | ({"count_from": imported.base} if imported.counted else {})
        | ({"relabeled": dict(imported.read_as)} if imported.read_as else {})
        for split, path in files.items()
    ]
    sources = sorted([*kept, *sources], key=lambda source: SPLITS.index(source["split"]))

    def keep_files(project_id: int) -> None:
        touched.append(project_id)
        uploads = projects.project_folder(store, project_id) / "uploads"
        uploads.mkdir(parents=True, exist_ok=True)
        for split, path in files.items():
            # The name on disk is the content's hash, never a name from a user.
            ours = uploads / hashes[split]
            try:
                if not ours.exists():
                    shutil.copyfile(path, ours.with_suffix(".tmp"))
                    sync(ours.with_suffix(".tmp"))
                    os.replace(ours.with_suffix(".tmp"), ours)
                    sync(uploads)
            except OSError as error:
                raise UserError(
                    f"Not saved: the original file cannot be kept ({error.strerror}).",
                    display_name(path.name),
                    "Free some space on the disk, then try again.",
                ) from None

    progress = partial(_report, watch, "Storing", len(imported.records))
    with projects.clearing_leftovers(store) as touched:
        versions.store_version(
            store,
            projects.with_first_version(store, project) if isinstance(project, str) else project.id,
            imported.records,
            imported.gold(),
            sources,
            imported.findings_with_outcome(),
            imported.task,
            watch=progress,
            keep=keep_files,
        )
    return projects.find_project(store, touched[-1])


def kept_sources(version: versions.Version, splits: Iterable[Split]) -> list[dict[str, Any]]:
    """The sources of splits that are kept from a stored version: its own, with the number of that version."""
    found: list[dict[str, Any]] = []
    for split in splits:
        own = [source for source in version.sources if source["split"] == split]
        own = own or [{"split": split, "name": f"version {version.number}"}]
        found += [{"kept_from": version.number, **source} for source in own]
    return found


def instruct(store: Store, project: projects.Project, instruction: str) -> projects.Project:
    """The project with another instruction: the same records as its next dataset version. Nothing is stored if it has
    this instruction already."""
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
    make_imported: Callable[..., Imported] = prepare,
    watch: Watch = unwatched,
    read_as: Mapping[Split, ReadAs] = MappingProxyType({}),
) -> tuple[projects.Project, Imported]:
    """A new project from files. No project is made if the files cannot be read or stored.

    make_imported: `prepare` with the options that are not to be inferred.
    """
    projects.check_name(store, name)
    with incoming_folder(store) as folder:
        imported = make_imported(read(files, folder, watch, read_as), watch=watch)
        return store_imported(store, name, imported, files, watch), imported


def token_lengths(imported: Imported, model: str) -> TokenLengths | None:
    """How long the records are for a model on this machine; None if its tokenizer or context cannot be found."""
    folder = tokenizer.folder_of(model)
    context = None if folder is None else tokenizer.context_length(folder)
    if folder is None or context is None:
        return None
    task, records = imported.task, imported.records
    spread = np.unique(np.linspace(0, len(records) - 1, min(len(records), _MEASURED)).astype(int))
    try:
        sample = tokenizer.token_counts(folder, [_prompt_text(task, records[i]) for i in spread.tolist()])
        room = context - tokenizer.TEMPLATE_TOKENS
        # A token is at least one byte, so records with fewer bytes than the room fit without being counted.
        around = _FRAME_BYTES + sum(len(text.encode()) + 2 for text in (task.instruction, *task.labels))
        long = np.flatnonzero(imported.sizes[records.which] + around > room)
        counted = tokenizer.token_counts(folder, [_prompt_text(task, records[i]) for i in long[:_MEASURED].tolist()])
    except (OSError, ValueError):
        return None
    return TokenLengths(sample, context, int((counted > room).sum()), len(long) <= _MEASURED)


def _prompt_text(task: Task, record: Record) -> str:
    return "\n".join([task.instruction, question_turn(task, record)])


def server_file(text: str) -> Path:
    """A file on the dashboard's machine. Raises UserError if the operator's `FOLDERS` do not contain it."""
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


def _report(watch: Watch, what: str, total: int, done: int) -> None:
    watch(what, done, total)


def open_sample(store: Store, say: Callable[[str], None] = lambda sentence: None) -> projects.Project:
    """The bundled sample project: made by the first call, found again by later ones, also if it was archived.

    Made from the bundled archive, with a complete round, if the archive is there and its model is installed; else from
    the files alone, and `say` gets the reason.
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
    sample = prepare(tables, "classification", hide_gold=True)
    return store_imported(store, project or SAMPLE_NAME, sample, files)


def _finished_sample(store: Store, say: Callable[[str], None]) -> projects.Project | None:
    try:
        if not SAMPLE_ARCHIVE.is_file():
            raise UserError("its archive is not in this copy of the Studio.")
        planning.check_model(restoring.model_of(SAMPLE_ARCHIVE))
        return restoring.restore(store, SAMPLE_ARCHIVE, SAMPLE_NAME)
    except UserError as error:
        say(f'The sample opens without its finished round: {error.what} Press "Run everything" to make one.')
        return None
