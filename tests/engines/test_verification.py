"""The verifier's regression against the same penalised likelihood, maximised by another program."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from semievol.engines.verification import INVERSE_PENALTY, probability_right


def test_probabilities_are_those_of_the_penalised_likelihoods_maximum() -> None:
    chance = np.random.default_rng(0)
    known, asked = chance.normal(3, 2, (80, 4)), chance.normal(3, 2, (20, 4))
    right = chance.random(80) < special.expit(known[:, 0] - 3)
    mean, spread = known.mean(axis=0), known.std(axis=0)
    x, sign = (known - mean) / spread, np.where(right, 1.0, -1.0)

    def loss(weights: np.ndarray) -> float:
        penalty = weights[1:] @ weights[1:] / 2
        return float(penalty + INVERSE_PENALTY * np.logaddexp(0, -sign * (x @ weights[1:] + weights[0])).sum())

    best = optimize.minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8}).x
    expected = special.expit((asked - mean) / spread @ best[1:] + best[0])
    np.testing.assert_allclose(probability_right(known, right, asked), expected, atol=1e-3)


def test_what_is_not_known_of_a_candidate_counts_as_the_median() -> None:
    chance = np.random.default_rng(1)
    known, right = chance.normal(0, 1, (41, 2)), np.arange(41) % 3 > 0
    gap, filled = known[:3].copy(), known[:3].copy()
    gap[:, 1], filled[:, 1] = np.nan, np.median(known[:, 1])
    np.testing.assert_array_equal(probability_right(known, right, gap), probability_right(known, right, filled))
    empty = np.column_stack([known, np.full(41, np.nan)])
    assert np.isfinite(probability_right(empty, right, empty)).all(), "a column of which nothing is known at all"
