"""Settings: models, the reviewer's name, the workspace and its database."""

import streamlit as st

from semievol.ui.settings import workspace
from semievol.ui.shell import parts

with parts.page() as here:
    parts.head("Settings", "The models, the reviewer's name, and where the workspace is stored.")
    with parts.card("models"):
        workspace.models(here.store)
    left, right = st.columns(2, gap="medium")
    with left, parts.card("reviewer"):
        workspace.reviewer()
    with right, parts.card("workspace"):
        workspace.health(here.store)
