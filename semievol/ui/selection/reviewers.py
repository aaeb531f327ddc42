"""Several reviewers: how much they agree beyond chance, and the records on which they differ."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import streamlit as st

from semievol.evidence import agreement
from semievol.records import Decision, Task
from semievol.selection.decisions import ASSERTS
from semievol.store.decisions import decisions
from semievol.task.answers import fold, parse_number
from semievol.ui.selection import desk
from semievol.ui.shell import formats, parts, tables
from semievol.ui.shell.state import Place

SHOWN = 100


def reviewers(here: Place, pool: pd.DataFrame) -> None:
    """Cohen's kappa for every pair, Krippendorff's alpha for all, and the records with different decisions."""
    parts.heading(
        "Reviewers",
        "Compares each reviewer's newest decision on each record. To decide on records that others have decided on, "
        "choose “Second opinion” under Review.",
    )
    given = opinions(here.task, decisions.standing(here.store, here.project.id))
    if given.shape[1] < 2:
        parts.note("There are no decisions by two reviewers yet. Each reviewer enters a name on the Settings page.")
        return
    both = given[given.notna().sum(axis=1) >= 2]
    if both.empty:
        parts.note("No two reviewers have decided on the same record yet.")
        return
    parts.tiles(
        [
            ("Decided by several", formats.count(len(both)), "records"),
            ("Decided differently", formats.count(int((both.nunique(axis=1) > 1).sum())), "records"),
            (
                "Krippendorff's alpha",
                formats.score(agreement.alpha(given)),
                "1 is full agreement, 0 is chance",
                "Agreement beyond chance: 1 − observed / expected disagreement, for nominal answers, over all "
                "reviewers and all records with two or more decisions.",
            ),
        ]
    )
    lines: list[dict[str, Any]] = [
        {
            "Reviewers": f"{p.left} and {p.right}",
            "Records both decided": p.records,
            "Same decision": p.agreed,
            "Cohen's kappa": p.kappa,
        }
        for p in agreement.pairs(given.rename(columns=lambda name: name or "not signed"))
        if p.records
    ]
    tables.table(pd.DataFrame(lines), "kappa")
    if any(math.isnan(line["Cohen's kappa"]) for line in lines):
        parts.note("Kappa is not defined where both reviewers gave one and the same answer to all records.")
    _conflicts(pool, both)


def opinions(task: Task, standing: dict[str, list[Decision]]) -> pd.DataFrame:
    """One line per record content (under its newest record id), one column per reviewer: what each said last.

    A rejection only says which answer is wrong. It counts only if somebody else gave just that answer, or if nobody
    gave any.
    """
    given: dict[str, dict[str, str]] = {}
    for entries in standing.values():
        last = {entry.reviewer: entry for entry in entries if entry.action != "skip"}
        asserted = {_canonical(task, entry.answer) for entry in last.values() if entry.action in ASSERTS}
        words = {name: _said(task, entry, asserted) for name, entry in last.items()}
        if known := {name: word for name, word in words.items() if word}:
            given[entries[-1].record_id] = known
    return pd.DataFrame.from_dict(given, orient="index", dtype=object).sort_index(axis=1)


def _said(task: Task, entry: Decision, asserted: set[str]) -> str:
    if entry.action in ASSERTS:
        return _canonical(task, entry.answer)
    if entry.action == "ambiguous":
        return formats.DECISION_WORDS["ambiguous"]
    rejected = _canonical(task, entry.answer_shown)
    return f"not {rejected}" if rejected in asserted or not asserted else ""


def _canonical(task: Task, answer: str | None) -> str:
    """One spelling for all answers that count as the same."""
    if task.kind == "numeric" and answer is not None and (number := parse_number(answer)) is not None:
        return format(number.normalize(), "f")
    return fold(answer or "") if task.kind == "text" else str(answer)


def _conflicts(pool: pd.DataFrame, both: pd.DataFrame) -> None:
    apart = both[both.nunique(axis=1) > 1]
    apart = apart[apart.index.isin(pool.index)].head(SHOWN)
    if apart.empty:
        return
    parts.heading("Records decided differently", "The newest decision counts.")
    people = [str(name) for name in apart.columns]
    shown = apart.set_axis([f"by_{n}" for n in range(len(people))], axis=1).assign(
        question=pool["question"].loc[apart.index]
    )
    names = {"question": "Question"} | {f"by_{n}": name or "not signed" for n, name in enumerate(people)}
    picked = tables.pick(shown, f"conflicts_{len(apart)}", names)
    if picked is not None:
        st.button("Open in Review", key="open_conflict", on_click=desk.show_first, args=(str(apart.index[picked]),))
