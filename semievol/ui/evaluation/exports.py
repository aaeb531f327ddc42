"""Downloads: `semievol.export` writes each file when its button is pressed; the browser gets it from memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from semievol.export import export, training
from semievol.jobs import launch
from semievol.store.decisions import selections
from semievol.store.results import outcomes
from semievol.store.runs.rounds import get_round
from semievol.store.runs.runs import Run
from semievol.ui.overview import archives
from semievol.ui.shell import parts
from semievol.ui.shell.state import Place

TRAINING = {
    "Chat (JSONL)": ("chat", "jsonl"),
    "Alpaca (JSON)": ("alpaca", "json"),
    "ShareGPT (JSON)": ("sharegpt", "json"),
}
TABLES = {"CSV": "csv", "XLSX": "xlsx", "Parquet": "parquet", "JSONL": "jsonl"}


def newest(found: Sequence[Run]) -> Run:
    """The run to export, from a round's runs, newest first: the newest that is done, else the newest."""
    return next((run for run in found if run.status == "done"), found[0])


def downloads(here: Place, run: Run) -> None:
    """The downloads of the run's round. What does not exist yet is not offered."""
    parts.heading("Export", "Every training example states its origin, votes, confidence, round and reviewer.")
    round_id = run.round_id
    frozen = selections.selections(here.store, round_id)
    left, right, rest = st.columns([3, 3, 4], gap="medium", vertical_alignment="bottom")
    with left:
        shape = st.selectbox("Tables as", list(TABLES), key="export_table")
        ending = TABLES[shape or "CSV"]
        _button(f"Candidates ({shape})", _made(here, "candidates", f"candidates.{ending}", round_id=round_id))
        if frozen:
            _button(f"Selection ({shape})", _made(here, "selection", f"selection.{ending}", round_id=round_id))
    with right:
        style = st.selectbox("Training data as", list(TRAINING), key="export_training", disabled=not frozen)
        form, suffix = TRAINING[style or "Chat (JSONL)"]
        if frozen:
            _button("Training data", _made(here, "training", f"training.{suffix}", round_id=round_id, form=form))
            round_, number = get_round(here.store, round_id), frozen[-1]["number"]
            if said := training.caveat(here.store, here.this_project, round_, number):
                parts.note(said)
        if outcomes.run_adapter(here.store, run.id):
            _button("Evolved adapter (ZIP)", _made(here, "adapter", f"adapter-run-{run.id}.zip", run_id=run.id))
    with rest:
        _button("Report (HTML)", _made(here, "report", "report.html", round_id=round_id), kind="primary")
        parts.note("One file with figures that opens in any browser.")
        archives.take(here, here.this_project)
        parts.note("The whole project in one file, to be imported into another workspace.")
    st.code(launch.command_line(here.store, here.this_project, run), language=None, wrap_lines=True)


def _button(label: str, made: tuple[str, Callable[[], bytes]], kind: str = "secondary") -> None:
    name, write = made
    st.download_button(label, write, name, on_click="ignore", width="stretch", type=kind)  # type: ignore[arg-type]


def _made(
    here: Place, what: str, name: str, round_id: int | None = None, run_id: int | None = None, form: str | None = None
) -> tuple[str, Callable[[], bytes]]:
    def write() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / name
            return export(
                here.store, here.this_project, what, out, round_id=round_id, run_id=run_id, form=form
            ).read_bytes()

    return name, write
