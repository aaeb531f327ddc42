"""Messages and errors that survive the rerun after a click: whether it worked, or why it did not.

A callback runs before the page is drawn, and in a fragment without the page. Its message waits in the session and is
shown once, when the page is drawn. An error stays on the page until it is closed, something else is done with success,
or another page is opened: while a run is active pages are redrawn all the time, and nobody reads that fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from semievol.ui.shell import session


def say(text: str) -> None:
    """Keeps a short message for the next drawing of the page. Our own words only, never text from data."""
    session.shell().message = text


def fail(error: Exception, lasting: bool = False) -> None:
    """Keeps an error for the next drawing of the page. lasting: until it is closed; otherwise for that drawing only, as
    what failed is tried again."""
    kept = session.shell()
    kept.error, kept.lasting = error, lasting


@contextmanager
def errors_kept() -> Iterator[None]:
    """Keeps the errors of a callback, as `parts.errors_shown` shows those of a page. Also a decorator."""
    try:
        yield
        close()
    except Exception as error:  # noqa: BLE001 - the callback's boundary: the page shows or logs it
        fail(error, lasting=True)


def failed() -> Exception | None:
    """The error that waits to be drawn, None if there is none."""
    return session.shell().error


def taken() -> tuple[str | None, Exception | None, bool]:
    """The message that waits, which is removed; the error to show; and whether this error is new."""
    kept = session.shell()
    message, error = kept.message, kept.error
    kept.message = kept.error = None
    if error is not None or not kept.lasting:
        kept.problem = error
    return message, kept.problem, error is not None


def close() -> None:
    """Ends the showing of an error."""
    session.shell().problem = None


def on_page(title: str) -> None:
    """Called for every drawing: an error belongs to the page on which it happened."""
    kept = session.shell()
    if kept.page not in (None, title):
        close()
    kept.page = title
