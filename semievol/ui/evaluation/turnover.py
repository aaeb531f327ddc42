"""How many pseudo-labels changed from the parent round to this one."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from semievol.records import Task
from semievol.selection.turnover import Turnover, turnover
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import results
from semievol.ui.shell import formats, parts, state, tables
from semievol.ui.shell.state import Place

KEPT = {
    (True, True): "kept in both rounds",
    (False, True): "newly kept",
    (True, False): "no longer kept",
    (False, False): "kept in neither",
}


def from_round_to_round(here: Place) -> None:
    """The flip rate and what became of the changed ones, in a round that has a parent and candidates."""
    parent = here.round.parent_id if here.later_round else None
    if parent is None or not results.has_candidates(here.store, here.round.id):
        return
    revisions = results.revision(here.store, parent), results.revision(here.store, here.round.id)
    found = _turnover(here.store, here.task, parent, here.round.id, revisions)
    with parts.card("turnover"):
        parts.heading("Pseudo-labels that changed", sentence(found, f"round {here.round.parent_place}"))
        if found.counts:
            lines = [(KEPT[kept], n, moved, 100 * moved / n) for kept, (n, moved) in found.counts.items()]
            shown = pd.DataFrame(lines, columns=["Unlabeled records", "Number", "Changed", "Share changed"])
            tables.table(shown, "turnover", forms={"Share changed": "%.1f %%"})


def sentence(found: Turnover, before: str) -> str:
    """The flip rate in words. before: the parent round's name."""
    if not found.n:
        return f"No unlabeled record has a pseudo-label both here and in {before}."
    said = (
        f"{found.changed:,} of {found.n:,} unlabeled records ({formats.percent(found.changed / found.n)}) have another "
        f"pseudo-label than in {before}."
    )
    if found.turned_right is None:
        return said
    return f"{said} By the hidden gold {found.turned_right:,} turned right and {found.turned_wrong:,} turned wrong."


@st.cache_data(max_entries=5, show_spinner=False, hash_funcs=state.HASH)
def _turnover(store: Store, task: Task, parent: int, round_id: int, revisions: tuple[int, int]) -> Turnover:
    """revisions: of both rounds; they change where results or selections do."""
    frames = [results.candidate_frame(store, one) for one in (parent, round_id)]
    frozen = [selections.selections(store, one) for one in (parent, round_id)]
    kept = [
        set(selections.get_selection(store, one, found[-1]["number"]).answers) if found else set()
        for one, found in zip((parent, round_id), frozen, strict=True)
    ]
    return turnover(task, *(frame.assign(kept=frame.index.isin(ids)) for frame, ids in zip(frames, kept, strict=True)))
