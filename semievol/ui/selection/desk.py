"""The review of one record at a time by keys: the browser component, and the queue that applies each key press once.

The browser numbers the key presses and keeps each one until the session confirms that it is stored. So none is lost
while the page works, the database is busy, or the dashboard restarts. None is applied twice either: a restarted session
receives the whole queue again, and the store recognises by its key what it has already.
"""

from __future__ import annotations

import functools
import secrets
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from semievol.records import Decision, Record, Task
from semievol.store.database import NotSaved
from semievol.task.answers import allowed_answers, parse
from semievol.ui.shell import notices, parts, record, session, state
from semievol.ui.shell.paint import PAINT_JS

PART = "part"
"""Key of the control that chooses the part of the Selection page."""
AHEAD = 24
"""How many records the browser holds ready, so that the next one appears at once."""

_component = st.components.v2.component(
    "semievol_review",
    html='<div class="sv-root"><div class="sv-review" tabindex="0" aria-label="Record under review"></div></div>',
    js=PAINT_JS + Path(__file__).with_name("review.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


class Correction(NamedTuple):
    """The answer of a record, before and after the reviewer corrected it."""

    record_id: str
    before: str | None
    after: str | None


@dataclass
class Presses:
    """How far the key presses of a queue were applied. by: the browser tab that sent last; seq: its newest press."""

    by: str | None = None
    seq: int = 0
    failures: int = 0


@dataclass
class RoundReview:
    """What the session keeps of the review of one round."""

    place: tuple[int, int] | None = None  # ids of project and round
    head: str | None = None  # the record to show first, because it was opened or its decision undone
    form: tuple[str, str] | None = None  # the open form ("edit" or "note") and its record
    skipped: set[str] = field(default_factory=set)
    cards: dict[Hashable, dict[str, Any]] = field(default_factory=dict)  # as they were drawn
    corrected: Correction | None = None  # the newest correction, until it was offered for similar records
    mine: set[int] = field(default_factory=set)  # ids of the session's decisions
    made: dict[str, Decision] = field(default_factory=dict)  # content hash -> the session's newest decision on it
    compared: int = 0  # id of the newest decision that was compared with those of the session
    conflicts: dict[int, str] = field(default_factory=dict)  # id of an own decision -> the sentence to show


@dataclass
class Reviewing:
    """What the session keeps of all reviews."""

    name: str = field(default_factory=lambda: secrets.token_hex(6))
    """Random; makes the keys of this session's decisions differ from those of other browsers."""
    round: RoundReview = field(default_factory=RoundReview)
    presses: defaultdict[str, Presses] = field(default_factory=lambda: defaultdict(Presses))  # queue -> its state
    stale: bool = False  # a decision was made that the rest of the page does not show yet
    signing: bool = False  # the field for the reviewer's name is open


def kept() -> Reviewing:
    return session.of(Reviewing)


def mark_stale() -> None:
    """Notes that a decision was made that the rest of the page does not show yet."""
    kept().stale = True


def was_stale() -> bool:
    """Whether the rest of the page has to be drawn again. Clears the note."""
    stale, kept().stale = kept().stale, False
    return stale


def show_first(record_id: str) -> None:
    """Opens the Review part with this record first. Made for callbacks."""
    kept().round.head, kept().round.form = record_id, None
    st.session_state[PART] = "review"


def enter(project_id: int, round_id: int) -> None:
    """Forgets what belongs to the review of another round. Call it before the review is drawn."""
    place = (project_id, round_id)
    if kept().round.place not in (None, place):
        kept().round = RoundReview()
    kept().round.place = place


def draw(
    name: str,
    place: str,
    items: Sequence[dict[str, Any]],
    acts: Sequence[str],
    finished: str,
    more: bool,
    paused: bool,
    on_keys: Callable[[], None],
    on_settled: Callable[[], None] | None = None,
) -> None:
    """Shows the first of `items` and receives its key presses.

    items: each with id, nodes (see `paint`), choices (how many answers the digits choose from), last (newest entry of
    the record's history), and slot where a record is asked about twice. acts: the actions that keys may trigger here.
    place: identifies the queue. finished: the text when no item is left. more: whether there are records beyond
    `items`. paused: keys are ignored, because the reviewer is typing. on_keys: called when key presses arrive.
    on_settled: called once everything is saved and no key was pressed for a while.
    """
    presses = kept().presses[name]
    _component(
        data={
            "items": list(items),
            "acts": list(acts),
            "seq": presses.seq,
            "failures": presses.failures,
            "place": f"{name}-{place}",
            "by": presses.by,
            "reviewer": state.reviewer(),
            "more": more,
            "paused": paused,
            "settles": on_settled is not None,
            "finished": finished,
        },
        key=f"{name}_keys",
        on_keys_change=on_keys,
        on_settled_change=on_settled or (lambda: None),
    )


def apply(name: str, press: Callable[[dict[str, Any]], None]) -> None:
    """Applies the queue of key presses from the browser in order; presses that were applied before are skipped.

    `by` (the browser tab) and `seq` (the number) identify a press for good; the store recognises it by them.

    Stops at the first press that fails. If it could not be saved, the browser keeps it and all later ones and sends
    them again. If it was refused, it is not sent again, because it would be refused again.
    """
    presses = kept().presses[name]
    for entry in st.session_state[f"{name}_keys"].get("keys") or []:
        if entry["by"] != presses.by:
            presses.by, presses.seq = entry["by"], 0
            if entry["who"] and not state.reviewer():  # restores the reviewer's name after a restart
                session.shell().reviewer = entry["who"]
        if entry["seq"] <= presses.seq:
            continue
        try:
            press(entry)
        except Exception as error:  # noqa: BLE001 - a callback's boundary, as `notices.errors_kept`
            notices.fail(error)
            presses.failures += 1
            if not isinstance(error, NotSaved):
                presses.seq = entry["seq"]
            break
        presses.seq = entry["seq"]


def legend(keys: dict[str, str]) -> None:
    """Shows which key does what. keys: key -> action in words."""
    parts.html(
        "<div class='sv-keys'>"
        + "".join(f"<span><span class='sv-key'>{key}</span>{words}</span>" for key, words in keys.items())
        + "</div>"
    )


def typed(task: Task, shown: Record, label: str, before: str = "") -> str | None:
    """The field for an answer, typed or chosen among the allowed ones; None if it is empty or does not fit the task."""
    if allowed := allowed_answers(task, shown):
        words = functools.partial(record.named_answer, task, shown)
        return st.selectbox(label, allowed, index=None, placeholder="Choose", format_func=words)
    return parse(task, shown, st.text_input(label, value=before) or "")
