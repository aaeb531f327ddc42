"""One row of an evaluation class by class: the confusion matrix, and a table of precision, recall and F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.method import metrics
from semievol.records import Task
from semievol.store.data import records
from semievol.task.answers import LETTERS, class_name
from semievol.ui.shell import formats, parts, state, tables
from semievol.ui.shell.state import Place

NO_ANSWER = "no answer"
MOST_NAMES = 30
"""Texts of options that are classes by themselves; where there are more, the options differ from record to record."""
FEW = 10
"""Records below which an interval would span most of the scale, so that it is said that they are too few."""
BY_CLASS = {
    "label": "Class",
    "support": "Records",
    "recall": "Recall",
    "recall_interval": "95 % interval",
    "precision": "Precision",
    "precision_interval": "95 % interval ",
    "f1": "F1",
}


def classes(here: Place, task: Task, found: pd.DataFrame) -> None:
    """Confusion matrix and figures per class of one model, side by side."""
    parts.heading("Class by class", "Where a model errs: in the table, the class that it recognises worst comes first.")
    if not task.closed:
        parts.note("This task has no fixed set of answers, so there are no classes.")
        return
    models = {row: words for row, words in formats.row_words(here.later_round).items() if row in set(found["model"])}
    with st.container(width=320):
        model = chosen_model("Model", models, "evolved", "confusion_model")
    part = found[found["model"] == model].set_index("record_id")
    options: dict[str, tuple[str, ...]] = {}
    if task.kind == "multiple_choice":
        options = {one.id: one.options for one in records.load_records(here.store, here.round.version_id, "test")}
    gold, answered = named(task, part["gold"], options), named(task, part["answer"], options).fillna(NO_ANSWER)
    if task.kind == "multiple_choice" and gold.str.startswith("option ").all():
        parts.note("The options differ from record to record, so this counts their places.")
    labels = sorted(set(gold.dropna()) | set(answered))
    if task.labels:
        labels = [label for label in task.labels if label in labels] + [x for x in labels if x not in task.labels]
    counts = pd.crosstab(gold, answered).reindex(index=[x for x in labels if x != NO_ANSWER], columns=labels)
    left, right = st.columns([5, 7], gap="medium")
    with left:
        parts.note("Rows: the known answer (gold). Columns: the answer given.")
        chart = charts.confusion(counts.fillna(0), dark=state.dark())
        height = min(90 + 34 * max(len(labels), 4), 620)
        tables.figure(chart, key="confusion", alt="Confusion matrix on the test set", height=height)
    with right:
        parts.note(
            "Recall: of the records of a class, the share that was recognised. Precision: of the answers that name "
            "the class, the share that is right. F1 is high only if both are."
        )
        shown = by_class(gold.tolist(), answered.tolist(), [label for label in labels if label != NO_ANSWER])
        forms = dict.fromkeys(("recall", "precision"), "%.1f %%")
        tables.table(shown, "by_class", BY_CLASS, forms=forms)


def by_class(gold: Sequence[str], answered: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """A line per class, those that are recognised worst first; shares in percent. Columns: those of `BY_CLASS`."""
    matrix = metrics.confusion_matrix(gold, answered, labels)
    lines = []
    for place, one in enumerate(metrics.per_class(gold, answered, labels)):
        right, given = int(matrix[place, place]), int(matrix[:, place].sum())
        lines.append(
            {
                "label": one.label,
                "support": one.support,
                "recall": 100 * one.recall if one.support else None,
                "recall_interval": _interval(right, one.support),
                "precision": 100 * one.precision if given else None,
                "precision_interval": _interval(right, given),
                "f1": one.f1,
            }
        )
    shown = pd.DataFrame(lines, columns=list(BY_CLASS)).astype({"recall": float, "precision": float})
    return shown.sort_values("recall", kind="stable").reset_index(drop=True)


def _interval(right: int, n: int) -> str:
    """The Wilson interval of right answers among n, in percent."""
    if n < FEW:
        return f"too few ({n})"
    low, high = metrics.wilson(right, n)
    return f"{100 * low:.1f} to {100 * high:.1f}"


def named(task: Task, answers: pd.Series[str], options: Mapping[str, Sequence[str]]) -> pd.Series[str]:
    """The answers as classes are named in charts: in multiple choice by the options' texts, if these recur in the test
    set, else by their places.

    answers: by record id. options: record id -> its options.
    """
    recurring = {text for some in options.values() for text in some}
    if not options or len(recurring) > MOST_NAMES:
        return answers.map(lambda answer: class_name(task, answer), na_action="ignore")
    texts = [
        options[str(i)][LETTERS.index(answer)] if isinstance(answer, str) and str(i) in options else answer
        for i, answer in answers.items()
    ]
    return pd.Series(texts, index=answers.index, dtype=object)


def chosen_model(label: str, models: Mapping[str, str], default: str, key: str) -> str:
    """A choice among rows of the evaluation, row -> its name; `default` first, where it is one of them."""
    index = list(models).index(default) if default in models else 0
    return st.selectbox(label, list(models), index, models.__getitem__, key=key, label_visibility="collapsed")
