"""Training: the settings on the left; active run, launching and past runs on the right; the collaborators below."""

import streamlit as st

from semievol.ui.shell import gates, parts
from semievol.ui.training import collaborators, settings_form, training, tried

with parts.page() as here:
    project = gates.needs_project(here)
    parts.head(
        "Training",
        "Let the model answer the unlabeled records, then fine-tune it on labeled records and kept answers.",
        kicker=here.round_title,
    )
    gates.needs_data(here, "Import labeled and unlabeled records first; training needs both.")
    left, right = st.columns([4, 8], gap="medium")
    with left, parts.card("settings"):
        config = settings_form.form(here)
    with right:
        training.running(here)
        with parts.card("launch"):
            training.launch_buttons(here, config)
        training.finished(here)
    with parts.card("collaborators"):
        tried.tried(here, collaborators.table(here).config)
