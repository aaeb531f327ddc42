"""Responses: the table of candidates, which the store filters and pages, and one record in full."""

import streamlit as st

from semievol.ui.responses import board, candidates, responses, scorecards
from semievol.ui.selection import desk
from semievol.ui.shell import awaiting_results, gates, parts, router, views

VIEWS = ["Records", "Board", "Scorecards"]

with parts.page() as here:
    gates.needs_project(here)
    parts.head(
        "Responses",
        "Every unlabeled record: what each collaborator (one way of answering) said, and how confident they are.",
        kicker=here.round_title,
    )
    gates.needs_candidates(here, "This page shows what the collaborators answered.")
    awaiting_results.in_other_round(here, "responses")
    view = views.choose("show", VIEWS)
    if view == "Board":
        with parts.card("board"):
            board.view(here)
        st.stop()
    if view == "Scorecards":
        scorecards.view(here)
        st.stop()
    desk.enter(here.project.id, here.round.id)
    desk.was_stale()
    with parts.card("table"):
        responses.later_round(here)
        responses.collaborator_weights(here)
        responses.rarely_answering(here)
        ids = candidates.shown(here)
    if ids:
        record_id, *following = ids
        responses.record_in_full(here, record_id, following)
        router.link("demonstrations", "See the labeled records most similar to it", record=record_id)
