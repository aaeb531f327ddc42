"""Draws the whole page where a part of it gets no answer.

A dashboard that was started anew knows nothing of the parts (`st.fragment`) of a page that is still open in a browser,
and drops what they send; a visitor's session has to draw the page once before it hears them.
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
    """Hears the browser's event `semievol-unheard`; outside every part."""
    with st.container(key="unseen_awake"):
        _component(key="awake", on_woken_change=lambda: None)
