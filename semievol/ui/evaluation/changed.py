"""Test records that two models answer differently, and the pseudo-labels that may be the reason."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from semievol.records import Task
from semievol.selection.similar import similarities
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import results
from semievol.store.runs.runs import Run
from semievol.task.answers import same
from semievol.ui.evaluation.classes import chosen_model
from semievol.ui.shell import formats, paint, parts, record, state, tables
from semievol.ui.shell.state import Place

NEAREST = 5
WIDTHS = {"question": 420}
KEPT_BY = {"pseudo": "policy", "expert": "expert"}


def changed(here: Place, run: Run, found: pd.DataFrame) -> None:
    """Records that the evolved model answers right and another model wrong, or the other way round; for a chosen one
    what the evolved model learned from that reads alike. found: test answers of the run."""
    parts.heading(
        "Changed records", "One of the two models is right here, the other wrong. Choose a record to see why."
    )
    there = set(found["model"]) - {"evolved"}
    others = {row: words for row, words in formats.row_words(here.later_round).items() if row in there}
    if not others or "evolved" not in set(found["model"]):
        parts.note("There are no two models to compare.")
        return
    left, right = st.columns([1, 1])
    with left:
        other = chosen_model("Compared with", others, "warm_up", "flips_against")
    which = right.segmented_control(
        "Which",
        ["All", "now right", "now wrong"],
        default="All",
        required=True,
        key="flips",
        bind="query-params",
        label_visibility="collapsed",
    )
    table = flipped(found, other)
    table = table if which == "All" else table[table["flip"] == which]
    if table.empty:
        parts.note("There is no such record.")
        return
    names = {"flip": "Change", "gold": "Gold", "other": others[other], "evolved": "Evolved"}
    names["question"] = "Question"  # last, as it is long
    place = tables.pick(table, f"flips_{which}_{other}", names, WIDTHS, height=300)
    if place is not None:
        _reasons(here, run, str(table.index[place]), table.iloc[place], others[other])


def flipped(found: pd.DataFrame, other: str) -> pd.DataFrame:
    """By record id: flip ("now right" or "now wrong"), question, gold, the answers of `other` and of evolved, and how
    sure each was of its own (`other_sure`, `evolved_sure`, NaN where unknown)."""
    wide = found.pivot(index="record_id", columns="model", values=["answer", "correct", "confidence"])
    before, after = wide["correct"][other].astype(bool), wide["correct"]["evolved"].astype(bool)
    once = found.drop_duplicates("record_id").set_index("record_id")
    table = pd.DataFrame(
        {
            "flip": after.map({True: "now right", False: "now wrong"}),
            "question": once["question"].reindex(wide.index),
            "gold": once["gold"].reindex(wide.index),
            "other": wide["answer"][other],
            "evolved": wide["answer"]["evolved"],
            "other_sure": wide["confidence"][other].astype(float),
            "evolved_sure": wide["confidence"]["evolved"].astype(float),
        }
    )
    return table[before != after].sort_values("flip")


def _reasons(here: Place, run: Run, record_id: str, line: pd.Series, other: str) -> None:
    """The record whole, what both models said, and the kept answers that it resembles most. other: the name of the
    model that the evolved one is compared with."""
    asked = results.record_view(here.store, here.round.id, record_id).record
    better = line["flip"] == "now right"
    answers = (
        ("known answer", line["gold"], None, math.nan),
        (other, line["other"], not better, line["other_sure"]),
        ("evolved", line["evolved"], better, line["evolved_sure"]),
    )
    said = []
    for name, answer, good, sure in answers:
        how = "" if math.isnan(sure) or not here.task.closed else f" ({formats.percent(sure)})"
        said.append(record.chip(f"{name}: {record.named_answer(here.task, asked, answer)}{how}", good))
    paint.draw(*record.question(here.task, asked, line["gold"]), paint.group("row", *said), key=f"flip_{record_id}")
    if run.selection_used is None:
        parts.note("The evolved model of this run learned from no selection.")
        return
    near = _nearest(here.store, here.task, here.round.id, run.selection_used, asked.question)
    parts.heading(
        "What it learned from that reads alike",
        f"The answers of selection {run.selection_used} that share most rare words with this question (cosine; 1: the "
        "same words). A wrong one among them may have misled it.",
    )
    if near.empty:
        parts.note("No kept answer shares a word with it.")
        return
    names = {"similarity": "Similarity", "answer": "Pseudo-label", "kept_by": "Kept by"}
    if near["gold"].notna().any() and st.toggle("Check them against the hidden gold", key="flips_gold"):
        names |= {"right": "Is it right?"}
    names |= {"question": "Question"}
    tables.table(near, f"reasons_{record_id}", names, WIDTHS, {"similarity": "%.2f"})


@st.cache_data(max_entries=20, show_spinner="Looking for kept answers that read alike …", hash_funcs=state.HASH)
def _nearest(store: Store, task: Task, round_id: int, number: int, question: str) -> pd.DataFrame:
    """The kept answers most like the question: record_id, question, answer (in words), kept_by, similarity, gold,
    right. A frozen selection never changes."""
    kept = selections.selection_frame(store, round_id, number)
    kept = kept.assign(similarity=similarities(question, kept["question"].tolist()))
    near = kept[kept["similarity"] > 0].nlargest(NEAREST, "similarity", keep="first")
    views = [results.record_view(store, round_id, record_id) for record_id in near["record_id"]]
    right = [None if v.gold is None else same(task, a, v.gold) for v, a in zip(views, near["answer"], strict=True)]
    return near.assign(
        answer=[record.named_answer(task, v.record, a) for v, a in zip(views, near["answer"], strict=True)],
        kept_by=near["origin"].map(KEPT_BY),
        gold=pd.Series([view.gold for view in views], index=near.index, dtype=object),
        right=["" if one is None else "right" if one else "wrong" for one in right],
    )[["record_id", "question", "answer", "kept_by", "similarity", "gold", "right"]]
