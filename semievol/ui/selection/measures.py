"""Compares the confidence measures: the share of wrong answers at every coverage, and a suggestion with its reason."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.evidence import risk
from semievol.evidence.risk import Suggestion
from semievol.method import verifier
from semievol.selection.candidates import measures_of
from semievol.store.database import Store
from semievol.store.results import results
from semievol.ui.selection import policy
from semievol.ui.shell import formats, parts, state, tables
from semievol.ui.shell.state import Place

SOME = 0.1
"""Share of the candidates without a value of the measure, from which on the page speaks of it."""
Figures = tuple[pd.DataFrame, Suggestion | None]


def measures(here: Place) -> None:
    """The risk-coverage curves, their areas, and the button that takes the suggestion."""
    parts.heading(
        "Measures of confidence",
        "For each measure, the share of wrong answers among the most confident candidates, from calibration records.",
    )
    round_id = here.round.id
    written = results.written(here.store, round_id)
    curves, suggested = _figures(here.store, round_id, written)
    if suggested is None or curves.empty:
        parts.note("This round has no calibration records, so the measures cannot be compared.")
        return
    alt = "Share of wrong answers among the most confident candidates, a curve for each measure"
    tables.figure(charts.risk_coverage(curves, dark=state.dark()), key="risk_coverage", alt=alt, height=320)
    lines = [
        {
            "Measure": formats.measure(name),
            "Wrong on average, %": 100 * area,
            "Above the best possible order, points": 100 * suggested.excess[name],
        }
        for name, area in suggested.areas.items()
    ]
    tables.table(pd.DataFrame(lines), "areas")
    reason = suggested.reason
    for name in formats.MEASURE_WORDS:
        reason = reason.replace(name, formats.measure(name))
    parts.note(
        "The table averages over all shares kept. A measure of few values, such as disagreement, gives no order among "
        "the many candidates that share one, which counts against it here."
    )
    parts.note(reason)
    if why_none := _no_verifier(here.store, round_id, written):
        parts.note(why_none)
    known = policy.current(here)
    if suggested.measure != known.measure:
        words = formats.MEASURE_WORDS[suggested.measure]
        st.button(f"Use “{words}”", on_click=policy.choose_measure, args=(here, suggested.measure))


def without_value(here: Place, pool: pd.DataFrame) -> None:
    """Where many candidates have no value of the measure: says why, and offers the measure that most have."""
    answered, shown = pool[pool["answer"].notna()], policy.current(here).measure
    missing = int(answered[shown].isna().sum())
    counts = {measure: int(answered[measure].notna().sum()) for measure in measures_of(pool)}
    better = max(counts, key=lambda measure: (counts[measure], measure != "vote_entropy"), default=shown)
    if missing < SOME * len(answered) or counts.get(better, 0) <= len(answered) - missing:
        return
    words = formats.MEASURE_WORDS[better]
    left, right = st.columns([5, 2], vertical_alignment="center")
    with left:
        why = "collaborators or the judge answered them without log-probabilities, so nothing says how sure they were"
        if shown == verifier.MEASURE:
            why = "it has not been learned for them"
        parts.note(
            f"{formats.plural(missing, 'candidate')} of {len(answered):,} cannot be ordered by this measure: {why}. "
            f"“{words}” orders {counts[better]:,}."
        )
    arguments = (here, better)
    right.button(
        f"Use “{words}”", key="measure_of_most", width="stretch", on_click=policy.choose_measure, args=arguments
    )


def _no_verifier(store: Store, round_id: int, written: int) -> str:
    """Why there is no learned confidence; empty if there is one, or nothing is in its way."""
    pool, calibration = state.read_candidates(store, round_id, written)
    if verifier.MEASURE in measures_of(pool):
        return ""
    return verifier.obstacle(calibration["correct"].to_numpy(dtype=bool))


@st.cache_data(max_entries=3, show_spinner="Comparing the measures", hash_funcs=state.HASH)
def _figures(store: Store, round_id: int, written: int) -> Figures:
    pool, calibration = state.read_candidates(store, round_id, written)
    if calibration.empty:
        return pd.DataFrame(), None
    offered = measures_of(pool)
    return risk.curves(pool, calibration, offered), risk.suggestion(pool, calibration, offered)
