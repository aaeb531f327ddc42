"""The bounds hold as often as they say, and the familiar procedures in their place do not (docs/evidence.md).

A small seeded version of `tests/benchmarks/coverage.py`. Every claim and every counter-proof passes one assertion,
`holds`: the share of projects is at least 95 % but for two standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from semievol.config import Policy, Rule
from semievol.evidence import precision
from semievol.records import Task
from semievol.selection.policy import Cut
from semievol.selection.summary import class_shift
from tests import simulated

ALPHA = 0.05
Bounds = Callable[[np.ndarray, np.ndarray, np.ndarray, float], tuple[np.ndarray, ...]]


def holds(covered: np.ndarray) -> bool:
    return bool(np.mean(covered) >= 1 - ALPHA - 2 * math.sqrt(ALPHA * (1 - ALPHA) / len(covered)))


@cache
def projects(world: str, known: int, count: int) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    chance = np.random.default_rng([simulated.WORLDS.index(world), known])
    return [simulated.project(world, 700, known, chance) for _ in range(count)]


def halves(world: str, known: int, count: int) -> np.ndarray:
    """(4, projects): calibration records under the cut at half of the pool, wrong ones; kept candidates, wrong ones."""
    cuts = [simulated.nested("answer_nll", *project) for project in projects(world, known, count)]
    at = [(cut, cut.up_to(0.5)) for cut in cuts]
    return np.array([[cut.drawn[i], cut.found[i], cut.ends[i], cut.wrong[i]] for cut, i in at]).T


def covers(way: Bounds, world: str, known: int) -> np.ndarray:
    drawn, found, kept, truth = halves(world, known, 400)
    low, high = way(drawn, found, kept, ALPHA)
    return (low <= truth) & (truth <= high)


@pytest.mark.parametrize(
    ("world", "known"), [("smooth", 18), ("smooth", 400), ("tied", 90), ("discrete", 18), ("discrete", 400)]
)
def test_one_interval_covers(world: str, known: int) -> None:
    assert holds(covers(precision.bounds, world, known))


def test_clopper_pearson_answers_another_question() -> None:
    assert not holds(covers(simulated.clopper_pearson, "smooth", 400))


@pytest.mark.parametrize("known", [18, 90, 400])
def test_walds_interval_does_not_cover(known: int) -> None:
    assert not holds(covers(simulated.wald, "smooth", known))


def test_the_counts_are_those_of_the_selection() -> None:
    for world in simulated.WORLDS:
        for pool, known in projects(world, 90, 5):
            cuts = simulated.nested("answer_nll", pool, known)
            place = cuts.up_to(0.5)
            found = Cut(Policy(rule=Rule(value=0.5)), pool, known).evidence()
            assert found is not None
            if place >= 0:
                expected = (cuts.ends[place], cuts.drawn[place], cuts.found[place])
                assert (found.kept, found.drawn, found.wrong) == expected


def at_ten(way: Bounds, share_out: bool) -> np.ndarray:
    """Whether all ten coverages hold at once, each at a tenth of alpha or at all of it."""
    held = []
    for project in projects("smooth", 400, 150):
        cuts = simulated.nested("answer_nll", *project)
        at = np.array([cuts.up_to(coverage) for coverage in precision.COVERAGES])
        low, high = way(cuts.drawn[at], cuts.found[at], cuts.ends[at], ALPHA / at.size if share_out else ALPHA)
        held.append(bool(np.all((low <= cuts.wrong[at]) & (cuts.wrong[at] <= high))))
    return np.array(held)


def test_the_band_covers_ten_thresholds_at_once() -> None:
    def band(drawn: np.ndarray, found: np.ndarray, kept: np.ndarray, _: float) -> tuple[np.ndarray, np.ndarray]:
        made = precision.band(drawn, found, kept, ALPHA)
        return made.low, made.high

    assert holds(at_ten(band, share_out=False))


def test_ten_single_intervals_do_not_nor_does_a_band_of_walds() -> None:
    assert not holds(at_ten(precision.bounds, share_out=False))
    assert not holds(at_ten(simulated.wald, share_out=True))


def in_the_round_after(spent: bool) -> np.ndarray:
    """Whether the evidence holds of what it speaks of when a model was trained on the first round's better half."""
    held, half = [], Policy(rule=Rule(value=0.5))
    for number, (pool, known) in enumerate(projects("smooth", 400, 150)):
        first = Cut(half, pool, known)
        later, judged = simulated.next_round(pool, known, first.mask, np.random.default_rng(number))
        if spent:
            later, judged = later.assign(spent=first.mask), judged[~first.known]
        cut = Cut(Policy(rule=Rule(value=0.6)), later, judged)
        found = cut.evidence()
        assert found is not None
        told = cut.mask & ~first.mask if spent else cut.mask
        assert (found.kept, found.earlier) == (told.sum(), cut.mask.sum() - told.sum())
        held.append(found.low <= (~later["correct"][told]).sum() <= found.high)
    return np.array(held)


def test_what_an_earlier_round_accepted_leaves_the_evidence() -> None:
    assert holds(in_the_round_after(spent=True))


