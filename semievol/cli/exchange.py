"""What leaves a project and comes back: `export`, `decisions`."""

from __future__ import annotations

import argparse
from pathlib import Path

from semievol import terminal
from semievol.cli.arguments import Outcome, Verb, identifier
from semievol.export import FORMS, export
from semievol.jobs import external_review
from semievol.store.data import projects
from semievol.store.database import Store


def add(verb: Verb) -> None:
    """The options of these verbs."""
    option = verb("export", _export, "write results to a file or folder")
    option("project", metavar="PROJECT")
    option("--what", choices=FORMS, required=True)
    option("--out", type=Path, required=True)
    option = verb("decisions", _decisions, "import what a team decided in another tool")
    option("what", choices=("import",))
    option("project", metavar="PROJECT")
    option("file", type=Path, metavar="FILE", help="JSON export of Label Studio, Argilla or Prodigy")
    option("--by", required=True, metavar="NAME", help="who signs the decisions")
    option("--round", type=identifier, metavar="ID", help="the round that was reviewed (default: the newest)")
    option("--replace", action="store_true", help="also overrule decisions that were made here")
    option("--dry-run", action="store_true", help="only say what would be stored")


def _export(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = projects.find_project(store, chosen.project)
    notes: list[str] = []
    with terminal.Bars() as bars:
        written = export(store, project, chosen.what, chosen.out, watch=bars.show, notes=notes)
    result = {"project": project.name, "what": chosen.what, "out": str(written)}
    return 0, result | ({"left_out": notes} if notes else {}), "\n".join([f"Written: {written}", *notes])


def _decisions(store: Store, chosen: argparse.Namespace) -> Outcome:
    project = projects.find_project(store, chosen.project)
    with terminal.Bars() as bars:
        result, lines = external_review.from_file(
            store, project, chosen.file, chosen.by, chosen.round, chosen.replace, chosen.dry_run, bars.show
        )
    return 0, {"project": project.name} | result, "\n".join(lines)
