"""The history of decisions: who, when, the answer before and after. Any entry can be taken back or restored."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from semievol.store.decisions.history import HistoryPage, history_page, restore, together
from semievol.ui.selection import desk, many
from semievol.ui.shell import formats, notices, parts, state, tables
from semievol.ui.shell.state import Place

_PAGER = "history_page"
NAMES = {"at": "When", "reviewer": "Reviewer", "said": "Decision", "answers": "Answer", "question": "Question"}
WIDTHS = {"at": 88, "reviewer": 150, "said": 70, "answers": 108, "question": 90, "note": 62}


def history(here: Place) -> None:
    """One page of the history, newest first. A selected entry is shown in full and can be taken back or restored."""
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    search = right.text_input(
        "Search",
        key="history_search",
        placeholder="Question, answer, note, reviewer",
        live="300ms",
        on_change=lambda: st.session_state.pop(_PAGER, None),
    )
    search = (search or "").strip()
    page = _page(here, search)
    with left:
        of = f"{page.found:,} of " if search else ""
        entries = formats.plural(page.total, "entry").replace("entrys", "entries")
        parts.heading("History", f"{of}{entries}, newest first.")
    if page.entries.empty:
        parts.note(
            "No entry matches this search." if page.total else "No decisions yet. Decide on candidates under Review."
        )
        return
    shown = page.entries.assign(
        at=page.entries["at"].map(formats.moment),
        said=page.entries.apply(_said, axis=1),
        answers=page.entries.apply(_answers, axis=1),
    )
    names = NAMES | ({"note": "Note"} if (page.entries["note"] != "").any() else {})
    key = f"history_{page.total}_{page.entries['id'].iloc[0]}_{search}"
    picked = tables.pick(shown, key, names, WIDTHS)
    if picked is None:
        parts.note("Select a row to see it in full, to take the decision back, or to restore it.")
        return
    entry = page.entries.iloc[picked]
    _in_full(entry)
    if entry["action"] == "undo":
        parts.note("This entry took another decision back. To undo that, restore the other decision.")
        return
    with st.container(horizontal=True):
        gone = bool(entry["undone"])
        st.button("Take back", disabled=gone, on_click=_take_back, args=(here, int(entry["id"])))
        st.button("Restore", on_click=_restore, args=(here, int(entry["id"]), page.total))
        st.button("Open in Review", on_click=desk.show_first, args=(str(entry["record_id"]),))


def _page(here: Place, search: str) -> HistoryPage:
    """The page that the pager shows; the pager is drawn if there are several pages."""
    store, project_id = here.store, here.project.id
    first = history_page(store, project_id, search=search, limit=tables.PAGE)
    offset = tables.pages_of(first.found, _PAGER)
    return first if offset == 0 else history_page(store, project_id, search=search, offset=offset, limit=tables.PAGE)


def _said(entry: pd.Series) -> str:
    said = formats.DECISION_WORDS.get(entry["action"], str(entry["action"]))
    return f"{said}, undone" if entry["undone"] else said


def _answers(entry: pd.Series) -> str:
    """The answer before and after the decision; only one of them if they are the same."""
    before, after = (said if isinstance(said, str) else None for said in (entry["answer_shown"], entry["answer"]))
    return f"{before or 'no answer'} → {after}" if after not in (None, before) else before or "no answer"


def _in_full(entry: pd.Series) -> None:
    st.text(entry["question"] if isinstance(entry["question"], str) else str(entry["record_id"]))
    signed = entry["reviewer"] or "not signed"
    st.text(f"{_answers(entry)} · {_said(entry)} · {signed} · {formats.moment(entry['at'])}")
    if entry["note"]:
        st.text(f"Note: {entry['note']}")


@notices.errors_kept()
def _take_back(here: Place, decision_id: int) -> None:
    many.take_back(here, decision_id, together(here.store, here.project.id, decision_id))


@notices.errors_kept()
def _restore(here: Place, decision_id: int, entries: int) -> None:
    key = f"{desk.new_key()}-restore-{decision_id}-{entries}"
    restore(here.store, here.project.id, decision_id, state.reviewer(), key)
    notices.say("The decision was restored. It is now the newest one on its record.")
