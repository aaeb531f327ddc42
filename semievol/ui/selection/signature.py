"""What a visitor's browser keeps for the next session, not the workspace.

It is the name that signs decisions, the names of the tabs that decided something, and up to where the history of each
project has been seen.

So two people with two browsers cannot sign with each other's name, a new session of the same browser starts with the
name of the last one, and who comes back is told what others decided differently (see `conflicts`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import streamlit as st

from semievol.ui.selection import desk
from semievol.ui.shell import session, state

LONGEST = 80
SESSIONS, PREFIX_LENGTH = 20, range(12, 41)
"""How many prefixes of earlier sessions are remembered, and how long one is."""
_COMPONENT, _FIELD, _ALWAYS_SHOWN = "signature", "sign_name", "own_name"

_component = st.components.v2.component(
    "semievol_signature",
    html="<div></div>",
    js=Path(__file__).with_name("signature.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def keep() -> None:
    """Has it kept in the browser, or read from there. Call it before anything that may be signed."""
    kept = desk.kept()
    with st.container(key="unseen_signature"):
        prefixes = desk.key_prefixes() if kept.decided else ()
        data = {"name": session.shell().reviewer, "session": kept.name, "marks": prefixes, "seen": kept.seen}
        _component(data=data, key=_COMPONENT, on_kept_change=_restore)


def _restore() -> None:
    sent = st.session_state[_COMPONENT].get("kept")
    if not sent:
        return
    if session.shell().reviewer is None and sent.get("name") is not None:
        session.shell().reviewer = _clean(sent["name"])
    kept, own = desk.kept(), desk.key_prefixes()
    prefixes = [one for one in _listed(sent.get("marks")) if isinstance(one, str) and len(one) in PREFIX_LENGTH]
    kept.earlier = tuple(one for one in prefixes[:SESSIONS] if one not in own)
    seen = sent.get("seen") if isinstance(sent.get("seen"), dict) else {}
    kept.seen = {int(project): entry for project, entry in seen.items() if project.isdecimal() and type(entry) is int}
    kept.round.compared = None  # compared anew, with what the browser knows


def field() -> None:
    """The field for the name; decisions made after it was typed are signed with it."""
    _field(_ALWAYS_SHOWN, "visible", lambda: _sign(_ALWAYS_SHOWN))


def _field(key: str, label_visibility: Literal["visible", "collapsed"], on_change: Callable[[], None]) -> None:
    if st.session_state.get(key) != state.reviewer():  # else it would replace what the visitor is typing
        st.session_state[key] = state.reviewer()
    st.text_input(
        "Your name",
        key=key,
        max_chars=LONGEST,
        placeholder="Your name",
        on_change=on_change,
        label_visibility=label_visibility,
    )


def signed() -> None:
    """Shows the name that signs decisions, with a button to change it."""
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="signed"):
        if state.reviewer() and not desk.kept().signing:
            st.text(f"Signed as {state.reviewer()}")
            st.button("Change", key="sign_change", type="tertiary", on_click=_open, args=(True,))
        else:
            st.text("Not signed. Your name:" if not state.reviewer() else "Sign as")
            _field(_FIELD, "collapsed", _sign_where_asked)
            if state.reviewer():
                st.button("Keep", key="sign_keep", type="tertiary", on_click=_open, args=(False,))


def _open(signing: bool) -> None:
    desk.kept().signing = signing


def _sign_where_asked() -> None:
    # While the browser's name arrives, the empty field is still on the screen, and its emptiness is reported as a
    # change. It counts only where a name is asked for.
    if not state.reviewer() or desk.kept().signing:
        _sign(_FIELD)


def _sign(field: str) -> None:
    session.shell().reviewer = _clean(st.session_state[field])
    _open(False)
    desk.mark_stale()  # the whole page must be drawn, as the browser gets the name from there


def _clean(name: object) -> str:
    return name.strip()[:LONGEST] if isinstance(name, str) else ""


def _listed(found: object) -> list[object]:
    return found if isinstance(found, list) else []
