"""Metrics against SciPy, scikit-learn and hand-worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from semievol.method import metrics

CHANCE = np.random.default_rng(0)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (5, 10), (10, 10), (1, 1), (283, 300)])
def test_the_wilson_interval_is_scipys(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert metrics.wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_wilson_interval_of_nothing_is_everything() -> None:
    assert metrics.wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="k = 3, n = 2"):
        metrics.wilson(3, 2)


def test_mcnemar_is_the_exact_test_minus_half_the_point() -> None:
    for b, c in [(0, 1), (0, 6), (3, 12), (12, 3), (40, 55), (700, 800)]:
        exact = 2 * stats.binom.cdf(min(b, c), b + c, 0.5)
        assert metrics.mcnemar_midp(b, c) == pytest.approx(exact - stats.binom.pmf(min(b, c), b + c, 0.5))
    assert metrics.mcnemar_midp(0, 0) == metrics.mcnemar_midp(7, 7) == 1


def test_mcnemar_of_the_published_example() -> None:
    """Fagerland, Lydersen & Laake 2013, Table 1: 1 against 7 discordant pairs, mid-p 0.0391."""
    assert metrics.mcnemar_midp(1, 7) == pytest.approx(0.0391, abs=5e-5)


def test_macro_f1_is_scikit_learns() -> None:
    labels = ["a", "b", "c"]
    gold, predicted = CHANCE.choice(labels, 200).tolist(), CHANCE.choice(labels, 200).tolist()
    assert metrics.macro_f1(gold, predicted) == pytest.approx(sklearn.f1_score(gold, predicted, average="macro"))


def test_an_unparsable_answer_costs_recall_but_is_no_class() -> None:
    assert metrics.macro_f1(["a", "b"], ["a", None]) == pytest.approx((1 + 0) / 2)
    assert math.isnan(metrics.macro_f1([], []))
