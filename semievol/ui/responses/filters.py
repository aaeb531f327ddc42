"""The filters above the table of candidates, and the views that a project has saved of them.

All of them are part of the address, so that a link opens the same view. A saved view keeps them under a name.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from semievol.config import MEASURES
from semievol.store import settings
from semievol.ui.shell import area, formats, notices, session
from semievol.ui.shell.state import Place

PAGE = "page"
AGREEMENT = {"All": None, "Agreed": True, "Disputed": False}
DECISIONS = {"All": None} | {words: action for action, words in formats.DECISION_WORDS.items()}
DECISIONS |= {"any decision": "decided", "undecided": "undecided"}
ORDERS = {
    "Least confident first": ("measure", True),
    "Most confident first": ("measure", False),
    "As in the file": ("record", False),
}
"""What the order is called -> `sort` and `descending` of `results.candidates_page`."""
_DEFAULTS: dict[str, Any] = {
    "search": "",
    "agreement": "All",
    "answer": None,
    "decision": "All",
    "measure": MEASURES[0],
    "order": next(iter(ORDERS)),
}
"""Key of a filter, in the address and the session -> what it is when nothing is chosen."""
_OPEN, _NAME, _MEASURE = "saved_view", "view_name", "measure"


def drawn(here: Place) -> dict[str, Any]:
    """Draws the filters; what they ask for, as arguments of `results.candidates_page`."""
    columns = st.columns([6, 6.3, 5.5, 6.6, 10.2, 9], vertical_alignment="bottom")
    bound: Any = {"bind": "query-params", "on_change": _first_page}
    search = columns[0].text_input("Search", key="search", placeholder="Part of it", live="300ms", **bound)
    agreement = columns[1].selectbox("Agreement", list(AGREEMENT), key="agreement", **bound)
    labels = here.task.labels
    answer = columns[2].selectbox(
        "Answer", labels, index=None, key="answer", placeholder="All", disabled=not labels, **bound
    )
    decision = columns[3].selectbox("Decision", list(DECISIONS), key="decision", **bound)
    measure = columns[4].selectbox(
        "Measure",
        MEASURES,
        format_func=lambda name: formats.MEASURE_WORDS[name],
        key=_MEASURE,
        help=formats.MEASURE_FORMULAS[st.session_state.get(_MEASURE) or MEASURES[0]],
        **bound,
    )
    order = columns[5].selectbox("Order", list(ORDERS), key="order", **bound)
    sort, descending = ORDERS[order or _DEFAULTS["order"]]
    return {
        "search": search or "",
        "answer": answer,
        "agreed": AGREEMENT[agreement or "All"],
        "status": DECISIONS[decision or "All"],
        "measure": measure,
        "sort": sort,
        "descending": descending,
        "area": area.addressed(),
    }


def saved_views(here: Place) -> None:
    """A menu that saves the present filters under a name, and opens or deletes what was saved."""
    known, now = settings.views(here.store, here.project.id), _present()
    opened = next((name for name, filters in known.items() if filters == now), None)
    with st.popover("Saved views", icon=":material/bookmark:"):
        if known:
            choose = partial(_open, known)
            st.selectbox("Open a view", list(known), placeholder="Choose", **session.bound(_OPEN, opened, choose))
        if opened is not None:
            st.button("Delete this view", icon=":material/delete:", on_click=_delete, args=(here, opened))
            return
        if not now:
            st.text("Set filters above; then this menu saves them under a name, for everybody in this project.")
            return
        st.text_input("Name of the present view", key=_NAME, max_chars=settings.LONGEST_NAME)
        st.button("Save the view", icon=":material/bookmark_add:", on_click=_save, args=(here, now))


def _present() -> dict[str, str]:
    """The filters that are set, as the address has them."""
    found = {key: st.session_state.get(key, default) for key, default in _DEFAULTS.items()}
    drawn_line = area.addressed()
    line = {} if drawn_line is None else {area.NAME: drawn_line.written()}
    return {key: value for key, value in found.items() if value and value != _DEFAULTS[key]} | line


def _first_page() -> None:
    st.session_state[PAGE] = 1


def _open(known: dict[str, dict[str, str]], name: str | None) -> None:
    if name is None:
        return
    for key, default in _DEFAULTS.items():
        st.session_state[key] = known[name].get(key, default)
    if line := known[name].get(area.NAME):
        st.query_params[area.NAME] = line
    else:
        area.forget()
    _first_page()


@notices.errors_kept()
def _save(here: Place, filters: dict[str, str]) -> None:
    settings.save_view(here.store, here.project.id, st.session_state[_NAME] or "", filters)
    st.session_state[_NAME] = ""


@notices.errors_kept()
def _delete(here: Place, name: str) -> None:
    settings.remove_view(here.store, here.project.id, name)
