"""What Evaluation says where there is no test set, and what it does not claim."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import pandas as pd
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from semievol.records import Task
from semievol.store import schema
from semievol.store.data import projects, versions
from semievol.store.database import Store
from semievol.store.decisions import decisions
from semievol.store.results import outcomes, results
from semievol.store.runs import runs
from semievol.ui.evaluation import evaluation
from semievol.ui.shell import formats
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def _downloads(app: AppTest) -> list[str]:
    return [element.proto.label for element in app.get("download_button")]


def test_without_a_test_set_there_are_downloads_and_the_way_to_one(visit: Visit, store: Store) -> None:
    task = Task("classification", made.LABELS)
    project = projects.create_project(store, "No test", task, {"calibration_minimum": 8})
    versions.store_version(store, project.id, made.some_records(test=0), {}, [], [], task)
    project = projects.find_project(store, project.id)
    assert "There is no test set" in told(visit("evaluation", project=project.id))
    made.evolved(store, project)
    app = visit("evaluation", project=project.id)
    assert "There is no test set" in told(app)
    assert "Nothing evaluated yet" not in told(app)
    assert {"Kept answers (XLSX)", "All answers (XLSX)", "Candidates (XLSX)", "Training data"} <= set(_downloads(app))
    assert {"Evolved adapter (ZIP)", "Report (HTML)"} <= set(_downloads(app))
    assert "Merged model (ZIP)" in [button.label for button in app.button], "made on request, as it takes a while"


def test_candidates_can_be_taken_along_before_anything_is_evaluated(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("evaluation", project=project.id)
    assert "Nothing evaluated yet" in told(app)
    assert {"All answers (XLSX)", "Candidates (XLSX)"} <= set(_downloads(app))
    assert "Kept answers (XLSX)" not in _downloads(app)


def test_what_experts_taught_is_not_credited_to_the_method(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    candidate = results.candidate_frame(store, 1).iloc[0]
    decisions.decide(store, project.id, 1, str(candidate.name), "accept", candidate["answer"])
    made.evolved(store, project, "select", "evaluate")
    words = told(visit("evaluation", project=project.id))
    assert "also learned from 1 answer given or confirmed by experts" in words
    assert "plain SFT" not in words


def test_every_row_stands_beside_the_models_and_can_be_looked_at(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("evaluation", project=project.id)
    words = told(app)
    assert [name for name in formats.SIMPLER_WORDS.values() if escape(name) not in words] == []
    (model,) = (box for box in app.selectbox if box.key == "confusion_model")
    assert (model.value, len(model.options)) == ("evolved", len(formats.row_words()))
    model.select("regression").run()
    (against,) = (box for box in app.selectbox if box.key == "flips_against")
    against.select("base_demonstrations").run()
    assert not app.exception


def test_a_simpler_model_that_is_ahead_is_said_to_be(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    found = outcomes.evaluation(store, 1)
    assert found is not None
    assert "the simpler model is ahead here" not in told(visit("evaluation", project=project.id))
    found["evolved"]["accuracy"] = 0.5
    with store.write() as connection:
        connection.execute(update(schema.evaluations).values(document=found))
    words = told(visit("evaluation", project=project.id))
    assert "is right on 100.0 %, the evolved model on 50.0 %: the simpler model is ahead here" in words


def test_demonstrations_that_were_left_out_can_be_asked_for_later(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    projects.update_project(store, project.id, settings={"calibration_minimum": 8, "evaluate_demonstrations": False})
    project = projects.find_project(store, project.id)
    first = made.evolved(store, project)
    press(visit("evaluation", project=project.id), "Evaluate with demonstrations, too")
    (queued,) = runs.queue(store)
    assert (queued.first, queued.until, queued.round_id) == ("evaluate", "evaluate", first.round_id)
    projects.update_project(store, project.id, settings={"calibration_minimum": 8, "evaluate_demonstrations": True})
    runs.request_stop(store, queued.id)
    second = made.evolved(store, projects.find_project(store, project.id), "evaluate")
    before, after = outcomes.evaluation(store, first.id), outcomes.evaluation(store, second.id)
    assert before is not None
    assert after is not None
    assert {row: after[row] for row in before} == before
    assert {"base_demonstrations", "evolved_averaged"} <= set(after)
    assert second.selection_used == first.selection_used
    assert "Evaluate with demonstrations, too" not in [
        button.label for button in visit("evaluation", project=project.id).button
    ]


def test_classes_have_names_in_charts_and_letters_are_places_where_options_differ() -> None:
    task = Task("multiple_choice")
    answers = pd.Series({"r1": "A", "r2": "B", "r3": None})
    recurring = {"r1": ("yes", "no"), "r2": ("yes", "no"), "r3": ("no", "yes")}
    assert evaluation.named(task, answers, recurring).fillna("none").tolist() == ["yes", "no", "none"]
    differing = {f"r{i}": (f"a {i}", f"b {i}") for i in range(20)}
    assert evaluation.named(task, answers, differing).tolist()[:2] == ["option A", "option B"]
    labels = pd.Series({"r1": "roads", "r2": "A"})
    assert evaluation.named(Task("classification", ("roads", "A")), labels, {}).tolist() == ["roads", "A"]
