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


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 20), (10, 10), (1, 1), (283, 300)])
def test_the_exact_interval_is_scipys(k: int, n: int) -> None:
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert metrics.clopper_pearson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_wilson_interval_of_nothing_is_everything() -> None:
    assert metrics.wilson(0, 0) == metrics.clopper_pearson(0, 0) == (0, 1)
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


def test_holm_of_hand_worked_numbers() -> None:
    assert metrics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert metrics.holm([0.5, 0.9]) == [1, 1]
    assert metrics.holm([]) == []


def test_the_smallest_detectable_gain_is_the_one_that_just_shows() -> None:
    assert metrics.smallest_detectable_gain(300, 0.15) == pytest.approx(0.063, abs=0.001), "docs/evidence.md"
    gain = metrics.smallest_detectable_gain(300, 0.15, power=0.5)
    assert gain == pytest.approx(1.96 * math.sqrt(0.15 / 300), abs=1e-4)
    assert math.isnan(metrics.smallest_detectable_gain(0, 0.15))
    assert metrics.smallest_detectable_gain(4, 0.1) <= 0.1


def test_the_crossed_bootstrap_draws_seeds_and_items_apart() -> None:
    draw = np.random.default_rng(3)
    table = (draw.random((6, 40)) < 0.5 + 0.3 * draw.standard_normal((6, 1))).astype(float)
    table[draw.random(table.shape) < 0.3] = np.nan
    found = metrics.crossed_bootstrap(table)
    assert found.mean == pytest.approx(np.nanmean(table))
    both, seeds, items = [], [], []
    for _ in range(3000):  # the definition itself: pick rows, pick columns, average what lies there
        rows, columns = draw.integers(0, 6, 6), draw.integers(0, 40, 40)
        both.append(np.nanmean(table[rows][:, columns]))
        seeds.append(np.nanmean(table[rows]))
        items.append(np.nanmean(table[:, columns]))
    assert (found.low, found.high) == pytest.approx(np.quantile(both, [0.025, 0.975]), abs=0.02)
    assert (found.se_seeds, found.se_items) == pytest.approx((np.std(seeds), np.std(items)), rel=0.1)
    assert found.se_seeds > 2 * found.se_items
    assert math.isnan(metrics.crossed_bootstrap(np.full((2, 3), np.nan)).mean)


def test_the_paired_bootstrap_resamples_records() -> None:
    a, b = CHANCE.random(200) < 0.8, CHANCE.random(200) < 0.7
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    found = metrics.paired_difference(only_a, only_b, a.size, seed=1)
    plain = np.array([(a[i].mean() - b[i].mean()) for i in CHANCE.integers(0, 200, (4000, 200))])
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.012)
    assert found == metrics.paired_difference(only_a, only_b, a.size, seed=1)
    assert metrics.paired_difference(0, 0, a.size) == metrics.Paired(0, 0, 0)
    assert math.isnan(metrics.paired_difference(0, 0, 0).difference)


def test_the_order_of_equal_probabilities_changes_no_calibration() -> None:
    """All say 80 %, 80 % are right: however the file is sorted, this is a perfectly calibrated model."""
    right = np.repeat([0.0, 1.0], [200, 800])
    (one, *others) = [metrics.reliability(np.full(1000, 0.8), order) for order in (right, CHANCE.permutation(right))]
    assert one.ece == pytest.approx(0, abs=1e-12)
    assert all(one.accuracy == pytest.approx(other.accuracy) for other in others)
    assert ((one.null_low <= one.accuracy) & (one.accuracy <= one.null_high)).all()
    mixed = np.repeat([0.2, 0.5, 0.5, 0.9], 75)
    hits = CHANCE.random(300) < mixed
    curve = metrics.reliability(mixed, hits, bins=4)
    assert curve.accuracy[1] == curve.accuracy[2] == pytest.approx(hits[75:225].mean())


