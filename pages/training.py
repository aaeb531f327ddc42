"""Training: settings and launch on the left, what runs and what ran on the right."""

import streamlit as st

from semievol.ui.shell import gates, parts
from semievol.ui.training import settings_form, training

with parts.page() as here:
    project = gates.needs_project(here)
    parts.head(
        "Training",
        "Propagate what the labeled data knows, then fine-tune on it together with what you chose to keep.",
        kicker=f"Round {here.round.number}" if here.round else "",
    )
    gates.needs_data(here, "Import labeled and unlabeled records first; training starts from them.")
    left, right = st.columns([4, 8], gap="medium")
    with left, parts.card("settings"):
        config = settings_form.form(here, project)
    with right:
        with parts.card("launch"):
            training.launch_buttons(here, project, config)
        training.running(here)
        training.finished(here, project)
