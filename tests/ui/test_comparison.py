"""Runs side by side, and what a run will take before it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semievol.jobs import duration
from semievol.store import schema
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.runs import runs
from tests.ui import made
from tests.ui.conftest import told

Visit = Callable[..., AppTest]


def _ticked(rows: list[int]) -> dict[str, Any]:
    return {"selection": {"rows": rows, "columns": [], "cells": []}}


def test_two_runs_are_compared_by_losses_results_and_settings(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    projects.update_project(store, project.id, settings={**project.settings, "tune": {"epochs": 5}})
    made.evolved(store, projects.find_project(store, project.id), "tune")
    app = visit("training", project=project.id)
    app.session_state["runs_2"] = _ticked([0, 1])
    app.run()
    assert not app.exception
    frame = next(one.value for one in app.dataframe if "What" in one.value.columns)
    assert list(frame.columns) == ["What", "Run 1", "Run 2"]
    compared = {line[0]: line[1:] for line in frame.to_numpy().tolist()}
    assert compared["tune.epochs"] == ["3.0", "5.0"]
    assert "%" in compared["Test accuracy, evolved"][1]
    assert "seed" not in compared, "it is the same in both"
    assert "Run 1 and Run 2" in told(app)


def test_the_time_of_each_button_is_told_before_the_start(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    shown = told(visit("training", project=project.id))
    assert shown.count("about ") >= 3
    assert "A rough estimate from this project" in shown


def test_earlier_runs_of_the_model_give_the_pace(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = made.with_results(store)
    run = runs.list_runs(store)[0]
    assert project.version_id is not None
    rough = duration.estimate(store, project.version_id, run.config)
    assert rough is not None
    assert rough.measured
    folder = duration.tokenizer.folder_of(run.config.model)
    assert folder is not None
    paces = duration._paces(store, run.config.model, folder, duration.footprint.Shape.of(folder))
    with store.write() as connection:
        connection.execute(schema.runs.update().values(status="cancelled"))
    unfinished = duration._paces(store, run.config.model, folder, duration.footprint.Shape.of(folder))
    assert unfinished == paces, "what is done counts, whatever became of the run"
    slower = {stage: 10 * pace for stage, pace in paces.items()}
    monkeypatch.setattr(duration, "_paces", lambda *_: slower)
    found = duration.estimate(store, project.version_id, run.config)
    assert found is not None
    assert found.seconds["tune"] == pytest.approx(10 * rough.seconds["tune"])
    assert found.of("tune", "evaluate") < found.of("warm_up", "evaluate")
