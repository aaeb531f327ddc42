"""Frozen selections: their content, what was known when they were frozen, how two differ, and each record's origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol.config import Policy
from semievol.export.caveats import unfrozen
from semievol.selection import claims
from semievol.store.decisions import selections
from semievol.ui.selection import policy
from semievol.ui.shell import downloads, formats, parts, tables
from semievol.ui.shell.state import Place

NONE = "No selection is frozen yet. Fine-tuning first freezes what the present policy keeps."


def compare(here: Place) -> None:
    """The table of selections, the differences between two of them, and the origin of each record."""
    found = sorted(selections.selections(here.store, here.round.id), key=lambda one: -one["number"])
    parts.heading(
        "Selections", "A selection is numbered and never changes once it is frozen. Fine-tuning uses the newest one."
    )
    if not found:
        parts.note(NONE)
        return
    tables.table(
        pd.DataFrame([_line(one) for one in found]), "frozen", widths={"Policy": 180, "Evidence at that time": 200}
    )
    numbers = [one["number"] for one in found]
    left, right = st.columns(2)
    newer = left.selectbox("Selection", numbers, key="frozen_newer")
    older = right.selectbox(
        "Compare with", [None, *numbers], key="frozen_older", format_func=lambda n: str(n or "none")
    )
    if older is not None and older != newer:
        _difference(here, newer, older)
    _passports(here, newer)


def _line(one: Mapping[str, Any]) -> dict[str, Any]:
    stored = one["policy"]
    return {
        "Selection": one["number"],
        "Records": one["size"],
        "By expert": int((one.get("origins") or {}).get("expert", 0)),
        "Policy": policy.in_words(Policy.model_validate(stored)) if stored else "",
        "Evidence at that time": "; ".join(claims.sentences(one["evidence"])) or "not enough evidence",
        "Made": formats.moment(one["created"]),
    }


def _difference(here: Place, newer: int, older: int) -> None:
    now, before = (selections.selection_frame(here.store, here.round.id, n) for n in (newer, older))
    both = now.merge(before, on="record_id", how="outer", suffixes=("", "_before"), indicator=True)
    added, removed = both[both["_merge"] == "left_only"], both[both["_merge"] == "right_only"]
    kept = both[both["_merge"] == "both"]
    changed = kept[kept["answer"] != kept["answer_before"]]
    parts.note(
        f"Selection {newer} compared with selection {older}: {formats.plural(len(added), 'record')} added, "
        f"{len(removed):,} removed; {len(changed):,} of {len(kept):,} common records have another answer."
    )
    rows = pd.concat([_rows(added, "added"), _rows(removed, "removed"), _rows(changed, "changed")])
    if len(rows):
        names = {"what": "Change", "question": "Question", "before": f"In {older}", "after": f"In {newer}"}
        tables.table(rows.head(tables.PAGE), f"difference_{newer}_{older}", names)


def _rows(part: pd.DataFrame, what: str) -> pd.DataFrame:
    question = part["question"].where(part["question"].notna(), part["question_before"])
    return pd.DataFrame(
        {"what": what, "question": question, "before": part["answer_before"], "after": part["answer"]}, index=part.index
    )


def _passports(here: Place, number: int) -> None:
    """One page of the selection's records, each with the origin of its answer."""
    frame = selections.selection_frame(here.store, here.round.id, number)
    frame["answer_nll"] = [formats.confidence("answer_nll", value) for value in frame["answer_nll"]]
    frame["decided_at"] = [formats.moment(at) if at == at else "" for at in frame["decided_at"]]
    offset = tables.pages_of(len(frame), f"passports_{number}")
    parts.note(f"Origin of each answer in selection {number} ({formats.plural(len(frame), 'record')}):")
    tables.table(frame.iloc[offset : offset + tables.PAGE], f"passports_{number}_{offset}", PASSPORT, WIDTHS)


PASSPORT = {
    "question": "Question",
    "answer": "Answer",
    "origin": "Origin",
    "candidate": "Candidate",
    "agreed": "Agreed",
    "justified": "Justified",
    "answer_nll": formats.MEASURE_WORDS["answer_nll"],
    "reviewer": "Reviewer",
    "decided_at": "Decided",
    "note": "Note",
}
WIDTHS = {"question": 150, "answer_nll": 90, "reviewer": 80, "note": 60}


def summary(here: Place, found: Sequence[Mapping[str, Any]]) -> None:
    """The newest selection in one line, and its answers as a workbook, below the button that freezes."""
    if not found:
        parts.note(NONE)
        return
    newest = max(found, key=lambda one: one["number"])
    known = "; ".join(claims.sentences(newest["evidence"]))
    sentence = f"Newest: selection {newest['number']}, {formats.plural(newest['size'], 'record')}"
    parts.note(f"{sentence}, {formats.moment(newest['created'])}{f'; {known}' if known else ''}.")
    if since := unfrozen(here.store, here.round.id):
        parts.note(since)
    label = f"Answers of selection {newest['number']} (XLSX)"
    downloads.download(here, label, "answers", f"answers-{newest['number']}.xlsx", round_id=here.round.id)
