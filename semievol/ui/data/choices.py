"""The choices made on the Data page: kept in the session while another page is open, and on disk for a reload.

Streamlit forgets a widget's value when its page is left. A widget that is drawn after `settle` begins with the last
choice, if it is still among the options.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.ui.data import drafts

_MADE, _ASKED = "choices_made", "choices_asked"


def settle(key: str, default: Any, among: Collection[Any] = (True, False)) -> None:
    """Gives the widget of this key its value before it is drawn. among: the options of the widget."""
    asked: set[str] = st.session_state.setdefault(_ASKED, set())
    asked.add(key)
    if key not in st.session_state:
        value = st.session_state.setdefault(_MADE, {}).get(key, default)
        st.session_state[key] = value if value in among else default


def made(key: str) -> Any:
    """The earlier choice for this key, None if there is none."""
    return st.session_state.get(_MADE, {}).get(key)


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Wraps all widgets of the import: saves their values in the folder, even if drawing the page ends early."""
    try:
        yield
    finally:
        before: dict[str, drafts.Choice] = st.session_state.get(_MADE, {})
        asked = st.session_state.get(_ASKED, ())
        made = before | {key: value for key in asked if (value := st.session_state.get(key)) is not None}
        if made != before:
            st.session_state[_MADE] = made
            drafts.keep_choices(folder, made)


def restore(folder: Path) -> None:
    """Loads the choices of an earlier session."""
    st.session_state[_MADE] = drafts.choices(folder)


def drop(key: str) -> None:
    """Forgets one choice. Call it only while its widget is not drawn."""
    st.session_state.pop(key, None)
    st.session_state.get(_MADE, {}).pop(key, None)


def forget() -> None:
    """Forgets all choices. Call it before anything is drawn: a widget that was drawn keeps its value in this rerun."""
    for key in st.session_state.pop(_ASKED, ()):
        st.session_state.pop(key, None)
    st.session_state.pop(_MADE, None)
