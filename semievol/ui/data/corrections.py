"""The buttons of findings that offer another reading of the files, and the field for the names of numbered labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import streamlit as st

from semievol.errors import UserError
from semievol.importing.findings import Finding
from semievol.importing.label_names import are_numbers, named, with_names
from semievol.importing.mapping import Mapping as Columns
from semievol.importing.table import Table
from semievol.records import Split, Task
from semievol.ui.data import import_draft, slots

NAMES = "Names of these labels"


def button(finding: Finding) -> None:
    """The button that takes the other reading of a finding, if it has one."""
    if finding.correction is not None:
        split = next(iter(finding.counts), "")
        key = f"correct_{finding.kind}_{split}"
        st.button(finding.correction.words, key=key, on_click=_correct, args=(finding,))


def _correct(finding: Finding) -> None:
    """Runs before the page is drawn again, so that the widgets of these choices show them."""
    kept, correction = import_draft.current(), finding.correction
    assert correction is not None, "a button was drawn for it"
    if correction.thing in ("sheet", *slots.READINGS):
        for split in finding.counts:
            if (given := kept.given.get(split)) is not None:
                slots.choose(given.key, correction.thing, correction.value)
    elif (key := kept.boxes.get(correction.thing)) is not None:
        st.session_state[key] = correction.value


def label_names(tables: Mapping[Split, Table], mapping: Columns, task: Task) -> tuple[Mapping[Split, Table], Task]:
    """The tables and the task with the names that a visitor gives to labels that are numbers; as they are without."""
    if task.kind != "classification" or not are_numbers(task.labels):
        return tables, task
    key = f"label_names_{hashlib.sha256(repr(sorted(task.labels)).encode()).hexdigest()[:12]}"
    import_draft.settle(key, "", (import_draft.current().choices.get(key), ""))
    text = st.text_input(
        f"{NAMES} (optional)",
        key=key,
        placeholder="negative, neutral, positive",
        help="In the order of the numbers, separated by commas. A model knows what a name means.",
    )
    if not (text or "").strip():
        return tables, task
    try:
        return with_names(tables, mapping, named(text or ""))
    except UserError as error:
        st.text(f"{error.what} {error.remedy}")
        return tables, task
