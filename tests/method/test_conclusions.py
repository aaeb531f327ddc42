"""What is said of an evaluation: the outcome, what is ahead, and what to keep in mind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semievol.method import conclusions, metrics


def test_a_simpler_model_that_is_ahead_is_named_with_both_figures_and_the_test() -> None:
    evaluation: dict[str, Any] = {"evolved": {"accuracy": 0.88}, "regression": {"accuracy": 0.913}}
    evaluation |= {"neighbours": {"accuracy": 0.9}, "n": 300}
    evaluation["against"] = {
        "regression": {"p_value": 0.01, "gained": 10, "lost": 20},
        "neighbours": {"p_value": 0.5, "gained": 9, "lost": 15},
        "evolved_ensemble": {"p_value": 0.5, "gained": 9, "lost": 15},
    }
    assert conclusions.ahead(evaluation) == (
        "A logistic regression on the embedder's vectors is right on 91.3 %, the evolved model on 88.0 %: "
        "the simpler model is ahead here (mid-p McNemar with Holm's correction, p = 0.020)."
    )
    evaluation["against"]["regression"]["p_value"] = 0.03  # twice that after the correction
    assert "chance alone could explain it" in conclusions.ahead(evaluation)


def test_nothing_is_said_where_the_evolved_model_is_ahead_or_there_is_nothing_to_compare() -> None:
    assert conclusions.ahead({"evolved": {"accuracy": 0.9}, "regression": {"accuracy": 0.9}}) == ""
    assert conclusions.ahead({"evolved": {"accuracy": 0.9}}) == ""
    assert conclusions.ahead({}) == ""


def _against_warm_up(gained: int, lost: int, n: int = 300, before: float = 0.8) -> dict[str, Any]:
    after = before + (gained - lost) / n
    p_value = metrics.mcnemar_midp(gained, lost)
    return {"n": n, "warm_up": {"accuracy": before}, "evolved": {"accuracy": after}} | {
        "gained": gained,
        "lost": lost,
        "p_value": p_value,
    }


def test_the_outcome_is_one_sentence_with_the_paired_interval() -> None:
    assert conclusions.outcome(_against_warm_up(24, 8)) == (
        "85.3 % right, plain fine-tuning 80.0 %: +5.3 points (between +1.7 and +9.0)."
    )
    assert "85.3 % right, the round before 80.0 %" in conclusions.outcome(_against_warm_up(24, 8), later_round=True)


def test_a_loss_and_a_draw_are_said_as_plainly_as_a_win() -> None:
    lost, drawn = conclusions.outcome(_against_warm_up(8, 24)), conclusions.outcome(_against_warm_up(10, 8))
    assert lost == "74.7 % right, plain fine-tuning 80.0 %: −5.3 points (between −9.0 and −1.7). That is a loss."
    assert drawn.startswith("80.7 % right, plain fine-tuning 80.0 %: +0.7 points (between −")
    assert drawn.endswith(", too close to call.")
    assert "±0.0 points" in conclusions.outcome(_against_warm_up(5, 5))
    alike = conclusions.outcome(_against_warm_up(0, 0))
    assert alike == "80.0 % right, and plain fine-tuning is right on the very same records."


def test_a_win_is_claimed_only_if_interval_and_test_agree() -> None:
    found = conclusions.gain(_against_warm_up(4, 0))
    assert found is not None
    assert found.low > 0
    assert not found.clear, "the mid-p test of 4 against 0 is 0.06"


def test_without_two_models_there_is_no_outcome() -> None:
    assert conclusions.outcome({}) == ""
    assert conclusions.outcome({"n": 3, "evolved": {"accuracy": 1.0}}) == ""


def test_the_interval_is_that_of_the_bootstrap_over_the_records() -> None:
    before, after = np.arange(300) % 5 > 0, np.arange(300) % 7 > 0
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    drawn = np.random.default_rng(1).integers(0, 300, (4_000, 300))
    plain = (after.astype(float) - before)[drawn].mean(axis=1)
    found = conclusions.gain(_against_warm_up(gained, lost, before=float(before.mean())))
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.01)
    assert found.difference == pytest.approx(after.mean() - before.mean())


def test_caveats_say_how_sure_the_figures_are_and_what_else_they_are_due_to() -> None:
    arm = {"accuracy": 0.7, "low": 0.6, "high": 0.78}
    assert conclusions.caveats({"n": 900, "evolved": arm}) == []
    assert conclusions.caveats({"n": 900}, by_expert=0) == []
    few, later, taught = conclusions.caveats({"n": 100, "evolved": arm}, True, 32, 30)
    assert few == (
        "The test set has only 100 records: on many more, the same model may be right on anything between 60.0 % and "
        "78.0 %."
    )
    assert "the evolved model of the round before" in later
    assert "also learned from 32 answers given or confirmed by experts; the round before may have had some" in taught
    assert "which plain fine-tuning never saw." in conclusions.caveats({"n": 900}, by_expert=32)[0]
    assert "30 of them were taken from the hidden gold." in taught
    assert "hidden gold" not in conclusions.caveats({"n": 900}, by_expert=32)[0]


def test_a_model_that_only_guesses_is_called_too_small() -> None:
    def told(accuracy: float, p: float) -> list[str]:
        against = {"majority": {"p_value": p}}
        rows = {"evolved": {"accuracy": accuracy, "low": 0.1, "high": 0.9}, "majority": {"accuracy": 0.27}}
        return conclusions.caveats({"n": 900, "against": against, **rows})

    assert told(0.5, 0.001) == []
    for accuracy, p in ((0.23, 0.2), (0.3, 0.3), (0.2, 0.001)):
        (sentence,) = told(accuracy, p)
        assert sentence.startswith("The evolved model is not clearly better than the most frequent answer")


def test_the_paired_test_is_told_in_one_sentence() -> None:
    assert conclusions.paired({"n": 9}) == ""
    same = conclusions.paired({"n": 9, "gained": 0, "lost": 0, "p_value": 1.0}, later_round=True)
    assert same.endswith("same test records as the round before (mid-p McNemar test, p = 1).")
    figures = {"n": 300, "gained": 22, "lost": 1, "p_value": 0.0001}
    assert conclusions.paired(figures) == (
        "Compared with plain fine-tuning, the evolved model is newly right on 22 test records and newly wrong on 1 "
        "(mid-p McNemar test of this comparison alone, p = 0.0001). Chance alone rarely produces such a difference. "
        "With 300 test records, a gain below 4.5 points can easily go unseen."
    )
    assert conclusions.paired(figures, later_round=True).startswith("Compared with the round before")


def test_the_difference_is_that_of_the_shares_and_not_of_the_rounded_percentages() -> None:
    found: dict[str, Any] = {"n": 300, "gained": 20, "lost": 4, "p_value": 0.001}
    found |= {"evolved": {"accuracy": 0.92665}, "warm_up": {"accuracy": 0.87335}}
    assert conclusions.outcome(found).startswith("92.7 % right, plain fine-tuning 87.3 %: +5.3 points")
