"""The review of one record at a time by keys: the browser component, and the queue that applies each key press once.

The browser numbers the key presses and keeps each one until the session confirms that it is stored. So none is lost
while the page works, the database is busy, or the dashboard restarts. None is applied twice either: a restarted session
receives the whole queue again, and the store recognises by its key what it has already.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.store.database import NotSaved
from semievol.ui.shell import notices, parts, state
from semievol.ui.shell.paint import PAINT_JS

AHEAD = 24
"""How many records the browser holds ready, so that the next one appears at once."""

_component = st.components.v2.component(
    "semievol_review",
    html='<div class="sv-root"><div class="sv-review" tabindex="0" aria-label="Record under review"></div></div>',
    js=PAINT_JS + Path(__file__).with_name("review.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def session() -> str:
    """A random name of this session, which makes its decision keys differ from those of other browsers."""
    found: str = st.session_state.setdefault("review_session", secrets.token_hex(6))
    return found


def rest() -> None:
    """Notes that a decision was made which the rest of the page does not show yet."""
    st.session_state["desk_stale"] = True


def stale() -> bool:
    """Whether the rest of the page has to be redrawn. Asking clears the note."""
    return bool(st.session_state.pop("desk_stale", False))


def show_first(record_id: str) -> None:
    """Opens the Review part with this record first. Made for callbacks."""
    st.session_state["review_head"] = record_id
    st.session_state["review_editing"] = st.session_state["review_noting"] = None
    st.session_state["part"] = "review"


def enter(project_id: int, round_id: int) -> None:
    """Clears the state of the review when project or round have changed, because it belongs to one round."""
    place = (project_id, round_id)
    if st.session_state.get("desk_place", place) != place:
        for key in ("skipped", "head", "editing", "noting", "made", "mine", "looked", "conflicts", "cards"):
            st.session_state.pop(f"review_{key}", None)
        st.session_state.pop("sweep", None)
    st.session_state["desk_place"] = place


def draw(
    name: str,
    place: str,
    items: Sequence[dict[str, Any]],
    acts: Sequence[str],
    finished: str,
    more: bool,
    paused: bool,
    heard: Callable[[], None],
    settled: Callable[[], None] | None = None,
) -> None:
    """Shows the first of `items` and receives its key presses.

    items: each with id, nodes (see `paint`), choices (how many answers the digits choose from), last (newest entry of
    the record's history), and slot where a record is asked about twice. acts: the actions that keys may trigger here.
    place: identifies the queue. finished: the text when no item is left. more: whether there are records beyond
    `items`. paused: keys are ignored, because the reviewer is typing. heard: called when key presses arrive. settled:
    called once everything is saved and no key was pressed for a while.
    """
    _component(
        data={
            "items": list(items),
            "acts": list(acts),
            "seq": st.session_state.get(f"{name}_seq", 0),
            "failures": st.session_state.get(f"{name}_failures", 0),
            "place": f"{name}-{place}",
            "by": st.session_state.get(f"{name}_by"),
            "reviewer": state.reviewer(),
            "more": more,
            "paused": paused,
            "settles": settled is not None,
            "finished": finished,
        },
        key=f"{name}_keys",
        on_keys_change=heard,
        on_settled_change=settled or (lambda: None),
    )


def apply(name: str, press: Callable[[dict[str, Any]], None]) -> None:
    """Applies the queue of key presses from the browser in order; presses that were applied before are skipped.

    `by` (the browser tab) and `seq` (the number) identify a press for good; the store recognises it by them.

    Stops at the first press that fails. If it could not be saved, the browser keeps it and all later ones and sends
    them again. If it was refused, it is not sent again, because it would be refused again.
    """
    for entry in st.session_state[f"{name}_keys"].get("keys") or []:
        if entry["by"] != st.session_state.get(f"{name}_by"):
            st.session_state[f"{name}_by"], st.session_state[f"{name}_seq"] = entry["by"], 0
            if entry["who"] and not state.reviewer():  # restores the reviewer's name after a restart
                st.session_state["reviewer"] = entry["who"]
        if entry["seq"] <= st.session_state.get(f"{name}_seq", 0):
            continue
        try:
            press(entry)
        except Exception as error:  # noqa: BLE001 - a callback's boundary, as `notices.errors_kept`
            notices.fail(error)
            st.session_state[f"{name}_failures"] = st.session_state.get(f"{name}_failures", 0) + 1
            if not isinstance(error, NotSaved):
                st.session_state[f"{name}_seq"] = entry["seq"]
            break
        st.session_state[f"{name}_seq"] = entry["seq"]


def legend(keys: dict[str, str]) -> None:
    """Shows which key does what. keys: key -> action in words."""
    parts.html(
        "<div class='sv-keys'>"
        + "".join(f"<span><span class='sv-key'>{key}</span>{words}</span>" for key, words in keys.items())
        + "</div>"
    )
