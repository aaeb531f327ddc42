"""Projects and what is in them: `sample`, `import` (files or an archive), `instruct`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import get_args

from semievol import terminal
from semievol.cli.arguments import Outcome, Verb
from semievol.errors import UserError
from semievol.export import restoring
from semievol.export.files import check_table
from semievol.export.files import table as write_table
from semievol.importing import import_report
from semievol.importing.readers.overrides import QUOTES, per_file
from semievol.jobs import intake
from semievol.records import Kind, Split
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.runs import rounds, runs


def add(verb: Verb) -> None:
    """The options of these verbs."""
    verb("sample", _sample, "create the bundled sample project")
    option = verb("import", _import, "make a project from files or from an archive")
    option("--archive", type=Path, metavar="F", help="archive of a whole project, instead of files")
    option("--labeled", type=Path, help="file with known answers")
    option("--unlabeled", type=Path, help="file without answers")
    option("--test", type=Path, help="file with known answers, used only to test models")
    option("--name", help="name of the project; optional for an archive")
    option("--task", choices=get_args(Kind), help="kind of task; inferred if left out")
    option("--map", metavar="question=COL,answer=COL,options=COL", help="role of each column; inferred if left out")
    each = "for all files that have one, or for one file: labeled=%s; may be given several times"
    for name, values, what in (
        ("--sheet", "NAME", f"sheet of a workbook, {each % 'NAME'}"),
        ("--encoding", "NAME", f"encoding of a text file, {each % 'cp1252'}"),
        ("--delimiter", "CHAR", f'"tab" or a character, {each % "tab"}'),
        ("--quotes", "|".join(QUOTES), f"what quotation marks mean in a text file, {each % 'literal'}"),
    ):
        option(name, action="append", default=[], metavar=values, help=what)
    known = f"whether the first row holds names of columns, {each % 'no'}"
    option("--header", action="append", default=[], nargs="?", const="yes", metavar="yes|no", help=known)
    option("--no-header", action="append_const", const="no", dest="header", help="the first row is a record")
    option("--labels", default="", metavar="NAME,NAME", help="the labels; names of labels that are numbers, in order")
    merged = "read a label as another one, or all that look misspelled: suggested; may be given several times"
    option("--relabel", action="append", default=[], metavar="WRITTEN=LABEL", help=merged)
    option("--instruction", default="", metavar="TEXT", help="what is asked of every record (system message)")
    option("--hide-gold", action="store_true", help="keep answers of the unlabeled file, for measuring only")
    option("--count-from", type=int, choices=(0, 1), help="number of the first option in numeric answers; inferred")
    option("--rejected", type=Path, metavar="FILE", help="write every rejected row with its reason to this file")
    option("--strict", action="store_true", help="stop with an error if a finding needs a decision")
    option("--accept", action="append", default=[], metavar="FINDING", help="confirm a finding that --strict refuses")
    option = verb("instruct", _instruct, "set the instruction of a project, as a new dataset version")
    option("project", metavar="PROJECT")
    option("instruction", metavar="TEXT", help="what is asked of every record; empty for none")


def _sample(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = intake.open_sample(store, lambda sentence: print(sentence, file=sys.stderr))
    return 0, {"project": project.name, "id": project.id}, f'The sample project is ready: "{project.name}".'


def _import(store: Store, chosen: argparse.Namespace) -> Outcome:
    if chosen.archive is not None:
        return _restored(store, chosen)
    for option in ("labeled", "unlabeled", "name"):
        if getattr(chosen, option) is None:
            raise UserError(
                f"--{option} is missing.", "import", "Give --labeled, --unlabeled and --name, or --archive."
            )
    files: dict[Split, Path] = {"labeled": chosen.labeled, "unlabeled": chosen.unlabeled}
    if chosen.test:
        files["test"] = chosen.test
    names = {split: path.name for split, path in files.items()}
    read_as = per_file(names, chosen.sheet, chosen.encoding, chosen.delimiter, chosen.quotes, chosen.header)
    make_imported = partial(
        intake.prepare,
        kind=chosen.task,
        mapping=chosen.map,
        hide_gold=chosen.hide_gold,
        strict=chosen.strict,
        base=chosen.count_from,
        instruction=chosen.instruction,
        labels=chosen.labels,
        confirmed=chosen.accept,
        relabel=chosen.relabel,
    )
    if chosen.rejected is not None:
        check_table(chosen.rejected, [])
    with terminal.Bars() as bars:
        project, imported = intake.import_files(store, chosen.name, files, make_imported, bars.show, read_as)
    if chosen.rejected is not None:
        write_table(chosen.rejected, [{"split": split, **asdict(r)} for split, r in imported.rejected()])
    lines = [f'Project "{project.name}" ({imported.task.kind}).', *import_report.sentences(imported)]
    return 0, {"project": project.name, "id": project.id} | import_report.as_dict(imported), "\n".join(lines)


def _restored(store: Store, chosen: argparse.Namespace) -> Outcome:
    given = [chosen.labeled, chosen.unlabeled, chosen.test, chosen.task, chosen.map, chosen.count_from, chosen.rejected]
    given += [*chosen.sheet, *chosen.encoding, *chosen.delimiter, *chosen.quotes, *chosen.header, *chosen.accept]
    given += chosen.relabel
    given += [chosen.labels or None, chosen.instruction or None]
    if any(value is not None for value in given) or chosen.hide_gold or chosen.strict:
        raise UserError("An archive is imported as it is.", "--archive", "Give only --name with it.")
    with terminal.Bars() as bars:
        project = restoring.restore(store, chosen.archive, chosen.name, bars.show)
    found = {"rounds": len(rounds.list_rounds(store, project.id)), "runs": len(runs.list_runs(store, project.id))}
    words = f'Project "{project.name}": rounds {found["rounds"]}, runs {found["runs"]}.'
    task = None if project.task is None else project.task.kind
    result = {"project": project.name, "id": project.id, "task": task, "counts": project.counts}
    return 0, result | found, words


def _instruct(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = intake.instruct(store, projects.find_project(store, chosen.project), chosen.instruction)
    words = f"The instruction was saved as version {project.version_number} of {project.name}."
    result = {"project": project.name, "id": project.id, "version": project.version_number}
    return 0, result | {"instruction": chosen.instruction.strip()}, words
