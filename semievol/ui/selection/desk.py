"""One record at a time, decided by keys: the component that hears them, and the queue that loses none.

Presses are numbered in the browser and stay there until the number that is stored has passed them, so that none is
lost or applied twice while the page works, the database is busy, or the dashboard is started again: a session that does
not know a browser's numbers gets its queue sent once more, and what was stored before is known by its key.
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
"""Records that the browser holds ready, so that the next one appears at once."""

_component = st.components.v2.component(
    "semievol_review",
    html='<div class="sv-root"><div class="sv-review" tabindex="0" aria-label="Record under review"></div></div>',
    js=PAINT_JS + Path(__file__).with_name("review.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def session() -> str:
    """Name of this session: what keeps the keys of two browsers apart."""
    found: str = st.session_state.setdefault("review_session", secrets.token_hex(6))
    return found


def rest() -> None:
    """Something was decided that the rest of the page does not show yet."""
    st.session_state["desk_stale"] = True


def stale() -> bool:
    """Whether the rest of the page has to be drawn anew; told once."""
    return bool(st.session_state.pop("desk_stale", False))


def show_first(record_id: str) -> None:
    """The record comes first on the review desk, which is shown."""
    st.session_state["review_head"] = record_id
    st.session_state["review_editing"] = st.session_state["review_noting"] = None
    st.session_state["part"] = "review"


def enter(project_id: int, round_id: int) -> None:
    """What a desk remembers belongs to one round; in another one it begins anew."""
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
    """Shows the first of `items` and hears its keys.

    items: id, nodes (see `paint`), choices (how many answers the digits choose from), last (newest entry of the
    record's history), slot where one record is asked about twice. acts: what keys may do here. place: changes where the
    queue is another one. more: there are further records than `items`. paused: keys rest, as something is typed.
    settled: called once all is saved and nobody has pressed a key for a while.
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
    """Applies the queue of key presses that the browser sent, in order; what was applied before is skipped.

    An entry's `by` and `seq` name it for good: the store knows by them what it has already.

    Ends at the first that fails. What could not be saved, and what came after, the browser keeps and sends again;
    what was refused would be refused again and counts as dealt with.
    """
    for entry in st.session_state[f"{name}_keys"].get("keys") or []:
        if entry["by"] != st.session_state.get(f"{name}_by"):
            st.session_state[f"{name}_by"], st.session_state[f"{name}_seq"] = entry["by"], 0
            if entry["who"] and not state.reviewer():  # of the session that the dashboard has forgotten
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
    """Which key does what."""
    parts.html(
        "<div class='sv-keys'>"
        + "".join(f"<span><span class='sv-key'>{key}</span>{words}</span>" for key, words in keys.items())
        + "</div>"
    )
