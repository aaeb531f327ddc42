"""What an import or a stored version holds: counts, rejected rows, findings, lengths, prompts, labels by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol import charts, presets
from semievol import config as settings
from semievol.importing.findings import SHOWN, Finding
from semievol.importing.imported import Imported
from semievol.jobs.intake import TokenLengths
from semievol.records import Record, Split, Task
from semievol.task.answers import class_name
from semievol.ui.data import corrections, import_draft
from semievol.ui.data.misspelled import Misspelled
from semievol.ui.shell import formats, parts, record, state, tables

KEEP, TAKE = "keep", "take"
MOST_LABELS = 30
_ROWS = 1_000
REJECTED = {"column": 90, "value": 90, "reason": 180, "remedy": 360}


def report(imported: Imported) -> None:
    """The rows read, accepted and rejected per file, and the rejected rows with reason and remedy, to download."""
    parts.heading("What was read")
    moved = 0 if "test" in imported.report else imported.records.size("test")
    lines: list[dict[str, Any]] = [
        {
            "Split": split,
            "From": r.name,
            "Rows in the file": r.physical,
            "Accepted": r.accepted,
            "Rejected": r.rejected,
            "Left out": r.removed - (moved if split == "labeled" else 0),
            "Moved to test": moved if split == "labeled" else 0,
        }
        for split, r in imported.report.items()
    ]
    if moved:
        lines.append({**dict.fromkeys(lines[0], 0), "Split": "test", "From": "the labeled records", "Accepted": moved})
    frame = pd.DataFrame(lines)
    tables.table(frame if moved else frame.drop(columns="Moved to test"), "report")
    total = sum(r.rejected for r in imported.report.values())
    if not total:
        return
    shown = f" The first {_ROWS:,} are shown." if total > _ROWS else ""
    parts.heading(f"Rejected rows ({total:,})", f"The other rows can be imported without them.{shown}")
    frame = _rejects(imported, _ROWS)
    headings = {c: c.capitalize() for c in ("split", "row", "column", "value", "reason", "remedy")}
    tables.table(frame, "rejects", headings, REJECTED, height=min(320, 40 + 35 * len(frame)))
    st.download_button(
        "Download rejected rows",
        lambda: tables.spreadsheet(_rejects(imported)),
        "rejected-rows.csv",
        on_click="ignore",
    )


def _rejects(imported: Imported, most: int | None = None) -> pd.DataFrame:
    return pd.DataFrame([{"split": split, **asdict(one)} for split, one in islice(imported.rejected(), most)])


def remedies(found: Sequence[Finding], spelled: Misspelled) -> frozenset[str]:
    """Draws the findings with their remedies; returns the kinds of those whose remedy the visitor takes."""
    taken = set()
    for finding in found:
        left, right = st.columns([7, 5], vertical_alignment="center")
        with left:
            st.text(finding.what)
            if finding.where:
                st.text(f"In {finding.where}")
            parts.note(finding.remedy)
        with right:
            if len(finding.leaves):
                offer = f"{finding.offer} ({len(finding.leaves):,})"
                import_draft.settle(f"remedy_{finding.kind}", TAKE if finding.taken else KEEP, (KEEP, TAKE))
                chosen = st.segmented_control(
                    finding.kind,
                    [KEEP, TAKE],
                    format_func={KEEP: "Keep", TAKE: offer}.__getitem__,
                    required=True,
                    key=f"remedy_{finding.kind}",
                    label_visibility="collapsed",
                )
                if chosen == TAKE:
                    taken.add(finding.kind)
            elif finding.kind == "unlabeled_answers":
                st.button("Keep as hidden gold", on_click=_hide_gold, key="remedy_unlabeled_answers")
            elif finding.kind != "label_variants":
                corrections.button(finding)
        if finding.kind == "label_variants":
            spelled.draw()
    examples([finding.as_dict() for finding in found], "import")
    return frozenset(taken)


def _hide_gold() -> None:
    st.session_state[import_draft.HIDE_GOLD] = True


def token_tiles(measured: TokenLengths, model: str) -> None:
    """The lengths of the records in tokens, and how many are too long for the model."""
    cut = ("" if measured.looked_at else "at least ") + formats.count(measured.too_long)
    middle, high, longest = (int(np.quantile(measured.sample, q)) for q in (0.5, 0.95, 1.0))
    parts.tiles(
        [
            ("Median length", formats.count(middle), "tokens, without demonstrations"),
            ("95 % are shorter than", formats.count(high), f"longest of those measured: {formats.count(longest)}"),
            ("Too long for the model", cut, f"{formats.shorten(model, 40)} reads {measured.context:,} tokens"),
        ]
    )
    if measured.too_long:
        parts.note("Records that are too long are neither answered nor used for training. No text is cut off.")


def preview(imported: Imported) -> None:
    """The prompt of one record, beside the label distribution of the splits."""
    task, records = imported.task, imported.records
    left, right = st.columns([6, 6], gap="medium")
    with left, parts.card("preview"):
        parts.heading("As the model will see it")
        if records:
            place = st.number_input(
                "Record", 1, len(records), key="preview_record", help="Number of the record in this import."
            )
            shown = records[int(place) - 1]
            example(task, presets.load(), shown, shown.answer)
    with right, parts.card("labels"):
        labels(task, records.answers(), "import")


def example(task: Task, config: settings.Config, shown: Record, answer: str | None) -> None:
    """A record as a training example: the exact prompt and, if it is known, the answer."""
    st.code(record.exact_prompt(task, config, shown), language=None, wrap_lines=True)
    if answer is not None:
        st.code(f"[assistant]\n{answer}", language=None, wrap_lines=True)


def labels(task: Task, known: Mapping[Split, Mapping[str, int]], key: str) -> None:
    """Shares of the answers in each split side by side. known: split -> answer -> records that have it."""
    varying = task.kind == "multiple_choice"
    note = "The options differ from record to record, so these are their places." if varying else ""
    parts.heading("Labels by split", note)
    if not known:
        parts.note("No split has known answers.")
        return
    if not task.closed:
        parts.note("This task has no fixed set of answers.")
        return
    counts = pd.DataFrame({split: pd.Series(found, dtype=float) for split, found in known.items()}).fillna(0.0)
    shares = counts / counts.sum().clip(lower=1)
    shares = shares.loc[shares.sum(axis=1).sort_values(ascending=False, kind="stable").index].head(MOST_LABELS)
    shares.index = shares.index.map(lambda answer: class_name(task, answer))
    chart = charts.class_mix(shares, dark=state.dark())
    tables.figure(chart, key=f"label_chart_{key}", alt="Share of every label in each split")


def findings(found: Sequence[Mapping[str, Any]], key: str) -> None:
    """The findings of the checks as a table: how many records, what, and what was or can be done; with examples."""
    lines = [
        {
            "Records": f.get("count", 0),
            "Found": f.get("what", f["kind"]),
            "In": f.get("where", ""),
            "Done, or to do": f.get("done") or f.get("remedy", ""),
        }
        for f in found
    ]
    tables.table(pd.DataFrame(lines), f"findings_{key}", widths={"Found": 380, "Done, or to do": 300})
    examples(found, key)


def examples(found: Sequence[Mapping[str, Any]], key: str) -> None:
    """The examples of the findings, in a folded table."""
    lines = [
        {
            "kind": str(f.get("what", f["kind"])).partition(":")[0],
            **{k: e.get(k) for k in ("split", "row", "value", "note")},
        }
        for f in found
        for e in f.get("examples", [])
    ]
    if lines:
        with st.expander(f"Examples (at most {SHOWN} of each finding)"):
            names = {"kind": "Finding", "split": "Split", "row": "Row", "value": "Text", "note": "Note"}
            tables.table(pd.DataFrame(lines), f"examples_{key}", names, {"kind": 240, "value": 300, "note": 160})
