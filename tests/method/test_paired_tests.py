"""The evolved model against every row: the correction, the verdicts, and what the test set could have shown."""

from __future__ import annotations

from typing import Any

import pytest

from semievol.method import metrics
from semievol.method.paired_tests import Compared, against_every_row, smallest_gain


def _figures(**counts: tuple[int, int]) -> dict[str, Any]:
    def tested(gained: int, lost: int) -> dict[str, float]:
        return {"gained": gained, "lost": lost, "p_value": metrics.mcnemar_midp(gained, lost)}

    rows = {row: {"accuracy": 0.9 - (gained - lost) / 300} for row, (gained, lost) in counts.items()}
    against = {row: tested(*pair) for row, pair in counts.items()}
    return {"n": 300, "evolved": {"accuracy": 0.9}, "against": against} | rows


def test_holms_correction_holds_for_all_rows_that_are_shown() -> None:
    alone = against_every_row(_figures(warm_up=(20, 8)))[0]
    assert (alone.adjusted, alone.verdict) == (alone.p_value, "evolved is better")
    several = against_every_row(_figures(regression=(9, 8), base=(19, 8), warm_up=(20, 8)))
    assert [one.row for one in several] == ["base", "warm_up", "regression"]
    p = [one.p_value for one in several]
    assert [one.adjusted for one in several] == pytest.approx([3 * p[1], 3 * p[1], p[2]]), "never below a smaller one's"
    assert [one.verdict for one in several] == ["too close to call"] * 3, "0.024 and 0.034, each alone below 0.05"


def test_a_difference_has_the_paired_interval_and_may_be_a_loss() -> None:
    (found,) = against_every_row(_figures(regression=(4, 30)))
    expected = metrics.paired_difference(4, 30, 300)
    assert found.difference == pytest.approx(expected.difference)
    assert (found.low, found.high) == (expected.low, expected.high)
    assert (found.verdict, found.chance) == ("evolved is worse", "below 0.001")
    assert found.interval == f"−{-100 * found.low:.1f} to −{-100 * found.high:.1f}"


@pytest.mark.parametrize(
    ("adjusted", "shown", "told"),
    [
        (0.0496, "just below 0.05", "just below 0.05"),
        (0.0504, "0.050", "= 0.050"),
        (2e-4, "below 0.001", "below 0.001"),
    ],
)
def test_a_p_value_never_reads_like_one_on_the_other_side(adjusted: float, shown: str, told: str) -> None:
    found = Compared("base", 0.1, 0.0, 0.2, 9, 1, adjusted, adjusted)
    assert (found.chance, found.told) == (shown, told)


def test_the_smallest_gain_rests_on_the_discordance_that_was_found() -> None:
    assert smallest_gain({"n": 300, "gained": 22, "lost": 6}) == (
        "With 300 test records, a gain below 4.9 points can easily go unseen."
    )
    assert "6.2 points" in smallest_gain({"n": 300, "gained": 30, "lost": 15})
    assert "no difference between two models can be shown" in smallest_gain({"n": 4, "gained": 3, "lost": 0})
    # With 20 records four newly right are not significant (p = 0.0625), five are (0.031).
    assert "a gain below 25.0 points" in smallest_gain({"n": 20, "gained": 4, "lost": 0})
    assert "a gain below 1.7 points" in smallest_gain({"n": 300, "gained": 1, "lost": 0})
    assert smallest_gain({"n": 300, "gained": 0, "lost": 0}) == smallest_gain({}) == ""
