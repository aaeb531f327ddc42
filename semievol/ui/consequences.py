"""What a policy does: how many are kept, and of which classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st

from semievol import charts
from semievol.jobs import estimate
from semievol.store import projects, rounds
from semievol.ui import actions, formats, parts, state, tables
from semievol.ui.state import Place

MOST_CLASSES = 30
FOLDS = 5
STARVED = 0.5  # a class whose share shrinks below this part of its share in the labeled data is pointed out


def numbers(pool: pd.DataFrame, mask: np.ndarray, answers: Mapping[str, str], origins: Mapping[str, str]) -> None:
    """Kept, left out, decided, agreed."""
    total = max(len(pool), 1)
    by_expert = sum(origin == "expert" for origin in origins.values())
    agreed = int(pool["agreed"].sum()) if len(pool) else 0
    parts.tiles(
        [
            (
                "Kept",
                formats.count(len(answers)),
                f"{formats.percent(len(answers) / total)} of {len(pool):,} candidates",
                "What the policy accepts, with the expert's decisions over it.",
            ),
            ("By the policy", formats.count(int(mask.sum())), formats.percent(mask.sum() / total)),
            ("By the expert", formats.count(by_expert), "accepted or corrected"),
            ("Agreed", formats.percent(agreed / total), f"{formats.count(len(pool) - agreed)} disputed"),
        ],
        strong=0,
    )


def legend() -> None:
    parts.html(
        "<div class='sv-legend'><span>agreed</span><span class='sv-amber'>disputed</span>"
        "<span class='sv-faint'>pale: left out</span><span style='margin-left:auto' class='sv-none'>"
        "drag the line, or focus it and use the arrow keys</span></div>"
    )


def offer_cross_fit(here: Place, calibration: pd.DataFrame) -> None:
    """Where nothing was held out: the button that makes evidence out of the labeled records, and what it costs."""
    round_ = here.this_round
    if len(calibration) or rounds.held(here.store, round_.id) or round_.parent_id is not None:
        return
    labeled = here.this_project.counts.get("labeled", 0)
    seconds = estimate.cross_fit_seconds(here.store, round_, FOLDS)
    time = f", about {formats.duration(seconds)}" if seconds is not None else ""
    said, button = st.columns([5, 2], vertical_alignment="center")
    with said:
        parts.note(
            f"No calibration records were held out. Cross-fitting judges every labeled record by a model that never "
            f"saw it: {FOLDS} warm-ups and {formats.plural(labeled, 'record')} answered{time}. Approximate."
        )
    with button:
        busy = here.active is not None and here.active.round_id == round_.id
        st.button(
            "Cross-fit",
            width="stretch",
            disabled=busy,
            on_click=actions.cross_fit,
            args=(here.this_project, round_, FOLDS),
        )


def class_mix(here: Place, pool: pd.DataFrame, answers: Mapping[str, str]) -> None:
    """Shares of the classes among kept, pool and labeled records, with a warning where one starves."""
    parts.heading("Class mix", "What is kept against what all candidates say and what the labeled records hold.")
    if not here.task.closed:
        parts.note("The task has no classes.")
        return
    known = projects.known_answers(here.store, here.this_round.version_id).get("labeled", {})
    counts = {"kept": Counter(answers.values()), "pool": pool["answer"].value_counts().to_dict(), "labeled": known}
    shares = pd.DataFrame({name: pd.Series(found, dtype=float) for name, found in counts.items()}).fillna(0.0)
    shares = shares.div(shares.sum().clip(lower=1)).sort_values("labeled", ascending=False).head(MOST_CLASSES)
    tables.figure(charts.class_mix(shares, dark=state.dark()), key="class_mix", height=260)
    starved = [str(name) for name, line in shares.iterrows() if line["kept"] < STARVED * line["labeled"]]
    if starved and answers:
        st.text(f"Starving among what is kept: {formats.series(starved[:8])}.")
