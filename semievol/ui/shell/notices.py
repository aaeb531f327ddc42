"""What a press has to say after the rerun that follows it: that it went well, or why it did not.

A callback runs before the page is drawn, and in a polled part without the page. What it has to say waits in the session
until the page is drawn, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

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
    except Exception as error:  # noqa: BLE001 - the callback's boundary: the page shows or logs it
        fail(error)


def failed() -> Exception | None:
    """The error that waits to be drawn, if one does."""
    error: Exception | None = st.session_state.get(_FAILED)
    return error


def taken() -> tuple[str | None, Exception | None]:
    """What was said and what failed before the rerun, to be drawn now."""
    return st.session_state.pop(_SAID, None), st.session_state.pop(_FAILED, None)
