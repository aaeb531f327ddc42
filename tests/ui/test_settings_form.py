"""The settings form: made from the config's fields, keeps differences, refuses what does not fit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from semievol.endpoints import Endpoint
from semievol.installed import MODEL_VARIABLE
from semievol.presets import load
from semievol.store import settings
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.ui.shell import state
from semievol.ui.training import settings_form
from tests.ui import made
from tests.ui.conftest import press, told


def test_every_path_of_the_form_leads_to_a_described_field() -> None:
    for paths in settings_form.GROUPS.values():
        for path in paths:
            assert settings_form.field_of(path).description, path


def test_a_change_is_kept_with_the_project(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    app.number_input(key="form_propagation.k").set_value(5).run()
    app.text_input(key="form_tune.learning_rate").set_value("0.0002").run()
    app.text_input(key="form_cluster").set_value("12:30").run()
    assert not app.exception
    kept = projects.find_project(store, project.id).settings
    assert kept["propagation"] == {**made.READ, "k": 5}
    assert kept["tune"] == {"learning_rate": 0.0002}
    assert kept["cluster"] == "12:30", "not half past twelve"


def test_a_value_that_does_not_fit_is_refused_and_not_kept(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    app.text_input(key="form_tune.learning_rate").set_value("fast").run()
    assert not app.exception
    assert "tune.learning_rate" in told(app)
    assert "tune" not in projects.find_project(store, project.id).settings


def test_a_preset_replaces_what_was_changed_but_not_the_model(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    projects.update_project(store, project.id, settings={"model": "starter", "propagation": {"k": 9}})
    app = visit("training", project=project.id)
    control = next(one for one in app.get("button_group") if one.key == "form_preset")
    control.set_value("paper").run()  # type: ignore[union-attr]
    assert projects.find_project(store, project.id).settings == {"model": "starter", "preset": "paper"}


def test_yaml_sets_anything_and_names_what_is_wrong(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = visit("training", project=project.id)
    area = next(one for one in app.text_area if one.label == "Differences from the preset")
    area.set_value("tune:\n  schedule: linear\n")
    press(app, "Apply")
    assert projects.find_project(store, project.id).settings == {"tune": {"schedule": "linear"}}
    assert load(assignments=["tune.schedule=linear"]).tune.schedule == "linear"
    area = next(one for one in app.text_area if one.label == "Differences from the preset")
    area.set_value("tune:\n  speed: 3\n")
    press(app, "Apply")
    assert "There is no such setting." in told(app)
    area = next(one for one in app.text_area if one.label == "Differences from the preset")
    area.set_value("propagation: {collaborators: [{name: a}, {name: b}]}")
    press(app, "Apply")
    assert '"b" would give exactly the same answers as "a".' in told(app)
    assert projects.find_project(store, project.id).settings == {"tune": {"schedule": "linear"}}


@pytest.mark.parametrize(
    ("labeled", "drawn", "share", "says"),
    [
        (600, 0, 0.2, "About 120 of the 600 labeled records will be held out: no model trains on them."),
        (
            90,
            0,
            0.2,
            "No records are held out: 18 of the 90 labeled records would be too few to judge by (at least 100",
        ),
        (600, 0, 0.0, "No records are held out, so all labeled records train."),
        (600, 120, 0.3, "120 labeled records are held out: no model trains on them."),
        (0, 0, 0.2, "This share of the labeled records is held out"),
    ],
)
def test_the_calibration_share_says_what_it_costs(labeled: int, drawn: int, share: float, says: str) -> None:
    config = load(assignments=[f"calibration={share}"])
    assert settings_form.held_out(labeled, drawn, config).startswith(says)


def test_the_form_counts_the_records_that_are_held_out(visit: Callable[..., AppTest], store: Store) -> None:
    app = visit("training", project=made.with_data(store).id)
    assert "About 8 of the 40 labeled records will be held out" in told(app)


def test_the_form_opens_with_the_settings_of_the_round_in_view(
    visit: Callable[..., AppTest], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store)
    monkeypatch.delenv(MODEL_VARIABLE)
    projects.update_project(store, project.id, settings=project.settings | {"model": "starter"})
    assert not _whose(visit("training", project=project.id)), "round and project agree"
    own = project.settings | {"model": "smollm2", "propagation": made.READ | {"k": 7}, "seed": 5}
    projects.update_project(store, project.id, settings=own)
    app = visit("training", project=project.id)
    assert _shown(app) == ([True], "starter", 3)
    app.number_input(key="form_tune.epochs").set_value(2.5).run()
    assert _shown(app) == ([False], "starter", 3), "what is saved is the round's settings with the change"
    kept = state.config_of(projects.find_project(store, project.id))
    assert (kept.model, kept.propagation.k, kept.seed, kept.tune.epochs) == ("starter", 3, 0, 2.5)


def test_a_model_that_was_named_for_new_runs_is_not_replaced_by_the_rounds(
    visit: Callable[..., AppTest], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store)
    monkeypatch.setenv(MODEL_VARIABLE, "smollm2")
    app = visit("training", project=project.id)
    assert (_whose(app), app.selectbox(key="form_model").value) == ([False], "smollm2")
    next(one for one in app.get("button_group") if one.key == "form_whose").set_value(True).run()  # type: ignore[union-attr]
    assert app.selectbox(key="form_model").value == "starter"
    assert "model" not in projects.find_project(store, project.id).settings, "looking changes nothing"


def _shown(app: AppTest) -> tuple[list[bool], str | None, float | None]:
    return _whose(app), app.selectbox(key="form_model").value, app.number_input(key="form_propagation.k").value


def _whose(app: AppTest) -> list[bool]:
    """Whether the round's settings are shown, where there is a choice."""
    return [one.value for one in app.get("button_group") if one.key == "form_whose"]  # type: ignore[union-attr]


def test_what_an_endpoint_will_cost_is_said_before_a_run_beside_the_budget(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_data(store)
    endpoint = Endpoint("far", "http://127.0.0.1:9/v1", "m", input_price=10.0, output_price=10.0)
    settings.save_endpoint(store, endpoint)
    asked = {"name": "far", "model": "endpoint:far", "demonstrations": False}
    projects.update_project(store, project.id, settings={"propagation": {"collaborators": [asked]}})
    app = visit("training", project=project.id)
    assert "The endpoint far gets about 60 questions" in told(app)
    assert "There is no budget." in told(app)
    app.number_input(key="form_budget").set_value(0.001).run()
    assert projects.find_project(store, project.id).settings["budget"] == 0.001
    assert "may not be enough" in " ".join(one.value for one in app.warning)
