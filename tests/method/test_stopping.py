"""The stop rule: what calibration records say of the answers of a round and of the one before."""

from __future__ import annotations

from semievol.method import stopping
from semievol.method.ledger import Known
from semievol.method.metrics import paired_interval
from semievol.records import Task

TASK = Task("classification", ("road", "water"))


def known(place: int, right: list[bool]) -> Known:
    calibration = {f"c{i}": one for i, one in enumerate(right)}
    return Known(place, place, place - 1 or None, "starter", TASK, {"u": "road"}, calibration=calibration)


def judged(better: int, worse: int, n: int) -> stopping.Verdict:
    """Of n records: so many only the second round has right, so many only the first, the rest both."""
    rest = [True] * (n - better - worse)
    first = known(1, [False] * better + [True] * worse + rest)
    return stopping.verdict(known(2, [True] * better + [False] * worse + rest), first)


def test_a_clear_gain_on_calibration_records_speaks_for_another_round() -> None:
    found = judged(15, 2, 200)
    assert found.advice == "go on"
    assert found.gain is not None
    assert 0 < found.gain.low < 0.065 < found.gain.high
    assert "200 calibration records" in found.sentence
    assert "+6.5 points" in found.sentence


def test_where_no_gain_worth_a_round_can_be_left_the_advice_is_to_stop() -> None:
    assert judged(0, 0, 200).advice == "stop"
    assert judged(1, 12, 200).advice == "stop"
    assert "better stop here" in judged(0, 0, 200).sentence


def test_few_records_decide_nothing_even_if_no_answer_differs() -> None:
    assert judged(0, 0, 60).advice == "unclear"
    assert judged(6, 4, 100).advice == "unclear"
    assert "A gain is not shown" in judged(6, 4, 100).sentence


def test_without_calibration_records_a_random_review_is_proposed() -> None:
    found = stopping.verdict(known(2, []), known(1, []))
    assert (found.advice, found.gain) == ("nothing to judge by", None)
    assert "random review" in found.sentence


def test_a_first_round_is_judged_after_the_next() -> None:
    assert stopping.verdict(known(1, [True] * 120), None).advice == "ask again"


def test_the_interval_of_bonett_and_price() -> None:
    """Bonett & Price 2012, by hand for b = 12, c = 5, n = 50: 13/52 - 6/52 = 0.1346, half width 0.1602."""
    found = paired_interval(12, 5, 50)
    assert (round(found.difference, 3), round(found.low, 3), round(found.high, 3)) == (0.14, -0.026, 0.295)
