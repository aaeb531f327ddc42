"""Responses: the table of candidates, which the store filters and pages, and one record in full."""

import streamlit as st

from semievol.store.results import results
from semievol.ui.responses import responses, scorecards
from semievol.ui.shell import area, awaiting_results, gates, parts, router, tables
from semievol.ui.shell.formats import MEASURE_WORDS, plural

VIEWS = ["Records", "Scorecards"]

with parts.page() as here:
    gates.needs_project(here)
    parts.head(
        "Responses",
        "Every unlabeled record: what each collaborator (one way of answering) said, and how confident they are.",
        kicker=here.round_title,
    )
    gates.needs_candidates(here, "This page shows what the collaborators answered.")
    awaiting_results.in_other_round(here, "responses")
    view = st.segmented_control(
        "View",
        VIEWS,
        default=VIEWS[0],
        required=True,
        key="show",
        label_visibility="collapsed",
        bind="query-params",
    )
    if view == "Scorecards":
        scorecards.view(here)
        st.stop()
    with parts.card("table"):
        responses.later_round(here)
        responses.collaborator_weights(here)
        responses.rarely_answering(here)
        wanted = responses.filters(here)
        total = results.candidates_page(here.store, here.round.id, limit=1, **wanted)[1]
        area.told(total)
        top = st.columns([2, 3], vertical_alignment="center")
        with top[0]:
            words = MEASURE_WORDS[wanted["measure"]]
            parts.note(f"{plural(total, 'candidate')}, the least confident first ({words[0].lower()}{words[1:]})")
        with top[1], st.container(horizontal=True, horizontal_alignment="right"):
            offset = tables.pages_of(total, "responses_page")
        frame, _ = results.candidates_page(here.store, here.round.id, offset=offset, limit=tables.PAGE, **wanted)
        picked = responses.candidates(here, frame, wanted["measure"], f"candidates_{offset}_{hash(str(wanted))}")
    record_id = picked or st.query_params.get("record") or (str(frame.index[0]) if len(frame) else None)
    if record_id:
        if picked:
            st.query_params["record"] = picked
        responses.record_in_full(here, record_id)
        router.link("demonstrations", "See the labeled records most similar to it", record=record_id)
