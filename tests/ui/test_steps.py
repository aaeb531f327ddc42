"""What comes next: the same main button everywhere, from an empty project to its evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from semievol.config import Policy
from semievol.records import Task
from semievol.store.data import projects, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.runs import claims, rounds, runs
from semievol.ui.shell import state, steps
from tests.ui import made
from tests.ui.conftest import press

Visit = Callable[..., AppTest]


def _step(store: Store, project: Project) -> steps.Step:
    opened = rounds.list_rounds(store, project.id)
    project = projects.find_project(store, project.id)
    return steps.next_step(store, project, opened[-1] if opened else None, runs.list_runs(store, project.id))


def _primary(app: AppTest) -> set[str]:
    main = app.main.button
    return {button.label for button in main if button.proto.type == "primary" and not button.disabled}


def test_every_state_of_a_project_has_one_next_step(store: Store) -> None:
    project = projects.create_project(store, "Empty")
    assert _step(store, project).name == "data"
    project = made.with_data(store)
    assert _step(store, project).name == "propagate"
    made.evolved(store, project, until="justify")
    assert _step(store, project).name == "choose"
    selections.freeze(store, 1, state.config_of(project).policy)
    assert _step(store, project).name == "tune"
    made.evolved(store, project, "tune")
    assert _step(store, project).name == "look"


@pytest.mark.parametrize(("status", "words"), [("failed", "failed"), ("cancelled", "was stopped")])
def test_a_run_is_followed_while_it_works_and_resumed_if_it_ended_early(store: Store, status: str, words: str) -> None:
    project = made.with_data(store)
    round_ = rounds.open_round(store, project.id, state.config_of(project))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    assert _step(store, project).name == "follow"
    claims.finish(store, run.id, run.attempt, status)  # type: ignore[arg-type]
    assert (_step(store, project).name, _step(store, project).sentence) == (
        "resume",
        f"Run 1 {words}. What is finished is kept.",
    )


def test_a_model_that_nothing_can_judge_asks_for_a_test_set(store: Store) -> None:
    task = Task("classification", made.LABELS)
    project = projects.create_project(store, "No test", task, {"calibration_minimum": 8})
    versions.store_version(store, project.id, made.some_records(test=0), {}, [], [], task)
    project = projects.find_project(store, project.id)
    made.evolved(store, project)
    assert _step(store, project).name == "test set"


def test_the_main_button_moves_on_with_the_work(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    assert _primary(visit("training", project=project.id)) == {"Propagate"}
    assert _primary(visit("overview", project=project.id)) >= {"Run everything"}
    made.evolved(store, project, until="justify")
    for page in ("overview", "training"):
        assert _primary(visit(page, project=project.id)) == {"Choose what to keep"}, page
    app = visit("selection", project=project.id)
    assert "Freeze selection" in _primary(app)
    press(app, "Freeze selection")
    assert "Fine-tune" in _primary(app)
    assert "Freeze selection" not in _primary(app)
    for page in ("overview", "training"):
        assert _primary(visit(page, project=project.id)) == {"Fine-tune"}, page
    app.slider(key="policy_value_slider").set_value(25.0).run()
    assert "Freeze selection" in _primary(app), "what is shown is not what is frozen"
    assert "Fine-tune" not in _primary(app)


def test_fine_tune_is_started_where_it_is_offered(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    press(press(visit("selection", project=project.id), "Freeze selection"), "Fine-tune")
    (queued,) = runs.queue(store)
    assert (queued.first, queued.until, queued.selection) == ("tune", "evaluate", 1)


def test_a_failed_run_says_why_on_the_overview(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    round_ = rounds.open_round(store, project.id, state.config_of(project))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    error = {"what": "No <b>room</b> was left.", "where": "disk", "remedy": "Free some space."}
    claims.finish(store, run.id, run.attempt, "failed", error)
    app = visit("overview", project=project.id)
    assert "No <b>room</b> was left.\nFree some space." in [element.value for element in app.text]
    press(app, "Resume")
    assert [waiting.id for waiting in runs.queue(store)] == [run.id]


def test_new_records_call_for_the_next_round(store: Store) -> None:
    project = made.with_results(store)
    assert _step(store, project).name == "look"
    task = Task("classification", made.LABELS)
    more = made.some_records(labeled=41, unlabeled=63)
    versions.store_version(store, project.id, more, {}, [], [], task)
    assert _step(store, project) == steps.Step(
        "propagate", "1 labeled and 3 unlabeled records are new since round 1. The next round works with them."
    )
    first = rounds.list_rounds(store, project.id)[0]
    project = projects.find_project(store, project.id)
    rounds.open_round(store, project.id, state.config_of(project))
    step = steps.next_step(store, project, first, runs.list_runs(store, project.id))
    assert step.name == "look", "another round works with them already"


def test_a_selection_frozen_by_an_older_version_is_the_same_where_its_policy_means_the_same() -> None:
    stored = Policy().model_dump(mode="json")
    del stored["ungiven"]
    frozen = [{"number": 1, "size": 5, "origins": {"expert": 1}, "policy": stored}]
    assert steps.frozen_as_shown(frozen, Policy(), 5, 1)
    assert not steps.frozen_as_shown(frozen, Policy(ungiven=False), 5, 1)
    assert not steps.frozen_as_shown([{**frozen[0], "policy": None}], Policy(), 5, 1)
