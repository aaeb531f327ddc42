"""Storing an import beside the page: a click, another page or a closed tab does not break it off.

Streamlit stops a page's script wherever the visitor presses something; a thread of our own goes on, and the page that
is drawn next looks how far it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

import streamlit as st

from semievol.jobs import intake
from semievol.records import Split
from semievol.store.database import Store
from semievol.store.projects import Project
from semievol.ui import drafts, notices, parts, slots

_STORING = "storing"


class _Storing(threading.Thread):
    def __init__(self, store: Store, project: Project, draft: intake.Draft, given: Mapping[Split, slots.Given]) -> None:
        super().__init__(name="storing")
        self._what = (store, project, draft, {split: one.path for split, one in given.items()})
        self._given = given
        self.version: int | None = None
        self.done, self.total = 0, len(draft.imported.records)
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.version = intake.store_draft(*self._what, self._watch).version_number
            for split, given in self._given.items():  # whoever comes next begins anew, also where this page was left
                drafts.forget(given.path.parent, {split: given.key})
        except Exception as error:  # noqa: BLE001 - the thread's boundary: the page shows or logs it
            self.error = error

    def _watch(self, what: str, done: int, total: int) -> None:
        self.done, self.total = done, total


def begin(store: Store, project: Project, draft: intake.Draft, given: Mapping[Split, slots.Given]) -> None:
    """Starts to store; `follow` says how it went."""
    job = _Storing(store, project, draft, given)
    st.session_state[_STORING] = job
    job.start()


def busy() -> bool:
    """Whether this session is storing something."""
    return _STORING in st.session_state


def follow() -> None:
    """Draws the progress of what this session stores, if anything, until it is stored."""
    job: _Storing | None = st.session_state.get(_STORING)
    if job is None:
        return
    with parts.card("storing"):
        bar = st.progress(0.0, "Storing")
        while job.is_alive():
            bar.progress(min(1.0, job.done / max(1, job.total)), f"Storing: {job.done:,} of {job.total:,} records")
            time.sleep(0.1)
    del st.session_state[_STORING]
    if job.error is not None:
        raise job.error
    slots.forget()
    for key in ("checked", "decided"):
        st.session_state.pop(key, None)
    notices.say(f"Dataset version {job.version} is stored.")
    st.rerun()
