"""Views of records: the prompt that the model will read, the labels of each split, and the findings of the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts
from semievol import config as settings
from semievol.importing.accepted import Records
from semievol.records import Record, Split, Task
from semievol.store.data import versions as data_versions
from semievol.store.data.projects import Project
from semievol.store.data.records import hidden_gold_count, known_answers, records_page
from semievol.task.answers import answer_text
from semievol.ui.data import instruction, versions
from semievol.ui.shell import formats, parts, record, state, tables
from semievol.ui.shell.state import Place

MOST_LABELS = 30


def preview(task: Task, records: Records) -> None:
    """The prompt of one record, beside the label distribution of the splits."""
    left, right = st.columns([6, 6], gap="medium")
    with left, parts.card("preview"):
        parts.heading("As the model will see it")
        if records:
            place = st.number_input(
                "Record", 1, len(records), key="preview_record", help="Number of the record in this import."
            )
            shown = records[int(place) - 1]
            st.code(record.exact_prompt(task, settings.load(), shown), language=None, wrap_lines=True)
            if shown.answer is not None:
                st.code(f"[assistant]\n{shown.answer}", language=None, wrap_lines=True)
    with right, parts.card("labels"):
        labels(task, records.answers(), "import")


def labels(task: Task, known: Mapping[Split, Mapping[str, int]], key: str) -> None:
    """Shares of the answers in each split side by side. known: split -> answer -> records that have it."""
    parts.heading("Labels by split")
    if not known:
        parts.note("No split has known answers.")
        return
    if not task.closed:
        parts.note("This task has no fixed set of answers.")
        return
    counts = pd.DataFrame({split: pd.Series(found, dtype=float) for split, found in known.items()}).fillna(0.0)
    shares = counts / counts.sum().clip(lower=1)
    shares = shares.loc[shares.sum(axis=1).sort_values(ascending=False, kind="stable").index].head(MOST_LABELS)
    tables.figure(charts.class_mix(shares, dark=state.dark()), key=f"label_chart_{key}", height=280)


def findings(found: Sequence[Mapping[str, Any]], key: str) -> None:
    """The findings of the checks as a table: how many records, what, and what was or can be done; with examples."""
    lines = [
        {"count": f.get("count", 0), "what": f.get("what", f["kind"]), "remedy": f.get("done") or f.get("remedy", "")}
        for f in found
    ]
    tables.table(
        pd.DataFrame(lines), f"findings_{key}", {"count": "Records", "what": "Found", "remedy": "Done, or to do"}
    )
    examples(found, key)


def examples(found: Sequence[Mapping[str, Any]], key: str) -> None:
    """The examples of the findings, in a folded table."""
    lines = [
        {"kind": str(f["kind"]).replace("_", " "), **{k: e.get(k) for k in ("split", "row", "value", "note")}}
        for f in found
        for e in f.get("examples", [])
    ]
    if lines:
        with st.expander(f"Examples ({len(lines)})"):
            names = {"kind": "Finding", "split": "Split", "row": "Row", "value": "Text", "note": "Note"}
            tables.table(pd.DataFrame(lines), f"examples_{key}", names)


def stored(here: Place, project: Project) -> None:
    """The current version: counts, records to browse, labels, instruction, findings, and the list of versions."""
    version_id = project.version_id
    assert version_id is not None, "drawn without data"
    with parts.card("stored"):
        words = {"labeled": "known answers", "unlabeled": "to be answered", "test": "to test models on"}
        hidden = hidden_gold_count(here.store, version_id)
        cells = [(s.capitalize(), formats.count(project.counts.get(s, 0)), words[s]) for s in words]  # type: ignore[call-overload]
        cells.append(("Version", str(project.version_number), formats.KIND_WORDS[here.task.kind]))
        if hidden:
            cells.append(("Hidden gold", formats.count(hidden), "for measuring only"))
        parts.tiles(cells)
    left, right = st.columns([7, 5], gap="medium")
    with left, parts.card("browse"):
        _browse(here, project, version_id)
    with right, parts.card("labels_now"):
        labels(here.task, known_answers(here.store, version_id), "stored")
        if here.task.labels:
            st.text(f"Labels: {', '.join(here.task.labels)}")
    instruction.stored(here, project, here.task)
    known = data_versions.versions(here.store, project.id)
    in_use = next(version for version in known if version.id == version_id)
    if in_use.findings:
        with st.expander(f"Findings of this version ({len(in_use.findings)})"):
            findings(in_use.findings, "stored")
    with st.expander(f"Versions ({len(known)})"):
        versions.versions(here, project, known)


def _browse(here: Place, project: Project, version_id: int) -> None:
    parts.heading("Records")
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        search = st.text_input("Search", key="data_search", placeholder="Words in the question", live="300ms") or ""
    with right:
        split = st.selectbox("Split", ["All", "labeled", "unlabeled", "test"], key="data_split")
    chosen = None if split == "All" else split
    _, total = records_page(here.store, version_id, chosen, search, 0, 1)  # type: ignore[arg-type]
    offset = tables.pages_of(total, "data_page")
    page, _ = records_page(here.store, version_id, chosen, search, offset, tables.PAGE)  # type: ignore[arg-type]
    names = {
        "split": "Split",
        "answer": "Answer",
        "question": "Question",
    }  # the question is long: columns after it would be out of sight
    picked = tables.table(
        page, f"records_{offset}_{split}", names, on_select="rerun", selection_mode="single-row", height=300
    )
    row = tables.chosen_row(picked)
    if row is not None and row < len(page):
        line = page.reset_index().iloc[row]
        answer = None if pd.isna(line["answer"]) else str(line["answer"])
        one = Record(str(line["record_id"]), str(line["question"]), tuple(line["options"] or ()), answer)
        st.code(record.exact_prompt(here.task, state.config_of(project), one), language=None, wrap_lines=True)
        if answer is not None:
            st.code(f"[assistant]\n{answer_text(here.task, one, answer)}", language=None, wrap_lines=True)
