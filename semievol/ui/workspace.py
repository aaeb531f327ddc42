"""The parts of the Settings page: known models, the reviewer's name, the database's health."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd
import streamlit as st

from semievol.store import health as database
from semievol.store import settings
from semievol.store.database import Store
from semievol.ui import formats, parts, signature, tables

KINDS = {"folder": "Local folder", "hub": "Hub id", "endpoint": "Endpoint"}


def models(store: Store) -> None:
    """The list of models and the form that adds one. Keys are named, never typed."""
    parts.heading("Models", "The starter comes with the Studio. A folder holds safetensors; a hub id is downloaded.")
    known = settings.models(store)
    lines = [
        {
            "name": model["name"],
            "kind": KINDS.get(model["kind"], "Bundled"),
            "where": model.get("base_url") or model.get("path") or model.get("model") or "",
            "key": _key_words(model),
        }
        for model in known
    ]
    tables.table(pd.DataFrame(lines), "models", {"name": "Model", "kind": "Kind", "where": "Where", "key": "Key"})
    kind = st.segmented_control(
        "Add a model", list(KINDS), format_func=lambda k: KINDS[k], default="folder", required=True, key="model_kind"
    )
    with st.form("add_model", border=False, clear_on_submit=True):
        entry: dict[str, Any] = {"kind": kind}
        if kind == "endpoint":
            entry["name"] = st.text_input("Name", placeholder="What collaborators call it")
            entry["base_url"] = st.text_input("Address", placeholder="http://localhost:8000/v1", type="url")
            entry["model"] = st.text_input("Model at the endpoint")
            entry["key_variable"] = st.text_input(
                "Environment variable with the key", help="The name of the variable. The key itself is never stored."
            )
        else:
            words = "Folder on this machine" if kind == "folder" else "Hub id, owner/name"
            entry["name"] = st.text_input(words)
        if st.form_submit_button("Add model", type="primary"):
            with parts.errors_shown():
                settings.save_model(store, {key: str(value or "").strip() for key, value in entry.items()})
                st.rerun()
    own = [model["name"] for model in known if model["kind"] != "starter"]
    if own:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            gone = st.selectbox("Forget a model", own, index=None, key="forget_model", placeholder="Choose one")
            if st.button("Forget", disabled=gone is None) and gone is not None:
                settings.remove_model(store, gone)
                st.rerun()


def _key_words(model: dict[str, Any]) -> str:
    variable = model.get("key_variable")
    if not variable:
        return ""
    return f"{variable} ({'set' if os.environ.get(variable) else 'not set'})"


def reviewer() -> None:
    """The name that decisions are signed with; it belongs to this browser."""
    parts.heading("Reviewer", "Decisions are signed with this name. This browser keeps it; the workspace does not.")
    signature.field()


def health(store: Store) -> None:
    """Where everything lies and whether the database is whole."""
    parts.heading("Workspace", "Database, uploads, adapters and logs lie in this folder.")
    st.code(str(store.home), language=None, wrap_lines=True)
    found = database.health(store)
    size = formats.DASH if found.size is None else f"{found.size / 2**20:.1f} MB"
    parts.tiles(
        [("Database", found.kind, found.version), ("Size", size, ""), ("Journal", found.journal or "server", "")]
    )
    if st.button("Check the database", icon=":material/health_and_safety:"):
        with parts.errors_shown(), st.spinner("Checking"):
            wrong = database.quick_check(store)
            st.text("\n".join(wrong[:20]) if wrong else "The database is whole.")
