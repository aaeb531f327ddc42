"""After a correction, offers similar records with the same pseudo-label for the same correction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from semievol.evidence.reviews import reserved
from semievol.selection.similar import similarities
from semievol.store.decisions import decisions
from semievol.store.results import results
from semievol.ui.selection import desk
from semievol.ui.shell import formats, notices, parts, state
from semievol.ui.shell.state import Place

OFFERED = 12
ALIKE = 0.25
"""Minimum similarity (cosine of TF-IDF vectors) of a record that is offered."""
_MOST = 20_000  # records that are compared at most; takes half a second


def forget() -> None:
    desk.kept().round.corrected = None


def offer(here: Place, pool: pd.DataFrame) -> None:
    """The records most similar to the one corrected last, each with a checkbox, and a button that corrects them."""
    last = desk.kept().round.corrected
    if last is None or here.task.kind == "multiple_choice" or last.record_id not in pool.index:
        return  # in multiple choice a letter means a different option in every record
    found = _alike(pool[~pool.index.isin(reserved(state.reviews(here.store, here.round.id)))], last)
    if found.empty:
        forget()
        return
    with parts.card("sweep", tight=True):
        parts.heading(
            "Records like the one you corrected", "They have the same answer. Tick those that are wrong, too."
        )
        st.text(f"{last.before} → {last.after}")
        names = {"wrong": st.column_config.CheckboxColumn("Also wrong", width="medium")}
        names |= {"question": st.column_config.TextColumn("Question", width="large", disabled=True)}
        names |= {"similarity": st.column_config.NumberColumn("Similarity", format="%.2f", disabled=True)}
        shown = found.assign(wrong=False)[["wrong", "question", "similarity"]]
        key = f"sweep_{last.record_id}_{hash(tuple(found.index))}"
        ticked = st.data_editor(shown, column_config=names, hide_index=True, key=key, width="stretch")
        chosen = [str(i) for i, one in ticked["wrong"].items() if one]
        revision = results.revision(here.store, here.round.id)
        with st.container(horizontal=True):
            label = f"Correct {formats.plural(len(chosen), 'record')}" if chosen else "Correct the ticked records"
            st.button(
                label, type="primary", disabled=not chosen, on_click=_correct, args=(here, pool, chosen, last, revision)
            )
            st.button("None of them", on_click=forget)


@notices.errors_kept()
def _correct(here: Place, pool: pd.DataFrame, chosen: list[str], last: desk.Correction, revision: int) -> None:
    shown = dict(zip(chosen, pool.loc[chosen, "answer"], strict=True))
    made = decisions.decide_many(
        here.store,
        here.project.id,
        here.round.id,
        shown,
        action="edit",
        answer=last.after,
        reviewer=state.reviewer(),
        note="like a record that was corrected",
        key=f"{desk.new_key()}-sweep-{last.record_id}-{','.join(chosen)}-{revision}",
        only_undecided=True,
    )
    forget()
    desk.mark_stale()
    notices.say(f"{formats.plural(len(made), 'record')} corrected. Undo takes all of them back.")


def _alike(pool: pd.DataFrame, last: desk.Correction) -> pd.DataFrame:
    """Undecided candidates with the answer that was corrected, most similar first: question and similarity."""
    same = (pool["answer"].to_numpy() == last.before) & pool["decision"].isna().to_numpy()
    places = np.flatnonzero(same)[:_MOST]
    found = pool.iloc[places][["question"]]
    found = found.assign(similarity=similarities(str(pool.at[last.record_id, "question"]), found["question"].tolist()))
    return found[found["similarity"] >= ALIKE].nlargest(OFFERED, "similarity", keep="first")
