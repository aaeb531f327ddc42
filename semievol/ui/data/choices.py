"""What was chosen on the Data page: kept while another page is open, and on disk for a reload.

Streamlit forgets a widget's value when its page is left. A widget that is drawn after `settle` begins with what was
chosen last, if that can still be chosen.
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
    """Gives the widget of this key its value before it is drawn; among: what can be chosen there."""
    asked: set[str] = st.session_state.setdefault(_ASKED, set())
    asked.add(key)
    if key not in st.session_state:
        value = st.session_state.setdefault(_MADE, {}).get(key, default)
        st.session_state[key] = value if value in among else default


def made(key: str) -> Any:
    """What was chosen for this key before, None where nothing was."""
    return st.session_state.get(_MADE, {}).get(key)


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """Around all that asks: keeps in the folder what was chosen, also where drawing ends early."""
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
    """Begins with what an earlier session chose."""
    st.session_state[_MADE] = drafts.choices(folder)


def drop(key: str) -> None:
    """This one is asked anew; only where its widget is not drawn."""
    st.session_state.pop(key, None)
    st.session_state.get(_MADE, {}).pop(key, None)


def forget() -> None:
    """Everything is asked anew. Only between two drawings: a widget that was drawn keeps its value to the end."""
    for key in st.session_state.pop(_ASKED, ()):
        st.session_state.pop(key, None)
    st.session_state.pop(_MADE, None)
