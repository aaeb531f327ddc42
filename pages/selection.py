"""Selection: the policy on the left, its consequences on the right, the expert's decisions below."""

import streamlit as st

from semievol.selection.candidates import measures_of
from semievol.selection.counts import counted
from semievol.selection.policy import Cut
from semievol.store.decisions import selections
from semievol.ui.selection import (
    blind,
    conflicts,
    consequences,
    desk,
    evidence,
    external_review,
    frozen,
    history,
    many,
    measures,
    policy,
    reviewers,
    threshold,
)
from semievol.ui.shell import actions, awaiting_results, gates, parts, router, state, steps

PARTS = {
    "blind": blind.PART,
    "bulk": "Many at once",
    "elsewhere": "Reviewed elsewhere",
    "measures": "Compare measures",
    "reviewers": "Reviewers",
    "history": "History",
    "frozen": "Selections",
}

with parts.page() as here:
    blind.was_continued()
    if desk.was_wanted():
        router.go("review", record=desk.kept().round.head)
    if st.query_params.get("part") == "Review":  # in links from the time when it was a part of this page
        router.go("review")
    project = gates.needs_project(here)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        parts.head(
            "Selection",
            "Decide, based on evidence, which candidates (answers to unlabeled records) are good enough to train on.",
            kicker=here.round_title,
        )
        with st.container(key="to_review", width="content"):
            router.link("review", "Review one by one")
    gates.needs_candidates(here, "On this page you choose which answers become pseudo-labels.")
    awaiting_results.in_other_round(here, "selection")
    pool, calibration = state.candidates(here.store, here.round.id)
    policy.follow_address(here)

    left, right = st.columns([5, 9], gap="medium")
    with left, parts.card("policy"):
        parts.heading("Policy", "The rule that decides which candidates become pseudo-labels.")
        policy.form(here, pool, calibration)
    shown = policy.current(here)
    cut = Cut(shown, pool, calibration)
    answers, by_expert = cut.outcome()
    found, lines = counted(cut, (answers, by_expert)), cut.lines()
    with right, parts.card("consequences"):
        consequences.numbers(pool, found)
        if sentence := cut.short():
            parts.note(sentence)
        measures.without_value(here, pool)
        threshold.histogram(
            pool,
            shown.measure,
            cut.mask,
            lines,
            (lambda value: policy.drag(here, pool, value)) if policy.movable(shown) else None,
            key=f"threshold_{here.round.id}",
        )
        evidence.tiers(here, cut, pool, calibration, len(measures_of(pool)), found.kept)
        consequences.answered_from_gold(here)
        consequences.offer_cross_fit(here, calibration)
    with left, parts.card("freeze"):
        parts.heading("Freeze", "Stores what is kept now as a numbered selection; fine-tuning uses it.")
        stored = selections.selections(here.store, here.round.id)
        same = steps.frozen_as_shown(stored, shown, found.kept, found.by_expert)
        parts.act(
            "Freeze selection",
            lambda: actions.freeze(here.store, project, here.round, shown),
            type="secondary" if same else "primary",
            icon=":material/ac_unit:",
            width="stretch",
            disabled=not found.kept,
        )
        blind.unfinished(here)
        if same:
            steps.after_freezing(here)
        consequences.training_time(here, found.kept)
        frozen.summary(here, stored)
    with right, parts.card("classes"):
        consequences.class_mix(here, pool, answers)
    with parts.card("desk"):
        desk.enter(project.id, here.round.id)
        part = st.segmented_control(
            "Part",
            list(PARTS),
            format_func=lambda name: PARTS[name],
            default="blind",
            key=blind.CHOSEN_PART,
            required=True,
            label_visibility="collapsed",
            bind="query-params",
        )
        many.follow(here)
        conflicts.show(here)
        if part != "blind":
            blind.in_progress(here)
        if part == "blind":
            blind.random_review(here, pool, cut)
        elif part == "bulk":
            many.choose(here, pool, cut.mask, shown.measure)
        elif part == "elsewhere":
            external_review.reviewed(here)
        elif part == "measures":
            measures.measures(here)
        elif part == "reviewers":
            reviewers.reviewers(here, pool)
        elif part == "history":
            history.history(here)
        else:
            frozen.compare(here)
