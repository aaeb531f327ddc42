"""What is recommended where a first round would have few labeled records, and why."""

from __future__ import annotations

import streamlit as st

from semievol.config import Config
from semievol.jobs import planning
from semievol.method.small_budget import Advice
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.ui.shell import parts, state
from semievol.ui.shell.state import Place


def few_labeled(here: Place, config: Config) -> None:
    """The recommendation and its reasons; nothing where there are enough labeled records."""
    found = _advice(here.store, here.project, here.project.version_id, config)
    if found is not None:
        parts.heading(found.heading, found.recommended)
        for reason in found.reasons:
            parts.note(reason)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=state.HASH)
def _advice(store: Store, _project: Project, version_id: int | None, config: Config) -> Advice | None:
    """version_id: the records are those of this dataset version."""
    return planning.small_budget(store, _project, config)
