"""Figures of a study against hand-worked numbers and what must hold for them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.benchmarks import study_metrics

CHANCE = np.random.default_rng(0)


def test_the_smallest_detectable_gain_is_the_one_that_just_shows() -> None:
    assert study_metrics.smallest_detectable_gain(300, 0.15) == pytest.approx(0.063, abs=0.001), "docs/evidence.md"
    gain = study_metrics.smallest_detectable_gain(300, 0.15, power=0.5)
    assert gain == pytest.approx(1.96 * math.sqrt(0.15 / 300), abs=1e-4)
    assert math.isnan(study_metrics.smallest_detectable_gain(0, 0.15))
    assert study_metrics.smallest_detectable_gain(4, 0.1) <= 0.1


def test_the_crossed_bootstrap_draws_seeds_and_items_apart() -> None:
    draw = np.random.default_rng(3)
    table = (draw.random((6, 40)) < 0.5 + 0.3 * draw.standard_normal((6, 1))).astype(float)
    table[draw.random(table.shape) < 0.3] = np.nan
    found = study_metrics.crossed_bootstrap(table)
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
    assert math.isnan(study_metrics.crossed_bootstrap(np.full((2, 3), np.nan)).mean)


def test_the_brier_score_of_hand_worked_numbers() -> None:
    assert study_metrics.brier([1.0, 0.5], [True, False]) == 0.125
    assert math.isnan(study_metrics.brier([], []))


def test_a_perfectly_calibrated_model_stays_in_its_null_band() -> None:
    p = CHANCE.uniform(0.3, 1, 2000)
    found = study_metrics.reliability(p, CHANCE.random(2000) < p)
    inside = (found.null_low <= found.accuracy) & (found.accuracy <= found.null_high)
    assert inside.mean() >= 0.8
    assert found.count.sum() == 2000
    assert found.ece == pytest.approx(found.null_ece, abs=0.02)
    sure = study_metrics.reliability(np.full(2000, 0.99), CHANCE.random(2000) < 0.7)
    assert not ((sure.null_low <= sure.accuracy) & (sure.accuracy <= sure.null_high)).any()


def test_a_perfect_model_shows_an_ece_on_few_records() -> None:
    """The reason why docs/evidence.md warns of an ECE on few records."""
    null = [
        study_metrics.reliability(p, p > 0.5, draws=200).null_ece for p in (CHANCE.uniform(0.5, 1, n) for n in (18, 90))
    ]
    assert null[0] > 0.12
    assert null[1] > 0.05


def test_reliability_of_few_or_no_records() -> None:
    assert len(study_metrics.reliability([0.5, 0.7], [True, False]).count) == 2
    assert math.isnan(study_metrics.reliability([], []).ece)


def test_risk_and_coverage_of_hand_worked_numbers() -> None:
    found = study_metrics.risk_coverage([0.1, 0.2, 0.2, 0.9], [True, False, True, False])
    assert found.coverage.tolist() == [0.25, 0.75, 1]
    assert found.risk == pytest.approx([0, 1 / 3, 0.5])
    assert found.area == pytest.approx((0 + 0.5 / 2 + 1 / 3 + 2 / 4) / 4)


def test_ties_give_the_expected_area_of_their_orders() -> None:
    wrong = np.array([1, 0, 0, 1, 0], dtype=bool)
    areas = [study_metrics.risk_coverage(np.arange(5.0), ~CHANCE.permutation(wrong)).area for _ in range(3000)]
    assert study_metrics.risk_coverage(np.zeros(5), ~wrong).area == pytest.approx(np.mean(areas), abs=0.01)


def test_records_without_a_value_are_never_covered() -> None:
    found = study_metrics.risk_coverage([0.1, np.nan], [True, True])
    assert found.coverage.tolist() == [0.5]
    assert math.isnan(study_metrics.risk_coverage([np.nan], [True]).area)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        study_metrics.brier([1.0], [True, False])
