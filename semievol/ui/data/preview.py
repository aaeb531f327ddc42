"""Views of records: the prompt that the model will read, the labels of each split, and the findings of the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts
from semievol import config as settings
from semievol.importing.accepted import Records
from semievol.records import Split, Task
from semievol.ui.shell import parts, record, state, tables

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
