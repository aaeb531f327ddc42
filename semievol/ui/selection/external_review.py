"""Reviewed elsewhere: the candidates go to a tool for annotation, and what the annotators decided is imported.

An upload is read in a limited process. The page says in counts what would be stored; one button stores it, in one
transaction, and one undo takes it back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
import streamlit as st

from semievol.annotation.decisions import ImportedDecisions
from semievol.annotation.tools import Export
from semievol.errors import UserError
from semievol.evidence.reviews import reserved
from semievol.jobs.external_review import not_stored, read_export, summary
from semievol.store.data.projects import incoming_folder
from semievol.store.decisions.external_review import expected, import_decisions
from semievol.store.results import results
from semievol.ui.selection import desk, many, signature
from semievol.ui.shell import downloads, formats, parts, session, state, tables
from semievol.ui.shell.state import Place

NAMES = {"what": "Left out", "count": "Records", "examples": "The first of them"}
WIDTHS = {"what": 220, "count": 60, "examples": 260}
_REPLACE = "elsewhere_replace"


@dataclass
class UploadedExport:
    """What the session keeps of the file that was uploaded last. file_id: the upload that it was. export: what it
    holds; None, with the reason, where it could not be read."""

    file_id: str = ""
    export: Export | None = None
    refused: UserError | None = None


def reviewed(here: Place) -> None:
    """The downloads for the tools on the left, the import on the right."""
    parts.heading("Reviewed elsewhere", "A team reviews the candidates in another tool; its decisions are imported.")
    left, right = st.columns([2, 5], gap="medium")
    with left:
        downloads.for_review(here, here.round.id)
        if reserved(state.reviews(here.store, here.round.id)):
            parts.note("Records that the open random review asks about are not in it.")
    with right:
        file = st.file_uploader(
            "Export of the tool", type=["json", "jsonl", "gz"], key="elsewhere_file", help="JSON or JSON Lines"
        )
        export = None if file is None else _read(here, file)
        if export is not None:
            _store(here, export)
    many.undo(here)


def _read(here: Place, file: Any) -> Export | None:
    """What the uploaded file holds, read once; where it cannot be read, the page says why."""
    kept = session.of(UploadedExport)
    if kept.file_id != file.file_id:
        session.put(UploadedExport(file.file_id))
        kept = session.of(UploadedExport)
        with incoming_folder(here.store) as folder, parts.progress() as watch:
            path = folder / "uploaded"
            with path.open("wb") as stream:
                shutil.copyfileobj(file, stream)
            try:
                kept.export = read_export(here.store, path, file.name, watch)
            except UserError as error:
                kept.refused = error
    if kept.refused is not None:
        parts.show_error(kept.refused)
    return kept.export


def _store(here: Place, export: Export) -> None:
    """What the file comes to, and the button that stores it."""
    replace = bool(st.session_state.get(_REPLACE))
    imported = expected(here.store, here.round, export.returned, replace)
    st.text(summary(export, imported))
    if left := not_stored(imported):
        shown = pd.DataFrame([asdict(one) | {"examples": "; ".join(one.examples)} for one in left])
        tables.table(shown, "elsewhere_left", NAMES, WIDTHS)
    if "contrary" in imported.not_stored or replace:
        st.checkbox("Overrule decisions that were made here", key=_REPLACE)
    if not imported.decisions:
        return
    signature.signed()
    parts.act(
        f"Store {formats.plural(len(imported.decisions), 'decision')}",
        lambda: _import(here, export, imported, replace),
        why_not="" if state.reviewer() else "Say first who signs the decisions.",
        type="primary",
    )


def _import(here: Place, export: Export, imported: ImportedDecisions, replace: bool) -> None:
    store, round_, signed = here.store, here.round, state.reviewer()
    key = f"{desk.new_key()}-elsewhere-{results.revision(store, round_.id)}"

    def work(watch: Callable[[int], None]) -> many.Outcome:
        _, made = import_decisions(store, round_, export.returned, export.tool, signed, replace, key, watch)
        if not made:
            return many.Outcome("Nothing was saved.", None)
        said = f"{formats.plural(len(made), 'decision')} from {export.tool} saved."
        return many.Outcome(said, desk.Many(made[-1].id, len(made), said))

    many.save(here, work, len(imported.decisions))
