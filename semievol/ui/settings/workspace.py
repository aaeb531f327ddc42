"""The parts of the Settings page beside models and backups: the reviewer's name, the state of the database."""

from __future__ import annotations

import streamlit as st

from semievol.store import health as database
from semievol.store.database import Store
from semievol.ui.selection import signature
from semievol.ui.shell import formats, parts


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
