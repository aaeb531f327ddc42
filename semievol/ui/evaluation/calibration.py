"""Whether the probabilities that a model states for its test answers may be believed."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.method import calibration, metrics
from semievol.records import Task
from semievol.ui.evaluation.classes import chosen_model
from semievol.ui.shell import formats, parts, state, tables

_CURVE = ("confidence", "accuracy", "count", "null_low", "null_high")


def stated_probabilities(task: Task, found: pd.DataFrame, later_round: bool = False) -> None:
    """One sentence, the reliability curve with the band of a perfect model, and the figures. found: test answers."""
    parts.heading(
        "May its probabilities be believed?",
        "What a model states for its answer, against how often it is right. On the dashed line it is right as often as "
        "it says, below it is too sure, above too cautious. In the grey band the distance may be chance.",
    )
    known = set(found.loc[found["confidence"].notna(), "model"]) if task.closed else set()
    models = {row: words for row, words in formats.row_words(later_round).items() if row in known}
    if not models:
        parts.note("No probability of being right is known here: only answers from a fixed set have one.")
        return
    left, right = st.columns([5, 7], gap="medium")
    with left:
        model = chosen_model("Model", models, "evolved", "calibration_model")
        part = found[found["model"] == model]
        measured = calibration.of(part["confidence"], part["correct"])
        assert measured is not None, "only models with probabilities can be chosen"
        parts.html(f"<p class='sv-lead sv-small'>{measured.sentence}</p>")
        parts.note(figures(measured))
    with right:
        alt = "Reliability curve: probability stated against share of right answers"
        tables.figure(charts.reliability(bins(measured), dark=state.dark()), key="calibration", alt=alt, height=300)


def bins(measured: calibration.Calibration) -> pd.DataFrame:
    """The reliability curve as `charts.reliability` reads it."""
    return pd.DataFrame({name: getattr(measured.curve, name) for name in _CURVE})


def figures(measured: calibration.Calibration) -> str:
    """Brier score and, where there are enough records, the expected calibration error, in words."""
    score = (
        f"Brier score {formats.score(measured.brier)}: the mean squared distance of the probability from 1 where the "
        "answer is right and from 0 where it is wrong; 0 is best."
    )
    if measured.ece is None:
        least = metrics.ECE_MINIMUM
        return f"{score} An expected calibration error would mislead below {least} records; here are {measured.n:,}."
    return (
        f"{score} Expected calibration error {formats.percent(measured.ece)}: the mean distance of the curve from the "
        f"diagonal; a perfectly calibrated model shows {formats.percent(measured.curve.null_ece)} on so few records."
    )
