"""A note on the record under review: kept while it is typed, and stored with the decision that follows.

Opening another record does not lose the note; typing one decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

from semievol.ui.selection import desk


def form(record_id: str, decisions: Iterable[tuple[str, str]], decide: Callable[[str, str], None]) -> None:
    """The field, and the buttons that decide with the note. decisions: label and action of each; decide: gets record
    and action. It is no form of Streamlit's: what is typed arrives at once, and Enter presses no button."""
    st.text_input(
        "Note",
        value=draft(record_id),
        max_chars=500,
        key=_key(record_id),
        on_change=_typed,
        args=(record_id,),
        placeholder="Stored with your decision, in the history",
    )
    with st.container(horizontal=True):
        st.button(
            "Keep the note",
            key="note_keep",
            on_click=put_down,
            help="Without a decision. The note stays with this record while you are here, and is stored with your "
            "decision on it.",
        )
        for label, action in decisions:
            st.button(f"{label} with this note", key=f"note_{action}", on_click=decide, args=(record_id, action))
        st.button("Discard", key="note_discard", on_click=_discard, args=(record_id,))


def draft(record_id: str) -> str:
    """What is typed for this record and not stored yet."""
    return str(st.session_state.get(_key(record_id)) or desk.kept().round.notes.get(record_id, ""))


def shown(record_id: str) -> None:
    """One line with the note that goes with the next decision on this record."""
    if note := desk.kept().round.notes.get(record_id):
        st.text(f"Your note, not stored until you decide: {note}")


def stored(record_id: str, note: str) -> None:
    """The note is stored with a decision. It is back where that is taken back."""
    kept = desk.kept().round
    kept.notes.pop(record_id, None)
    kept.noted[record_id] = note


def back(record_id: str) -> None:
    """The decision on this record was taken back, so its note waits for another one."""
    kept = desk.kept().round
    if note := kept.noted.pop(record_id, ""):
        kept.notes[record_id] = note


def put_down() -> None:
    """Closes the field, or that of a correction; what is typed stays."""
    desk.kept().round.form = None


def _typed(record_id: str) -> None:
    if desk.kept().round.form == ("note", record_id):  # else the same click has stored it
        desk.kept().round.notes[record_id] = st.session_state[_key(record_id)]


def _discard(record_id: str) -> None:
    desk.kept().round.notes.pop(record_id, None)
    put_down()


def _key(record_id: str) -> str:
    return f"note_on_{record_id}"
