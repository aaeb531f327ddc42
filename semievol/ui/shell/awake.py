"""Redraws the whole page when a fragment of it (`st.fragment`) gets no answer, and when the browser's theme changes.

After a restart the dashboard does not know the fragments of a page that is still open in a browser, and drops what they
send. Once the session has drawn the whole page again, it receives their messages.
Streamlit recolours its own widgets alone; our colours and figures are made for the theme of the last redraw.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

_component = st.components.v2.component(
    "semievol_awake",
    html="<div></div>",
    js=Path(__file__).with_name("awake.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def listen() -> None:
    """Listens for the browser's event `semievol-unheard`, which asks for a redraw, and for another theme.

    Call it outside every fragment.
    """
    with st.container(key="unseen_awake"):
        _component(key="awake", on_woken_change=lambda: None)
