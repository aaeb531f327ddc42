"""Everything that was decided: who, when, before and after; any entry can be taken back, and restored again."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from semievol.store import decisions
from semievol.ui import desk, formats, notices, parts, state, tables
from semievol.ui.state import Place

NAMES = {
    "at": "When",
    "reviewer": "Reviewer",
    "action": "Decision",
    "question": "Question",
    "answer_shown": "Before",
    "answer": "After",
    "note": "Note",
    "state": "State",
}


def history(here: Place) -> None:
    """The history, a page at a time, newest first; a chosen line can be taken back or restored."""
    found = decisions.history(here.store, here.this_project.id)
    parts.heading("History", f"{formats.plural(len(found), 'entry').replace('entrys', 'entries')}, newest first.")
    if found.empty:
        parts.note("Nothing was decided by hand yet.")
        return
    offset = tables.pages_of(len(found), "history_page")
    page = found.iloc[offset : offset + tables.PAGE]
    shown = page.assign(at=page["at"].map(formats.moment), state=page.apply(_state, axis=1))
    picked = tables.chosen_row(
        tables.table(shown, f"history_{offset}_{len(found)}", NAMES, on_select="rerun", selection_mode="single-row")
    )
    if picked is None:
        parts.note("Choose a line to take it back, or to say again what it said.")
        return
    entry = page.iloc[picked]
    if entry["action"] == "undo":
        parts.note("This line takes another one back; restore that one instead.")
        return
    with st.container(horizontal=True):
        gone = bool(entry["undone"])
        st.button("Take back", disabled=gone, on_click=_take_back, args=(here, int(entry["id"])))
        st.button("Restore", on_click=_restore, args=(here, int(entry["id"]), len(found)))
        st.button("Open on the desk", on_click=desk.show_first, args=(str(entry["record_id"]),))


def _state(entry: pd.Series) -> str:
    return "takes back" if entry["action"] == "undo" else "taken back" if entry["undone"] else "stands"


@notices.errors_kept()
def _take_back(here: Place, decision_id: int) -> None:
    made = decisions.take_back(here.store, here.this_project.id, decision_id, state.reviewer(), f"back-{decision_id}")
    notices.say(f"{formats.plural(len(made), 'decision')} taken back.")


@notices.errors_kept()
def _restore(here: Place, decision_id: int, entries: int) -> None:
    key = f"restore-{desk.session()}-{decision_id}-{entries}"
    decisions.restore(here.store, here.this_project.id, decision_id, state.reviewer(), key)
    notices.say("Restored: it is the newest decision on its record again.")
