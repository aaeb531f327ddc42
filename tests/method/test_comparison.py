"""Rows of an evaluation: which there are, that each is asked once, and when something simpler is said to be ahead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from semievol.config import Collaborator
from semievol.errors import UserError
from semievol.method import comparison, ensemble, metrics
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
    assert comparison.better_in_ensemble(evaluation) == (
        "Averaged with the simple models (ensemble), the evolved model is right on 93.7 %, alone on 92.7 % "
        "(mid-p McNemar, p = 0.55; chance alone could explain it)."
    )
    evaluation["evolved_ensemble"] = {"accuracy": 0.9267}
    assert comparison.better_in_ensemble(evaluation) == ""
    assert comparison.better_in_ensemble({"evolved": {"accuracy": 0.9}}) == ""


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


def test_a_simpler_model_that_is_ahead_is_named_with_both_figures_and_the_test() -> None:
    evaluation: dict[str, Any] = {"evolved": {"accuracy": 0.88}, "regression": {"accuracy": 0.913}}
    evaluation["neighbours"] = {"accuracy": 0.9}
    evaluation["against"] = {"regression": {"p_value": 0.04}, "neighbours": {"p_value": 0.5}}
    assert comparison.ahead(evaluation) == (
        "A logistic regression on the embedder's vectors is right on 91.3 %, the evolved model on 88.0 %: "
        "the simpler model is ahead here (mid-p McNemar, p = 0.04)."
    )
    evaluation["against"]["regression"]["p_value"] = 0.3
    assert "chance alone could explain it" in comparison.ahead(evaluation)


def test_nothing_is_said_where_the_evolved_model_is_ahead_or_there_is_nothing_to_compare() -> None:
    assert comparison.ahead({"evolved": {"accuracy": 0.9}, "regression": {"accuracy": 0.9}}) == ""
    assert comparison.ahead({"evolved": {"accuracy": 0.9}}) == ""
    assert comparison.ahead({}) == ""


def _against_warm_up(gained: int, lost: int, n: int = 300, before: float = 0.8) -> dict[str, Any]:
    after = before + (gained - lost) / n
    p_value = metrics.mcnemar_midp(gained, lost)
    return {"n": n, "warm_up": {"accuracy": before}, "evolved": {"accuracy": after}} | {
        "gained": gained,
        "lost": lost,
        "p_value": p_value,
    }


def test_the_outcome_is_one_sentence_with_the_paired_interval() -> None:
    assert comparison.outcome(_against_warm_up(24, 8)) == (
        "85.3 % right, plain fine-tuning 80.0 %: +5.3 points (between +1.7 and +9.0)."
    )
    assert "85.3 % right, the round before 80.0 %" in comparison.outcome(_against_warm_up(24, 8), later_round=True)


def test_a_loss_and_a_draw_are_said_as_plainly_as_a_win() -> None:
    lost, drawn = comparison.outcome(_against_warm_up(8, 24)), comparison.outcome(_against_warm_up(10, 8))
    assert lost == "74.7 % right, plain fine-tuning 80.0 %: −5.3 points (between −9.0 and −1.7). That is a loss."
    assert drawn.startswith("80.7 % right, plain fine-tuning 80.0 %: +0.7 points (between −")
    assert drawn.endswith(", too close to call.")
    assert "±0.0 points" in comparison.outcome(_against_warm_up(5, 5))
    alike = comparison.outcome(_against_warm_up(0, 0))
    assert alike == "80.0 % right, and plain fine-tuning is right on the very same records."


def test_a_win_is_claimed_only_if_interval_and_test_agree() -> None:
    found = comparison.gain(_against_warm_up(4, 0))
    assert found is not None
    assert found.low > 0
    assert not found.clear, "the mid-p test of 4 against 0 is 0.06"


def test_without_two_models_there_is_no_outcome() -> None:
    assert comparison.outcome({}) == ""
    assert comparison.outcome({"n": 3, "evolved": {"accuracy": 1.0}}) == ""


def test_the_interval_is_that_of_the_bootstrap_over_the_records() -> None:
    before, after = np.arange(300) % 5 > 0, np.arange(300) % 7 > 0
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    drawn = np.random.default_rng(1).integers(0, 300, (4_000, 300))
    plain = (after.astype(float) - before)[drawn].mean(axis=1)
    found = comparison.gain(_against_warm_up(gained, lost, before=float(before.mean())))
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.01)
    assert found.difference == pytest.approx(after.mean() - before.mean())


def test_caveats_say_how_sure_the_figures_are_and_what_else_they_are_due_to() -> None:
    arm = {"accuracy": 0.7, "low": 0.6, "high": 0.78}
    assert comparison.caveats({"n": 900, "evolved": arm}) == []
    assert comparison.caveats({"n": 900}, by_expert=0) == []
    few, later, taught = comparison.caveats({"n": 100, "evolved": arm}, True, 32, 30)
    assert few == (
        "The test set has only 100 records: on many more, the same model may be right on anything between 60.0 % and "
        "78.0 %."
    )
    assert "the evolved model of the round before" in later
    assert "also learned from 32 answers given or confirmed by experts; the round before may have had some" in taught
    assert "which plain fine-tuning never saw." in comparison.caveats({"n": 900}, by_expert=32)[0]
    assert "30 of them were taken from the hidden gold." in taught
    assert "hidden gold" not in comparison.caveats({"n": 900}, by_expert=32)[0]


def test_a_model_that_only_guesses_is_called_too_small() -> None:
    def told(accuracy: float, p: float) -> list[str]:
        against = {"majority": {"p_value": p}}
        rows = {"evolved": {"accuracy": accuracy, "low": 0.1, "high": 0.9}, "majority": {"accuracy": 0.27}}
        return comparison.caveats({"n": 900, "against": against, **rows})

    assert told(0.5, 0.001) == []
    for accuracy, p in ((0.23, 0.2), (0.3, 0.3), (0.2, 0.001)):
        (sentence,) = told(accuracy, p)
        assert sentence.startswith("The evolved model is not clearly better than the most frequent answer")


def test_the_paired_test_is_told_in_one_sentence() -> None:
    assert comparison.paired({"n": 9}) == ""
    same = comparison.paired({"n": 9, "gained": 0, "lost": 0, "p_value": 1.0}, later_round=True)
    assert same.endswith("same test records as the round before (mid-p McNemar test, p = 1).")
    figures = {"n": 300, "gained": 22, "lost": 1, "p_value": 0.0001}
    assert comparison.paired(figures) == (
        "Compared with plain fine-tuning, the evolved model is newly right on 22 test records and newly wrong on 1 "
        "(mid-p McNemar test, p = 0.0001). Chance alone rarely produces such a difference. With 300 test records, a "
        "gain below 4.5 points can easily go unseen."
    )
    assert comparison.paired(figures, later_round=True).startswith("Compared with the round before")


def test_the_difference_is_that_of_the_shares_and_not_of_the_rounded_percentages() -> None:
    found: dict[str, Any] = {"n": 300, "gained": 20, "lost": 4, "p_value": 0.001}
    found |= {"evolved": {"accuracy": 0.92665}, "warm_up": {"accuracy": 0.87335}}
    assert comparison.outcome(found).startswith("92.7 % right, plain fine-tuning 87.3 %: +5.3 points")


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
