"""Decisions on the record that the Responses page shows in full, by the keys and buttons of the review.

After a decision comes the record that followed it in the table when it was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from semievol.evidence.reviews import reserved
from semievol.records import Task
from semievol.store.results import results
from semievol.store.results.results import RecordView
from semievol.task.answers import allowed_answers
from semievol.ui.responses import hidden_gold
from semievol.ui.responses.candidates import CHOSEN
from semievol.ui.selection import card, conflicts, deciding, desk, signature
from semievol.ui.shell import disputed_source, formats, paint, parts, record, state
from semievol.ui.shell.paint import Node, group, labelled, node
from semievol.ui.shell.state import Place

AHEAD = 3
"""Records that the browser holds ready. More would make a page of long texts slow."""
_NONE = "Choose a record in the table."


class RecordDesk(deciding.Deciding):
    """Decides on the first of these records; the others follow it."""

    def __init__(self, here: Place, views: Sequence[RecordView]) -> None:
        super().__init__(here)
        self.views = {view.record.id: view for view in views}
        self.seen = {id: deciding.Seen(card.in_question(view), view.last_entry) for id, view in self.views.items()}

    def knows(self, record_id: str) -> bool:
        return record_id in self.views

    def shown(self, record_id: str) -> str | None:
        return card.in_question(self.views[record_id]) if self.knows(record_id) else None

    def put_first(self, record_id: str | None) -> None:
        if record_id is not None:
            st.query_params[CHOSEN] = record_id

    def leave(self, record_id: str) -> None:
        order = list(self.views)
        after = order[order.index(record_id) + 1 :]
        self.put_first(after[0] if after else record_id)


def draw(here: Place, view: RecordView, following: Sequence[str]) -> None:
    """The record with its candidate, and what can be decided on it. following: ids of the records after it."""
    closed_off = reserved(state.reviews(here.store, here.round.id))
    if view.candidate is None or view.record.id in closed_off:
        paint.draw(*_nodes(here, view), key=f"record_{view.record.id}")
        if view.candidate is not None:
            parts.note("This record belongs to the open random review, so it is decided on there.")
        return
    with st.container():  # always there, so that the card below is not drawn anew when there is something to tell
        conflicts.show(here)
    later = [one for one in following if one not in closed_off][: AHEAD - 1]
    mine = RecordDesk(here, [view, *(results.record_view(here.store, here.round.id, one) for one in later)])
    desk.draw(
        "review",
        f"responses-{here.round.id}",
        [_item(here, one) for one in mine.views.values()],
        deciding.ACTS,
        _NONE,
        True,
        mine.open_form(view.record.id),
        mine.keys,
    )
    mine.below(view.record.id)
    signature.signed()
    hidden_gold.switch(view)


def _item(here: Place, view: RecordView) -> dict[str, object]:
    choices = len(allowed_answers(here.task, view.record))
    about = {"shown": card.in_question(view), "last": view.last_entry}
    return {"id": view.record.id, "nodes": _nodes(here, view), "choices": choices, **about}


def _nodes(here: Place, view: RecordView) -> list[Node]:
    task: Task = here.task
    name = node("note", record.name(view.record))
    if view.candidate is None:
        return [name, *record.question(task, view.record)]
    spreads = disputed_source.spreads(here, view)
    asked = card.asked(task, view, card.in_question(view), spreads)
    decided = [group("gap", *said)] if (said := card.decided(view)) else []
    numbers = [labelled(formats.measure(m), *_measured(m, v)) for m, v in view.candidate.confidences.items()]
    return [name, *asked, *hidden_gold.nodes(task, view), *decided, node("rule"), *numbers]


def _measured(measure: str, value: float) -> list[Node]:
    """A measure's value, and how to read it where it is no probability."""
    scale = formats.MEASURE_SCALES.get(measure)
    shown = node("", formats.confidence(measure, value), tag="span")
    return [shown, node("num", scale, tag="span")] if scale else [shown]
