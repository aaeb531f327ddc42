"""Data: shows the records of the project and leads through the import of a new dataset version."""

import streamlit as st

from semievol.ui.data import labels, slots, stored, upload
from semievol.ui.shell import gates, parts, router, steps

with parts.page() as here:
    project = gates.needs_project(here)
    parts.head(
        "Data",
        "Import records with known answers, records without and, if you have them, records to test on.",
        kicker=f"Version {project.version_number}" if project.version_number else "",
    )
    upload.follow()
    labels.waiting(here)
    if project.version_id is not None and project.task is not None:
        stored.stored(here)
        next_ = steps.next_step(here.store, project, here.round_or_none, here.runs).name == "propagate"
        if st.button(
            "Continue to propagation", icon=":material/arrow_forward:", type="primary" if next_ else "secondary"
        ):
            router.go("training")
        with st.expander("Import a new version", expanded=slots.occupied(here)):
            upload.upload(here)
    else:
        upload.upload(here)
