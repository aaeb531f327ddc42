"""Selection: the policy on the left, its consequences on the right, the expert's decisions below."""

import streamlit as st

from semievol.method import selection
from semievol.store import decisions
from semievol.ui import actions, consequences, gates, notices, parts, policy, review, state, threshold
from semievol.ui.formats import MEASURE_WORDS, plural

with parts.page() as here:
    project = gates.needs_project(here)
    parts.head(
        "Selection",
        "Decide which candidates are confident enough to train on, by evidence rather than by guess.",
        kicker=f"Round {here.round.number}" if here.round else "",
    )
    gates.needs_candidates(here, "Here you choose which pseudo-labels to keep.")
    pool, calibration = state.candidates(here.store, here.this_round.id)

    left, right = st.columns([5, 9], gap="medium")
    with left, parts.card("policy"):
        parts.heading("Policy", "Which candidates become pseudo-labels.")
        policy.form(here, pool)
    shown = policy.current(here)
    mask = selection.apply(shown, pool, calibration)
    answers, origins = selection.accepted(shown, pool, calibration)
    lines = selection.threshold_of(shown, pool, calibration)
    line = lines.get("all", lines.get("agreed"))
    with right, parts.card("consequences"):
        consequences.numbers(pool, mask, answers, origins)
        threshold.histogram(
            pool,
            shown.measure,
            MEASURE_WORDS[shown.measure],
            lines,
            (lambda value: policy.drag(here, pool, value)) if policy.movable(shown) else None,
            key=f"threshold_{here.this_round.id}",
        )
        consequences.legend()
        consequences.evidence(shown, pool, calibration, len(policy.offered(pool)))
    with left, parts.card("freeze"):
        parts.heading("Freeze", "Makes the numbered selection that the fine-tuning uses.")
        look = {"type": "primary", "icon": ":material/ac_unit:", "width": "stretch"}
        if st.button("Freeze selection", disabled=not answers, **look):  # type: ignore[arg-type]
            with parts.errors_shown():
                number = actions.freeze(here.store, here.this_round, shown)
                notices.say(f"Selection {number} is frozen with {plural(len(answers), 'record')}.")
                st.rerun()
        consequences.selections(decisions.selections(here.store, here.this_round.id))
    with left, parts.card("classes"):
        consequences.class_mix(here, pool, answers)
    with right, parts.card("review"):
        review.review(here, pool, mask, shown.measure, line)
    history = decisions.history(here.store, project.id)
    with st.expander(f"History of decisions ({len(history):,})"):
        consequences.history(history)
