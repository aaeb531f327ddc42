"""What leaves a project and comes back: `export`, `decisions`; new records answered: `predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from semievol import terminal
from semievol.cli.arguments import Outcome, Verb, identifier
from semievol.export import FORMS, adapter, export
from semievol.export.files import TABLES
from semievol.jobs import external_review, predicting
from semievol.store.data import projects
from semievol.store.database import Store


def add(verb: Verb) -> None:
    """The options of these verbs."""
    option = verb("export", _export, "write results to a file or folder")
    option("project", metavar="PROJECT")
    option("--what", choices=FORMS, required=True)
    option("--out", type=Path, required=True)
    models = tuple(adapter.MODELS_TO_EXPORT)
    option("--model", choices=models, default="evolved", help="for adapter and merged: of the round that counts")
    option = verb("decisions", _decisions, "import what a team decided in another tool")
    option("what", choices=("import",))
    option("project", metavar="PROJECT")
    option("file", type=Path, metavar="FILE", help="JSON export of Label Studio, Argilla or Prodigy")
    option("--by", required=True, metavar="NAME", help="who signs the decisions")
    option("--round", type=identifier, metavar="ID", help="the round that was reviewed (default: the one that counts)")
    option("--replace", action="store_true", help="also overrule decisions that were made here")
    option("--dry-run", action="store_true", help="only say what would be stored")
    option = verb("predict", _predict, "answer the records of a file with a model of a project")
    option("project", metavar="PROJECT")
    option(
        "--in", type=Path, required=True, dest="file", metavar="F", help="file with questions; answers are not needed"
    )
    option("--out", type=Path, required=True, metavar="F", help=f"a new file: {', '.join(TABLES)}")
    option("--model", choices=tuple(predicting.MODELS), default="evolved", help="of the round that counts")
    option("--demonstrations", action="store_true", help="show the most similar labeled records before each question")
    option("--ensemble", action="store_true", help="average with the neighbours' vote and the regression")


def _export(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = projects.find_project(store, chosen.project)
    notes: list[str] = []
    with terminal.Bars() as bars:
        written = export(store, project, chosen.what, chosen.out, model=chosen.model, watch=bars.show, notes=notes)
    result = {"project": project.name, "what": chosen.what, "out": str(written)}
    return 0, result | ({"left_out": notes} if notes else {}), "\n".join([f"Written: {written}", *notes])


def _decisions(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = projects.find_project(store, chosen.project)
    with terminal.Bars() as bars:
        result, lines = external_review.from_file(
            store, project, chosen.file, chosen.by, chosen.round, chosen.replace, chosen.dry_run, bars.show
        )
    return 0, {"project": project.name} | result, "\n".join(lines)


def _predict(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = projects.find_project(store, chosen.project)
    with terminal.Bars() as bars:
        result = predicting.predict(
            store,
            project,
            chosen.file,
            chosen.out,
            chosen.model,
            chosen.demonstrations,
            bars.show,
            ensembled=chosen.ensemble,
        )
    lines = [*result["notes"], f"Answered: {result['answered']:,} of {result['records']:,} records."]
    if result["shortened"]:
        lines.append(f"Shown fewer demonstrations, to fit the model: {result['shortened']:,}.")
    lines += [f"  row {one['row']}: {one['reason']}" for one in result["not_answered"]]
    if (more := result["records"] - result["answered"] - len(result["not_answered"])) > 0:
        lines.append(f"  and {more:,} more; the column for notes says why.")
    return 0, result, "\n".join([*lines, f"Written: {chosen.out}"])
