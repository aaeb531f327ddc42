"""The task's instruction, sent with every record. It is typed before an import; a later change makes a new version."""

from __future__ import annotations

import streamlit as st

from semievol.jobs import intake
from semievol.records import Task
from semievol.store.data.projects import Project
from semievol.task.answers import LONGEST_INSTRUCTION
from semievol.ui.data import choices
from semievol.ui.shell import notices, parts
from semievol.ui.shell.state import Place

LABEL = "Instruction"
_HELP = "What to do with every record, for example what the labels mean. It is sent as the system message before every "
_HELP += "prompt, except to collaborators of the variant `bare`."
_EXAMPLE = "Sort each call by the team that has to go."


def typed(project: Project) -> str:
    """The field for an import; it begins with the project's present instruction."""
    key, before = "instruction", project.task.instruction if project.task else ""
    choices.settle(key, before, (choices.made(key), before))
    text = st.text_area(
        f"{LABEL} (optional)", key=key, height=80, max_chars=LONGEST_INSTRUCTION, placeholder=_EXAMPLE, help=_HELP
    )
    return text or ""


def stored(here: Place, project: Project, task: Task) -> None:
    """The instruction of the current version, and the form that changes it."""
    with st.expander(LABEL if task.instruction else f"{LABEL} (none)"):
        with st.form("instruct", border=False):
            text = st.text_area(
                LABEL,
                task.instruction,
                key=f"instruction_of_{project.version_id}",
                height=100,
                max_chars=LONGEST_INSTRUCTION,
                placeholder=_EXAMPLE,
                help=_HELP,
                label_visibility="collapsed",
            )
            parts.note("Saving makes a new dataset version with the same records. Existing rounds do not change.")
            pressed = st.form_submit_button("Save instruction", icon=":material/check:")
        if pressed:
            with parts.errors_shown(), st.spinner("Storing"):
                saved = intake.instruct(here.store, project, text or "")
                if saved.version_id != project.version_id:
                    notices.say(f"The instruction was saved as dataset version {saved.version_number}.")
                st.rerun()
