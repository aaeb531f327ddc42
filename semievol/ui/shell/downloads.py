"""Downloads: `semievol.export` writes each file when its button is pressed; the browser gets it from memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.annotation.tools import TOOLS
from semievol.export import export
from semievol.ui.shell.state import Place


def download(here: Place, label: str, what: str, name: str, kind: str = "secondary", **which: Any) -> None:
    """A button that exports `what` under this name. which: the round, the run and the form, as for `export`."""

    def write() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            return export(here.store, here.project, what, Path(folder) / name, **which).read_bytes()

    st.download_button(label, write, name, on_click="ignore", width="stretch", type=kind)  # type: ignore[arg-type]


def for_review(here: Place, round_id: int) -> None:
    """The choice of a tool for annotation, and the download of the round's candidates for it."""
    names = {tool.name: key for key, tool in TOOLS.items()}
    name = st.selectbox("For review in", list(names), key="export_tool") or next(iter(names))
    download(here, f"Candidates for {name} (ZIP)", names[name], f"review-{names[name]}.zip", round_id=round_id)
