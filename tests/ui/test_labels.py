"""Labeling a record on the Demonstrations page, and the version that labels become."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from semievol.store.data import labels, projects
from semievol.store.data.records import load_records
from semievol.store.database import Store
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def test_a_label_is_saved_at_once_and_becomes_the_next_version(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    version_id = project.version_id
    assert version_id is not None
    record = next(r for r in load_records(store, version_id) if r.split == "unlabeled")
    app = visit("demonstrations", project=project.id, record=record.id)
    next(box for box in app.selectbox if box.label == "Its label").select("waste").run()
    press(app, "Label it")
    assert labels.waiting(store, project.id) == {record.id: "waste"}
    assert "1 label given here waits for the next dataset version." in told(visit("data", project=project.id))
    again = visit("demonstrations", project=project.id, record=record.id)
    press(again, "Make the next version with 1 label")
    now = projects.find_project(store, project.id)
    assert now.counts["labeled"] == project.counts["labeled"] + 1
    assert labels.waiting(store, project.id) == {}


def test_records_of_the_test_set_cannot_be_labeled(visit: Visit, store: Store) -> None:
    project = made.with_data(store)
    version_id = project.version_id
    assert version_id is not None
    record = next(r for r in load_records(store, version_id) if r.split == "test")
    app = visit("demonstrations", project=project.id, record=record.id)
    assert not [box for box in app.selectbox if box.label == "Its label"]


def test_in_a_round_of_an_earlier_version_it_is_said_where_labels_are_given(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    record = next(r for r in load_records(store, project.version_id or 0) if r.split == "unlabeled")
    labels.note(store, project.id, record.id, "waste")
    labels.make_version(store, project.id)
    app = visit("demonstrations", project=project.id, record=record.id)
    assert not [box for box in app.selectbox if box.label == "Its label"]
    assert "Labels are given in version 2, which is in use: open a new round" in told(app)