def test_confusion_and_f1_are_scikit_learns() -> None:
    labels = ["a", "b", "c"]
    gold, predicted = CHANCE.choice(labels, 200).tolist(), CHANCE.choice(labels, 200).tolist()
    expected = sklearn.confusion_matrix(gold, predicted, labels=labels)
    assert (metrics.confusion_matrix(gold, predicted, labels)[:, :-1] == expected).all()
    assert metrics.macro_f1(gold, predicted) == pytest.approx(sklearn.f1_score(gold, predicted, average="macro"))
    table = sklearn.precision_recall_fscore_support(gold, predicted, labels=labels)
    for i, score in enumerate(metrics.per_class(gold, predicted, labels)):
        assert (score.precision, score.recall, score.f1) == pytest.approx([part[i] for part in table[:3]])
        assert score.support == table[3][i]


def test_an_unparsable_answer_costs_recall_but_is_no_class() -> None:
    assert metrics.macro_f1(["a", "b"], ["a", None]) == pytest.approx((1 + 0) / 2)
    assert metrics.confusion_matrix(["a", "b"], ["a", None], ["a", "b"]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert metrics.macro_f1(["a", "b", "c"], ["a", "b", "a"], labels=["b"]) == 1
    assert math.isnan(metrics.macro_f1([], []))


def test_brier() -> None:
    assert metrics.brier([1.0, 0.5], [True, False]) == 0.125
    assert math.isnan(metrics.brier([], []))


def test_a_perfectly_calibrated_model_stays_in_its_null_band() -> None:
    p = CHANCE.uniform(0.3, 1, 2000)
    found = metrics.reliability(p, CHANCE.random(2000) < p)
    inside = (found.null_low <= found.accuracy) & (found.accuracy <= found.null_high)
    assert inside.mean() >= 0.8
    assert found.count.sum() == 2000
    assert found.ece == pytest.approx(found.null_ece, abs=0.02)
    sure = metrics.reliability(np.full(2000, 0.99), CHANCE.random(2000) < 0.7)
    assert not ((sure.null_low <= sure.accuracy) & (sure.accuracy <= sure.null_high)).any()


def test_a_perfect_model_shows_an_ece_on_few_records() -> None:
    """The reason why no bare ECE is shown below 300 records."""
    null = [metrics.reliability(p, p > 0.5, draws=200).null_ece for p in (CHANCE.uniform(0.5, 1, n) for n in (18, 90))]
    assert null[0] > 0.12
    assert null[1] > 0.05
    assert metrics.reliability(np.full(300, 0.5), np.zeros(300)).ece == pytest.approx(0.5)


def test_reliability_of_few_or_no_records() -> None:
    assert len(metrics.reliability([0.5, 0.7], [True, False]).count) == 2
    assert math.isnan(metrics.reliability([], []).ece)


def test_risk_and_coverage_of_hand_worked_numbers() -> None:
    found = metrics.risk_coverage([0.1, 0.2, 0.2, 0.9], [True, False, True, False])
    assert found.coverage.tolist() == [0.25, 0.75, 1]
    assert found.risk == pytest.approx([0, 1 / 3, 0.5])
    assert found.area == pytest.approx((0 + 0.5 / 2 + 1 / 3 + 2 / 4) / 4)


def test_ties_give_the_expected_area_of_their_orders() -> None:
    wrong = np.array([1, 0, 0, 1, 0], dtype=bool)
    areas = [metrics.risk_coverage(np.arange(5.0), ~CHANCE.permutation(wrong)).area for _ in range(3000)]
    assert metrics.risk_coverage(np.zeros(5), ~wrong).area == pytest.approx(np.mean(areas), abs=0.01)


def test_records_without_a_value_are_never_covered() -> None:
    found = metrics.risk_coverage([0.1, np.nan], [True, True])
    assert found.coverage.tolist() == [0.5]
    assert math.isnan(metrics.risk_coverage([np.nan], [True]).area)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        metrics.brier([1.0], [True, False])
