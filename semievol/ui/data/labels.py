"""Labeling a record on a page: the label waits, then all that wait become the next dataset version together."""

from __future__ import annotations

import streamlit as st

from semievol.records import Record
from semievol.store.data import labels
from semievol.task.answers import allowed_answers
from semievol.ui.shell import formats, notices, parts, record, router
from semievol.ui.shell.state import Place


def control(here: Place, shown: Record) -> None:
    """A choice of the record's label, for labeled and unlabeled records of the version in use; in a round of another
    version a note says what to do first."""
    if shown.split not in labels.CHANGEABLE:
        return
    if here.round_or_none is not None and here.round.version_id != here.project.version_id:
        number = here.project.version_number
        parts.note(
            f"This round has an earlier version of the data. Labels are given in version {number}, which is in use: "
            "open a new round (Training page, Run everything), then label here again."
        )
        return
    waits = labels.waiting(here.store, here.project.id).get(shown.id)
    present = waits or shown.answer
    allowed = allowed_answers(here.task, shown)
    key = f"label_{here.project.id}_{shown.id}_{present}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if allowed:
            place = allowed.index(present) if present in allowed else None
            chosen = st.selectbox(
                "Its label",
                allowed,
                index=place,
                format_func=lambda answer: record.named_answer(here.task, shown, answer),
                placeholder="Choose",
                key=key,
                width=280,
            )
        else:
            chosen = st.text_input("Its label", present or "", key=key, width=280)
        what = "Correct the label" if shown.answer else "Label it"
        if st.button(what, icon=":material/label:", disabled=not chosen or chosen == present):
            with notices.errors_kept():
                labels.note(here.store, here.project.id, shown.id, chosen)
            st.rerun()
        if waits and st.button("Take back", icon=":material/undo:"):
            labels.note(here.store, here.project.id, shown.id, None)
            st.rerun()
    if waits:
        parts.note("This label is saved and waits for the next dataset version.")


def waiting(here: Place) -> None:
    """How many labels wait, with the button that makes the next version of them; nothing where none waits."""
    count = len(labels.waiting(here.store, here.project.id))
    if not count:
        return
    with parts.card("labels_waiting", tight=True):
        parts.note(
            f"{formats.plural(count, 'label')} given here {'waits' if count == 1 else 'wait'} for the next dataset "
            "version. A new round then learns from them; rounds that are done stay as they are."
        )
        with st.container(horizontal=True):
            if st.button(f"Make the next version with {formats.plural(count, 'label')}", type="primary"):
                with notices.errors_kept():
                    labels.make_version(here.store, here.project.id)
                    used = count - len(labels.waiting(here.store, here.project.id))
                    notices.say(f"The next version is in use. It has {formats.plural(used, 'new label')}.")
                    router.go("training")
                st.rerun()
            if st.button("Discard them", icon=":material/delete:"):
                labels.discard(here.store, here.project.id)
                st.rerun()