def test_calibration_says_nothing_of_what_a_model_was_trained_on() -> None:
    assert not holds(in_the_round_after(spent=False))


def answers_differ_in_the_round_after(spent: bool) -> float:
    """How often the classes seem to have shifted when nothing but the confident class was trained on."""
    task, half, shifted = Task("classification", ("A", "B", "C")), Policy(rule=Rule(value=0.5)), []
    for number, (pool, known) in enumerate(projects("smooth", 400, 100)):
        pool, known = (one.assign(answer=one["answer"].where(one["answer_nll"] > 0.2, "A")) for one in (pool, known))
        first = Cut(half, pool, known)
        later, judged = simulated.next_round(pool, known, first.mask, np.random.default_rng(number))
        p_value = class_shift(task, later.assign(spent=first.mask & spent), judged[~first.known])
        assert p_value is not None
        shifted.append(p_value <= ALPHA)
    return float(np.mean(shifted))


def test_the_class_mix_is_compared_without_what_an_earlier_round_accepted() -> None:
    """Calibration lost its part of the confident class; beside it the whole pool would seem to be of another mix."""
    assert answers_differ_in_the_round_after(spent=True) <= 0.1
    assert answers_differ_in_the_round_after(spent=False) > 0.5


def test_what_is_spent_does_not_keep_a_target_from_being_proven() -> None:
    """The records that a model was trained on come first in the next round; the search begins behind them."""
    abstained, policy = [], Policy(rule=Rule(kind="target_precision", value=0.8))
    for number, (pool, known) in enumerate(projects("smooth", 400, 60)):
        first = Cut(Policy(rule=Rule(value=0.3)), pool, known)
        later, judged = simulated.next_round(pool, known, first.mask, np.random.default_rng(number))
        judged = judged[~first.known]
        whole = Cut(policy, later.assign(spent=first.mask), judged)
        alone = Cut(policy, later[~first.mask], judged)
        abstained.append((not (whole.mask & ~first.mask).any(), not alone.mask.any()))
    assert np.mean(abstained, axis=0) == pytest.approx(np.mean(abstained, axis=0)[1], abs=0.1)


@pytest.mark.parametrize(
    ("world", "target", "most_none", "least_kept"), [("smooth", 0.8, 0.4, 0.4), ("edge", 0.9, 1, 0)]
)
def test_a_promised_precision_is_kept_and_worth_having(
    world: str, target: float, most_none: float, least_kept: float
) -> None:
    policy = Policy(rule=Rule(kind="target_precision", value=target))
    kept = [(pool["correct"], Cut(policy, pool, known).mask) for pool, known in projects(world, 400, 150)]
    assert holds(np.array([not mask.any() or right[mask].mean() >= target for right, mask in kept]))
    assert np.mean([not mask.any() for _, mask in kept]) <= most_none, "a procedure that always abstains is valid too"
    assert np.mean([mask.mean() for _, mask in kept]) >= least_kept


def test_the_loosest_cut_whose_estimate_reaches_the_target_misses_it() -> None:
    reached = []
    for project in projects("smooth", 400, 150):
        cuts = simulated.nested("answer_nll", *project)
        last = int(np.flatnonzero(cuts.found <= 0.2 * cuts.drawn)[-1])
        reached.append(cuts.wrong[last] <= 0.2 * cuts.ends[last])
    assert not holds(np.array(reached))


def reviewed(count: int = 300) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The most confident half of each pool: doubt, which are wrong, and these in a random order."""
    chance = np.random.default_rng(7)
    found = []
    for pool, _ in projects("smooth", 400, count):
        half = pool.nsmallest(350, "answer_nll")
        wrong = ~half["correct"].to_numpy()
        found.append((half["answer_nll"].to_numpy(), wrong, chance.permutation(wrong)))
    return found


def test_forty_random_reviews_guarantee() -> None:
    bounds = [precision.guarantee(40, x, 350).wrong_at_most for x in range(41)]
    assert holds(np.array([bounds[int(seen[:40].sum())] >= wrong.sum() for _, wrong, seen in reviewed()]))


def test_neyman_allocation_with_walds_error_does_not() -> None:
    chance = np.random.default_rng(8)
    found = [simulated.neyman(doubt, wrong, 40, chance, ALPHA) >= wrong.sum() for doubt, wrong, _ in reviewed()]
    assert not holds(np.array(found))


def test_reviews_that_stop_at_the_worst_moment_still_guarantee() -> None:
    found = [precision.anytime_uppers(seen[:100], 350, (3, 37)).min() >= wrong.sum() for _, wrong, seen in reviewed()]
    assert holds(np.array(found))


def test_a_bound_for_a_fixed_number_does_not_survive_a_chosen_moment() -> None:
    sizes = np.arange(1, 101)
    found = []
    for _, wrong, seen in reviewed():
        counted = np.cumsum(seen[:100])
        found.append((precision.upper(sizes, counted, 350 - sizes) + counted).min() >= wrong.sum())
    assert not holds(np.array(found))
