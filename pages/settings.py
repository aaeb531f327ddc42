"""Settings: models, endpoints, the reviewer's name, the workspace, its database and backups."""

import streamlit as st

from semievol.ui.settings import backups, endpoints, models, workspace
from semievol.ui.shell import parts

with parts.page() as here:
    parts.head("Settings", "The models, the reviewer's name, and where the workspace is stored.")
    with parts.card("models"):
        models.models(here.store)
    with parts.card("endpoints"):
        endpoints.endpoints(here.store)
    left, right = st.columns(2, gap="medium")
    with left, parts.card("reviewer"):
        workspace.reviewer()
    with right, parts.card("workspace"):
        workspace.health(here.store)
    with parts.card("backups"):
        backups.backups(here.store)
