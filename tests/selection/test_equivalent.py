"""Another rule that keeps the same candidates, said in numbers as round as they can be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semievol.config import Policy, Rule
from semievol.selection import equivalent
from semievol.selection.policy import Cut
from tests import simulated

SHARES = (0.45, 0.6, 0.85, 1.0)


@pytest.fixture(params=["smooth", "tied"])
def world(request: pytest.FixtureRequest) -> tuple[pd.DataFrame, pd.DataFrame]:
    return simulated.project(request.param, 700, 100, np.random.default_rng(3))


@pytest.mark.parametrize("share", SHARES)
def test_a_share_its_threshold_and_back_keep_the_same_candidates(
    world: tuple[pd.DataFrame, pd.DataFrame], share: float
) -> None:
    policy = Policy(rule=Rule(value=share))
    there = equivalent.with_rule(policy, "threshold", *world)
    assert there is not None
    back = equivalent.with_rule(there, "fraction", *world)
    assert back is not None
    kept = [Cut(one, *world).mask.tolist() for one in (policy, there, back)]
    assert kept[0] == kept[1] == kept[2]
    assert back.rule.value == round(back.rule.value, 3)


def test_where_no_values_are_tied_the_share_itself_comes_back() -> None:
    world = simulated.project("smooth", 700, 100, np.random.default_rng(3))
    for share in SHARES:
        there = equivalent.with_rule(Policy(rule=Rule(value=share)), "threshold", *world)
        assert there is not None
        back = equivalent.with_rule(there, "fraction", *world)
        assert back is not None
        assert back.rule.value == share


def test_disputed_records_left_out_are_not_counted(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    policy = Policy(rule=Rule(value=0.4), disputed="drop")
    there = equivalent.with_rule(policy, "threshold", *world)
    assert there is not None
    assert Cut(there, *world).mask.tolist() == Cut(policy, *world).mask.tolist()


def test_a_target_precision_becomes_the_share_that_it_keeps() -> None:
    pool, known = simulated.project("smooth", 700, 400, np.random.default_rng(1))
    policy = Policy(rule=Rule(kind="target_precision", value=0.85))
    kept = Cut(policy, pool, known).mask
    assert kept.any()
    there = equivalent.with_rule(policy, "fraction", pool, known)
    assert there is not None
    assert Cut(there, pool, known).mask.tolist() == kept.tolist()


def test_what_keeps_nothing_has_no_equivalent(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    assert equivalent.with_rule(Policy(rule=Rule(value=0)), "threshold", *world) is None


def test_another_measure_keeps_as_many_by_both_rules() -> None:
    world = simulated.project("smooth", 700, 100, np.random.default_rng(3))
    threshold, other = Rule(kind="threshold", value=0.3), Rule(kind="threshold", value=0.9)
    policy = Policy(rule=threshold, disputed="apart", disputed_rule=other)
    after = equivalent.with_measure(policy, "mean_nll", *world)
    agreed = world[0]["agreed"].to_numpy(dtype=bool)
    before, now = Cut(policy, *world).mask, Cut(after, *world).mask
    assert [now[agreed].sum(), now[~agreed].sum()] == [before[agreed].sum(), before[~agreed].sum()]
    assert equivalent.with_measure(Policy(rule=Rule(value=0.4)), "mean_nll", *world).rule == Rule(value=0.4)


def test_a_line_stands_for_the_share_below_it(world: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    pool = world[0]
    middle = float(pool["answer_nll"].quantile(0.5))
    share = equivalent.share_below(Policy(), middle, pool)
    assert share == pytest.approx((pool["answer_nll"] <= middle).mean(), abs=0.0005)
    assert share == round(share, 3)
