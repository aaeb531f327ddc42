"""What a policy does: how many are kept, and of which classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from semievol.jobs import estimate
from semievol.store.runs import rounds
from semievol.ui.shell import actions, formats, parts, state
from semievol.ui.shell.paint import Node, draw, node
from semievol.ui.shell.state import Place

MOST_CLASSES = 30
FOLDS = 5
STARVED = 0.5  # a class whose share shrinks below this part of its share in the labeled data is pointed out


def numbers(pool: pd.DataFrame, by_policy: int, kept: int, by_expert: int) -> None:
    """Kept, by whom, agreed."""
    total = max(len(pool), 1)
    agreed = int(pool["agreed"].sum()) if len(pool) else 0
    parts.tiles(
        [
            (
                "Kept",
                formats.count(kept),
                f"{formats.percent(kept / total)} of {len(pool):,} candidates",
                "What the policy accepts, with the expert's decisions over it.",
            ),
            ("By the policy", formats.count(by_policy), formats.percent(by_policy / total)),
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


def training_time(here: Place, kept: int) -> None:
    """About how long fine-tuning on what is kept will take, at the pace of this round's training."""
    pace = state.training_pace(here.store, here.this_round.id)
    if pace is None or not kept:
        return
    config = rounds.settled(here.this_round, state.config_of(here.this_project))
    gold = here.this_project.counts.get("labeled", 0) if config.tune_on == "gold_and_pseudo" else 0
    steps = config.tune.steps(gold + kept)
    parts.note(f"Fine-tuning on it: {formats.plural(steps, 'update')}, about {formats.duration(steps * pace)} here.")


def class_mix(here: Place, pool: pd.DataFrame, answers: pd.Categorical) -> None:
    """Shares of the classes among kept, pool and labeled records, with a warning where one starves.

    answers: what is kept, none elsewhere. Drawn by our own nodes: a Plotly figure is made anew at every change, which
    takes longer than all the rest of the page.
    """
    parts.heading("Class mix", "What is kept, what all candidates say, what the labeled records hold.")
    if not here.task.closed:
        parts.note("The task has no classes.")
        return
    counts = {"kept": _counted(answers), "pool": _counted(pd.Categorical(pool["answer"]))}
    counts["labeled"] = pd.Series(state.labeled(here.store, here.this_round.version_id), dtype=float)
    shares = pd.DataFrame({name: found / max(found.sum(), 1) for name, found in counts.items()}).fillna(0.0)
    shares = shares.sort_values(["labeled", "pool"], ascending=False, kind="stable").head(MOST_CLASSES)
    top = max(float(shares.to_numpy().max(initial=0.0)), 1e-9)
    draw(*[_class(str(name), line, top) for name, line in shares.iterrows()], key="class_mix")
    parts.html(
        "<div class='sv-legend'><span>kept</span><span class='sv-faint'>all candidates</span>"
        "<span class='sv-line-only'>labeled</span></div>"
    )
    starved = [str(name) for name, line in shares.iterrows() if line["kept"] < STARVED * line["labeled"]]
    if starved and counts["kept"].sum():
        st.text(f"Starving among what is kept: {formats.series(starved[:8])}.")


def _counted(known: pd.Categorical) -> pd.Series[float]:
    found = np.bincount(known.codes[known.codes >= 0], minlength=len(known.categories))
    return pd.Series(found, index=known.categories.astype(object), dtype=float)


def _class(name: str, shares: pd.Series[float], top: float) -> Node:
    """One class: its share of what is kept over its share of all candidates, the labeled share as a mark."""
    kept, pool, labeled = (float(shares[which]) for which in ("kept", "pool", "labeled"))
    words = f"{name}: {formats.percent(kept)} of kept, {formats.percent(pool)} of all"
    words += f", {formats.percent(labeled)} of labeled"
    bars = [node("fill top", width=100 * kept / top), node("fill", width=100 * pool / top)]
    mark = node("reach", None, node("mark"), width=100 * labeled / top)
    starving = kept < STARVED * labeled
    number = node("num low" if starving else "num", formats.percent(kept))
    return node("mix", None, node("name", name), node("pair", None, *bars, mark, label=words), number)
