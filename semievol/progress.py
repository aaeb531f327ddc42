"""How long work shows its progress: it calls a function that the caller gives. Knows nothing of bars and pages."""

from __future__ import annotations

from collections.abc import Callable

Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many records (or bytes) are done, and how many there are."""


def unwatched(what: str, done: int, total: int) -> None:
    """The `Watch` of a caller that does not show progress."""
