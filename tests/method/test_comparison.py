"""Rows of an evaluation: which there are, and that each is asked once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from semievol.config import Collaborator
from semievol.errors import UserError
from semievol.method import comparison, conclusions, ensemble
from semievol.method.evolve import evolve
from semievol.method.paired_tests import against_every_row
from semievol.method.protocols import Plan
from semievol.presets import STUDIO_COLLABORATORS, load
from semievol.records import Record, Response, Task
from semievol.selection.summary import Selection
from semievol.task.answers import same
from tests.fakes import FakeEngine, MemoryJournal

TASK = Task("classification", labels=("roads", "water", "parks"))
WORDS = {"roads": "pothole", "water": "leak", "parks": "tree"}


@pytest.fixture
def plan() -> Plan:
    def some(split: str, count: int) -> list[Record]:
        labels = [TASK.labels[i % 3] for i in range(count)]
        texts = [f"{WORDS[label]} {split} {i}" for i, label in enumerate(labels)]
        return [Record(f"{split}{i}", text, (), labels[i], split) for i, text in enumerate(texts)]  # type: ignore[arg-type]

    config = load("paper", assignments=["propagation.embedder=minilm"])
    return Plan(TASK, config, some("labeled", 9), some("unlabeled", 9), some("calibration", 3), some("test", 12))


def evaluated(plan: Plan, journal: MemoryJournal | None = None) -> tuple[FakeEngine, MemoryJournal]:
    engine, journal = FakeEngine(), journal or MemoryJournal(plan)
    journal.adapters |= {"warm_up": "w", "tune": "t"}
    evolve(plan, engine, journal, first="evaluate")
    return engine, journal


def test_every_row_answers_every_test_record_once(plan: Plan) -> None:
    _, journal = evaluated(plan)
    wanted = sorted(record.id for record in plan.test)
    assert {row: sorted(said) for row, said in journal.predicted.items() if said} == dict.fromkeys(
        [row for row in comparison.ROWS if row not in comparison.ENSEMBLES.values()], wanted
    )


def test_test_records_get_the_nearest_labeled_records_as_demonstrations_and_no_others(plan: Plan) -> None:
    engine, _ = evaluated(plan)
    shown = [ask for ask in engine.asked if ask.collaborator == "evolved_demonstrations"]
    known = {record.question for record in plan.labeled}
    for ask in shown:
        earlier = [turn.content.splitlines()[0] for turn in ask.messages[:-1] if turn.role == "user"]
        assert len(earlier) == plan.config.propagation.k
        assert set(earlier) <= known


def test_without_demonstrations_the_models_are_asked_plainly_only_and_the_baselines_stay(plan: Plan) -> None:
    plain = replace(plan, config=plan.config.model_copy(update={"evaluate_demonstrations": False}))
    engine, journal = evaluated(plain)
    assert {ask.collaborator for ask in engine.asked} == set(comparison.ARMS)
    assert {row for row in comparison.ROWS if row in journal.evaluation} == {*comparison.ARMS, *comparison.SIMPLER}


def test_demonstrations_asked_for_later_are_all_that_is_asked_then_and_the_figures_are_the_same(plan: Plan) -> None:
    plain = replace(plan, config=plan.config.model_copy(update={"evaluate_demonstrations": False}))
    _, journal = evaluated(plain)
    engine, journal = evaluated(plan, journal)
    assert {ask.collaborator for ask in engine.asked} == {f"{arm}_demonstrations" for arm in comparison.ARMS}
    assert journal.evaluation == evaluated(plan)[1].evaluation


def test_both_averaged_is_the_mean_of_the_two_distributions(plan: Plan) -> None:
    _, journal = evaluated(plan)
    plain, shown, mean = (
        {r.record_id: r for r in journal.predictions(row)} for row in comparison.ROWS[: len(comparison.ARMS)]
    )
    for record in plan.test:
        expected = np.mean([plain[record.id].probabilities, shown[record.id].probabilities], axis=0)
        np.testing.assert_allclose(mean[record.id].probabilities, expected)
        assert mean[record.id].answer == TASK.labels[int(expected.argmax())]


def with_voters(plan: Plan) -> Plan:
    mine = (*plan.config.propagation.collaborators[2:3], *STUDIO_COLLABORATORS[1:])
    propagation = plan.config.propagation.model_copy(update={"collaborators": mine})
    return replace(plan, config=plan.config.model_copy(update={"propagation": propagation}))


@pytest.mark.parametrize("earned", [None, {"warm-up alone": 0.5, "neighbours' vote": 0.0, "regression": 0.25}])
def test_the_ensemble_averages_with_the_weights_of_the_collaborators(
    plan: Plan, earned: dict[str, float] | None
) -> None:
    plan = with_voters(plan)
    journal = MemoryJournal(plan)
    if earned:
        journal.weighed = {"records": 40, "cross_fitted": False, "everybody": earned, "folds": []}
    evaluated(plan, journal)
    weights = list((earned or {"m": 1.0, "v": 1.0, "r": 1.0}).values())
    assert not {one.row for one in against_every_row(journal.evaluation)} & set(comparison.ENSEMBLES.values())
    for arm, row in comparison.ENSEMBLES.items():
        alone = [{r.record_id: r for r in journal.predictions(name)} for name in (arm, "neighbours", "regression")]
        together = {r.record_id: r for r in journal.predictions(row)}
        for record in plan.test:
            expected = np.average([one[record.id].probabilities for one in alone], axis=0, weights=weights)
            np.testing.assert_allclose(together[record.id].probabilities, expected)
            assert together[record.id].answer == TASK.labels[int(expected.argmax())]
        assert row in journal.evaluation
    assert comparison.ENSEMBLES["evolved"] in journal.evaluation["against"]


def test_beside_the_evolved_model_the_simple_ones_learn_from_the_accepted_answers_too(plan: Plan) -> None:
    plan = with_voters(plan)
    journal = MemoryJournal(plan)
    journal.frozen = Selection(None, {record.id: "parks" for record in plan.unlabeled[:5]})
    asked: list[list[str | None]] = []

    class Watched(FakeEngine):
        def vote(self, labeled: Any, *rest: Any) -> Any:
            asked.append([record.answer for record in labeled])
            return super().vote(labeled, *rest)

    journal.adapters |= {"warm_up": "w", "tune": "t"}
    evolve(plan, Watched(), journal, first="evaluate")
    gold = [record.answer for record in plan.labeled]
    assert [one for one in asked if one != gold] == [gold + ["parks"] * 5] * 2, "vote and regression, beside one model"
    assert set(comparison.ENSEMBLES.values()) <= set(journal.evaluation)


def test_other_weights_make_other_answers_of_an_evaluation_that_is_repeated(plan: Plan) -> None:
    plan, journal = with_voters(plan), MemoryJournal(with_voters(plan))
    journal.weighed = {"reason": "too few"}
    evaluated(plan, journal)
    equal = {r.record_id: r.probabilities for r in journal.predictions("evolved_ensemble")}
    everybody = {"warm-up alone": 0.9, "neighbours' vote": 0.05, "regression": 0.05}
    journal.weighed = {"records": 40, "cross_fitted": False, "everybody": everybody, "folds": []}
    evaluated(plan, journal)
    assert {r.record_id: r.probabilities for r in journal.predictions("evolved_ensemble")} != equal
    journal.weighed["everybody"] = everybody | {"warm-up alone": 0.0}
    evaluated(plan, journal)
    assert not set(comparison.ENSEMBLES.values()) & set(journal.evaluation)


def test_where_there_is_no_ensemble_the_reason_is_said(plan: Plan) -> None:
    config = with_voters(plan).config
    names = ("warm-up alone", "neighbours' vote", "regression")
    assert ensemble.weights(TASK, config, None) == {"model": 1.0, "neighbours": 1.0, "regression": 1.0}
    assert ensemble.weights(TASK, config, {"reason": "too few"}) == ensemble.weights(TASK, config, None)
    for task, settings, weights, said in (
        (TASK, plan.config, None, "Neither"),
        (Task("text"), config, None, "Free answers"),
        (TASK, config, [0.0, 0.6, 0.4], "The fine-tuned model has no weight"),
        (TASK, config, [1.0, 0.0, 0.0], "The neighbours' vote and the regression have no weight"),
    ):
        fitted = None if weights is None else {"everybody": dict(zip(names, weights, strict=True))}
        assert ensemble.obstacle(task, settings, fitted).startswith(said)
        assert ensemble.weights(task, settings, fitted) == {}


def test_the_model_has_the_place_of_the_warm_up_and_not_of_other_models(plan: Plan) -> None:
    teacher = Collaborator(name="teacher", model="endpoint:far")
    base = Collaborator(name="base", model="base")
    voters = STUDIO_COLLABORATORS[1:2]
    earned = {"everybody": {"teacher": 0.6, "base": 0.1, "warm-up alone": 0.2, "neighbours' vote": 0.1}}

    def weights(*mine: Collaborator) -> dict[str, float]:
        propagation = plan.config.propagation.model_copy(update={"collaborators": (*mine, *voters)})
        return ensemble.weights(TASK, plan.config.model_copy(update={"propagation": propagation}), earned)

    assert weights(teacher, base, STUDIO_COLLABORATORS[0]) == {"model": 0.2, "neighbours": 0.1}
    assert weights(teacher, base) == {"model": 0.1, "neighbours": 0.1}
    assert weights(teacher) == {}


def test_a_vote_that_found_nobody_does_not_count(plan: Plan) -> None:
    record, weighted = plan.test[0], {"model": 1.0, "neighbours": 1.0}
    said = Response(record.id, "evolved", "water", "water", (0.1, 0.8, 0.1), input_hash="a")
    lost = Response(record.id, "neighbours", "", None, (1 / 3, 1 / 3, 1 / 3), input_hash="b")
    found = ensemble.together(TASK, record, {"model": said, "neighbours": lost}, "evolved_ensemble", weighted)
    assert found.probabilities == pytest.approx(said.probabilities)


def test_a_model_without_probabilities_answers_alone(plan: Plan) -> None:
    record, weighted = plan.test[0], {"model": 1.0, "regression": 1.0}
    said = Response(record.id, "evolved", "water", "water", exactness="absent", input_hash="a")
    sure = Response(record.id, "regression", "roads", "roads", (0.9, 0.1, 0.0), input_hash="b")
    found = ensemble.together(TASK, record, {"model": said, "regression": sure}, "evolved_ensemble", weighted)
    assert (found.answer, found.probabilities, found.collaborator) == ("water", (), "evolved_ensemble")


def test_the_ensemble_is_named_where_it_is_right_more_often() -> None:
    evaluation: dict[str, Any] = {"evolved": {"accuracy": 0.9267}, "evolved_ensemble": {"accuracy": 0.937}}
    evaluation["against"] = {"evolved_ensemble": {"p_value": 0.55}}
    assert conclusions.better_in_ensemble(evaluation) == (
        "Averaged with the simple models (ensemble), the evolved model is right on 93.7 %, alone on 92.7 % "
        "(mid-p McNemar, p = 0.55; chance alone could explain it)."
    )
    evaluation["evolved_ensemble"] = {"accuracy": 0.9267}
    assert conclusions.better_in_ensemble(evaluation) == ""
    assert conclusions.better_in_ensemble({"evolved": {"accuracy": 0.9}}) == ""


def test_the_paired_tests_count_the_records_on_which_the_two_differ(plan: Plan) -> None:
    _, journal = evaluated(plan)
    right = {
        row: [same(TASK, r.answer, t.answer) for r, t in zip(journal.predictions(row), plan.test, strict=True)]
        for row in ("evolved", "regression")
    }
    found = journal.evaluation["against"]["regression"]
    assert found["gained"] - found["lost"] == sum(right["evolved"]) - sum(right["regression"])


def nobody(done: int, total: int) -> None: ...


def test_the_regression_on_a_fine_tuned_embedder_is_a_row_of_its_own_beside_the_plain_one(plan: Plan) -> None:
    engine, journal, told = FakeEngine(), MemoryJournal(plan), list[tuple[int, int]]()
    for _ in range(2):  # what is stored is not done again
        comparison.simpler_rows(plan, engine, journal, lambda done, total: told.append((done, total)))
    assert {row for row in comparison.SIMPLER if journal.predictions(row)} == {*comparison.SIMPLER}
    assert engine.tuned_on == [[record.content_hash for record in plan.labeled]]
    assert told == [(1, 1)]


@pytest.mark.parametrize("embedder", ["char-tfidf", "model"])
def test_only_an_embedder_that_learns_is_fine_tuned(plan: Plan, embedder: str) -> None:
    propagation = plan.config.propagation.model_copy(update={"embedder": embedder})
    plan = replace(plan, config=plan.config.model_copy(update={"propagation": propagation}))
    engine, journal = FakeEngine(), MemoryJournal(plan)
    comparison.simpler_rows(plan, engine, journal, nobody)
    assert not engine.tuned_on
    assert not journal.predictions("tuned_regression")


def test_an_embedder_that_cannot_be_fine_tuned_costs_one_row_and_no_evaluation(plan: Plan) -> None:
    class Stiff(FakeEngine):
        def tune_embedder(self, *given: Any) -> str:
            raise UserError("The embedder is no transformer.", "propagation.embedder", "Choose another.")

    journal = MemoryJournal(plan)
    comparison.simpler_rows(plan, Stiff(), journal, nobody)
    assert {row for row in comparison.SIMPLER if journal.predictions(row)} == {"majority", "neighbours", "regression"}
    assert any("The embedder is no transformer." in text for _, text in journal.events)


def test_an_open_task_has_majority_and_neighbours_by_whole_answers(plan: Plan) -> None:
    texts = [replace(r, answer="seven" if i else "nine") for i, r in enumerate(plan.labeled)]
    _, journal = evaluated(replace(plan, task=Task("text"), labeled=texts))
    rows = {row for row in comparison.ROWS if row in journal.evaluation}
    assert rows == {
        *(f"{arm}{way}" for arm in comparison.ARMS for way in ("", "_demonstrations")),
        *comparison.SIMPLER[:2],
    }
    assert {r.answer for r in journal.predictions("majority")} == {"seven"}


def test_an_open_task_has_the_scores_of_its_kind_and_every_row_is_tested_against_evolved() -> None:
    answers: dict[str, dict[str, str | None]]
    answers = {"warm_up": {"r1": "a red car", "r2": None}, "evolved": {"r1": "red car", "r2": "the tower"}}
    found = comparison.figures_of(Task("text"), {"r1": "red car", "r2": "old tower"}, answers)
    assert (found["evolved"]["accuracy"], found["evolved"]["token_f1"]) == (0.5, pytest.approx((1 + 2 / 3) / 2))
    assert found["evolved"]["token_f1_low"] <= found["evolved"]["token_f1"] <= found["evolved"]["token_f1_high"]
    assert found["warm_up"]["token_f1"] == 0.5
    assert found["against"]["warm_up"] == {"p_value": found["p_value"], "gained": 1, "lost": 0}
    numbers = {f"r{i}": str(i) for i in range(1, 10)}
    near: dict[str, str | None] = {key: str(1.1 * float(value)) for key, value in numbers.items()}
    near["r9"] = None
    found = comparison.figures_of(Task("numeric", tolerance=0.2), numbers, {"evolved": near})
    assert (found["evolved"]["accuracy"], found["against"]) == (8 / 9, {})
    assert found["evolved"]["median_error"] == pytest.approx(0.1)
    assert found["evolved"]["median_error_high"] == pytest.approx(0.1)
    nothing = comparison.figures_of(Task("numeric"), {"r1": "1"}, {"evolved": {"r1": None}})
    assert nothing["evolved"]["median_error"] is None, "infinite is no number that JSON has"
