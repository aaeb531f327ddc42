"""Exports: answers, candidates, a selection, training data, an adapter, a report, the whole project; backups of the
workspace.

`answers`, `tables` and `annotation_export` make rows for people, for programs and for tools for annotation; `report`
makes a page, with its `caveats`, `ledger_section` and `drawing`s; `adapter` and `merged` make a folder or zip archive
with a model, its `card` and a `script` that asks it. `archive` writes a project and `restoring` brings it in; `backup`
does both with a workspace. `files` writes whole files, `sealed` zip files with a manifest. Reads the store and loads no
model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from semievol.annotation.tools import TOOLS
from semievol.errors import UserError
from semievol.export import adapter, annotation_export, answers, archive, files, merged, report, tables
from semievol.progress import Watch, unwatched
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import results
from semievol.store.runs import rounds
from semievol.store.runs.rounds import Round

FORMS = (*answers.FORMS, "candidates", "selection", "training", "adapter", "merged", "report", "archive", *TOOLS)
_MODELS = ("adapter", "merged")
_FILE_NAMES = {
    "answers": "answers.xlsx",
    "all_answers": "all-answers.xlsx",
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
    run_id: int | None = None,
    form: str | None = None,
    model: str = "evolved",
    watch: Watch = unwatched,
    notes: list[str] | None = None,
) -> Path:
    """Writes one of `FORMS` to `out` and returns the path; nothing half-written is ever left there.

    out: its ending chooses the format (CSV, TSV, JSONL, JSON, Parquet, XLSX; .html; a folder or .zip for the adapter
    and the merged model; .zip for the archive; for a tool for annotation a folder, a .zip, or one file with the records
    alone). If it is a folder, a file of a fitting name is written into it; an existing file is refused.
    round_id, run_id: without them the first of `rounds.in_turn` that has something to export; `adapter.choose` says
    which adapter that is, and so do the card and the manifest beside it.
    model: for adapter and merged, one of `adapter.MODELS_TO_EXPORT`.
    form: of training data, one of `tables.FORMS`; without it taken from the name (`train.alpaca.json`), else chat.
    watch: called with the progress of an archive or of merging. notes: gets sentences about what an archive or the
    records for a tool leave out, and about control tokens that are left in training data.
    """
    if what not in FORMS:
        raise UserError(f'There is no export "{what}".', "--what", f"Choose one of: {', '.join(FORMS)}.")
    if model != "evolved" and what not in _MODELS:
        raise UserError(
            f'"{what}" is not the export of a model.', "--model", "Leave it out, or export adapter or merged."
        )
    if out.is_dir() and what in _FILE_NAMES:
        out = out / _FILE_NAMES[what]
    if what in _MODELS:
        chosen_adapter = adapter.choose(store, project, round_id, run_id, adapter.MODELS_TO_EXPORT[model])
        if what == "merged":
            return merged.write(store, project, chosen_adapter, out, watch)
        return adapter.write(store, project, chosen_adapter, out)
    if what == "archive":
        written, missing = archive.write(store, project, out, watch=watch)
        (notes if notes is not None else []).extend(missing)
        return written
    if what in TOOLS:
        chosen = round_with(store, project, round_id, results.has_candidates, "candidates")
        return annotation_export.write(store, chosen, TOOLS[what], out, notes if notes is not None else [])
    if what in answers.FORMS:
        has = selections.selections if what == "answers" else results.has_candidates
        wanted = "a frozen selection" if what == "answers" else "candidates"
        chosen = round_with(store, project, round_id, has, wanted)
        return files.table(out, answers.FORMS[what](store, project, chosen), for_people=True)
    if what in ("candidates", "report"):
        chosen = round_with(store, project, round_id, results.has_candidates, "candidates")
        if what == "report":
            return files.text(out, report.page(store, project, chosen), (".html", ".htm"))
        return files.table(out, tables.candidates(store, chosen))
    chosen = round_with(store, project, round_id, selections.selections, "frozen selection")
    number = selections.selections(store, chosen.id)[-1]["number"]
    if what == "selection":
        return files.table(out, tables.selection(store, project, chosen, number))
    if notes is not None and (sentence := tables.caveat(store, project, chosen, number)):
        notes.append(sentence)
    form = form or next((part[1:] for part in out.suffixes if part[1:] in tables.FORMS), "chat")
    return files.table(out, tables.training(store, project, chosen, number, form))


def round_with(
    store: Store, project: Project, round_id: int | None, has: Callable[[Store, int], object], wanted: str
) -> Round:
    """The round with this id; without one the first of `rounds.in_turn` for which `has` finds something."""
    found = [r for r in rounds.list_rounds(store, project.id) if round_id is None or r.id == round_id]
    if round_id is not None and not found:
        raise UserError(f"There is no round {round_id} in this project.", project.name, "Choose another round.")
    for candidate in rounds.in_turn(found):
        if has(store, candidate.id):
            return candidate
    raise UserError(f"There is no round with {wanted} to export yet.", project.name, "Run the project first.")
