"""Decisions made in another tool are imported: the file is read in a limited process, the decisions are stored in one
transaction. The Selection page and the verb `decisions` share it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semievol.annotation.decisions import REASONS, ImportedDecisions, Reason
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
from semievol.store.decisions.external_review import expected, import_decisions
from semievol.store.results import results
from semievol.store.runs.rounds import Round
from semievol.wording import DECISION_WORDS

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
        imported = expected(store, round_, export.returned, replace)
    else:
        imported, _ = import_decisions(store, round_, export.returned, export.tool, by, replace)
    result = {"round": round_.id, "tool": export.tool, "by": by, "stored": not dry_run}
    result |= {"records": len(export.returned), "decisions": len(imported.decisions), "actions": actions(imported)}
    left = not_stored(imported)
    result |= {"overruled": imported.replaced, "unread": export.unread, "left_out": [asdict(one) for one in left]}
    words = ["Nothing was stored; this is what would be:"] if dry_run else []
    return result, [*words, summary(export, imported), *map(_sentence, left)]


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
    """The round whose candidates were reviewed: the one with this id, else the one that counts (`round_with`)."""
    return round_with(store, project, round_id, results.has_candidates, "candidates")


@dataclass(frozen=True)
class NotStored:
    """Records that nothing is stored about: what they are, how many, and the first of them as a person knows them."""

    reason: Reason
    what: str
    count: int
    examples: list[str]


def not_stored(imported: ImportedDecisions) -> list[NotStored]:
    """What is not stored of an export, by reason, in the order of `REASONS`."""
    found = imported.not_stored
    return [NotStored(one, REASONS[one], len(found[one]), found[one][:_NAMED]) for one in REASONS if one in found]


def summary(export: Export, imported: ImportedDecisions) -> str:
    """What an export comes to, for a person, without what is not stored."""
    counts = ", ".join(f"{DECISION_WORDS[action]} {count:,}" for action, count in actions(imported).items())
    words = [f"Records from {export.tool}: {len(export.returned):,}."]
    words.append(f"Decisions: {len(imported.decisions):,} ({counts})." if counts else "Decisions: none.")
    if imported.replaced:
        words.append(f"Decisions made here that they overrule: {imported.replaced:,}.")
    if export.unread:
        words.append(f"Entries of the file that are no records of {export.tool}: {export.unread:,}.")
    return " ".join(words)


def _sentence(one: NotStored) -> str:
    more = f"; and {one.count - len(one.examples):,} more" if one.count > len(one.examples) else ""
    return f"  left out, {one.what}: {one.count:,}. {'; '.join(one.examples)}{more}"


def actions(imported: ImportedDecisions) -> dict[Action, int]:
    """Action -> how many of the decisions are such."""
    found = Counter(consensus.action for consensus in imported.decisions)
    return {action: found[action] for action in ACTIONS if found[action]}
