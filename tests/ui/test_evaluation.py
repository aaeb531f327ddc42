"""What Evaluation says of models, classes, probabilities and changes, and what it does not claim."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape

import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support
from sqlalchemy import func, insert, literal, select, update
from streamlit.testing.v1 import AppTest

from semievol.jobs import inference_client
from semievol.method import comparison
from semievol.records import Task
from semievol.store import schema
from semievol.store.data import projects, versions
from semievol.store.database import Store
from semievol.store.decisions import decisions
from semievol.store.results import outcomes, results
from semievol.store.runs import rounds, runs
from semievol.ui.evaluation import changed, classes, published
from semievol.ui.evaluation.playground import Playground
from semievol.ui.shell import formats
from tests.ui import made
from tests.ui.conftest import kept, painted, press, told

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


def test_where_plain_fine_tuning_does_as_well_it_can_be_carried_away(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("evaluation", project=project.id)
    ahead = "Plain fine-tuning is right on more of the test records"
    assert ahead not in told(app)
    found = outcomes.evaluation(store, 1)
    assert found is not None
    found["evolved"]["accuracy"] = found["warm_up"]["accuracy"] - 0.1
    with store.write() as connection:
        connection.execute(update(schema.evaluations).values(document=found))
    app = visit("evaluation", project=project.id)
    assert ahead in told(app)
    assert "Evolved adapter (ZIP)" in _downloads(app)
    app.selectbox(key="export_model").select("warm_up").run()
    assert "Warm-up adapter (ZIP)" in _downloads(app)
    assert "Evolved adapter (ZIP)" not in _downloads(app)


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
    untuned = comparison.TUNED_REGRESSION  # the embedder of these projects learns nothing
    missing = [name for name, shown in formats.SIMPLER_WORDS.items() if escape(shown) not in words]
    assert missing == [untuned]
    (model,) = (box for box in app.selectbox if box.key == "confusion_model")
    rows = len(formats.row_words()) - len(comparison.ENSEMBLES) - 1  # no simple model is a collaborator here
    assert (model.value, len(model.options)) == ("evolved", rows)
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
    tested = {row: after["against"][row] for row in before["against"]}
    assert {row: after[row] for row in before} | {"against": tested} == before
    assert {"base_demonstrations", "evolved_averaged"} <= set(after)
    assert second.selection_used == first.selection_used
    assert "Evaluate with demonstrations, too" not in [
        button.label for button in visit("evaluation", project=project.id).button
    ]


def test_classes_have_names_in_charts_and_letters_are_places_where_options_differ() -> None:
    task = Task("multiple_choice")
    answers = pd.Series({"r1": "A", "r2": "B", "r3": None})
    recurring = {"r1": ("yes", "no"), "r2": ("yes", "no"), "r3": ("no", "yes")}
    assert classes.named(task, answers, recurring).fillna("none").tolist() == ["yes", "no", "none"]
    differing = {f"r{i}": (f"a {i}", f"b {i}") for i in range(20)}
    assert classes.named(task, answers, differing).tolist()[:2] == ["option A", "option B"]
    labels = pd.Series({"r1": "roads", "r2": "A"})
    assert classes.named(Task("classification", ("roads", "A")), labels, {}).tolist() == ["roads", "A"]


def test_every_other_row_is_compared_and_calibration_and_classes_are_told(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("evaluation", project=project.id)
    compared, by_class = (next(t.value for t in app.dataframe if name in t.value) for name in ("Verdict", "recall"))
    others = len(formats.row_words()) - 2 - len(comparison.ENSEMBLES)
    assert len(compared) == others, "every row but the evolved model itself, the ensembles, and a fine-tuned embedder"
    assert set(by_class["label"]) == set(made.LABELS)
    words = told(app)
    assert re.search(r"States \d+ % on average and is right on \d+ %", words)
    assert "An expected calibration error would mislead below 300 records; here are 40." in words
    assert "Llama" not in words


def test_a_changed_record_shows_what_was_learned_that_reads_alike_and_gold_only_if_asked_for(
    visit: Visit, store: Store
) -> None:
    project = made.with_results(store)
    app = visit("evaluation", project=project.id)
    next(box for box in app.selectbox if box.key == "flips_against").select("base").run()
    (table,) = (t.value for t in app.dataframe if "flip" in t.value)
    app.session_state["flips_All_base"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    app.run()
    first = changed.flipped(outcomes.predictions(store, 1), "base").iloc[0]
    words = painted(app)
    assert f"Base: {first['other']} ({100 * first['other_sure']:.1f} %)" in words
    assert f"evolved: {first['evolved']} ({100 * first['evolved_sure']:.1f} %)" in words
    near = next(t.value for t in app.dataframe if "kept_by" in t.value)
    assert 0 < len(near) <= changed.NEAREST
    assert "right" not in near
    assert any(word in str(near["question"].iloc[0]) for word in str(table["question"].iloc[0]).split()[4:])
    (gold,) = (toggle for toggle in app.toggle if toggle.key == "flips_gold")
    gold.set_value(True).run()
    near = next(t.value for t in app.dataframe if "kept_by" in t.value)
    assert set(near["right"]) <= {"right", "wrong"}


def test_an_evaluation_of_an_earlier_version_is_made_anew_from_the_answers(store: Store) -> None:
    made.with_results(store)
    now = outcomes.evaluation(store, 1)
    assert now is not None
    older = now | {"against": {row: now["against"][row] for row in ("majority", "regression")}}
    with store.write() as connection:
        connection.execute(update(schema.evaluations).values(document=older))
    assert outcomes.evaluation(store, 1) == now


def test_figures_of_classes_are_scikit_learns_and_few_records_have_no_interval() -> None:
    gold = ["a"] * 30 + ["b"] * 12 + ["c"] * 3
    given = ["a"] * 25 + ["b"] * 5 + ["b"] * 9 + ["a", "a", "no answer"] + ["c", "a", "b"]
    shown = classes.by_class(gold, given, ["a", "b", "c"]).set_index("label")
    expected = precision_recall_fscore_support(gold, given, labels=["a", "b", "c"], zero_division=0)
    for column, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        scale = 100 if column in ("precision", "recall") else 1
        assert shown.loc[["a", "b", "c"], column].tolist() == pytest.approx((scale * values).tolist())
    assert list(shown.index) == ["c", "b", "a"], "worst recognised first"
    assert shown.loc["a", "recall_interval"] == "66.4 to 92.7"
    assert (shown.loc["c", "recall_interval"], shown.loc["c", "precision_interval"]) == ("too few (3)", "too few (1)")


def test_the_papers_table_is_shown_for_its_data_sets_only() -> None:
    choice, classes_, number = Task("multiple_choice"), Task("classification", ("a", "b")), Task("numeric")
    assert published.data_set(choice, ["My MMLU-Pro trial"]) == "MMLU-Pro"
    assert published.data_set(choice, ["trial", "mmlu_test.csv"]) == "MMLU"
    assert published.data_set(choice, ["arc_challenge.jsonl"]) == "ARC"
    assert published.data_set(choice, ["MedQA-USMLE"]) == "USMLE"
    assert published.data_set(classes_, ["fpb", "labels.csv"]) == "FPB"
    assert published.data_set(number, ["ConvFinQA"]) == "ConvFinQA"
    assert published.data_set(classes_, ["Arc welding calls"]) is None, "ARC is multiple choice"
    assert published.data_set(choice, ["archive.csv", "Search"]) is None
    assert published.data_set(Task("text"), ["City service line", "calls.csv"]) is None


def test_a_project_on_a_data_set_of_the_paper_sees_its_figures(visit: Visit, store: Store) -> None:
    project = made.with_results(store, "FPB")
    words = told(visit("evaluation", project=project.id))
    assert "FPB in the paper" in words
    assert "other models and splits: for orientation" in words


def test_a_later_round_says_how_many_pseudo_labels_changed(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("evaluation", project=project.id)
    assert "Pseudo-labels that changed" not in told(app)
    round_ = rounds.list_rounds(store, project.id)[0]
    later = rounds.open_round(store, project.id, round_.config, parent_id=round_.id)
    copied = schema.candidates
    with store.write() as connection:
        columns = [column.name for column in copied.c if column.name != "round_id"]
        mine = select(literal(later.id), *(copied.c[name] for name in columns)).where(copied.c.round_id == round_.id)
        connection.execute(insert(copied).from_select(["round_id", *columns], mine))
        first = select(func.min(copied.c.record_key)).where(copied.c.round_id == later.id, copied.c.pool)
        at = (copied.c.round_id == later.id) & (copied.c.record_key == connection.execute(first).scalar_one())
        connection.execute(update(copied).where(at).values(answer=None))
    words = told(visit("evaluation", project=project.id, round=later.id))
    assert re.search(r"1 of 60 unlabeled records \(1.7 %\) have another pseudo-label than in round 1", words)
    assert "By the hidden gold 0 turned right and" in words


def test_the_playground_shows_all_models_and_the_baselines(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store)
    spread = dict.fromkeys(made.LABELS, 0.25)
    said = {"text": "roads", "answer": "roads", "probabilities": spread, "entropy": 1.0}
    monkeypatch.setattr(inference_client, "ask", lambda *a: [said | {"model": model} for model in a[4]])
    monkeypatch.setattr(inference_client, "vote", lambda *_: [said | {"model": "regression", "answer": "water"}])
    app = visit("evaluation", project=project.id)
    next(box for box in app.text_area if box.key == "play_question").set_value("A hole in the road")
    next(toggle for toggle in app.toggle if toggle.key == "play_simpler").set_value(True)
    app = press(app, "Ask every model")
    assert "They do not all give the same answer." in told(app)
    assert [one["model"] for one in kept(app, Playground).answers] == ["base", "warm_up", "evolved", "regression"]
    assert "Asked: A hole in the road" in told(app)
    next(box for box in app.text_area if box.key == "play_question").set_value("  ")
    app = press(app, "Ask every model")
    assert "Type a question first." in [warning.value for warning in app.warning]
    assert "Asked: A hole in the road" not in told(app), "answers to another question are gone"
