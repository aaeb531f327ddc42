"""The Data page lists labels that look wrong, and shows what speaks against a chosen one; so does the command line."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from semievol.jobs.summary import summary
from semievol.store import schema
from semievol.store.data import versions
from semievol.store.data.records import load_records
from semievol.store.database import Store
from semievol.store.results import label_errors, results
from semievol.store.runs import runs
from semievol.ui.data.label_errors import REMEDY, TITLE
from tests.ui import made
from tests.ui.conftest import told


def test_labels_that_look_wrong_are_listed_with_the_reasons(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    round_id = made.round_of(store, project)
    assert label_errors.judged(store, round_id) == label_errors.Judged(8, [])
    assert project.version_id is not None
    surest = results.calibration_frame(store, round_id)["answer_nll"].idxmin()
    record = next(r for r in load_records(store, project.version_id) if r.id == surest)
    wrong = next(label for label in made.LABELS if label != record.answer)
    with store.write() as connection:
        c = schema.records.c
        connection.execute(update(schema.records).where(c.record_id == record.id).values(answer=wrong))
    app = visit("data", project=project.id)
    assert "1 label looks wrong, of 8 known records that were answered by models that had not seen them." in told(app)
    assert REMEDY in told(app)
    (table,) = (frame.value for frame in app.dataframe if "likelier" in frame.value.columns)
    (line,) = table.to_dict("records")
    assert (line["label"], line["likelier"], line["question"]) == (wrong, record.answer, record.question)
    assert float(line["own"]) < float(line["other"])
    app.session_state[f"suspects_{round_id}"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    app.run()
    assert not app.exception
    assert "Nearest labeled records" in told(app)
    run = runs.list_runs(store, project.id)[0]
    about = summary(store, run.id)["label_errors"]
    (listed,) = about["suspects"]
    assert (about["judged"], listed["record"], listed["label"]) == (8, record.id, wrong)
    assert listed["probabilities"][wrong] < listed["probabilities"][listed["likelier"]]


def test_another_version_of_the_data_has_no_list_yet(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    assert TITLE in told(visit("data", project=project.id))
    assert project.version_id is not None
    assert project.task is not None
    again = load_records(store, project.version_id)
    versions.store_version(store, project.id, again, {}, [], [], project.task)
    assert TITLE not in told(visit("data", project=project.id))
