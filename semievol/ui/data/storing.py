"""Stores an import in a thread, so that a click or another page does not interrupt it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from semievol.jobs import intake
from semievol.records import Split
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.ui.data import drafts, slots
from semievol.ui.shell import background, notices, parts

_STORING = "storing"


def begin(store: Store, project: Project, draft: intake.Draft, given: Mapping[Split, slots.Given]) -> None:
    """Starts storing; `follow` shows the progress and the result."""
    paths = {split: one.path for split, one in given.items()}

    def work(watch: Callable[[int], None]) -> int | None:
        stored = intake.store_draft(store, project, draft, paths, lambda _what, done, _total: watch(done))
        for split, one in given.items():  # even if the page was left: the next session must find empty slots
            drafts.forget(one.path.parent, {split: one.key})
        return stored.version_number

    background.begin(_STORING, work, len(draft.imported.records))


def busy() -> bool:
    """Whether this session is storing something."""
    return background.busy(_STORING)


def follow() -> None:
    """If this session is storing an import, draws its progress until it is stored."""
    if not busy():
        return
    with parts.card("storing"):
        version = background.follow(_STORING, "Storing", "records")
    slots.forget()
    for key in ("checked", "decided"):
        st.session_state.pop(key, None)
    notices.say(f"Dataset version {version} is stored.")
    st.rerun()
