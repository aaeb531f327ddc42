"""The project cards: the result first, beside it the chart, then what is running and what comes next."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from html import escape

import pytest
from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from semievol.jobs.sample_figures import figures
from semievol.method import conclusions
from semievol.store import schema
from semievol.store.data.projects import find_project
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.ui.overview import tour
from semievol.ui.shell import formats, state
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def test_overview_and_evaluation_lead_with_the_result(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    found = outcomes.evaluation(store, 1)
    assert found is not None
    sentence = conclusions.outcome(found)
    assert "plain fine-tuning" in sentence
    for page in ("overview", "evaluation"):
        words = told(visit(page, project=project.id))
        assert sentence in words, page
        assert words.index("class='sv-lead'") < words.index("class='sv-tile"), page


def test_a_loss_is_led_with_too(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    found = outcomes.evaluation(store, 1)
    assert found is not None
    found |= {"gained": 0, "lost": 12, "p_value": 0.001, "n": 40}
    found["evolved"]["accuracy"] = found["warm_up"]["accuracy"] - 0.3
    with store.write() as connection:
        connection.execute(update(schema.evaluations).values(document=found))
    for page in ("overview", "evaluation"):
        words = told(visit(page, project=project.id))
        assert "−30.0 points" in words
        assert "That is a loss." in words


def test_the_chart_tells_every_accuracy_with_its_interval_in_words(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    found = outcomes.evaluation(store, 1)
    assert found is not None
    words = told(visit("overview", project=project.id))
    for row, name in (("base", "Base"), ("warm_up", "Plain fine-tuning (warm-up)"), ("evolved", "Evolved")):
        low, high = (f"{100 * found[row][key]:.1f}" for key in ("low", "high"))
        assert f"{name}: {formats.percent(found[row]['accuracy'])} right, between {low} and {high} %" in words


def test_every_card_shows_result_what_is_running_and_the_next_step(visit: Visit, store: Store) -> None:
    done = made.with_results(store)
    busy = made.with_data(store, "Busy")
    round_ = rounds.open_round(store, busy.id, state.config_of(busy))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    StoreJournal(store, run).progress("warm_up", 3, 10)
    fresh = made.with_data(store, "Fresh")
    words = told(visit("overview", project=fresh.id))
    found = outcomes.evaluation(store, 1)
    assert found is not None
    assert conclusions.outcome(found) in words
    assert f"Running · run {run.id}" in words
    assert "Warm-up · 3 of 10" in words
    assert "In Busy: Round 1 · starter" in words
    assert "are ready." in words
    assert done.id != fresh.id


def test_the_first_page_shows_the_samples_own_figures(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = figures()
    assert found is not None
    words = told(visit())
    for share in (found.right, found.kept_right, found.evaluation["evolved"]["accuracy"]):
        assert formats.percent(share) in words
    assert escape(conclusions.ahead(found.evaluation)) in words
    other = replace(found, right=0.123)
    monkeypatch.setattr(tour, "figures", lambda: other)
    assert "12.3 % right" in told(visit())
    monkeypatch.setattr(tour, "figures", lambda: None)
    app = visit()
    assert "class='sv-tour'" not in told(app)
    assert {"Open sample project", "New project"} <= {button.label for button in app.button}
    monkeypatch.setattr(tour, "figures", lambda: found)
    app = visit("overview", project=made.with_data(store).id)
    assert "class='sv-tour'" not in told(app)
    assert "class='sv-tour'" in told(press(app, "The method in one picture")), "also where a project is open"


def test_a_project_is_renamed_and_a_copy_says_what_it_lacks(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("overview", project=project.id)
    assert "A copy has the data and the settings, not the rounds, decisions and models." in told(app)
    app.text_input(key=f"name_{project.id}").input("  Tap water  ")
    press(app, "Rename")
    assert find_project(store, project.id).name == "Tap water"
    assert [one.value for one in app.toast] == ["The project is renamed."]
    app.text_input(key=f"name_{project.id}").input(" ")
    assert "A project needs a name." in told(press(app, "Rename"))
    assert find_project(store, project.id).name == "Tap water"
