"""The distribution against SciPy's, in small and in large pools, and what it takes of memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semievol.evidence import hypergeometric


def test_the_distribution_is_scipys() -> None:
    chance = np.random.default_rng(0)
    population = chance.integers(1, 3000, 400)
    wrong, drawn = chance.integers(0, population + 1), chance.integers(0, population + 1)
    x = chance.integers(-1, drawn + 2)
    expected = stats.hypergeom.cdf(x, population, wrong, drawn)
    assert hypergeometric.cdf(x, population, wrong, drawn) == pytest.approx(expected, abs=1e-9)


def test_the_distribution_is_scipys_in_large_pools() -> None:
    chance = np.random.default_rng(1)
    drawn = chance.integers(400, 10_001, 60)
    wrong = np.where(chance.random(60) < 0.3, chance.integers(0, 50, 60), chance.integers(0, 110_001, 60))
    middle, spread = drawn * wrong / 110_000, np.sqrt(drawn * wrong / 110_000 * (1 - wrong / 110_000))
    x = np.round(middle + spread * chance.normal(0, 3, 60))
    expected = stats.hypergeom.cdf(x, 110_000, wrong, drawn)
    assert hypergeometric.cdf(x, 110_000, wrong, drawn) == pytest.approx(expected, abs=1e-8)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
@settings(deadline=None, derandomize=True, max_examples=80)
def test_whole_distributions(counts: tuple[int, int, int]) -> None:
    population, wrong, drawn = counts
    x = np.arange(-1, drawn + 2)
    expected = stats.hypergeom.cdf(x, population, wrong, drawn)
    assert hypergeometric.cdf(x, population, wrong, drawn) == pytest.approx(expected, abs=1e-12)


def test_shapes_are_those_of_broadcasting() -> None:
    assert hypergeometric.cdf(1, 10, 3, 4).shape == ()
    assert hypergeometric.cdf([[1], [2]], 10, [3, 4, 5], 4).shape == (2, 3)
    assert hypergeometric.cdf([], 10, 3, 4).shape == (0,)


def test_memory_is_bounded_whatever_is_asked() -> None:
    wrong = np.linspace(0, 110_000, 20_000).round()
    tracemalloc.start()
    hypergeometric.cdf(1000, 110_000, wrong, 10_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100e6, "20,000 sums of 540 terms are taken a part at a time"
