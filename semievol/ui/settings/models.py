"""The known models: a table, trying one, adding one after looking at it, and removing one."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from semievol import installed
from semievol.jobs import inference_client
from semievol.jobs import models as known_models
from semievol.store import settings
from semievol.store.database import Store
from semievol.ui.shell import formats, notices, paint, parts, session, tables

KINDS = {
    "package": "Package",
    "bundled": "Bundled",
    "folder": "Local folder",
    "gguf": "GGUF file",
    "hub": "Hub id",
    "embedder": "Embedder",
}
ADDABLE = {"folder": "Folder or GGUF file", "hub": "Hub id"}


@dataclass
class Tried:
    """What the session keeps: the model that was tried last, on which question, its answer, and how many models were
    added."""

    model: str = ""
    question: str = ""
    answer: str | None = None
    added: int = 0  # part of the key of the field for a name: a field with a new key is empty


def models(store: Store) -> None:
    """All parts of the card."""
    parts.heading(
        "Models",
        "Memory and time are rough estimates for a run with 100 labeled and 1,000 unlabeled records on this machine; "
        "Training has those for a project. "
        f"New projects use the model {installed.default_model()} and the embedder {installed.default_embedder()}.",
    )
    if advice := installed.advice():
        parts.note(advice)
    found = known_models.known(store)
    tables.table(pd.DataFrame([_line(one) for one in found]), "models")
    for one in found:
        if one.note:
            parts.note(f"{one.name}: {one.note}")
    _try(store, [one.name for one in found if one.state in ("ready", "to be prepared") and one.kind != "embedder"])
    left, right = st.columns(2, gap="medium")
    with left:
        _add(store)
    with right:
        _remove(store)


_LONGEST = 28
"""Characters of a model's name in the table."""


def _line(one: known_models.Known) -> dict[str, str]:
    """A model as a line of the table, what decides first; unknown values are dashes."""
    size = formats.DASH if one.parameters is None else f"{one.parameters / 1e6:,.0f} M"
    return {
        "Model": one.name if len(one.name) <= _LONGEST else f"…{one.name[-_LONGEST:]}",  # a path differs at its end
        "State": one.state,
        "Memory": formats.DASH if one.memory is None else f"{one.memory / 2**30:.1f} GB",
        "Time for 1,000": formats.DASH if one.seconds is None else formats.about(one.seconds),
        "Parameters": size,
        "Context": formats.DASH if one.context is None else formats.count(one.context),
        "Kind": KINDS.get(one.kind, one.kind),
        "Licence": one.licence or formats.DASH,
        "What it is": ", ".join(filter(None, (one.title, one.architecture))) or formats.DASH,
    }


def _try(store: Store, names: list[str]) -> None:
    """A form that asks a model a question, as the model is before any training."""
    with st.form("try_model", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Try a model", names, key="tried_model", width=220)
        question = st.text_input("Question", "What is the capital of France?", key="tried_question")
        pressed = st.form_submit_button("Ask", icon=":material/send:")
    tried = session.of(Tried)
    if pressed and name and question:
        with parts.errors_shown(), st.spinner("Asking. A model that was never used here is prepared first."):
            tried.model, tried.question, tried.answer = name, question, None
            tried.answer = inference_client.try_model(store, name, question)
    if tried.answer is not None:
        # model and question are named, as the form above may meanwhile hold others
        asked = paint.node("note", f"“{tried.question}”")
        answer = paint.labelled(tried.model, asked, paint.node("mono", tried.answer), classes="demo")
        paint.draw(answer, key="tried_answer")


def _add(store: Store) -> None:
    """Looks at a model and adds it only if a run could use it; else the text stays, with what is wrong."""
    kind = st.segmented_control(
        "Add a model", list(ADDABLE), format_func=ADDABLE.__getitem__, default="folder", required=True, key="model_kind"
    )
    tried = session.of(Tried)
    with st.form("add_model", border=False):
        words = "Folder or .gguf file on this machine" if kind == "folder" else "Hub id (owner/name)"
        name = st.text_input(words, key=f"model_name_{tried.added}") or ""
        pressed = st.form_submit_button("Add model", type="primary")
    if pressed:
        with parts.errors_shown():
            with st.spinner("Looking at the model"):
                model, remark = known_models.looked_at(name, kind or "folder")
            settings.save_model(store, model)
            tried.added += 1
            notices.say(f"The model was added. {remark}".strip())
            st.rerun()


def _remove(store: Store) -> None:
    own = [model.name for model in settings.models(store) if model != settings.STARTER]
    if not own:
        return
    gone = st.selectbox("Remove a model", own, index=None, key="forget_model", placeholder="Choose one")
    if gone is None:
        return
    users = known_models.users(store, gone)
    if users:
        st.text(
            f"It is the model of {formats.series(users)}. New runs there will use {installed.default_model()} instead; "
            "finished rounds keep theirs."
        )
    if st.button("Remove", key="remove_model"):
        known_models.forget(store, gone)
        notices.say("The model was removed from the list. Its files were not touched.")
        st.rerun()
