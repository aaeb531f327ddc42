"""Choosing the record whose demonstrations are shown.

The address names the record, and nothing else does: search, buttons, links and ticked rows change the address, and the
place among the records follows from it.
"""

from __future__ import annotations

import random

import streamlit as st

from semievol.records import Record, Split
from semievol.store.data import records
from semievol.ui.data import labels
from semievol.ui.demonstrations.browsing import Browsing
from semievol.ui.shell import paint, parts, record, session, views
from semievol.ui.shell.state import Place

SPLITS: tuple[Split, ...] = ("unlabeled", "labeled", "test")
OWN, OWN_ID = "own question", "own-question"
_SOURCE, _SEARCH = "demo_split", "demo_search"
_OWN_TEXT, _OWN_OPTIONS = "own_question", "own_options"
VIEW = "view"
"""Key, and name in the address, of the choice between a record, the map, and what is said before training."""


def picker(here: Place) -> Record | None:
    """Chooses a record: by search, next, previous or random, from the address (a link), or a question of one's own."""
    parts.heading("Record")
    version_id = here.round.version_id if here.round_or_none else here.project.version_id
    assert version_id is not None, "drawn without data"
    if session.of(Browsing).enter(here.project.id):
        for key in (_SOURCE, _OWN_TEXT, _OWN_OPTIONS):
            st.session_state.pop(key, None)
    addressed = st.query_params.get("record")
    linked = _linked(here, version_id)
    _write_again(_SOURCE, session.of(Browsing).source)
    choice, chosen = st.columns([4, 5], gap="large")
    with choice:
        source = st.segmented_control(
            "Where from",
            [*SPLITS, OWN],
            required=True,
            key=_SOURCE,
            on_change=_leave,
            label_visibility="collapsed",
        )
    session.of(Browsing).source = source or SPLITS[0]
    if source == OWN:
        with chosen:
            return _own_question(here)
    with choice:
        search = st.text_input(
            "Search", key=_SEARCH, placeholder="Part of the question", live="300ms", on_change=_leave
        )
        split = next(one for one in SPLITS if one == source)
        page, total = records.records_page(here.store, version_id, split, search or "", 0, 1)
        found, place = linked or (record.of_line(page.iloc[0]) if total else None, 0)
        _steps(here, version_id, split, search or "", place, total)
    if found is None:
        return None
    kept = session.of(Browsing)
    if addressed and linked is None:
        kept.instead = found.id
    elif kept.instead != found.id:
        kept.instead = None
    name(found.id)
    with chosen:
        if kept.instead:
            parts.note("The record in the address is not in this dataset version. This one is shown instead.")
        paint.draw(*record.question(here.task, found, found.answer), key=f"asked_{found.id}")
        st.text(f"Record {record.name(found)} · {found.split}")
        labels.control(here, found)
        st.button("Edit a copy", icon=":material/edit_note:", on_click=_edit, args=(found,))
    return found


def nothing_chosen() -> str:
    """Why there is no record, in a sentence; asked after `picker`."""
    if session.of(Browsing).source == OWN:
        return "Type a question, and press Ctrl+Enter: its demonstrations appear here."
    return "No record matches. Change the search, or type a question of your own."


def name(record_id: str) -> None:
    """Names this record in the address. Call it in a callback, or with the record that is drawn."""
    st.query_params["record"] = record_id
    session.of(Browsing).last = record_id


def open_record(record_id: str) -> None:
    """Shows this record, of any split, in the view of single records. Made for callbacks."""
    st.session_state[_SEARCH] = ""
    views.show(VIEW, None)
    st.session_state.pop(_SOURCE, None)
    name(record_id)


def open_unlabeled(record_id: str) -> None:
    """Shows this unlabeled record, whatever was searched. Made for callbacks."""
    st.session_state[_SOURCE], st.session_state[_SEARCH] = "unlabeled", ""
    name(record_id)


def _linked(here: Place, version_id: int) -> tuple[Record, int] | None:
    """The record in the address and its place among those that the search finds. The choice of a split and the search
    follow the address where they do not fit it. A new visit of the page continues with the record seen last."""
    kept = session.of(Browsing)
    visited = _SOURCE in st.session_state or kept.source == OWN
    wanted = st.query_params.get("record") or (None if visited else kept.last)
    found = records.linked(here.store, version_id, wanted, st.session_state.get(_SEARCH) or "") if wanted else None
    if found is None:
        return None
    linked, place = found
    if st.session_state.get(_SOURCE) != linked.split and linked.split in SPLITS:
        st.session_state[_SOURCE] = linked.split
    if place is None:
        st.session_state[_SEARCH] = ""
        place = (records.linked(here.store, version_id, linked.id) or (linked, None))[1]
    return linked, place or 0


def _write_again(key: str, before: str) -> None:
    """Gives a widget that is drawn next the value that it has, or had before. The browser draws one that was away from
    the page without any."""
    now = st.session_state.get(key)
    st.session_state[key] = before if now is None else now


def _edit(shown: Record) -> None:
    """Shows the record's text as a question of one's own, to be changed."""
    st.session_state[_SOURCE], st.session_state[_OWN_TEXT] = OWN, shown.question
    st.session_state[_OWN_OPTIONS] = "\n".join(shown.options)
    _leave()


def _leave() -> None:
    """Another search or split was chosen: its first record is shown, not the one in the address."""
    st.query_params.pop("record", None)
    session.of(Browsing).untick()


def _steps(here: Place, version_id: int, split: Split, search: str, place: int, total: int) -> None:
    def move(to: int) -> None:
        page, _ = records.records_page(here.store, version_id, split, search, to, 1)
        if len(page):
            name(str(page["record_id"].iloc[0]))
        session.of(Browsing).untick()

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", icon=":material/chevron_left:", disabled=place <= 0, on_click=move, args=(place - 1,))
        st.button(
            "Next", icon=":material/chevron_right:", disabled=place >= total - 1, on_click=move, args=(place + 1,)
        )
        anywhere = random.randrange(total) if total else 0
        st.button("Random", icon=":material/shuffle:", disabled=total < 2, on_click=move, args=(anywhere,))
        parts.html(f"<span class='sv-num'>{place + 1:,} of {total:,}</span>" if total else "")


def _own_question(here: Place) -> Record | None:
    kept = session.of(Browsing)
    _write_again(_OWN_TEXT, kept.text)
    text = st.text_area("Question", key=_OWN_TEXT, height=140, placeholder="Type a question the model never saw")
    options: list[str] = []
    if here.task.kind == "multiple_choice":
        _write_again(_OWN_OPTIONS, kept.options)
        options = [
            line for line in st.text_area("Options, one per line", key=_OWN_OPTIONS).splitlines() if line.strip()
        ]
    kept.text, kept.options = text or "", "\n".join(options)
    if not text or (here.task.kind == "multiple_choice" and len(options) < 2):
        return None
    return Record(OWN_ID, text, tuple(options))
