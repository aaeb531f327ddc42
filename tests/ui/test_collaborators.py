"""The collaborators as a table: what it shows is what is saved, and what cannot be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semievol.config import Collaborator, Config
from semievol.jobs import inference_process, inference_server
from semievol.presets import STUDIO_READERS
from semievol.records import Task
from semievol.store.data import projects, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.settings import Model, save_model
from semievol.ui.shell import state
from tests.fakes import FakeEngine
from tests.ui import made
from tests.ui.conftest import painted, press, told

Visit = Callable[..., AppTest]


def _saved(store: Store, project: Project) -> tuple[Collaborator, ...]:
    return state.config_of(projects.find_project(store, project.id)).propagation.collaborators


def _chosen(app: AppTest, place: int, what: str) -> AppTest:
    return app.menu_button(key=f"collaborator_{place}_edit").click(what).run()


def _rows(app: AppTest) -> list[str | None]:
    return [box.value for box in app.text_input if str(box.key).startswith("collaborator_")]


def test_a_change_in_a_row_is_kept_with_the_project_and_stands_in_the_yaml(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    assert _rows(app) == ["warm-up, demonstrations", "warm-up alone"]
    app.selectbox(key="collaborator_2_model").set_value("base").run()
    app.number_input(key="collaborator_2_temperature").set_value(0.7).run()
    app.number_input(key="collaborator_2_seed").set_value(5).run()
    app.text_input(key="collaborator_2_name").set_value(made.HOSTILE[:60]).run()
    changed = Collaborator(name=made.HOSTILE[:60].strip(), model="base", demonstrations=False, temperature=0.7, seed=5)
    assert _saved(store, project) == (STUDIO_READERS[0], changed)
    area = next(one for one in app.text_area if one.label == "Differences from the preset")
    assert "temperature: 0.7" in str(area.value)
    kept = projects.find_project(store, project.id).settings
    assert kept["propagation"]["verdict_confidence"] == "everyone", "the other settings stay"


def test_what_was_written_as_yaml_stands_in_the_table(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    area = next(one for one in app.text_area if one.label == "Differences from the preset")
    area.set_value("propagation: {collaborators: [{name: voter, model: neighbours}, {name: b, order: shuffled}]}")
    press(app, "Apply")
    assert _rows(app) == ["voter", "b"]
    keys = {str(widget.key) for kind in (app.selectbox, app.number_input, app.toggle) for widget in kind}
    assert {key for key in keys if key.startswith("collaborator_1_")} == {"collaborator_1_model"}, "a vote has no more"
    assert "collaborator_2_seed" in keys, "it decides the order"
    assert "collaborator_2_variant" not in keys, "the task has no instruction"


def test_rows_are_added_copied_moved_removed_and_given_back(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    app = press(visit("training", project=project.id), "Add a collaborator")
    assert _rows(app) == ["warm-up, demonstrations", "warm-up alone", "base, demonstrations"]
    app = _chosen(app, 0, "Copy")
    copy = _saved(store, project)[1]
    assert (copy.name, copy.temperature, copy.seed) == ("warm-up, demonstrations 2", 1.0, 2)
    app = _chosen(app, 3, "Move up")
    assert [one.model for one in _saved(store, project)] == ["warm_up", "warm_up", "base", "warm_up"]
    for _ in range(3):
        app = _chosen(app, 0, "Remove")
    assert _rows(app) == ["warm-up alone"]
    assert "Remove" not in app.menu_button(key="collaborator_0_edit").options
    press(app, "Back to the preset’s")
    assert len(_saved(store, project)) == 3
    kept = projects.find_project(store, project.id).settings["propagation"]
    assert kept == {"justify": True, "verdict_confidence": "everyone"}


def test_what_cannot_be_is_refused_and_what_was_saved_stays(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    before = projects.find_project(store, project.id).settings
    app = visit("training", project=project.id)
    for change, says in (
        (
            lambda: app.text_input(key="collaborator_2_name").set_value("warm-up, demonstrations"),
            "Two collaborators are",
        ),
        (lambda: app.text_input(key="collaborator_2_name").set_value("  "), "needs a name"),
        (lambda: app.toggle(key="collaborator_1_demonstrations").set_value(False), "exactly the same answers"),
    ):
        change().run()
        assert says in told(app)
        assert projects.find_project(store, project.id).settings == before
        assert _rows(app) == ["warm-up, demonstrations", "warm-up alone"]
        assert app.toggle(key="collaborator_1_demonstrations").value is True


def test_two_changes_that_come_together_are_both_kept(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    app.text_input(key="collaborator_1_name").set_value("first")
    app.number_input(key="collaborator_2_temperature").set_value(0.5)
    app.run()
    assert [(one.name, one.temperature) for one in _saved(store, project)] == [("first", 0), ("warm-up alone", 0.5)]


def test_the_judge_has_a_row_while_there_is_one(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    app.toggle(key="judge_demonstrations").set_value(True).run()
    judge = state.config_of(projects.find_project(store, project.id)).propagation.judge
    assert judge == Collaborator(name="judge")
    assert not {"neighbours", "regression"} & set(app.selectbox(key="judge_model").options)
    app.toggle(key="form_propagation.justify").set_value(False).run()
    assert not [box.key for box in app.text_input if str(box.key).startswith("judge")]
    assert _saved(store, project) == STUDIO_READERS


def test_a_row_says_why_the_records_or_the_model_do_not_fit(visit: Visit, store: Store, tmp_path: Any) -> None:
    project = projects.create_project(store, "Free", Task("text"), {"propagation": {"justify": False}})
    versions.store_version(store, project.id, made.some_records(), {}, [], [], Task("text"))
    app = visit("training", project=project.id)
    assert _rows(app) == ["warm-up, demonstrations", "warm-up alone"], "as a run would have them"
    assert "free text task does not have" in painted(app)
    save_model(store, Model(str(tmp_path / "gone"), "folder"))
    app = visit("training", project=project.id)
    app.selectbox(key="collaborator_1_model").set_value("regression").run()
    app.selectbox(key="collaborator_2_model").set_value(str(tmp_path / "gone")).run()
    said = painted(app)
    assert "A run with “regression” is refused. A regression needs" in said
    assert "A run with “gone alone” is refused. There is no model folder" in said


def test_one_record_is_answered_by_all_and_a_change_drops_only_its_own_answer(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_data(store, hostile=True)
    name = made.HOSTILE[:60].strip()
    ways = [
        {"name": name, "demonstrations": False},
        {"name": "other", "model": "base"},
        {"name": "gone", "model": "/no"},
    ]
    propagation = made.READ | {"collaborators": ways}
    projects.update_project(store, project.id, settings=project.settings | {"propagation": propagation})

    def request(store: Store, config: Config, request: dict[str, Any], watch: inference_process.Watch) -> Any:
        watch("Answering")
        return json.loads(json.dumps(inference_server._VERBS[request["verb"]](FakeEngine(), request)))

    monkeypatch.setattr(inference_process, "request", request)
    app = visit("training", project=project.id)
    assert "the base model answers in its place" in told(app)
    app.number_input(key="tried_place").set_value(2).run()
    press(app, "Test with one record")
    said = painted(app)
    assert f"{made.HOSTILE} unlabeled 1" in said
    assert said.count("probability of an allowed answer") == 2
    assert name in said
    assert "the base model in place of the warm-up" in said
    assert "Its model is not on this machine, or not prepared yet." in said
    app.number_input(key="collaborator_2_temperature").set_value(1.0).run()
    assert painted(app).count("probability of an allowed answer") == 1
    press(app, "Next record")
    assert "probability of an allowed answer" not in painted(app)
