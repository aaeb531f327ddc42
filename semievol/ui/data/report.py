"""The report of an import before it is stored: counts, rejected rows, findings with their remedies, lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice

import numpy as np
import pandas as pd
import streamlit as st

from semievol.importing.build import Imported
from semievol.importing.checks import Finding
from semievol.jobs.intake import TokenLengths
from semievol.ui.data import choices, preview
from semievol.ui.shell import formats, parts, tables

KEEP, TAKE = "keep", "take"
_ROWS = 1_000


def report(imported: Imported) -> None:
    """The rows read, accepted and rejected per file, and the rejected rows with reason and remedy, to download."""
    parts.heading("What was read")
    lines = [
        {
            "split": split,
            "name": r.name,
            "physical": r.physical,
            "accepted": r.accepted,
            "rejected": r.rejected,
            "removed": r.removed,
        }
        for split, r in imported.report.items()
    ]
    names = {
        "split": "Split",
        "name": "From",
        "physical": "Rows in the file",
        "accepted": "Accepted",
        "rejected": "Rejected",
    }
    tables.table(pd.DataFrame(lines), "report", names | {"removed": "Left out or moved to test"})
    total = sum(r.rejected for r in imported.report.values())
    if not total:
        return
    shown = f" The first {_ROWS:,} are shown." if total > _ROWS else ""
    parts.heading(f"Rejected rows ({total:,})", f"The other rows can be imported without them.{shown}")
    frame = _rejects(imported, _ROWS)
    headings = {c: c.capitalize() for c in ("split", "row", "column", "value", "reason", "remedy")}
    tables.table(frame, "rejects", headings, height=min(320, 40 + 35 * len(frame)))
    st.download_button(
        "Download rejected rows",
        lambda: tables.spreadsheet(_rejects(imported)),
        "rejected-rows.csv",
        on_click="ignore",
    )


def _rejects(imported: Imported, most: int | None = None) -> pd.DataFrame:
    return pd.DataFrame([{"split": split, **asdict(one)} for split, one in islice(imported.rejected(), most)])


def remedies(found: Sequence[Finding]) -> frozenset[str]:
    """Draws the findings with their remedies; returns the kinds of those whose remedy the visitor takes."""
    taken = set()
    for finding in found:
        left, right = st.columns([7, 5], vertical_alignment="center")
        with left:
            st.text(finding.what)
            parts.note(finding.remedy)
        with right:
            if len(finding.leaves):
                offer = f"{finding.offer} ({len(finding.leaves):,})"
                choices.settle(f"remedy_{finding.kind}", TAKE if finding.taken else KEEP, (KEEP, TAKE))
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
    preview.examples([finding.as_dict() for finding in found], "import")
    return frozenset(taken)


def _hide_gold() -> None:
    st.session_state["hide_gold"] = True


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
