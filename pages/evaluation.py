"""Evaluation: compares models and simple baselines on the test set, lists what changed, and asks the models."""

import streamlit as st

from semievol.export import caveats
from semievol.store.results import outcomes
from semievol.ui.evaluation import calibration, changed, classes, exports, figures, rounds, study, turnover
from semievol.ui.evaluation.playground import playground
from semievol.ui.evaluation.published import published
from semievol.ui.shell import asking, awaiting_results, gates, parts
from semievol.ui.shell.formats import moment

with parts.page() as here:
    project = gates.needs_project(here)
    judged = list(here.evaluations())
    purpose = "Did it help? The base, warm-up and evolved models on the test set, beside simple baselines."
    parts.head("Evaluation", "" if judged else purpose, kicker=here.round_title)
    if not judged:
        with parts.card("nothing_judged"):
            figures.nothing_judged(here)
        rounds.rounds(here)
        turnover.from_round_to_round(here)
        if here.round_runs and gates.has_candidates(here):
            with parts.card("export"):
                exports.offer(here, exports.newest(here.round_runs))
    else:
        awaiting_results.in_other_round(here, "evaluation")
        run, found = judged[0]
        if len(judged) > 1:
            by_id = {one.id: (one, document) for one, document in judged}
            words = {one.id: f"Run {one.id} · {moment(one.started)}" for one, _ in judged}
            chosen = st.selectbox("Run", list(by_id), format_func=lambda i: words[i], key="evaluated_run", width=260)
            run, found = by_id[chosen or run.id]
        with parts.card("summary"):
            said = caveats.caveats(here.store, here.round, run, found)
            figures.summary(here.task, found, said, here.later_round)
            figures.measured(here, run)
            figures.offer_demonstrations(here, run, found)
        with parts.card("compared"):
            figures.compared(found, here.later_round)
        published(here)
        predictions = outcomes.predictions(here.store, run.id)
        if project.task is not None and len(predictions):
            with parts.card("classes"):
                classes.classes(here, project.task, predictions)
            with parts.card("calibration"):
                calibration.stated_probabilities(project.task, predictions, here.later_round)
            with parts.card("changed"):
                changed.changed(here, run, predictions)
        rounds.rounds(here)
        turnover.from_round_to_round(here)
        with parts.card("export"):
            exports.offer(here, run)
    if project.counts.get("test"):
        with parts.card("study"):
            study.study(here)
    if here.round_or_none is not None and project.task is not None:
        with parts.card("playground"):
            playground(here)
        asking.keep_warm(here)
