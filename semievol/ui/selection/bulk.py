"""Deciding on many candidates at once: a filter, a preview, and buttons. One undo takes the whole decision back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from semievol.evidence.reviews import reserved
from semievol.store.results import results
from semievol.ui.selection import many
from semievol.ui.shell import formats, parts, state, tables
from semievol.ui.shell.state import Place

SHOWN = 100
WIDTHS = {"question": 260, "answer": 130, "value": 120}


def bulk(here: Place, pool: pd.DataFrame, kept: np.ndarray, measure: str) -> None:
    """Draws the filter, the preview, and the buttons. kept: whether the policy keeps each candidate of the pool."""
    parts.heading(
        "Decide on many candidates",
        "Filter the undecided candidates, then decide on all that are found. One Undo under Review takes it all back.",
    )
    found = _filtered(pool, kept, measure, reserved(state.reviews(here.store, here.this_round.id)))
    if found.empty:
        parts.note("No undecided candidate matches these filters.")
        return
    part = f"; the first {SHOWN} are shown" if len(found) > SHOWN else ""
    parts.note(f"{formats.plural(len(found), 'candidate')} found{part}.")
    shown = found.head(SHOWN).assign(value=found[measure].head(SHOWN))
    names = {"question": "Question", "answer": "Candidate", "value": formats.MEASURE_WORDS[measure]}
    tables.table(shown, "bulk_preview", names, WIDTHS, height=280)
    revision = results.revision(here.store, here.this_round.id)
    with st.container(horizontal=True):
        for label, action in (("Accept all", "accept"), ("Reject all", "reject"), ("None fits for all", "ambiguous")):
            told = f"{label} {len(found):,}"
            st.button(told, key=f"bulk_{action}", on_click=many.decide, args=(here, _shown(found), action, revision))


def _filtered(pool: pd.DataFrame, kept: np.ndarray, measure: str, asked_blind: frozenset[str]) -> pd.DataFrame:
    row = st.columns([4, 3, 3, 3], vertical_alignment="bottom")
    with row[0]:
        words = st.text_input("Words in the question", key="bulk_words", live="300ms")
    with row[1]:
        answers = pool["answer"].value_counts().index[:200].tolist()
        answer = st.selectbox("Candidate", answers, index=None, placeholder="All", key="bulk_answer")
    with row[2]:
        agreement = st.selectbox("Agreement", ("All", "Agreed", "Disputed"), key="bulk_agreement")
    with row[3]:
        policy = st.selectbox("Policy", ("All", "Kept", "Left out"), key="bulk_policy")
    mask = pool["decision"].isna().to_numpy() & pool["answer"].notna().to_numpy()
    mask &= ~pool.index.isin(asked_blind)
    if answer is not None:
        mask &= (pool["answer"] == answer).to_numpy()
    if agreement != "All":
        mask &= pool["agreed"].to_numpy(bool) == (agreement == "Agreed")
    if policy != "All":
        mask &= kept == (policy == "Kept")
    if words:
        places = np.flatnonzero(mask)
        held = pool["question"].iloc[places].str.casefold().str.contains(words.casefold(), regex=False)
        mask[places] = held.to_numpy(bool)
    return pool[mask].sort_values(measure, kind="stable", na_position="last")


def _shown(found: pd.DataFrame) -> dict[str, str | None]:
    return dict(zip(map(str, found.index), found["answer"], strict=True))
