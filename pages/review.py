"""Review: one candidate after the other, with what speaks for it and against it. Everything on one screen."""

import streamlit as st

from semievol.selection.policy import Cut
from semievol.ui.selection import blind, conflicts, desk, many, policy, review
from semievol.ui.shell import gates, parts, router, state

with parts.page() as here:
    if blind.was_continued():
        router.go("selection", part=blind.PART)
    project = gates.needs_project(here)
    if not gates.has_candidates(here):
        parts.head("Review", "Decide on one candidate after the other.", kicker=here.round_title)
    gates.needs_candidates(here, "On this page you accept, reject or correct answers one by one.")
    pool, calibration = state.candidates(here.store, here.round.id)
    policy.follow_address(here)
    shown = policy.current(here)
    cut = Cut(shown, pool, calibration)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="slim"):
        parts.head("Review", f"{here.round_title} · Policy: {policy.in_words(shown)}")
        router.link("selection", "Change it on Selection")
    blind.in_progress(here)
    desk.enter(project.id, here.round.id)
    desk.was_stale()
    with parts.card("review"):
        many.follow(here)
        conflicts.listen(here)
        review.open_addressed(here, pool)
        lines = cut.lines()
        review.review(here, cut.mask, shown.measure, lines.get("all", lines.get("agreed")))
