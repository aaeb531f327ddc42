"""Data: shows the records of the project and leads through the import of a new dataset version."""

import streamlit as st

from semievol.ui.data import slots, stored, upload
from semievol.ui.shell import gates, parts, router

with parts.page() as here:
    project = gates.needs_project(here)
    parts.head(
        "Data",
        "Import records with known answers, records without and, if you have them, records to test on.",
        kicker=f"Version {project.version_number}" if project.version_number else "",
    )
    upload.follow()
    if project.version_id is not None and project.task is not None:
        stored.stored(here)
        with st.container(horizontal=True):
            router.link("training", "Continue to propagation", ":material/arrow_forward:")
        with st.expander("Import a new version", expanded=slots.occupied(here)):
            upload.upload(here)
    else:
        upload.upload(here)
        parts.note("CSV, TSV, JSONL, JSON, Parquet or XLSX, up to 500 MB each. Nothing is stored before you confirm.")
