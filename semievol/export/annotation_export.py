"""The candidates of a round as records for a tool for annotation, where a team reviews them elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semievol.annotation.exchange import Suggestion
from semievol.annotation.tools import Tool
from semievol.errors import UserError
from semievol.evidence.reviews import reserved
from semievol.export import files
from semievol.records import Record
from semievol.selection.decisions import asserted_answer
from semievol.store.data.records import load_records
from semievol.store.data.versions import task_of
from semievol.store.database import Store
from semievol.store.decisions.reviews import list_reviews
from semievol.store.results import results
from semievol.store.runs.rounds import Round


def write(store: Store, round_: Round, tool: Tool, out: Path, notes: list[str]) -> Path:
    """Writes what the tool imports to `out`: a new folder, a .zip of it, or one file with the records alone.

    notes: gets sentences about what is not in it.
    """
    ending = Path(tool.records).suffix
    alone = out.suffix.lower() == ending
    if not alone and out.suffix.lower() in files.TABLES:
        cure = f"Name a folder, a .zip, or a {ending} file for the records alone."
        raise UserError(f'{tool.name} imports no "{out.suffix}".', str(out), cure)
    found = suggestions(store, round_, notes)
    made = tool.files(task_of(store, round_.version_id), found)
    if not alone:
        return files.folder(out, list(made.items()))
    others = ", ".join(name for name in made if name != tool.records)
    notes.append(f"The file holds the records alone. Export to a folder or a .zip to get {others}, too.")
    with files.whole(out) as path:
        path.write_bytes(made[tool.records])
    return out


def suggestions(store: Store, round_: Round, notes: list[str]) -> list[Suggestion]:
    """The round's candidates as annotators get them. What a decision asserts is suggested in the candidate's place.

    Records of an open random review are left out: who sees a suggestion elsewhere does not answer blind.
    """
    hidden = reserved(list_reviews(store, round_.id))
    pool = results.candidate_frame(store, round_.id)
    by_id = pool[~pool.index.isin(hidden)].to_dict("index")
    if hidden:
        notes.append(f"Records left out, as an open random review asks about them: {len(pool) - len(by_id):,}.")
    records = load_records(store, round_.version_id, "unlabeled")
    return [_suggestion(record, by_id[record.id]) for record in records if record.id in by_id]


def _suggestion(record: Record, row: Mapping[Any, Any]) -> Suggestion:
    asserted = (
        None if row["decision"] is None else asserted_answer(row["decision"], row["decided_answer"], row["answer"])
    )
    if asserted is not None and asserted != row["answer"]:
        return Suggestion(record, asserted)
    return Suggestion(record, row["answer"], _score(row))


def _score(row: Mapping[Any, Any]) -> float | None:
    """The averaged probability of the answer; for written answers the mean one of a token. None where it is no exact
    number."""
    measured = (row[measure] for measure in ("answer_nll", "mean_nll"))
    value = next((value for value in measured if not math.isnan(value)), None)
    return None if value is None or row["exactness"] != "exact" else min(1.0, math.exp(-value))
