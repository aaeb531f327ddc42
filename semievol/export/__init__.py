"""What leaves the Studio: candidates, a selection, training data, an adapter, a report, the whole project.

Reads the store, loads no model: a merged model needs one and is therefore a run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from semievol.errors import UserError
from semievol.export import adapter, archive, files, report, tables, training
from semievol.importing.near_duplicates import Watch, unwatched
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import results
from semievol.store.runs import rounds
from semievol.store.runs.rounds import Round

FORMS = ("candidates", "selection", "training", "adapter", "merged", "report", "archive")
_FILE_NAMES = {
    "candidates": "candidates.csv",
    "selection": "selection.jsonl",
    "training": "training.jsonl",
    "report": "report.html",
    "archive": f"project{archive.ENDING}",
}


def export(
    store: Store,
    project: Project,
    what: str,
    out: Path,
    *,
    round_id: int | None = None,
    selection: int | None = None,
    run_id: int | None = None,
    form: str | None = None,
    overwrite: bool = False,
    watch: Watch = unwatched,
    left_out: list[str] | None = None,
) -> Path:
    """Writes one of `FORMS` to `out` and returns where it lies; nothing half-written is ever left there.

    out: its ending chooses the format (CSV, TSV, JSONL, JSON, Parquet, XLSX; .html; a folder or .zip for the adapter;
    .zip for the archive).
    A folder that exists gets a file of a fitting name; a file that exists is refused unless `overwrite`.
    round_id, selection, run_id: the newest that has something to export where they are left out; which adapter that is,
    `adapter.choose` tells, and so do the README and the manifest beside it.
    watch: of an archive, how far it is. left_out: gets sentences about what an archive could not take along, and about
    control tokens that training data were not freed of.
    form: of training data: chat, alpaca or sharegpt; else told by the name (`train.alpaca.json`), chat by default.
    """
    if what not in FORMS:
        raise UserError(f'There is no export "{what}".', "--what", f"Choose one of: {', '.join(FORMS)}.")
    if what == "merged":
        raise UserError(
            "A merged model cannot be exported yet.", "--what merged", "Export the adapter and load it onto its base."
        )
    if out.is_dir() and what in _FILE_NAMES:
        out = out / _FILE_NAMES[what]
    if what == "adapter":
        return adapter.write(adapter.choose(store, project, round_id, run_id), out, overwrite)
    if what == "archive":
        written, missing = archive.write(store, project, out, overwrite, watch)
        (left_out if left_out is not None else []).extend(missing)
        return written
    if what in ("candidates", "report"):
        chosen = _round(store, project, round_id, _has_candidates, "candidates")
        if what == "report":
            return files.text(out, report.page(store, project, chosen), (".html", ".htm"), overwrite)
        return files.table(out, tables.candidates(store, chosen), overwrite)
    chosen = _round(store, project, round_id, _has_selection, "frozen selection")
    number = selection if selection is not None else selections.selections(store, chosen.id)[-1]["number"]
    if what == "selection":
        return files.table(out, tables.selection(store, project, chosen, number), overwrite)
    if left_out is not None and (said := training.caveat(store, project, chosen, number)):
        left_out.append(said)
    return training.write(store, project, chosen, number, out, form, overwrite)


def _has_candidates(store: Store, round_: Round) -> bool:
    return results.has_candidates(store, round_.id)


def _has_selection(store: Store, round_: Round) -> bool:
    return bool(selections.selections(store, round_.id))


def _round(
    store: Store, project: Project, round_id: int | None, has: Callable[[Store, Round], bool], wanted: str
) -> Round:
    """The round asked for, else the newest, that has what is wanted."""
    found = [r for r in rounds.list_rounds(store, project.id) if round_id is None or r.id == round_id]
    if round_id is not None and not found:
        raise UserError(f"There is no round {round_id} in this project.", project.name, "Choose another round.")
    for candidate in reversed(found):
        if has(store, candidate):
            return candidate
    raise UserError(f"There is no round with {wanted} to export yet.", project.name, "Run the project first.")
