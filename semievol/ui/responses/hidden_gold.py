"""The switch that shows the hidden gold on the Responses page. It is off at every visit, and no address turns it on."""

from __future__ import annotations

import streamlit as st

from semievol.records import Task
from semievol.store.results.results import RecordView
from semievol.task.answers import same
from semievol.ui.shell import parts, record
from semievol.ui.shell.paint import Node, labelled

_KEY = "show_known_answer"


def shown() -> bool:
    """Whether this visitor wants to see it."""
    return bool(st.session_state.get(_KEY))


def switch(view: RecordView) -> None:
    """Draws the switch, for a record that has hidden gold, and says what looking means."""
    if view.gold is None or view.record.split != "unlabeled":
        return
    if st.toggle(
        "Show the known answer", key=_KEY, help="The answer column of the unlabeled data, kept for measuring."
    ):
        parts.note(
            "Decisions that you make after looking are no blind evidence of how good the answers are; only a random "
            "review is, which never shows it."
        )


def nodes(task: Task, view: RecordView) -> list[Node]:
    """The known answer beside its label, where it is to be shown."""
    if not shown() or view.gold is None or view.candidate is None:
        return []
    right = same(task, view.candidate.answer, view.gold)
    answer = record.chip(record.named_answer(task, view.record, view.gold), right)
    return [labelled("Known answer", answer, classes="row gap")]
