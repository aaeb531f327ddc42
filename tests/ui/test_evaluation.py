"""What Evaluation says where there is no test set, and what it does not claim."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from semievol.records import Task
from semievol.store import decisions, projects, results
from semievol.store.database import Store
from tests.ui import made
from tests.ui.conftest import told

Visit = Callable[..., AppTest]


def _downloads(app: AppTest) -> list[str]:
    return [element.proto.label for element in app.get("download_button")]


def test_without_a_test_set_there_are_downloads_and_the_way_to_one(visit: Visit, store: Store) -> None:
    task = Task("classification", made.LABELS)
    project = projects.create_project(store, "No test", task, {"calibration_minimum": 8})
    projects.add_version(store, project.id, made.some_records(test=0), {}, [], [], task)
    project = projects.find_project(store, project.id)
    assert "There is no test set" in told(visit("evaluation", project=project.id))
    made.evolved(store, project)
    app = visit("evaluation", project=project.id)
    assert "There is no test set" in told(app)
    assert "Nothing evaluated yet" not in told(app)
    assert {"Candidates (CSV)", "Training data", "Evolved adapter (ZIP)", "Report (HTML)"} <= set(_downloads(app))


def test_candidates_can_be_taken_along_before_anything_is_evaluated(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("evaluation", project=project.id)
    assert "Nothing evaluated yet" in told(app)
    assert "Candidates (CSV)" in _downloads(app)


def test_what_experts_taught_is_not_credited_to_the_method(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    candidate = results.candidate_frame(store, 1).iloc[0]
    decisions.decide(store, project.id, 1, str(candidate.name), "accept", candidate["answer"])
    made.evolved(store, project, "select", "evaluate")
    words = told(visit("evaluation", project=project.id))
    assert "also learned from 1 answer that experts gave" in words
    assert "plain SFT" not in words
