"""The reviewer's name, which signs decisions. It is kept in the visitor's browser, not in the workspace.

So two people with two browsers cannot sign with each other's name, and a new session of the same browser starts with
the name of the last one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st

from semievol.ui.selection import desk
from semievol.ui.shell import session, state

LONGEST = 80
_COMPONENT, _FIELD = "signature", "sign_name"

_component = st.components.v2.component(
    "semievol_signature",
    html="<div></div>",
    js=Path(__file__).with_name("signature.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def keep() -> None:
    """Stores the name in the browser, or reads it from there. Call it before anything that may be signed."""
    with st.container(key="unseen_signature"):
        data = {"name": session.shell().reviewer, "session": desk.kept().name}
        _component(data=data, key=_COMPONENT, on_kept_change=_restore)


def _restore() -> None:
    sent = st.session_state[_COMPONENT].get("kept")
    if sent and session.shell().reviewer is None:
        session.shell().reviewer = _clean(sent.get("name"))


def field(label_visibility: Literal["visible", "collapsed"] = "visible") -> None:
    """The field for the name; decisions made after it was typed are signed with it."""
    if st.session_state.get(_FIELD) != state.reviewer():  # else it would replace what the visitor is typing
        st.session_state[_FIELD] = state.reviewer()
    st.text_input(
        "Your name",
        key=_FIELD,
        max_chars=LONGEST,
        placeholder="Your name",
        on_change=_sign,
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
            field("collapsed")
            if state.reviewer():
                st.button("Keep", key="sign_keep", type="tertiary", on_click=_open, args=(False,))


def _open(signing: bool) -> None:
    desk.kept().signing = signing


def _sign() -> None:
    session.shell().reviewer = _clean(st.session_state[_FIELD])
    _open(False)
    desk.mark_stale()  # the whole page must be drawn, as the browser gets the name from there


def _clean(name: object) -> str:
    return name.strip()[:LONGEST] if isinstance(name, str) else ""
