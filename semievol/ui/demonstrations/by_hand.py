"""Adding a labeled record to the demonstrations by hand, and taking it away again; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from semievol.records import Record
from semievol.store.data import records
from semievol.store.runs import rounds
from semievol.ui.demonstrations import offer
from semievol.ui.demonstrations.browsing import Browsing
from semievol.ui.demonstrations.offer import Offered
from semievol.ui.shell import parts, record, session, tables
from semievol.ui.shell.state import Place

HITS = 6
"""Records that a search lists."""
_SEARCH = "by_hand_search"
_NAMES = {"question": "Question", "label": "Label"}


def by_hand(here: Place, question: Record, on_offer: Sequence[Offered], embedder: str) -> None:
    """A search among the labeled records, a button that adds one, and one for each that was added. embedder: says how
    similar it is."""
    kept = session.of(Browsing)
    with st.expander("Add a labeled record by hand", key="by_hand", icon=":material/add:"):
        parts.note("What would a model say if it were shown this one, too? The round stays as it is.")
        _search(here, question, on_offer, embedder)
    mine = kept.added[here.round_id, question.id]
    if left_out := mine.keys() - offer.added(here, question).keys():
        parts.note(f"{', '.join(sorted(left_out))}: has the question's text now, so it is not shown.")
    if mine:
        names = [one.name for one in on_offer]
        with st.container(horizontal=True):
            for name in list(mine):
                if st.button(f"Remove {name}", icon=":material/close:", key=f"remove_{question.id}_{name}"):
                    del mine[name]
                    offer.carry_choice(question, names, [one for one in names if one != name])
                    st.rerun()


def _search(here: Place, question: Record, on_offer: Sequence[Offered], embedder: str) -> None:
    search = st.text_input(
        "Search the labeled records", key=_SEARCH, placeholder="Part of the question, or its label", live="300ms"
    )
    if not search:
        return
    version_id = here.round.version_id if here.round_or_none else here.project.version_id
    assert version_id is not None, "drawn without data"
    page, total = records.records_page(here.store, version_id, "labeled", search, 0, HITS)
    if not total:
        parts.note("No labeled record contains this.")
        return
    hits = [record.of_line(line) for _, line in page.iterrows()]
    lines = [{"question": one.question, "label": record.named_answer(here.task, one, one.answer)} for one in hits]
    place = tables.pick(pd.DataFrame(lines), f"by_hand_hits_{hash(search)}_{len(on_offer)}", _NAMES, {"question": 300})
    if total > HITS:
        parts.note(f"The first {HITS} of {total:,}. More words find fewer.")
    reason = "Tick a record." if place is None else why_not(here, question, on_offer, hits[place])
    if reason:
        parts.note(reason)
    if st.button("Add it", icon=":material/add:", disabled=bool(reason)) and place is not None:
        with parts.errors_shown():
            _add(here, question, on_offer, hits[place], embedder)
            st.rerun()


def why_not(here: Place, question: Record, on_offer: Sequence[Offered], one: Record) -> str:
    """Why this labeled record cannot be added, in a sentence; empty where it can."""
    if one.content_hash == question.content_hash:
        return "This record has the same text as the question: as a demonstration it would give the answer away."
    if one.id in {other.shown.record.id for other in on_offer}:
        return "This record is shown already."
    if here.round_or_none and one.content_hash in rounds.held(here.store, here.round.id):
        return "This record is held out for calibration, and no such record is ever a demonstration."
    return ""


def _add(here: Place, question: Record, on_offer: Sequence[Offered], one: Record, embedder: str) -> None:
    offer.compare(here, question, [one], embedder)
    mine = session.of(Browsing).added[offer.round_id(here), question.id]
    name = f"+{1 + max((int(taken) for taken in mine), default=0)}"
    mine[name] = one
    names = [other.name for other in on_offer]
    offer.carry_choice(question, names, [*names, name])
