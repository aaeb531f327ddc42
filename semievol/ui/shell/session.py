"""What the session of one visitor keeps between two reruns, as one typed object for each page that keeps something.

`Shell` is kept for all pages. The others: `data.import_draft.Import`, `demonstrations.Browsing`,
`selection.desk.Reviewing`, `selection.policy.SameCut`, `selection.external_review.UploadedExport`,
`evaluation.playground.Playground`, `settings.models.Tried`, `training.tried.Tried`. Streamlit itself keeps the values
of widgets, under their keys.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import streamlit as st

from semievol.config import Policy

Kept = TypeVar("Kept")


@dataclass
class Job:
    """Work in a thread, as `background` starts it. done: how many of `total` are done."""

    total: int
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    future: Future[Any] = field(default_factory=Future)


@dataclass
class Shell:
    """What all pages share. message, error: wait to be shown at the next drawing of a page; problem: an error that is
    shown until it is closed."""

    entered: bool = False  # through `app.py`
    libraries_fetched: bool = False
    project_id: int | None = None  # the project that was open last
    reviewer: str | None = None  # signs decisions; None until it is typed or the browser has sent it
    message: str | None = None
    error: Exception | None = None
    problem: Exception | None = None
    lasting: bool = False  # whether `error`, then `problem`, stays until it is closed
    page: str | None = None  # the title of the page drawn last
    first_seen: dict[tuple[str, float], tuple[float, int]] = field(default_factory=dict)
    """Stage and its start -> when this session first saw progress in it, and how much was done then."""
    jobs: dict[str, Job] = field(default_factory=dict)  # by name
    policies: dict[int, Policy] = field(default_factory=dict)
    """Project id -> the policy that this visitor is trying, where it differs from the saved one."""
    settings_of_round: dict[int, bool] = field(default_factory=dict)
    """Round id -> whether this visitor wants its settings proposed, or those of its project."""
    exported: dict[int, list[str]] = field(default_factory=dict)
    """Project id -> what the archive that was written in this session could not take along."""


def of(kind: type[Kept]) -> Kept:
    """The session's object of this class, made at the first call.

    Streamlit imports an edited module again. An object of the class as it was before is replaced by a new one.
    """
    found = st.session_state.get(key(kind))
    return found if type(found) is kind else put(kind())


def shell() -> Shell:
    return of(Shell)


def put(kept: Kept) -> Kept:
    """Replaces the session's object of the same class."""
    st.session_state[key(type(kept))] = kept
    return kept


def bound(key: str, value: Any, save: Callable[[Any], object]) -> dict[str, Any]:
    """Arguments for a widget that shows `value` at every drawing, and passes on to `save` what the visitor chooses."""
    st.session_state[key] = value
    return {"key": key, "on_change": lambda: save(st.session_state[key])}


def key(kind: type[object]) -> str:
    return f"_{kind.__module__}.{kind.__name__}"
