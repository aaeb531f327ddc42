"""The downloads of the Evaluation page: what a round and its runs left, and the whole project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from semievol import wording
from semievol.endpoints import is_endpoint, name_of, tuned_of
from semievol.export import tables
from semievol.export.adapter import is_full, plainly_tuned
from semievol.export.caveats import unfrozen
from semievol.jobs import launch
from semievol.method import conclusions
from semievol.store.decisions import selections
from semievol.store.results import outcomes
from semievol.store.runs.rounds import get_round
from semievol.store.runs.runs import Run
from semievol.ui.shell import archives, downloads, parts
from semievol.ui.shell.state import Place

TRAINING = {
    "Chat (JSONL)": ("chat", "jsonl"),
    "OpenAI fine-tuning (JSONL)": ("openai", "jsonl"),
    "Alpaca (JSON)": ("alpaca", "json"),
    "ShareGPT (JSON)": ("sharegpt", "json"),
    "Table (XLSX)": ("chat", "xlsx"),
    "Table (CSV)": ("chat", "csv"),
    "Table (Parquet)": ("chat", "parquet"),
}
TABLES = {"XLSX": "xlsx", "CSV": "csv", "Parquet": "parquet", "JSONL": "jsonl"}


def newest(found: Sequence[Run]) -> Run:
    """The run to export, from a round's runs, newest first: the newest that is done, else the newest."""
    return next((run for run in found if run.status == "done"), found[0])


def offer(here: Place, run: Run) -> None:
    """The downloads of the run's round. What does not exist yet is not offered."""
    parts.heading(
        "Export",
        "Every training example states its origin, votes, confidence, round and reviewer, except in OpenAI's form.",
    )
    round_id = run.round_id
    frozen = selections.selections(here.store, round_id)
    if since := unfrozen(here.store, round_id):
        parts.note(since)
    left, right, rest = st.columns([3, 3, 4], gap="medium", vertical_alignment="top")
    with left:
        shape = st.selectbox("Tables as", list(TABLES), key="export_table")
        ending = TABLES[shape or "XLSX"]
        if frozen:
            downloads.download(here, f"Kept answers ({shape})", "answers", f"answers.{ending}", round_id=round_id)
        downloads.download(here, f"All answers ({shape})", "all_answers", f"all-answers.{ending}", round_id=round_id)
        downloads.download(here, f"Candidates ({shape})", "candidates", f"candidates.{ending}", round_id=round_id)
        if frozen:
            downloads.download(here, f"Selection ({shape})", "selection", f"selection.{ending}", round_id=round_id)
        parts.note(
            "Answers are tables for people. Candidates have every measure of confidence; the selection says what was "
            "decided by whom."
        )
        downloads.for_review(here, round_id)
    with right:
        style = st.selectbox("Training data as", list(TRAINING), key="export_training", disabled=not frozen)
        form, suffix = TRAINING[style or "Chat (JSONL)"]
        if frozen:
            downloads.download(here, "Training data", "training", f"training.{suffix}", round_id=round_id, form=form)
            round_, number = get_round(here.store, round_id), frozen[-1]["number"]
            if caveat := tables.caveat(here.store, here.project, round_, number):
                parts.note(caveat)
        made = outcomes.run_adapter(here.store, run.id)
        if made and is_endpoint(made):
            parts.note(f"The evolved model is at the endpoint {name_of(made)}. Its server calls it {tuned_of(made)}.")
        elif made:
            _models(here, run, Path(made))
    with rest:
        downloads.download(here, "Report (HTML)", "report", "report.html", kind="primary", round_id=round_id)
        parts.note("One file with figures that opens in any browser.")
        archives.export_button(here)
        parts.note("The whole project in one file, to be imported into another workspace.")
    parts.note("The command that repeats this run:")
    st.code(launch.command_line(here.store, here.project, run), language=None, wrap_lines=True)


def _models(here: Place, run: Run, evolved: Path) -> None:
    """The choice of a model to carry away: the evolved one, or plain fine-tuning, which may do as well."""
    plain = plainly_tuned(here.store, here.project, run.round_id)
    if plain and is_endpoint(plain[1]):
        plain = None
    words, choices = wording.row_words(here.later_round), ["evolved", *(["warm_up"] if plain else [])]
    if plain and plain[0].id != run.round_id:
        words |= {"warm_up": f"Plain fine-tuning (round {plain[0].place})"}
    model = st.selectbox("Model", choices, format_func=words.__getitem__, key="export_model") or "evolved"
    if plain and plain[0].id == run.round_id and _behind(here, run):
        parts.note("Plain fine-tuning is right on more of the test records. Choose it here to carry it away.")
    if plain and model == "warm_up":
        _model(here, "Warm-up", Path(plain[1]), f"warm-up-round-{plain[0].place}", round_id=run.round_id, model=model)
    else:
        _model(here, "Evolved", evolved, f"run-{run.id}", run_id=run.id)


def _behind(here: Place, run: Run) -> bool:
    """Whether the evolved model is right on fewer test records than what it is compared with."""
    found = conclusions.gain(outcomes.evaluation(here.store, run.id) or {})
    return found is not None and found.difference < 0


def _model(here: Place, kind: str, folder: Path, name: str, **which: Any) -> None:
    """A model: as an adapter and merged into its base, or as it is where all weights were trained. which: as for
    `export`."""
    script = "a model card, and a script that answers without the Studio"
    if is_full(folder):
        downloads.download(here, f"{kind} model (ZIP)", "adapter", f"model-{name}.zip", **which)
        parts.note(f"All weights were trained, so it is a complete model. It has {script}.")
        return
    downloads.download(here, f"{kind} adapter (ZIP)", "adapter", f"adapter-{name}.zip", **which)
    archives.merged_button(here, f"model-{name}.zip", **which)
    parts.note(
        "The adapter is what fine-tuning added and needs the base model; the merged model is both in one. Each has "
        f"{script}."
    )
