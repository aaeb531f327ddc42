"""A run that works in a new round takes nothing away: where results are, what is coming, and whose progress it is."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from semievol.method import conclusions
from semievol.store.data import projects
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.runs import Run
from semievol.ui.shell import router, state
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]
RESULTS = ("demonstrations", "responses", "selection", "review", "evaluation")


def _second_round(store: Store, project: Project) -> Run:
    """A run of a second round that has come to `respond`."""
    config = state.config_of(project, seed=7)
    round_ = rounds.open_round(store, project.id, config)
    run = claims.claim(store, runs.enqueue(store, round_.id, config).id, os.getpid())
    journal = StoreJournal(store, run)
    journal.progress("warm_up", 10, 10)
    journal.progress("retrieve", 9, 9)
    journal.progress("respond", 30, 100)
    return run


def _links(app: AppTest) -> dict[str, str]:
    """Page -> the round with which the sidebar leads to it."""
    found = [element.proto for element in app.sidebar.get("page_link")]
    rounds_of = {link.page: link.query_string.split("round=")[-1] for link in found if "round=" in link.query_string}
    return {page: rounds_of[page] for page in router.PAGES if page in rounds_of}


def test_while_a_second_round_runs_links_lead_to_the_results_of_the_first(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    run = _second_round(store, project)
    app = visit("training", project=project.id, round=run.round_id)
    assert _links(app) == {page: "1" if page in RESULTS else "2" for page in _links(app)}
    assert set(RESULTS) < set(_links(app))
    app = visit("selection", project=project.id, round=1)
    assert _links(app) == {page: "2" if page in ("overview", "training") else "1" for page in _links(app)}
    shown = told(app)
    assert "In Round 2 · starter: Respond · 30 of 100" in shown
    assert "This page shows round 1." in shown
    sentence = conclusions.outcome(outcomes.evaluation(store, 1) or {})
    assert "<div class='sv-kicker'>Round 1 · starter</div>" in told(visit("overview", project=project.id, round=2))
    assert sentence in told(visit("overview", project=project.id, round=2))
    stops = visit("overview", project=project.id, round=1)
    assert "Stop" in [button.label for button in stops.main.button]
    claims.finish(store, run.id, run.attempt, "cancelled")
    app = visit("training", project=project.id, round=run.round_id)
    assert set(_links(app).values()) == {"2"}


def test_a_round_that_waits_for_another_project_shows_no_progress_of_that_as_its_own(
    visit: Visit, store: Store
) -> None:
    mine, other = made.with_data(store), made.with_data(store, "Other")
    opened = {p.id: rounds.open_round(store, p.id, state.config_of(p)) for p in (other, mine)}
    busy, _ = (runs.enqueue(store, one.id, one.config) for one in opened.values())
    claims.claim(store, busy.id, os.getpid())
    app = visit("selection", project=mine.id)
    assert "In Other: Round 1 · starter" in [element.value for element in app.main.text]
    assert "The run of this round waits in the queue behind it." in told(app)


def test_a_page_says_that_another_round_is_newer(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    projects.update_project(store, project.id, settings=project.settings | {"seed": 7})
    made.evolved(store, projects.find_project(store, project.id), until="justify")
    app = visit("responses", project=project.id, round=1)
    assert "This page shows round 1; round 2 is newer." in told(app)
    assert "is newer" not in told(press(app, "Open round 2 (finished)"))
    assert "is newer" not in told(visit("evaluation", project=project.id, round=1)), "it has no evaluation yet"


@pytest.mark.parametrize("page", ["selection", "evaluation"])
def test_the_page_of_an_unfinished_round_says_what_is_coming(visit: Visit, store: Store, page: str) -> None:
    project = made.with_results(store)
    run = _second_round(store, project)
    app = visit(page, project=project.id, round=run.round_id)
    last = "Justify, Select, Tune and Evaluate" if page == "evaluation" else "Justify"
    assert "Respond · 30 of 100" in told(app)
    assert f"Then {last}." in told(app)
    press(app, "Open round 1 (finished)")
    assert app.query_params["round"] == "1"
    assert "Still to come" not in told(app)


@pytest.mark.parametrize("page", ["demonstrations", "responses"])
def test_the_page_of_a_stopped_round_resumes_it_or_opens_the_finished_one(
    visit: Visit, store: Store, page: str
) -> None:
    project = made.with_results(store)
    run = _second_round(store, project)
    claims.finish(store, run.id, run.attempt, "cancelled")
    app = visit(page, project=project.id, round=run.round_id)
    assert f"Run {run.id} of this round was stopped at Respond, 30 % done." in told(app)
    kinds = {button.label: button.proto.type for button in app.main.button}
    assert kinds["Resume"] == "primary"
    assert kinds["Open round 1 (finished)"] == "secondary"
    press(app, "Resume")
    assert [waiting.id for waiting in runs.queue(store)] == [run.id]


def test_a_run_of_another_project_is_named_wherever_its_progress_is_shown(visit: Visit, store: Store) -> None:
    mine, other = made.with_results(store), made.with_data(store, "Other")
    round_ = rounds.open_round(store, other.id, state.config_of(other))
    first, second = (runs.enqueue(store, round_.id, round_.config, until=until) for until in ("justify", "evaluate"))
    claims.claim(store, first.id, os.getpid())
    app = visit("training", project=mine.id)
    where = "In Other: Round 1 · starter"
    assert [element.value for element in app.sidebar.text] == [where]
    assert next(element.value for element in app.main.text) == where
    assert f"Run {second.id}: Warm-up to Evaluate. {where}" in told(app)
    assert where in [element.value for element in visit("overview", project=mine.id).main.text]


def test_the_runs_table_opens_on_the_newest_run_of_the_round(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    run = _second_round(store, project)
    claims.finish(store, run.id, run.attempt, "cancelled")
    for round_id, shown in ((1, 1), (run.round_id, run.id)):
        app = visit("training", project=project.id, round=round_id)
        assert f"class='sv-title'>Run {shown}<" in told(app)
    assert f"Run {run.id} was stopped. What is finished is kept." in told(app)
    assert [button.label for button in app.main.button].count("Resume") == 1
