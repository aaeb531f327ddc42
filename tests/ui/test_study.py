"""The study on the Evaluation page: started there, told in words, with the results that there are so far."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict

from streamlit.testing.v1 import AppTest

from semievol.jobs import studying
from semievol.presets import load
from semievol.records import Task
from semievol.store.data import projects, versions
from semievol.store.database import Store
from semievol.store.runs import claims, runs, studies
from semievol.study.seed import Result
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def _project(store: Store) -> projects.Project:
    task = Task("classification", made.LABELS)
    project = projects.create_project(store, "Small", task, {"calibration": 0})
    versions.store_version(store, project.id, made.some_records(), {}, [], [], task)
    return projects.find_project(store, project.id)


def test_a_study_is_started_from_the_page_and_waits_like_a_run(visit: Visit, store: Store) -> None:
    project = _project(store)
    app = visit("evaluation", project=project.id)
    assert "One run is one draw of luck" in told(app)
    app.toggle(key="study_setup").set_value(True).run()
    app.number_input(key="study_seeds").set_value(3)
    app = press(app.run(), "Start the study")
    (run,) = runs.list_studies(store, project.id)
    assert studies.Spec.of(run).seeds == 3
    assert run.status == "queued"
    assert f"0 of {3 * len(studies.Spec.of(run).arms)} results" in told(app)
    press(app, "Stop study")
    assert runs.get_run(store, run.id).status == "cancelled"
    assert [button.label for button in visit("training", project=project.id).button if "Stop" in button.label] == []


def test_results_are_shown_as_they_come_and_an_arm_that_is_left_out_says_why(visit: Visit, store: Store) -> None:
    project = _project(store)
    arms = ("base", "evolved", "all_gold")
    run = studying.start(store, project, load("studio", None, ["calibration=0"]), arms, 5)
    mine = claims.claim(store, run.id, os.getpid())
    right = {"base": False, "evolved": True}
    for seed in range(5):
        for arm, answer in right.items():
            found = Result({f"t{i}": answer for i in range(20)})
            studies.save_result(store, mine, seed, arm, asdict(found))
    studies.save_result(store, mine, 0, "all_gold", asdict(Result({}, skipped="Nothing is known.")))
    studying.StudyWatcher(store, mine).begin("Seed 2 of 5, All true labels")
    words = told(visit("evaluation", project=project.id))
    assert "11 of 15 results · Seed 2 of 5, All true labels" in words
    assert "The evolved model is clearly ahead of: Base." in words
    assert "All true labels is left out. Nothing is known." in words
    assert "the unlabeled records stayed the same" in words
    assert "other settings" not in words
    elsewhere = projects.create_project(store, "Another")
    for app in (visit("training", project=project.id), visit("overview", project=elsewhere.id)):
        assert f"Running · study (run {run.id})" in told(app)
        assert "11 of 15 results" in told(app)
    assert f"In {project.name}" in [text.value for text in app.sidebar.text]
    projects.update_project(store, project.id, settings={"calibration": 0.5})
    assert "other settings than those that the project has now" in told(visit("evaluation", project=project.id))
