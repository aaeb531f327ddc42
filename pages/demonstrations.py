"""Demonstrations: for any record or a new question, the labeled records that a model can read before it."""

import streamlit as st

from semievol.store.results import results
from semievol.ui.data import labels
from semievol.ui.demonstrations import demonstrations, picker, preflight, records_map
from semievol.ui.shell import asking, awaiting_results, gates, parts, views

VIEWS = ["Record", "Map", "Before training"]

with parts.page() as here:
    gates.needs_project(here)
    parts.head(
        "Demonstrations",
        "For each question, the labeled records that are most similar to it.",
        kicker=here.round_title,
    )
    gates.needs_data(here, "Import labeled and unlabeled records first. Each record then gets its demonstrations.")
    if awaiting_results.shows(here, "demonstrations"):
        awaiting_results.in_other_round(here, "demonstrations")
    elif awaiting_results.begun(here, "demonstrations"):
        with parts.card("missing"):
            awaiting_results.missing(here, "demonstrations", "Each record has its demonstrations after Retrieve.")
    labels.waiting(here)
    view = views.choose(picker.VIEW, VIEWS if here.round_or_none else [VIEWS[0], VIEWS[2]])
    if view == "Map":
        with parts.card("map"):
            records_map.view(here)
        st.stop()
    if view == "Before training":
        preflight.view(here)
        st.stop()
    coverage = results.coverage_frame(here.store, here.round.id) if here.round_or_none else None
    with parts.card("picker"):
        record = picker.picker(here)
    with parts.card("shown"):
        if record is not None:
            demonstrations.shown(here, here.task, record)
        else:
            parts.note(picker.nothing_chosen())
    if coverage is not None and len(coverage):
        left, right = st.columns(2, gap="medium")
        with left, parts.card("farthest"):
            demonstrations.farthest(coverage)
        with right, parts.card("coverage"):
            demonstrations.coverage(coverage)
    asking.keep_warm(here)
