"""What a page needs before it can show anything. Where it is missing, the page ends with the button that makes it."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from semievol.jobs import launch
from semievol.records import Kind, Task
from semievol.store.data import projects
from semievol.store.data.projects import Project
from semievol.store.results import results
from semievol.ui.shell import actions, archives, awaiting_results, formats, parts, proposal, router, state, steps
from semievol.ui.shell.state import Place


def needs_project(here: Place) -> Project:
    """Returns the project of the address. Without one, draws the empty state with its buttons and ends the page."""
    if here.project_or_none is not None:
        return here.project
    what = (
        "A project holds your data, its task and every result. The sample project shows the whole method in two "
        "minutes, without a network or a GPU."
    )
    with parts.card("no_project"), parts.empty("Start with a project", what):
        start_buttons(primary=True)
    st.stop()


def needs_data(here: Place, why: str) -> None:
    """Ends the page with a link to the Data page if the project has no records. why: what the page needs them for."""
    if here.project.version_id is not None and here.project.task is not None:
        return
    with parts.card("no_data"), parts.empty("No records yet", why):
        router.link("data", "Add your data", ":material/upload_file:")
    st.stop()


def needs_candidates(here: Place, what: str) -> None:
    """Ends the page if the round has no candidates: with what is coming, or with the button that makes them.

    what: what the page shows, in a sentence.
    """
    if has_candidates(here):
        return
    needs_data(here, f"{what} Import labeled and unlabeled records first.")
    with parts.card("no_candidates"):
        if awaiting_results.missing(here, "selection", what):
            st.stop()
        why = f"{what} Propagate first: the model learns from the labeled records and answers the unlabeled ones."
        with parts.empty("No candidates yet", why):
            config = proposal.config(here)
            reason = steps.why_not(here, config, launch.PROPAGATE)
            parts.act(
                "Propagate",
                steps.starting(here, config, launch.PROPAGATE),
                why_not=reason,
                type="primary",
                icon=":material/play_arrow:",
            )
            awaiting_results.open_other(here, "selection")
            router.link("training", "Follow it on the Training page" if reason else "Settings on the Training page")
        if reason:
            parts.note(reason)
    st.stop()


def has_candidates(here: Place) -> bool:
    """Whether the round has candidates to select from."""
    return here.round_or_none is not None and results.has_candidates(here.store, here.round.id)


def start_buttons(primary: bool = False) -> None:
    """The buttons that open the sample, make a project, or import an archive."""
    kind = "primary" if primary else "secondary"
    parts.act("Open sample project", actions.open_sample, type=kind, icon=":material/science:")
    if st.button("New project", icon=":material/add:"):
        new_project()
    archives.import_button()


@st.dialog("New project")
def new_project() -> None:
    """The form for a new project: its name and, if wanted, its kind of task."""
    with st.form("new_project", border=False):
        name = st.text_input("Name", max_chars=120, placeholder="What is it about?")
        kind = st.segmented_control(
            "Task (if none is chosen, the data show it)",
            get_args(Kind),
            format_func=lambda k: formats.KIND_WORDS[k],
            key="new_kind",
        )
        if st.form_submit_button("Create project", type="primary"):
            with parts.errors_shown():
                made = projects.create_project(state.open_store(), name or "", Task(kind) if kind else None)
                router.go("data", project=made.id, round=None)
