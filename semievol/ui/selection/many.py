"""Deciding on many candidates at once: the filter and the preview, and the threads that save and take back decisions.

One undo takes the whole decision back. Each is stored in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from semievol.evidence.reviews import reserved
from semievol.store.decisions import decisions, history
from semievol.store.results import results
from semievol.ui.selection import desk, sweep
from semievol.ui.shell import background, formats, notices, parts, state, tables
from semievol.ui.shell.state import Place

SHOWN = 100
WIDTHS = {"question": 260, "answer": 130, "value": 120}
MANY = 1_000
"""Above this number, decisions are taken back in a thread with a progress bar; fewer take only a moment."""
_SAVING, _TAKING = "Saving", "Taking back"


def choose(here: Place, pool: pd.DataFrame, kept: np.ndarray, measure: str) -> None:
    """Draws the filter, the preview, and the buttons. kept: whether the policy keeps each candidate of the pool."""
    parts.heading(
        "Decide on many candidates",
        "Filter the undecided candidates, then decide on all that are found. One Undo under Review takes it all back.",
    )
    found = _filtered(pool, kept, measure, reserved(state.reviews(here.store, here.round.id)))
    if found.empty:
        parts.note("No undecided candidate matches these filters.")
        return
    part = f"; the first {SHOWN} are shown" if len(found) > SHOWN else ""
    parts.note(f"{formats.plural(len(found), 'candidate')} found{part}.")
    values = [formats.confidence(measure, value) for value in found[measure].head(SHOWN)]
    shown = found.head(SHOWN).assign(value=values)
    names = {"question": "Question", "answer": "Candidate", "value": formats.MEASURE_WORDS[measure]}
    tables.table(shown, "bulk_preview", names, WIDTHS, height=280)
    revision = results.revision(here.store, here.round.id)
    with st.container(horizontal=True):
        for label, action in (("Accept all", "accept"), ("Reject all", "reject"), ("None fits for all", "ambiguous")):
            text = f"{label} {len(found):,}"
            st.button(text, key=f"bulk_{action}", on_click=decide, args=(here, _shown(found), action, revision))


def _filtered(pool: pd.DataFrame, kept: np.ndarray, measure: str, reserved_ids: frozenset[str]) -> pd.DataFrame:
    row = st.columns([4, 3, 3, 3], vertical_alignment="bottom")
    words = row[0].text_input("Words in the question", key="bulk_words", live="300ms")
    answers = pool["answer"].value_counts().index[:200].tolist()
    answer = row[1].selectbox("Candidate", answers, index=None, placeholder="All", key="bulk_answer")
    agreement = row[2].selectbox("Agreement", ("All", "Agreed", "Disputed"), key="bulk_agreement")
    policy = row[3].selectbox("Policy", ("All", "Kept", "Left out"), key="bulk_policy")
    mask = pool["decision"].isna().to_numpy() & pool["answer"].notna().to_numpy()
    mask &= ~pool.index.isin(reserved_ids)
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


def decide(here: Place, shown: dict[str, str | None], action: str, revision: int) -> None:
    """Decides on the records that are still undecided. The store recognises a double click by its key.

    shown: record id -> answer that was on the screen.
    """
    store, project_id, round_id, signed = here.store, here.project.id, here.round.id, state.reviewer()
    key = f"bulk-{desk.kept().name}-{action}-{revision}"

    def work(watch: Callable[[int], None]) -> str:
        made = decisions.decide_many(
            store,
            project_id,
            round_id,
            shown,
            action,
            reviewer=signed,
            note="many at once",
            key=key,
            only_undecided=True,
            watch=watch,
        )
        left = len(shown) - len(made)
        saved = f"{formats.plural(len(made), 'decision')} saved. Undo under Review takes all of them back."
        saved = saved if made else "Nothing was saved."
        decided = "was already decided" if left == 1 else "were already decided"
        return f"{saved} {formats.plural(left, 'record')} {decided} in the meantime." if left else saved

    _begin(here, _SAVING, work, len(shown))


def take_back(here: Place, decision_id: int, together: int, key: str | None = None) -> None:
    """Takes back a decision and all decisions made together with it; together: their number.

    key: identifies the click, where a second click could mean another decision.
    """
    store, project_id, signed = here.store, here.project.id, state.reviewer()

    def work(watch: Callable[[int], None]) -> str:
        press = key or f"back-{decision_id}"
        made = history.take_back(store, project_id, decision_id, reviewer=signed, key=press, watch=watch)
        return f"{formats.plural(len(made), 'decision')} taken back."

    sweep.forget()
    _begin(here, _TAKING, work, together)


def _begin(here: Place, doing: str, work: Callable[[Callable[[int], None]], str], total: int) -> None:
    if any(background.busy(_name(here, one)) for one in (_SAVING, _TAKING)):
        notices.say("The previous action is still being saved. Press again when it is done.")
    else:
        background.begin(_name(here, doing), work, total)


def _name(here: Place, doing: str) -> str:
    """Name of the job. It holds the project, so that the result is shown only there: Undo acts within one project."""
    return f"{doing} {here.project.id}"


def follow(here: Place) -> None:
    """If this session is saving or taking back decisions of this project, draws the progress until it is done."""
    for doing in (_SAVING, _TAKING):
        if background.busy(_name(here, doing)):
            with notices.errors_kept():
                notices.say(background.follow(_name(here, doing), doing, "decisions"))
            st.rerun()
