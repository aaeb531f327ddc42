"""Deciding on many candidates at once: the filter and the preview, and the threads that save and take back decisions.

It asks first. All decisions of one click are stored in one transaction, and one undo, at the same place, takes them
all back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

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
ACTIONS = {
    "accept": ("Accept all", "Accept"),
    "reject": ("Reject all", "Reject"),
    "ambiguous": ("None fits for all", "Say “none fits” for"),
}
"""Action -> the button that asks for it, and the verb of the question and of the button that does it."""
_SAVING, _TAKING = "Saving", "Taking back"


class Outcome(NamedTuple):
    """What is told after many decisions were saved or taken back, and which ones can be undone now."""

    said: str
    many: desk.Many | None


def choose(here: Place, pool: pd.DataFrame, kept: np.ndarray, measure: str) -> None:
    """Draws the filter, the preview, and the buttons. kept: whether the policy keeps each candidate of the pool."""
    parts.heading(
        "Decide on many candidates",
        "Filter the candidates that nobody has decided on, then decide on all that are found.",
    )
    chosen = _filtered(pool, kept, reserved(state.reviews(here.store, here.round.id)))
    found = pool[chosen].sort_values(measure, kind="stable", na_position="last")
    if found.empty:
        parts.note("No candidate without a decision matches these filters.")
    else:
        part = f"; the first {SHOWN} are shown" if len(found) > SHOWN else ""
        parts.note(f"{formats.plural(len(found), 'candidate')} found{part}.")
        values = [formats.confidence(measure, value) for value in found[measure].head(SHOWN)]
        shown = found.head(SHOWN).assign(value=values)
        names = {"question": "Question", "answer": "Candidate", "value": formats.MEASURE_WORDS[measure]}
        tables.table(shown, "bulk_preview", names, WIDTHS, height=280)
        asked = desk.kept().round.asked
        if asked is None:
            with st.container(horizontal=True):
                for action, (label, _) in ACTIONS.items():
                    text = f"{label} {len(found):,}"
                    st.button(text, key=f"bulk_{action}", on_click=_ask, args=(action,))
        else:
            _confirm(here, found, int((chosen & kept).sum()), asked)
    undo(here)


def _ask(action: str | None) -> None:
    desk.kept().round.asked = action


def _confirm(here: Place, found: pd.DataFrame, kept: int, action: str) -> None:
    """Says what the action would do, and how many candidates it concerns; only its own button carries it out."""
    number, left = len(found), len(found) - kept
    candidates = formats.plural(number, "candidate")
    effect = {
        "accept": f"Their answers are trained on as they are, also the {left:,} that the policy leaves out.",
        "reject": f"Their answers are not trained on, also not the {kept:,} that the policy keeps.",
        "ambiguous": f"None of them is trained on, also not the {kept:,} that the policy keeps.",
    }[action]
    with parts.card("bulk_confirm", tight=True):
        parts.heading(f"{ACTIONS[action][1]} {candidates}?", effect)
        revision = results.revision(here.store, here.round.id)
        with st.container(horizontal=True):
            st.button("Cancel", key="bulk_cancel", on_click=_ask, args=(None,))
            yes = f"{ACTIONS[action][1]} {candidates}"
            about = (here, _shown(found), action, revision)
            st.button(yes, key="bulk_yes", type="primary", on_click=decide, args=about)


def undo(here: Place) -> None:
    """What was decided last on many records, with its Undo."""
    made = desk.kept().round.many
    if made is None:
        return
    if not history.together(here.store, here.project.id, made.decision_id):  # taken back elsewhere
        desk.kept().round.many = None
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Undo",
            key="bulk_undo",
            icon=":material/undo:",
            on_click=take_back,
            args=(here, made.decision_id, made.number),
        )
        parts.note(made.said)


def _filtered(pool: pd.DataFrame, kept: np.ndarray, reserved_ids: frozenset[str]) -> np.ndarray:
    """Draws the filters; which candidates of the pool they find."""
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
    return mask


def _shown(found: pd.DataFrame) -> dict[str, str | None]:
    return dict(zip(map(str, found.index), found["answer"], strict=True))


def decide(here: Place, shown: dict[str, str | None], action: str, revision: int) -> None:
    """Decides on the records that are still undecided. The store recognises a double click by its key.

    shown: record id -> answer that was on the screen.
    """
    store, project_id, round_id, signed = here.store, here.project.id, here.round.id, state.reviewer()
    key = f"{desk.new_key()}-bulk-{action}-{revision}"

    def work(watch: Callable[[int], None]) -> Outcome:
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
        saved = f"{formats.plural(len(made), 'decision')} saved." if made else "Nothing was saved."
        if left:
            decided = "was already decided" if left == 1 else "were already decided"
            saved += f" {formats.plural(left, 'record')} {decided} in the meantime."
        return Outcome(saved, desk.Many(made[-1].id, len(made), saved) if made else None)

    _ask(None)
    save(here, work, len(shown))


def save(here: Place, work: Callable[[Callable[[int], None]], Outcome], total: int) -> None:
    """Saves decisions in a thread; `follow` draws its progress and tells its outcome. total: how many they are."""
    _begin(here, _SAVING, work, total)


def take_back(here: Place, decision_id: int, together: int, key: str | None = None) -> None:
    """Takes back a decision and all decisions made together with it; together: their number.

    key: identifies the click, where a second click could mean another decision.
    """
    store, project_id, signed = here.store, here.project.id, state.reviewer()
    press = key or f"{desk.new_key()}-back-{decision_id}"

    def work(watch: Callable[[int], None]) -> Outcome:
        made = history.take_back(store, project_id, decision_id, reviewer=signed, key=press, watch=watch)
        return Outcome(f"{formats.plural(len(made), 'decision')} taken back.", None)

    sweep.forget()
    _begin(here, _TAKING, work, together)


def _begin(here: Place, doing: str, work: Callable[[Callable[[int], None]], Outcome], total: int) -> None:
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
                outcome: Outcome = background.follow(_name(here, doing), doing, "decisions")
                desk.kept().round.many = outcome.many
                notices.say(outcome.said)
            st.rerun()
