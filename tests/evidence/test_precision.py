"""Bounds of the number wrong: against SciPy, by exact enumeration of their coverage, and in small simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from semievol.evidence import precision


def brute_force(n: int, x: int, rest: int, alpha: float) -> tuple[int, int]:
    """The definition in docs/evidence.md, word for word: every W that neither one-sided test rejects."""
    kept_w = [
        w
        for w in range(rest + 1)
        if stats.hypergeom.cdf(x, n + rest, w + x, n) > alpha / 2
        and stats.hypergeom.sf(x - 1, n + rest, w + x, n) > alpha / 2
    ]
    return kept_w[0], kept_w[-1]


def test_bounds_are_the_inverted_tests() -> None:
    chance = np.random.default_rng(1)
    for _ in range(60):
        n, rest = int(chance.integers(0, 25)), int(chance.integers(0, 60))
        x = int(chance.integers(0, n + 1))
        low, high = precision.bounds(n, x, rest, 0.1)
        assert (int(low), int(high)) == brute_force(n, x, rest, 0.1)


def test_bounds_of_many_sets_are_those_of_each() -> None:
    drawn, wrong, rest = np.array([10, 40, 0]), np.array([0, 5, 0]), np.array([100, 700, 30])
    low, high = precision.bounds(drawn, wrong, rest)
    single = [precision.bounds(*triple) for triple in zip(drawn, wrong, rest, strict=True)]
    assert [(int(a), int(b)) for a, b in zip(low, high, strict=True)] == [(int(a), int(b)) for a, b in single]
    assert (low[2], high[2]) == (0, 30), "nothing drawn proves nothing"


def test_bounds_cover_the_truth_whatever_it_is() -> None:
    n, rest = 20, 50
    x = np.arange(n + 1)
    low, high = precision.bounds(n, x, rest)
    for total in range(n + rest + 1):
        chance = stats.hypergeom.pmf(x, n + rest, total, n)
        covered = (low <= total - x) & (total - x <= high)
        assert chance[covered].sum() >= 0.95


def test_bounds_refuse_impossible_counts() -> None:
    with pytest.raises(ValueError, match="wrong <= drawn"):
        precision.bounds(5, 6, 10)


def test_a_pool_of_a_hundred_thousand_is_no_problem() -> None:
    low, high = precision.bounds(2000, 100, 100_000)
    assert low / 100_000 == pytest.approx(0.041, abs=0.002)
    assert high / 100_000 == pytest.approx(0.060, abs=0.002)


@pytest.mark.parametrize(("target", "reviews"), [(0.8, 14), (0.9, 29), (0.95, 59)])
def test_reviews_needed_are_those_that_the_evidence_page_promises(target: float, reviews: int) -> None:
    assert precision.needed_reviews(target) == reviews


def test_a_small_kept_set_needs_fewer_reviews_and_perfection_needs_all() -> None:
    needed = precision.needed_reviews(0.9, kept=60)
    assert needed is not None
    assert needed < 29
    assert precision.guarantee(needed, 0, 60).share <= 0.1 < precision.guarantee(needed - 1, 0, 60).share
    assert precision.needed_reviews(1.0) is None
    assert precision.needed_reviews(1.0, kept=60) == 57, "three unseen hide one wrong record at 5 %"
    assert precision.needed_reviews(0.0) == 0


def test_none_wrong_of_forty_guarantees_at_most_seven_percent() -> None:
    assert precision.guarantee(40, 0, 100_000).share == pytest.approx(1 - 0.05 ** (1 / 40), abs=1e-3)
    done = precision.guarantee(40, 2, 350)
    assert done.wrong_at_most == int(precision.upper(40, 2, 310)) + 2
    assert done.share == done.wrong_at_most / 350
    assert precision.guarantee(350, 9, 350).wrong_at_most == 9


def test_the_figures_of_the_evidence_page_come_out() -> None:
    kept, wrong, n = 350, 19, 40  # 5.5 % wrong
    x = np.arange(n + 1)
    chance = stats.hypergeom.pmf(x, kept, wrong, n)
    shares = np.array([precision.guarantee(n, int(found), kept).share for found in x])
    assert chance @ shares == pytest.approx(0.145, abs=0.005)
    assert chance[shares >= wrong / kept].sum() >= 0.95


def test_stopping_whenever_one_likes_keeps_the_guarantee() -> None:
    chance, kept, wrong, failed, last = np.random.default_rng(5), 350, 19, 0, []
    for _ in range(200):
        found = chance.permutation(np.arange(kept) < wrong)[:40]
        bound = precision.anytime_upper(found, kept, (6, 87))
        failed += bound < wrong  # bounds only shrink, so the last one tells of all moments
        last.append(bound / kept)
    assert failed / 200 <= 0.05
    assert np.mean(last) == pytest.approx(0.175, abs=0.015), "the price of stopping any time"


def test_a_bound_that_holds_any_time_starts_with_everything_and_shrinks() -> None:
    bounds = [precision.anytime_upper([False] * n, 100) for n in (0, 10, 50, 100)]
    assert bounds[0] == 100
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] == 0
    assert precision.anytime_upper([True] * 5, 5) == 5


def test_the_band_holds_at_all_ten_sizes_at_once_and_between_them() -> None:
    chance, failed, widths = np.random.default_rng(2), 0, []
    for _ in range(300):
        wrong = chance.random(500) < np.linspace(0, 0.4, 500)
        known = np.sort(chance.choice(500, 150, replace=False))
        pool = np.setdiff1d(np.arange(500), known)
        ends = (np.arange(1, 11) * 35) - 1
        drawn = np.searchsorted(known, pool[ends])
        found = precision.band(drawn, [wrong[known[:n]].sum() for n in drawn], ends + 1)
        truth = np.cumsum(wrong[pool])
        bounds = {size: found.at(size) for size in (20, 35, 100, 333, 350)}
        failed += not all(low <= truth[size - 1] <= high for size, (low, high) in bounds.items())
        widths.append(bounds[350][1] - bounds[350][0])
    assert failed / 300 <= 0.05
    assert np.mean(widths) < 100, "valid because it is wide is not the point"


def test_a_band_only_grows_with_the_kept_set() -> None:
    found = precision.band([5, 10, 15], [0, 3, 3], [50, 100, 150])
    assert list(found.low) == sorted(found.low)
    assert list(found.high) == sorted(found.high)
    assert found.at(0) == (0, 0)
    assert found.at(60)[1] == min(60, found.high[1])


def test_target_precision_stops_at_the_first_set_that_fails() -> None:
    drawn, rest = np.array([40, 60, 80, 100]), np.array([400, 600, 800, 1000])
    assert precision.target_precision(0.9, drawn, [0, 0, 20, 0], rest) == 1
    assert precision.target_precision(0.9, drawn, [20, 0, 0, 0], rest) is None
    assert precision.target_precision(0.9, drawn, [0, 0, 0, 0], rest) == 3
    assert precision.target_precision(0.9, [5, *drawn], [0, 0, 0, 9, 0], [50, *rest]) == 2, "five can prove nothing"
    assert precision.target_precision(0.9, [5, 10], [0, 0], [50, 100]) is None
    assert precision.target_precision(0.9, [], [], []) is None
    assert precision.target_precision(0.0, drawn, drawn, rest) == 3, "every precision is at least 0"


def test_the_test_of_one_set_is_the_prescribed_one() -> None:
    n, x, rest = 60, 2, 500
    w0 = int(np.floor(0.1 * rest)) + 1
    p = stats.hypergeom.cdf(x, n + rest, w0 + x, n)
    assert precision.target_precision(0.9, [n], [x], [rest], alpha=p * 1.001) == 0
    assert precision.target_precision(0.9, [n], [x], [rest], alpha=p * 0.999) is None


def test_the_search_starts_where_proof_is_possible() -> None:
    assert precision.start_coverage(0.9, 100) == pytest.approx(1.4 * 29 / 100)
    assert precision.start_coverage(0.9, 40) > 1, "forty records cannot prove 90 %"
    assert precision.start_coverage(1.0, 10_000) == np.inf
    assert precision.start_coverage(0.8, 400) == 0.2, "twenty records would stall at the second error"


def test_needed_reviews_are_the_fewest_that_prove_the_target() -> None:
    for kept, target in [(60, 0.9), (350, 0.9), (350, 0.95), (40, 0.5)]:
        needed = precision.needed_reviews(target, kept)
        assert needed is not None
        may_be = (1 - target) * kept + 1e-9
        assert precision.guarantee(needed, 0, kept).wrong_at_most <= may_be
        assert precision.guarantee(needed - 1, 0, kept).wrong_at_most > may_be
    with pytest.raises(ValueError, match="between 0 and 1"):
        precision.needed_reviews(1.5)


def anytime_by_definition(found: list[bool], kept: int, prior: tuple[float, float], alpha: float) -> list[int]:
    """Waudby-Smith & Ramdas 2020, Theorem 2.1, over every total, with SciPy's distributions."""
    total = np.arange(kept + 1)
    before = stats.betabinom.pmf(total, kept, *prior)
    remaining, uppers, x = np.ones(kept + 1, dtype=bool), [], 0
    for n, wrong in enumerate(found, start=1):
        x += wrong
        likelihood = stats.hypergeom.pmf(x, kept, total, n)
        remaining &= likelihood > alpha * (before @ likelihood) * (1 - 1e-9)
        uppers.append(int(total[remaining].max()))
    return uppers


@pytest.mark.parametrize("prior", [(1, 1), (6, 87), (0.5, 3.0)])
def test_the_anytime_bound_is_the_one_of_the_theorem(prior: tuple[float, float]) -> None:
    chance = np.random.default_rng(3)
    for kept, rate in [(1, 0.5), (30, 0.2), (120, 0.05), (120, 0.6)]:
        found = (chance.random(kept) < rate).tolist()
        assert precision.anytime_uppers(found, kept, prior).tolist() == anytime_by_definition(found, kept, prior, 0.05)


def test_a_hundred_thousand_kept_records_cost_no_more_than_a_hundred() -> None:
    found = np.random.default_rng(0).random(400) < 0.05
    bound = precision.anytime_upper(found, 100_000)
    assert found.mean() < bound / 100_000 < 0.12
    with pytest.raises(ValueError, match="at most 3 reviews"):
        precision.anytime_upper([False] * 4, 3)


def test_fishers_test_is_scipys() -> None:
    for table in [(3, 40, 9, 60), (0, 10, 0, 20), (5, 5, 0, 5), (12, 91, 3, 40)]:
        a, n, b, m = table
        expected = stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
        assert precision.fisher_exact(*table) == pytest.approx(expected)
