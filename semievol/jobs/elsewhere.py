"""Decisions made in another tool, brought home: the file is read in a limited process, the decisions are stored in one
transaction. The Selection page and the verb `decisions` share it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from semievol.annotation.home import REASONS, Home
from semievol.annotation.tools import Export, read
from semievol.errors import UserError
from semievol.export import round_with
from semievol.importing.readers.overrides import ReadAs
from semievol.importing.readers.sandbox import read_contained
from semievol.importing.readers.structured import OBJECT
from semievol.importing.table import display_name
from semievol.progress import Watch, unwatched
from semievol.records import ACTIONS, Action
from semievol.store.data.projects import Project, incoming_folder
from semievol.store.database import Store
from semievol.store.decisions.elsewhere import bring_home, expected
from semievol.store.results import results
from semievol.store.runs.rounds import Round

_NAMED = 3


def from_file(
    store: Store,
    project: Project,
    file: Path,
    by: str,
    round_id: int | None = None,
    replace: bool = False,
    dry_run: bool = False,
    watch: Watch = unwatched,
) -> tuple[dict[str, Any], list[str]]:
    """Stores the decisions in a file, signed with the name `by`: what it comes to as numbers, and in sentences.

    round_id: see `reviewed_round`. replace: also overrule decisions that were made here. dry_run: store nothing.
    """
    round_ = reviewed_round(store, project, round_id)
    export = read_export(store, file, file.name, watch)
    if dry_run:
        home = expected(store, round_, export.returned, replace)
    else:
        home, _ = bring_home(store, round_, export.returned, export.tool, by, replace)
    about = {"round": round_.id, "tool": export.tool, "by": by, "stored": not dry_run}
    words = ["Nothing was stored; this is what would be:"] if dry_run else []
    return about | counts(export, home), [*words, *sentences(export, home)]


def read_export(store: Store, path: Path, name: str, watch: Watch = unwatched) -> Export:
    """What a tool exported to a file. name: what the file is called. Raises UserError if no known tool wrote it."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        words = f"The file cannot be read ({getattr(error, 'strerror', None) or error})."
        raise UserError(words, display_name(name), "Check the path.") from None
    with incoming_folder(store) as folder:
        table = read_contained(
            path,
            name,
            folder / "objects.arrow",
            read_as=ReadAs(whole=True),
            watch=lambda done: watch("Reading", done, size),
        )
        if table.columns != [OBJECT]:
            raise UserError("The file is not JSON.", table.name, "Export from the tool as JSON or JSON Lines.")
        return read((text or "" for _, (text,) in table.walk([OBJECT])), table.name, len(table.rejected))


def reviewed_round(store: Store, project: Project, round_id: int | None = None) -> Round:
    """The round whose candidates were reviewed: the newest that has any, or the one with this id."""
    return round_with(store, project, round_id, results.has_candidates, "candidates")


def sentences(export: Export, home: Home) -> list[str]:
    """What an export comes to, for a person: what it holds, the decisions, and what nothing is stored about."""
    lines = [f"Records from {export.tool}: {len(export.returned):,}."]
    counts = ", ".join(f"{action} {count:,}" for action, count in actions(home).items())
    lines.append(f"Decisions: {len(home.verdicts):,} ({counts})." if counts else "Decisions: none.")
    if home.replaced:
        lines.append(f"Decisions made here that they overrule: {home.replaced:,}.")
    for reason, names in home.left_out.items():
        more = f"; and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        lines.append(f"Left out, {REASONS[reason]}: {len(names):,}. {'; '.join(names[:_NAMED])}{more}")
    if export.unread:
        lines.append(f"Left out, not records of {export.tool}: {export.unread:,}.")
    return lines


def counts(export: Export, home: Home) -> dict[str, Any]:
    """The same as numbers: records, decisions, overruled, and by reason what is left out, with the first names."""
    left = [
        {"reason": reason, "what": REASONS[reason], "count": len(names), "examples": names[:_NAMED]}
        for reason, names in home.left_out.items()
    ]
    found = {"records": len(export.returned), "decisions": len(home.verdicts), "actions": actions(home)}
    return found | {"overruled": home.replaced, "unread": export.unread, "left_out": left}


def actions(home: Home) -> dict[Action, int]:
    """Action -> how many of the decisions are such."""
    found = Counter(verdict.action for verdict in home.verdicts)
    return {action: found[action] for action in ACTIONS if found[action]}
