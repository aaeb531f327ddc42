"""Rounds on the pages: the ledger, the next one by one press, the curve, and which one counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape

import pytest
from streamlit.testing.v1 import AppTest

from semievol.cli import main
from semievol.export import report, round_with
from semievol.jobs import planning
from semievol.method import ledger
from semievol.presets import load
from semievol.records import Record
from semievol.store.data import projects, records, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.results import results, rounds_ledger
from semievol.store.runs import rounds, runs
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def two_rounds(store: Store) -> Project:
    """A project with results, and a finished round after its first."""
    project = made.with_results(store)
    made.evolved(store, project, parent_id=1)
    return projects.find_project(store, project.id)


def _button(app: AppTest, label: str) -> object:
    (found,) = [one for one in app.main.button if one.label == label]
    return found


def test_the_ledger_says_what_each_round_brought_and_what_speaks_for_another(visit: Visit, store: Store) -> None:
    project = two_rounds(store)
    shown = told(visit("evaluation", project=project.id))
    assert "<b>Round 2 (counts)</b> changed" in shown
    assert "of 60 records and added 0 new records" in shown
    assert "<b>Round 1</b> started from the base model starter and accepted" in shown
    assert "On 8 calibration records, which no round is trained on, the answers of round 2 are right on" in shown
    assert "Accuracy over the rounds" in told(visit("overview", project=project.id))


def test_one_round_has_no_curve(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    assert "Accuracy over the rounds" not in told(visit("overview", project=project.id))


def test_the_next_round_is_one_press(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    press(visit("evaluation", project=project.id), "Next round")
    (run,) = runs.queue(store)
    round_ = rounds.get_round(store, run.round_id)
    assert (round_.parent_id, run.first, run.until) == (1, "warm_up", "evaluate")


def test_a_round_that_is_there_is_made_again_only_with_new_records(visit: Visit, store: Store) -> None:
    project = two_rounds(store)
    app = visit("evaluation", project=project.id, round=1)
    assert "Next round: Round 2 is that round: the same data and settings." in told(app)
    assert _button(app, "Next round").disabled  # type: ignore[attr-defined]
    assert project.version_id is not None
    assert project.task is not None
    old = records.load_records(store, project.version_id)
    more = [*old, Record("unlabeled-new", "A caller asks about waste near a bridge", (), None, "unlabeled", 99)]
    versions.store_version(store, project.id, more, {}, [], [], project.task)
    button = _button(visit("evaluation", project=project.id, round=1), "Next round")
    assert not button.disabled  # type: ignore[attr-defined]
    assert "1 new record among them" in button.help  # type: ignore[attr-defined]


def test_an_earlier_round_is_let_count_and_then_used_where_none_is_named(visit: Visit, store: Store) -> None:
    project = two_rounds(store)
    press(visit("evaluation", project=project.id, round=1), "Let round 1 count")
    assert round_with(store, project, None, results.has_candidates, "candidates").place == 1
    shown = visit("evaluation", project=project.id)
    assert "Round 1 was chosen: it counts, also where a newer round comes." in told(shown)
    press(shown, "Let the newest count")
    assert round_with(store, project, None, results.has_candidates, "candidates").place == 2


def test_a_later_round_does_not_cross_fit_and_keeps_the_base_model(store: Store) -> None:
    made.with_results(store)
    changes = ["cross_fit=2", "propagation.weighting=earned", "model=smollm2"]
    later = planning.for_later_round(load("studio", assignments=changes), rounds.get_round(store, 1))
    assert (later.cross_fit, later.propagation.weighting, later.model) == (0, "auto", "starter")


def test_the_report_and_the_command_line_tell_the_ledger_too(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    project = two_rounds(store)
    sentences = [line.sentence for line in ledger.lines(rounds_ledger.known_rounds(store, project.id))]
    page = report.page(store, project, rounds.get_round(store, 2)).replace("\u00a0", " ")
    assert all(escape(sentence) in page for sentence in sentences)
    assert main(["status", "Calls", "--json"]) == 0
    told_there = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [line["sentence"] for line in told_there["ledger"]] == sentences
    assert [one["counting"] for one in told_there["rounds"]] == [False, True]
