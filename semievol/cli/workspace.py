"""The workspace and what is installed: `backup`, `restore`, `models`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from semievol import installed, terminal
from semievol.cli.arguments import Outcome, Verb
from semievol.errors import UserError
from semievol.export import backup
from semievol.jobs import models
from semievol.store.data import projects
from semievol.store.database import Store


def add(verb: Verb) -> None:
    """The options of these verbs."""
    option = verb("backup", _backup, "write the whole workspace to one file")
    option("--out", type=Path, required=True, metavar="F", help=f"a new file, ending in {backup.ENDING}")
    option = verb("restore", _restore, "put a backup in the place of this workspace")
    option("file", type=Path, metavar="F")
    option("--replace", action="store_true", help="also if there are projects; they are kept beside the new ones")
    option = verb("models", _models, "list the known models, or check some")
    option("what", nargs="?", choices=("list", "check"), default="list")
    option("names", nargs="*", metavar="NAME", help="models to check (only with `check`)")


def _backup(store: Store, chosen: argparse.Namespace) -> Outcome:
    with terminal.Bars() as bars:
        out = backup.write(store, chosen.out, watch=bars.show)
    return 0, {"out": str(out), "bytes": out.stat().st_size}, f"Written: {out}"


def _restore(store: Store, chosen: argparse.Namespace) -> Outcome:
    with terminal.Bars() as bars:
        kept = backup.restore(store, chosen.file, chosen.replace, bars.show)
    names = [project.name for project in projects.list_projects(store, archived=True)]
    words = f"The workspace has these projects now: {', '.join(names) or 'none'}."
    result = {"projects": names, "kept": None if kept is None else str(kept)}
    return 0, result, words + (f" What was there is kept in {kept}." if kept else "")


def _models(store: Store, chosen: argparse.Namespace) -> Outcome:
    if chosen.what == "list":
        if chosen.names:
            raise UserError("A list takes no names.", "models list", "Write `models check NAME`.")
        found = models.known(store)
    else:
        if not chosen.names:
            raise UserError("No model was named.", "models check", "Write `models check NAME`; `models` lists them.")
        with terminal.Bars() as bars:
            found = [models.prepare(name, bars.show) for name in chosen.names]
    lines = [models_line(one) for one in found]
    if advice := installed.advice():
        lines.append(advice)
    return 0, {"models": [asdict(one) for one in found]}, "\n".join(lines)


def models_line(one: models.Known) -> str:
    """A model in a line: what it is, and what it needs."""
    size = f"{one.parameters / 1e6:,.0f} M parameters" if one.parameters else ""
    reads = f"{one.context:,} tokens of context" if one.context else ""
    needs = f"a run needs about {one.memory / 2**30:.1f} GB" if one.memory else ""
    parts = [one.state, one.title, one.architecture, size, reads, one.licence, needs, one.note]
    return f"{one.name}: " + ", ".join(part for part in parts if part)
