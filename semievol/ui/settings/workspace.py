"""The parts of the Settings page: the known models, the reviewer's name, the state of the database."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from semievol import installed
from semievol.jobs import inference_client, planning
from semievol.jobs import models as known_models
from semievol.store import health as database
from semievol.store import settings
from semievol.store.database import Store
from semievol.ui.selection import signature
from semievol.ui.shell import formats, paint, parts, session, tables

KINDS = {
    "package": "Package",
    "bundled": "Bundled",
    "folder": "Local folder",
    "gguf": "GGUF file",
    "hub": "Hub id",
    "endpoint": "Endpoint",
    "embedder": "Embedder",
}
ADDABLE = {"folder": "Folder or GGUF file", "hub": "Hub id", "endpoint": "Endpoint"}


@dataclass
class Tried:
    """What the session keeps of the Settings page: the model that was tried last, and its answer."""

    model: str = ""
    answer: str | None = None


def models(store: Store) -> None:
    """The table of known models, a form to try one, and a form to add one.

    The form asks for the environment variable that holds an API key, never for the key.
    """
    parts.heading(
        "Models",
        "Memory and time are rough estimates for a run with 100 labeled and 1,000 unlabeled records on this machine. "
        f"New projects use the model {installed.default_model()} and the embedder {installed.default_embedder()}.",
    )
    if advice := installed.advice():
        parts.note(advice)
    found = known_models.known(store)
    known = {model.name: model for model in settings.models(store)}
    lines = [_line(one, known.get(one.name, settings.Model(one.name, one.kind))) for one in found]
    tables.table(pd.DataFrame(lines), "models")
    for one in found:
        if one.note:
            parts.note(f"{one.name}: {one.note}")
    _try(store, [one.name for one in found if one.state in ("ready", "to be prepared") and one.kind != "embedder"])
    kind = st.segmented_control(
        "Add a model", list(ADDABLE), format_func=ADDABLE.__getitem__, default="folder", required=True, key="model_kind"
    )
    with st.form("add_model", border=False, clear_on_submit=True):
        entry = {"kind": kind}
        if kind == "endpoint":
            entry["name"] = st.text_input("Name", placeholder="The name used in settings")
            entry["base_url"] = st.text_input("Address", placeholder="http://localhost:8000/v1", type="url")
            entry["model"] = st.text_input("Model at the endpoint")
            entry["key_variable"] = st.text_input(
                "Environment variable with the API key", help="The name of the variable. The key is never stored."
            )
        else:
            words = "Folder or .gguf file on this machine" if kind == "folder" else "Hub id (owner/name)"
            entry["name"] = st.text_input(words)
        if st.form_submit_button("Add model", type="primary"):
            with parts.errors_shown():
                entry = {key: str(value or "").strip() for key, value in entry.items()}
                if kind != "endpoint":
                    planning.check_model(entry["name"])
                settings.save_model(store, settings.Model(**entry))
                st.rerun()
    own = [model.name for model in known.values() if model != settings.STARTER]
    if own:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            gone = st.selectbox("Remove a model", own, index=None, key="forget_model", placeholder="Choose one")
            if st.button("Remove", disabled=gone is None) and gone is not None:
                settings.remove_model(store, gone)
                st.rerun()


def _line(one: known_models.Known, stored: settings.Model) -> dict[str, str]:
    """A model as a line of the table; unknown values are dashes."""
    size = formats.DASH if one.parameters is None else f"{one.parameters / 1e6:,.0f} M"
    return {
        "Model": one.name,
        "Kind": KINDS.get(one.kind, one.kind),
        "State": one.state,
        "What it is": ", ".join(filter(None, (one.title, one.architecture))) or stored.base_url or formats.DASH,
        "Parameters": size,
        "Context": formats.DASH if one.context is None else formats.count(one.context),
        "Licence": one.licence or formats.DASH,
        "Memory": formats.DASH if one.memory is None else f"{one.memory / 2**30:.1f} GB",
        "Time": formats.DASH if one.seconds is None else f"about {formats.duration(one.seconds)}",
        "Key": _key_words(stored.key_variable),
    }


def _try(store: Store, names: list[str]) -> None:
    """A form that asks a model a question, as the model is before any training."""
    with st.form("try_model", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Try a model", names, key="tried_model", width=220)
        question = st.text_input("Question", "What is the capital of France?", key="tried_question")
        pressed = st.form_submit_button("Ask", icon=":material/send:")
    if pressed and name and question:
        with parts.errors_shown(), st.spinner("Asking. A model that was never used here is prepared first."):
            session.put(Tried(name, inference_client.try_model(store, name, question)))
    tried = session.of(Tried)
    if tried.answer is not None:
        answer = paint.labelled(tried.model, paint.node("mono", tried.answer), classes="demo")
        paint.draw(answer, key="tried_answer")


def _key_words(variable: str) -> str:
    if not variable:
        return ""
    return f"{variable} ({'set' if os.environ.get(variable) else 'not set'})"


def reviewer() -> None:
    """The field for the name that signs decisions; this browser keeps it."""
    parts.heading("Reviewer", "Your decisions are signed with this name. It is kept in this browser only.")
    signature.field()


def health(store: Store) -> None:
    """The folder of the workspace, and whether the database is intact."""
    parts.heading("Workspace", "This folder holds the database, uploads, adapters and logs.")
    st.code(str(store.home), language=None, wrap_lines=True)
    found = database.health(store)
    size = formats.DASH if found.size is None else f"{found.size / 2**20:.1f} MB"
    parts.tiles(
        [("Database", found.kind, found.version), ("Size", size, ""), ("Journal", found.journal or "server", "")]
    )
    if st.button("Check the database", icon=":material/health_and_safety:"):
        with parts.errors_shown(), st.spinner("Checking"):
            wrong = database.quick_check(store)
            st.text("\n".join(wrong[:20]) if wrong else "The database is intact.")
