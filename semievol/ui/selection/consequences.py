"""The effects of a policy: how many candidates are kept, of which classes, and how long training on them takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from semievol.jobs import estimate
from semievol.method import crossfit
from semievol.selection import claims
from semievol.selection.counts import Counts
from semievol.store.decisions import decisions
from semievol.store.runs import rounds
from semievol.task.answers import class_name
from semievol.ui.shell import actions, formats, parts, proposal, state
from semievol.ui.shell.paint import Node, draw, group, node
from semievol.ui.shell.state import Place

MOST_CLASSES = 30
RARE = 0.5  # a class is pointed out if its share among the kept is below this part of its share among the labeled


def numbers(pool: pd.DataFrame, found: Counts) -> None:
    """The tiles: how many candidates are kept, by whom, and how many are not; the parts add up to all."""
    total, agreed = max(found.all, 1), int(pool["agreed"].sum())
    tiles: list[tuple[str, str, str] | tuple[str, str, str, str]] = [
        (
            "Kept",
            formats.count(found.kept),
            f"{formats.percent(found.kept / total)} of {found.all:,}",
            "Candidates that the policy accepts and no expert set aside, and those that an expert accepted or "
            "corrected.",
        ),
        ("Left out", formats.count(found.left_out), f"{formats.percent(found.left_out / total)}, by the policy"),
        (
            "Set aside",
            formats.count(found.set_aside),
            "rejected or none fits",
            "Candidates whose answer an expert rejected, or for which an expert said that no answer fits.",
        ),
    ]
    if found.undecided:
        about = "Without an answer, without a confidence, or with a text that could steer the model: no policy decides."
        tiles.append(("Undecided", formats.count(found.undecided), "no policy decides them", about))
    tiles.append(("Agreed", formats.percent(agreed / total), f"{formats.count(found.all - agreed)} disputed"))
    parts.tiles(tiles, strong=0)
    parts.note(found.sentence())


def answered_from_gold(here: Place) -> None:
    """One line if decisions of this round were made from the hidden gold."""
    if number := decisions.from_gold(here.store, here.round.id):
        parts.note(claims.from_gold(number))


def offer_cross_fit(here: Place, calibration: pd.DataFrame) -> None:
    """If no calibration records were held out, offers cross-fitting: what it does, what it costs, and the button. Not
    where the model is at a server: each fold would be a fine-tuning job there."""
    round_ = here.round
    if round_.config.is_far or len(calibration) or rounds.held(here.store, round_.id) or round_.parent_id is not None:
        return
    labeled = here.project.counts.get("labeled", 0)
    seconds = estimate.cross_fit_seconds(here.store, round_, crossfit.FOLDS)
    time = f", about {formats.duration(seconds)}" if seconds is not None else ""
    left, right = st.columns([5, 2], vertical_alignment="center")
    with left:
        parts.note(
            "Cross-fitting can estimate it, roughly: the labeled records are answered by models that never saw them. "
            f"It costs {crossfit.FOLDS} warm-ups and answers to {formats.plural(labeled, 'record')}{time}."
        )
    busy = here.active is not None and here.active.round_id == round_.id
    arguments = (here.project, round_, crossfit.FOLDS)
    right.button("Cross-fit", width="stretch", disabled=busy, on_click=actions.cross_fit, args=arguments)


def training_time(here: Place, kept: int) -> None:
    """The estimated time of fine-tuning on what is kept, at the pace of this round's training."""
    pace = state.training_pace(here.store, here.round.id)
    if pace is None or not kept or here.active is not None:  # a run under way tells its own time
        return
    config = rounds.with_settings_of(here.round, proposal.config(here))
    gold = here.project.counts.get("labeled", 0) if config.tune_on == "gold_and_pseudo" else 0
    steps = config.tune.steps(gold + kept)
    sentence = f"Fine-tuning on what is kept: {formats.plural(steps, 'update')}"
    parts.note(f"{sentence}, about {formats.duration(steps * pace)} at the pace of this round so far.")


def class_mix(here: Place, pool: pd.DataFrame, answers: pd.Categorical) -> None:
    """Shares of the classes among kept, pool and labeled records, with a warning about classes that became rare.

    answers: one per candidate of the pool, missing where it is not kept. Drawn with our own nodes, because a Plotly
    figure is rebuilt at every change, which takes longer than the rest of the page.
    """
    parts.heading("Class mix", "Share of each class among kept candidates, all candidates, and labeled records.")
    if not here.task.closed:
        parts.note("This task has no fixed classes.")
        return
    counts = {"kept": _counted(answers), "pool": _counted(pd.Categorical(pool["answer"]))}
    counts["labeled"] = pd.Series(state.labeled(here.store, here.round.version_id), dtype=float)
    shares = pd.DataFrame({name: found / max(found.sum(), 1) for name, found in counts.items()}).fillna(0.0)
    shares = shares.sort_values(["labeled", "pool"], ascending=False, kind="stable").head(MOST_CLASSES)
    shares.index = shares.index.map(lambda answer: class_name(here.task, str(answer)))
    top = max(float(shares.to_numpy().max(initial=0.0)), 1e-9)
    draw(*[_class(str(name), line, top) for name, line in shares.iterrows()], key="class_mix")
    parts.html(
        "<div class='sv-legend'><span>kept</span><span class='sv-faint'>all candidates</span>"
        "<span class='sv-line-only'>labeled</span></div>"
    )
    rarer = [str(name) for name, line in shares.iterrows() if line["kept"] < RARE * line["labeled"]]
    if rarer and counts["kept"].sum():
        st.text(f"Less than half as frequent as among the labeled records: {formats.series(rarer[:8])}.")


def _counted(known: pd.Categorical) -> pd.Series[float]:
    found = np.bincount(known.codes[known.codes >= 0], minlength=len(known.categories))
    return pd.Series(found, index=known.categories.astype(object), dtype=float)


def _class(name: str, shares: pd.Series[float], top: float) -> Node:
    """One class: bars for its share of the kept and of all candidates, and a mark for its labeled share."""
    kept, pool, labeled = (float(shares[which]) for which in ("kept", "pool", "labeled"))
    words = f"{name}: {formats.percent(kept)} of kept candidates, {formats.percent(pool)} of all"
    words += f", {formats.percent(labeled)} of labeled records"
    bars = [node("fill top", width=100 * kept / top), node("fill", width=100 * pool / top)]
    mark = group("reach", node("mark"), width=100 * labeled / top)
    rare = kept < RARE * labeled
    number = node("num low" if rare else "num", formats.percent(kept))
    return group("mix", node("name", name), group("pair", *bars, mark, label=words), number)
