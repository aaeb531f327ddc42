"""What a study says of its arms: intervals over seeds and records, paired differences, sentences."""

from __future__ import annotations

import numpy as np
import pytest

from semievol.study import figures


def right(share: float, seeds: int, records: int = 60, noise: int = 0) -> dict[int, dict[str, bool]]:
    draw = np.random.default_rng(noise)
    return {seed: {f"t{i}": bool(draw.random() < share) for i in range(records)} for seed in range(seeds)}


def test_a_large_lead_is_clear_and_no_lead_is_not() -> None:
    evolved, equal = right(0.9, 10), right(0.9, 10, noise=1)
    found = figures.differences({"evolved": evolved, "base": right(0.3, 10, noise=2), "warm_up": equal})
    assert found["base"].clear
    assert (found["base"].wins, found["base"].seeds) == (10, 10)
    assert found["base"].found.low > 0.4
    assert not found["warm_up"].clear
    assert found["warm_up"].found.low < 0 < found["warm_up"].found.high
    assert found["base"].p_holm >= found["base"].found.p_value
    assert figures.sentence(found) == (
        "The evolved model is clearly ahead of: Base. Too close to call: Plain fine-tuning (warm-up)."
    )


def test_the_interval_leaves_out_zero_where_the_p_value_is_below_five_percent() -> None:
    for noise in range(40):
        one = figures.crossed(right(0.6, 3, 20, noise), right(0.45, 3, 20, noise + 100))
        assert (one.p_value < 0.05) == (one.low > 0 or one.high < 0) or abs(one.p_value - 0.05) < 0.002


def test_few_seeds_are_never_clear_and_fewer_than_ten_are_said_to_be_few() -> None:
    for seeds, clear in ((4, False), (5, True)):
        found = figures.differences({"evolved": right(0.9, seeds), "base": right(0.2, seeds, noise=1)})
        assert found["base"].found.low > 0.5
        assert found["base"].clear == clear
    assert figures.sentence(found).endswith("With fewer than 10 seeds, how far seeds differ is hardly known.")


def test_differences_are_taken_on_the_seeds_that_both_have() -> None:
    evolved, base = right(0.8, 4), right(0.5, 2, noise=1)
    one = figures.differences({"evolved": evolved, "base": base})["base"]
    assert one.seeds == 2
    mine = np.mean([list(evolved[seed].values()) for seed in (0, 1)])
    theirs = np.mean([list(found.values()) for found in base.values()])
    assert one.found.mean == pytest.approx(mine - theirs)
    assert "fewer than 5 seeds no difference is called clear" in figures.sentence({"base": one})


def test_without_the_method_there_are_accuracies_only() -> None:
    found = figures.as_dict({"base": right(0.5, 2)}, {})
    assert set(found["arms"]) == {"base"}
    assert found["differences"] == {}
    assert figures.sentence(figures.differences({"base": right(0.5, 2)})) == ""
