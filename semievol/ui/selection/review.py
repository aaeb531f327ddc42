"""The review of one candidate at a time, by keys or buttons. Each decision is saved before the next record appears."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.errors import UserError
from semievol.evidence.reviews import reserved
from semievol.selection.decisions import DECIDES, asserted_answer
from semievol.store.decisions import decisions
from semievol.store.results import results
from semievol.task.answers import allowed_answers
from semievol.ui.selection import card, conflicts, deciding, desk, signature, sweep
from semievol.ui.shell import area, disputed_source, formats, notices, parts, session, state
from semievol.ui.shell.state import Place

ORDERS = {
    "unsure": ("Least confident", "The least confident candidates come first"),
    "threshold": ("Threshold", "The candidates closest to the threshold come first"),
    "disputed": ("Disputed", "Candidates on which the collaborators disagree come first"),
    "random": ("Random", "The candidates come in random order"),
    "second": ("Second opinion", "Records that others have decided on and you have not"),
}
"""Order -> its short name, and its explanation."""
ORDER = "review_order"
"""Key of the control that chooses the order."""


def order_in_address() -> str:
    """The order that the address names; without one, the least confident come first."""
    named = st.query_params.get("order", "")
    return named if named in ORDERS else next(iter(ORDERS))


@st.fragment
@state.connected()
def review(here: Place, kept: np.ndarray, measure: str, line: float | None) -> None:
    """Draws the review: the order, the candidate, the buttons, or the form for a correction or a note in their place.

    As a fragment it is redrawn alone while keys come fast; the rest of the page follows once no key was pressed for a
    while. kept: whether the policy keeps each candidate, in the order of the pool; line: the threshold, None if there
    is none.
    """
    if desk.was_stale() or notices.failed() is not None:
        st.rerun()
    pool, _ = state.candidates(here.store, here.round.id)
    mine = Desk(here, pool, kept, measure, line)
    order = order_in_address()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.segmented_control(
            "Order",
            list(ORDERS),
            format_func=lambda o: ORDERS[o][0],
            required=True,
            label_visibility="collapsed",
            **session.bound(ORDER, order, _choose_order),
        )
        signature.signed()
    decided = int(pool["decision"].isin(DECIDES).sum())
    parts.note(f"{ORDERS[order][1]}. {formats.plural(decided, 'decision')} saved in this round.")
    with st.container():  # always there, so that the card below is not drawn anew when there is something to tell
        conflicts.show(here)
    queue = mine.queue(order)
    if mine.within is not None:
        area.told(len(mine.within), int(pool["decision"].reindex(mine.within).isin(DECIDES).sum()))
    first = queue[0] if queue else None
    desk.draw(
        "review",
        str(here.round.id),
        [mine.item(record_id) for record_id in queue],
        deciding.ACTS,
        mine.finished(),
        mine.left > len(queue),
        mine.open_form(first),
        mine.keys,
        desk.mark_stale,
        named=True,
    )
    mine.below(first)
    sweep.offer(here, pool)


def _choose_order(order: str) -> None:
    st.query_params["order"] = order
    st.query_params.pop("record", None)  # the one on the screen was first in the other order
    desk.kept().round.head = None


def open_addressed(here: Place, pool: pd.DataFrame) -> None:
    """Puts the record first that the address names, when the page is opened; says so if the round does not have it."""
    kept, named = desk.kept().round, st.query_params.get("record")
    if kept.addressed:
        return
    kept.addressed = True
    if named and kept.head is None:
        if named in pool.index:
            kept.head = named
        else:
            what = "The record in the address is no candidate of this round."
            notices.fail(UserError(what, "address", "The first of the order is shown."), lasting=True)


class Desk(deciding.Deciding):
    """The review of one round. It acts on the records and answers that were on the screen when it was drawn."""

    def __init__(self, here: Place, pool: pd.DataFrame, kept: np.ndarray, measure: str, line: float | None) -> None:
        super().__init__(here)
        self.pool, self.measure, self.line = pool, measure, line
        self.kept = kept
        self.written = results.written(here.store, self.round_id)
        self.within = area.inside(here)
        self.left = 0  # number of records that are still to be decided in this order
        self.held = 0  # number of further records, reserved for an open random review
        self.second = False  # whether second opinions were asked for

    def queue(self, order: str) -> list[str]:
        """Ids of the next candidates: first the one that was opened or undone, then the undecided ones in `order`."""
        index, self.second = self.pool.index, order == "second"
        waiting = index.isin(self._others()) if self.second else self.pool["decision"].isna().to_numpy()
        if self.within is not None:
            waiting = waiting & index.isin(self.within)
        if skipped := desk.kept().round.skipped:
            waiting = waiting & ~index.isin(skipped)
        reserved_ids = reserved(state.reviews(self.here.store, self.round_id))
        if reserved_ids:
            held = waiting & index.isin(reserved_ids)
            waiting, self.held = waiting & ~held, int(held.sum())
        open_ = np.flatnonzero(waiting)
        self.left = len(open_)
        known = self.pool[self.measure].to_numpy(float)[open_]
        sure = -np.nan_to_num(known, nan=np.inf)
        if order == "threshold" and self.line is not None:
            sure = np.nan_to_num(np.abs(known - self.line), nan=np.inf)
        elif order == "random":  # the same for everybody, so that a link leads on to the same records
            sure = np.random.default_rng(self.round_id).random(len(index))[open_]
        elif order == "disputed":
            sure = np.where(self.pool["agreed"].to_numpy(bool)[open_], 1e9, 0.0) + np.maximum(sure, -1e6)
        ids = [str(index[place]) for place in open_[_smallest(sure, desk.AHEAD)]]
        head = desk.kept().round.head
        if head in index and head not in skipped:
            ids = [str(head), *[i for i in ids if i != head]]
        return ids[: desk.AHEAD]

    def finished(self) -> str:
        """The text when no record is left to show."""
        other = " other" if self.held else ""
        sentence = f"All{other} candidates are decided or skipped. Undo brings the last one back."
        if self.second:
            sentence = f"You have given your own opinion on all{other} records that your colleagues decided on."
        if not self.held:
            return sentence
        are = "is" if self.held == 1 else "are"
        held = formats.plural(self.held, "record")
        return f"{sentence} {held} of the open random review {are} not shown here until answered there."

    def _others(self) -> list[str]:
        """Ids of the records that somebody else has decided on and this reviewer has not."""
        me, store = state.reviewer(), self.here.store
        unsigned = set() if me else decisions.of_session(store, self.project_id, desk.key_prefixes())
        found: list[str] = []
        for entries in decisions.standing(store, self.project_id).values():
            said = [entry for entry in entries if entry.action != "skip"]
            if not any(entry.reviewer == me and (me or entry.id in unsigned) for entry in said):
                found += (entry.record_id for entry in said)
        return [i for i in found if i in self.pool.index]

    def item(self, record_id: str) -> dict[str, Any]:
        """The card of a record. A card drawn before is reused, so that `last` stays what the reviewer has seen."""
        cards = desk.kept().round.cards
        place = self._place(record_id)
        decided = tuple(self.pool[name].array[place] for name in ("decision", "decided_answer"))
        key = (self.round_id, self.written, record_id, self.measure, bool(self.kept[place]), decided)
        if key not in cards:
            cards[key] = self._item(record_id)
            while len(cards) > 4 * desk.AHEAD:
                cards.pop(next(iter(cards)))
        self.seen[record_id] = deciding.Seen(cards[key]["shown"], cards[key]["last"])
        return cards[key]

    def _item(self, record_id: str) -> dict[str, Any]:
        view = results.record_view(self.here.store, self.round_id, record_id)
        place, answer = self._place(record_id), card.in_question(view)
        line = self.pool.iloc[[place]].to_dict("records")[0]
        spreads = disputed_source.spreads(self.here, view)
        nodes = card.nodes(self.task, view, line, answer, bool(self.kept[place]), self.measure, spreads)
        choices = len(allowed_answers(self.task, view.record))
        return {"id": record_id, "nodes": nodes, "choices": choices, "shown": answer, "last": view.last_entry}

    def knows(self, record_id: str) -> bool:
        return record_id in self.pool.index

    def shown(self, record_id: str) -> str | None:
        if not self.knows(record_id):
            return None
        place = self._place(record_id)
        action, said, answer = (self.pool[name].array[place] for name in ("decision", "decided_answer", "answer"))
        standing = asserted_answer(action, said, answer) or answer
        return standing if isinstance(standing, str) else None

    def put_first(self, record_id: str | None) -> None:
        desk.kept().round.head = record_id

    def leave(self, record_id: str) -> None:
        if desk.kept().round.head == record_id:
            desk.kept().round.head = None

    def _place(self, record_id: str) -> int:
        place = self.pool.index.get_loc(record_id)
        assert isinstance(place, int), "record ids are unique"
        return place


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` smallest values in order, ties by position; faster than sorting all values."""
    if len(values) <= count:
        return np.argsort(values, kind="stable")
    border = np.partition(values, count - 1)[count - 1]
    near = np.flatnonzero(values <= border)
    return near[np.argsort(values[near], kind="stable")][:count]
