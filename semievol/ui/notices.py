"""What a press has to say after the rerun that follows it: that it went well, or why it did not.

A callback runs before the page is drawn, and in a polled part without the page. What it has to say waits in the session
until the entry draws it, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from semievol.ui import parts

_SAID, _FAILED = "_said", "_failed"


def say(text: str) -> None:
    """A short message that survives the rerun which follows. Our own words only."""
    st.session_state[_SAID] = text


def fail(error: Exception) -> None:
    """An error that survives the rerun which follows."""
    st.session_state[_FAILED] = error


@contextmanager
def errors_kept() -> Iterator[None]:
    """Around what a callback does, as `parts.errors_shown` around what a page draws; also a decorator."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the callback's boundary: `shown` draws or logs it
        fail(error)


def waiting() -> bool:
    """Whether an error waits to be drawn."""
    return _FAILED in st.session_state


def shown() -> None:
    """Draws what was said or failed before the rerun."""
    failed = st.session_state.pop(_FAILED, None)
    if failed is not None:
        with parts.errors_shown():
            raise failed
    text = st.session_state.pop(_SAID, None)
    if text:
        st.toast(text, icon=":material/check:")
