"""Weights of a linear pool: against an independent optimiser, and what holds whatever the probabilities are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize

from semievol.method import weights

TABLES = st.tuples(st.integers(1, 30), st.integers(1, 5)).flatmap(
    lambda shape: arrays(float, shape, elements=st.floats(0, 1))
)


def likelihood(table: np.ndarray, found: np.ndarray) -> float:
    return float(np.log(table @ found).mean())


@pytest.mark.parametrize("seed", range(5))
def test_the_fit_is_as_likely_as_that_of_a_general_optimiser(seed: int) -> None:
    chance = np.random.default_rng(seed)
    table = chance.beta(chance.uniform(0.5, 4, 4), 1.5, (200, 4))
    start = np.full(4, 0.25)
    best = optimize.minimize(
        lambda w: -likelihood(table, w),
        start,
        method="SLSQP",
        bounds=[(1e-9, 1)] * 4,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    long = weights.fit(table, iterations=20_000)
    np.testing.assert_allclose(long, best.x, atol=2e-3)
    assert likelihood(table, weights.fit(table)) == pytest.approx(-best.fun, abs=2e-3)


@settings(max_examples=80, deadline=None)
@given(TABLES)
def test_weights_lie_on_the_simplex_and_never_lower_the_likelihood_of_equal_ones(table: np.ndarray) -> None:
    found, equal = weights.fit(table), np.full(table.shape[1], 1 / table.shape[1])
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    floored = np.maximum(table, np.finfo(float).tiny)
    assert likelihood(floored, found) >= likelihood(floored, equal) - 1e-9
    np.testing.assert_array_equal(found, weights.fit(table))


@settings(max_examples=80, deadline=None)
@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_records_and_collaborators_does_not_matter(table: np.ndarray, chance: object) -> None:
    order = list(range(table.shape[1]))
    chance.shuffle(order)  # type: ignore[attr-defined]
    np.testing.assert_allclose(weights.fit(table[::-1][:, order]), weights.fit(table)[order], atol=1e-9)


@settings(max_examples=80, deadline=None)
@given(arrays(float, st.integers(1, 16), elements=st.floats(0.001, 1)))
def test_what_is_left_out_has_no_weight_and_the_rest_keeps_its_proportions(raw: np.ndarray) -> None:
    shares = raw / raw.sum()
    found = weights.without_small(shares)
    assert found.sum() == pytest.approx(1)
    kept = found > 0
    assert kept[shares.argmax()]
    assert not kept[(shares < weights.LEAST) & (shares < shares.max())].any()
    np.testing.assert_allclose(found[kept] / found[kept][0], shares[kept] / shares[kept][0])


def test_who_always_knows_best_gets_all_and_who_never_does_is_left_out() -> None:
    table = np.column_stack([np.full(40, 0.9), np.full(40, 0.1)])
    np.testing.assert_array_equal(weights.earned(table), [1, 0])


def test_those_who_say_the_same_share_evenly() -> None:
    table = np.full((40, 3), 0.7)
    np.testing.assert_allclose(weights.earned(table), [1 / 3] * 3)


def test_a_fold_is_judged_by_what_the_others_earned() -> None:
    chance = np.random.default_rng(0)
    table, folds = chance.random((50, 2)), np.arange(50) % weights.FOLDS
    for fold, found in enumerate(weights.cross_earned(table, folds)):
        np.testing.assert_array_equal(found, weights.earned(table[folds != fold]))


def test_copies_of_a_record_fall_into_one_fold_and_folds_are_about_even() -> None:
    assert weights.fold_of("abc") == weights.fold_of("abc")
    sizes = np.bincount([weights.fold_of(str(i)) for i in range(2_000)], minlength=weights.FOLDS)
    assert sizes.min() > 300


def test_nothing_to_learn_from_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="table of records by collaborators"):
        weights.fit(np.empty((0, 2)))
