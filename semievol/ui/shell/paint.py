"""Draws text from data safely: a tree of nodes that the browser builds with `textContent` only.

Streamlit's Markdown, HTML and labels may turn text from a data set into images, links or formulas; this never does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

Node = dict[str, Any]

PAINT_JS = Path(__file__).with_name("paint.js").read_text(encoding="utf-8")

_canvas = st.components.v2.component(
    "semievol_paint",
    html='<div class="sv-root"></div>',
    js=PAINT_JS
    + """
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".sv-root");
  root.replaceChildren(...(data || []).map(paint));
  let_keys_scroll(root);
}
""",
    isolate_styles=False,
)


def node(classes: str = "", text: str | None = None, *children: Node, tag: str = "div", **extra: Any) -> Node:
    """One element. classes: names from `assets/style.css` without their `sv-`; text: data, shown as it is.

    extra: `width` in percent, `label` for screen readers, which then read nothing inside, `open` for details,
    `hint` on hover.
    """
    made: Node = {"t": tag, "c": classes}
    if text is not None:
        made |= {"x": text, "d": True}
    if children:
        made["k"] = list(children)
    for short, name in (("w", "width"), ("l", "label"), ("o", "open"), ("h", "hint")):
        if name in extra:
            made[short] = extra[name]
    return made


def group(classes: str, *children: Node, **extra: Any) -> Node:
    """An element without a text of its own, around others."""
    return node(classes, None, *children, **extra)


def labelled(label: str, *children: Node, classes: str = "row") -> Node:
    """A label in front of other elements."""
    return node(classes, None, node("label", label, tag="span"), *children)


def draw(*nodes: Node, key: str) -> None:
    """Puts the nodes on the page. `key` must be unique on it."""
    _canvas(data=list(nodes), key=key)
