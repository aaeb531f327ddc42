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

AHEAD = 24
"""How many records the browser holds ready, so that the next one appears at once."""

_component = st.components.v2.component(
    "semievol_review",
    html='<div class="sv-root">'
    '<div class="sv-review" tabindex="0" role="group" aria-label="Record under review"></div></div>',
    js=PAINT_JS
    + "".join(
        Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8") for name in ("tab", "attention", "review")
    ),
    isolate_styles=False,
)


class Correction(NamedTuple):
    """The answer of a record, before and after the reviewer corrected it."""

    record_id: str
    before: str | None
    after: str | None


class Many(NamedTuple):
    """A decision on many records. decision_id: one of its entries; number: how many it has; said: what was decided."""

    decision_id: int
    number: int
    said: str


@dataclass
class Presses:
    """How far the key presses of a queue were applied. by: the browser tab that sent last; seq: its newest press."""

    by: str | None = None
    seq: int = 0
    failures: int = 0


@dataclass(frozen=True)
class Conflict:
    """A decision of one's own, and what others decided otherwise on the same record since."""

    made: Decision
    others: tuple[Decision, ...]


@dataclass
class RoundReview:
    """What the session keeps of the review of one round."""

    place: tuple[int, int] | None = None  # ids of project and round
    addressed: bool = False  # the record in the address was opened
    head: str | None = None  # the record to show first, because it was opened or its decision undone
    form: tuple[str, str] | None = None  # the open form ("edit" or "note") and its record
    skipped: set[str] = field(default_factory=set)
    notes: dict[str, str] = field(default_factory=dict)  # record id -> a note that is not stored yet
    noted: dict[str, str] = field(default_factory=dict)  # record id -> the note stored with the newest decision
    cards: dict[Hashable, dict[str, Any]] = field(default_factory=dict)  # as they were drawn
    corrected: Correction | None = None  # the newest correction, until it was offered for similar records
    compared: int | None = None  # id of the newest entry that was compared with the session's decisions
    conflicts: dict[int, Conflict] = field(default_factory=dict)  # by the id of the own decision
    asked: str | None = None  # the action on many records that waits for its confirmation
    many: Many | None = None  # the newest decision on many records, until it is taken back


@dataclass
class Reviewing:
    """What the session keeps of all reviews."""

    name: str = field(default_factory=lambda: secrets.token_hex(6))
    """Random; makes the keys of this session's decisions differ from those of other browsers."""
    tab: str = ""  # the browser tab of the session, which a reload keeps; see tab.js
    decided: bool = False  # something was decided here
    earlier: tuple[str, ...] = ()  # prefixes of the decision keys of earlier sessions of this browser
    seen: dict[int, int] = field(default_factory=dict)  # project -> its newest entry when all conflicts were read
    wanted: bool = False  # a record was opened on another page, so the review comes next
    continued: bool = False  # the open random review is wanted on another page
    asked_for: int = 0  # how often a random review was started or continued
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


def key_prefixes() -> tuple[str, ...]:
    """Prefixes of the decision keys of this tab (kept over a reload) and this session.

    By them the store tells decisions apart that nobody signed.
    """
    return tuple(prefix for prefix in (kept().tab, kept().name) if prefix)


def new_key() -> str:
    """What the key of a new decision begins with."""
    kept().decided = True
    return key_prefixes()[0]


def show_first(record_id: str) -> None:
    """Opens the review with this record first. Made for callbacks, after which the page calls `was_wanted`."""
    kept().round.head, kept().round.form = record_id, None
    kept().wanted = True


def was_wanted() -> bool:
    """Whether a record was opened on this page, so that the review comes next. Clears the note."""
    wanted, kept().wanted = kept().wanted, False
    return wanted


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
    form: str,
    on_keys: Callable[[], None],
    on_settled: Callable[[], None] | None = None,
    named: bool = False,
) -> None:
    """Shows the first of `items` and receives its key presses.

    items: each with id, nodes (see `paint`), choices (how many answers the digits choose from), shown (the answer in
    question), last (newest entry of the record's history), and slot where a record is asked about twice. acts: the
    actions that keys may trigger here. place: identifies the queue. finished: the text when no item is left. more:
    whether there are records beyond `items`. form: key of the container in which the reviewer types an answer or a
    note, to which keys then belong; empty if there is none. on_keys: called when key presses arrive. on_settled: called
    once everything is saved and no key was pressed for a while. named: the address carries the record on the screen.
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
            "session": kept().name,
            "named": named,
            "more": more,
            "form": form,
            "settles": on_settled is not None,
            "finished": finished,
            "comes": 0 if named else kept().asked_for,
        },
        key=f"{name}_keys",
        on_keys_change=on_keys,
        on_settled_change=on_settled or (lambda: None),
        on_tab_change=lambda: _learn_tab(f"{name}_keys"),
    )


def _learn_tab(component: str) -> None:
    sent = st.session_state[component].get("tab") or {}
    if sent.get("session") == kept().name:
        kept().tab = str(sent["tab"])[:40]


def apply(name: str, press: Callable[[dict[str, Any]], None]) -> None:
    """Applies the queue of key presses from the browser in order; presses that were applied before are skipped.

    `by` (the browser tab) and `seq` (the number) identify a press for good; the store recognises it by them.

    Stops at the first press that fails. If it could not be saved, the browser keeps it and all later ones and sends
    them again. If it was refused, it is not sent again, because it would be refused again.
    """
    presses = kept().presses[name]
    for entry in st.session_state[f"{name}_keys"].get("keys") or []:
        kept().tab = entry["by"].partition(".")[0]
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
