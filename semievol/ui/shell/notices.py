"""Messages and errors that survive the rerun after a click: whether it worked, or why it did not.

A callback runs before the page is drawn, and in a fragment without the page. Its message waits in the session and is
shown once, when the page is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from semievol.ui.shell import session


def say(text: str) -> None:
    """Keeps a short message for the next drawing of the page. Our own words only, never text from data."""
    session.shell().message = text


def fail(error: Exception) -> None:
    """Keeps an error for the next drawing of the page."""
    session.shell().error = error


@contextmanager
def errors_kept() -> Iterator[None]:
    """Keeps the errors of a callback, as `parts.errors_shown` shows those of a page. Also a decorator."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the callback's boundary: the page shows or logs it
        fail(error)


def failed() -> Exception | None:
    """The error that waits to be drawn, None if there is none."""
    return session.shell().error


def taken() -> tuple[str | None, Exception | None]:
    """Removes and returns the message and the error that wait to be drawn."""
    kept = session.shell()
    waiting = kept.message, kept.error
    kept.message = kept.error = None
    return waiting
