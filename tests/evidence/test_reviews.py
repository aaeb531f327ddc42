"""Random reviews: simple random samples, blind repeats, and bounds that count every doubt as an error."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, hypergeom

from semievol.evidence import precision
from semievol.evidence.reviews import REPEAT_EVERY, Sample, Seen, drawing_order, level, permanent_number, proven
from semievol.records import Task

TASK = Task("classification", ("a", "b"))


def _sample(drawn: int = 40, kept: int = 350, mode: str = "fixed") -> Sample:
    order = [f"r{i}" for i in range(drawn)]
    return Sample(TASK, mode, kept, order, dict.fromkeys(order, "a"), [])  # type: ignore[arg-type]


def _answered(sample: Sample, wrong: int = 0) -> Sample:
    """All questions answered: the first `wrong` records as wrong, repeats as before."""
    while (question := sample.next_question()) is not None:
        record_id, repeat = question
        bad = sample.order.index(record_id) < wrong
        one = Seen(record_id, "edit" if bad else "accept", "b" if bad else "a", repeat)
        sample = replace(sample, seen=[*sample.seen, one])
    return sample


def test_permanent_numbers_do_not_change() -> None:
    digest = hashlib.sha256(b"evidence review\ncontent\nu1").digest()
    assert permanent_number("u1", "content") == int.from_bytes(digest[:8], "big")


def test_every_record_is_drawn_equally_often() -> None:
    drawn: Counter[int] = Counter()
    for world in range(3_000):
        order = drawing_order({f"u{i}": hashlib.sha256(f"{world} {i}".encode()).hexdigest() for i in range(12)})
        drawn.update(int(i[1:]) for i in order[:4])
    assert chisquare([drawn[i] for i in range(12)]).pvalue > 1e-3


def test_the_lowest_of_a_smaller_set_are_those_of_the_larger_one_that_it_holds() -> None:
    everything = {f"u{i}": str(i) for i in range(50)}
    half = {i: everything[i] for i in list(everything)[::2]}
    assert drawing_order(half) == [i for i in drawing_order(everything) if i in half]


@given(st.integers(1, 60))
def test_one_in_ten_comes_a_second_time_and_never_at_once(size: int) -> None:
    sample, asked = _sample(size), []
    while (question := sample.next_question()) is not None:
        asked.append(question)
        sample = replace(sample, seen=[*sample.seen, Seen(question[0], "accept", "a", question[1])])
    firsts = [record_id for record_id, repeat in asked if not repeat]
    again = [record_id for record_id, repeat in asked if repeat]
    assert firsts == list(sample.order)
    assert len(again) == len(set(again)) == size // REPEAT_EVERY
    assert all(left[0] != right[0] for left, right in pairwise(asked))


def test_what_comes_next_is_known_ahead_whatever_is_answered() -> None:
    sample = _sample(25)
    ahead = sample.upcoming(40)
    for question in ahead:
        assert sample.next_question() == question
        sample = replace(sample, seen=[*sample.seen, Seen(question[0], "edit", "b", question[1])])
    assert sample.done


def test_a_fixed_review_says_nothing_before_its_end_and_then_the_exact_bound() -> None:
    sample = _sample()
    assert proven(replace(sample, seen=[Seen("r0", "accept", "a")])) is None
    found = proven(_answered(sample, wrong=2))
    assert found is not None
    totals = np.arange(2, 313)
    possible = totals[hypergeom.cdf(2, 350, totals, 40) > 0.05]
    assert (found.reviewed, found.wrong, found.wrong_at_most) == (40, 2, possible.max())


def test_forty_without_an_error_guarantee_what_is_promised() -> None:
    found = proven(_answered(_sample(40, 100_000)))
    assert found is not None
    assert round(found.share, 3) == 0.072


def test_one_that_may_stop_any_time_says_something_after_every_answer() -> None:
    sample = _answered(_sample(40, mode="any_time"))
    shares = []
    for answered in range(1, 41):
        seen = [Seen(i, "accept", "a") for i in sample.order[:answered]]
        found = proven(replace(sample, seen=seen))
        assert found is not None
        shares.append(found.share)
    assert shares == sorted(shares, reverse=True)
    fixed = proven(_answered(_sample()))
    assert fixed is not None
    assert fixed.share < shares[-1] < 0.15


def test_every_doubt_counts_as_an_error() -> None:
    said = [Seen("r0", "skip", None), Seen("r1", "ambiguous", None), Seen("r2", "edit", "b"), Seen("r3", "edit", "a")]
    sample = replace(_sample(5), seen=said)
    assert sample.wrong() == [True, True, True, False]
    two_ways = replace(_sample(5), seen=[Seen("r0", "accept", "a"), Seen("r0", "edit", "b", repeat=True)])
    assert two_ways.unsteady() == ["r0"]
    assert two_ways.wrong() == [True]


def test_what_was_drawn_stays_drawn_though_its_answer_is_taken_back() -> None:
    sample = replace(
        _sample(40, mode="any_time"), seen=[Seen("r0", "accept", "a"), Seen("r2", "accept", "a")], reached=3
    )
    assert sample.wrong() == [False, True, False]
    assert sample.judged() == [False, False]
    assert proven(replace(_sample(3), seen=sample.seen, reached=3)) is None


def test_the_first_answer_counts() -> None:
    sample = replace(_sample(5), seen=[Seen("r0", "edit", "b"), Seen("r0", "accept", "a", repeat=True)])
    assert sample.first["r0"].answer == "b"


def test_reviews_that_are_begun_because_the_last_one_disappointed_hold_together() -> None:
    """Who begins another review until 95 % are proven is told something false in one of twenty rounds at most."""
    assert sum(level(number) for number in range(1, 30)) <= 0.05 + 1e-12
    bound = cache(precision.guarantee)
    chance, kept, simulated, false = np.random.default_rng(0), 3_000, 2_000, 0
    sizes = [precision.needed_reviews(0.95, kept, level(number)) or kept for number in (1, 2, 3, 4)]
    for _ in range(simulated):
        left, wrong = kept, 156
        for number, size in enumerate(sizes, start=1):
            found = int(chance.hypergeometric(wrong, left - wrong, size))
            still_wrong = bound(size, found, left, level(number)).wrong_at_most - found
            left, wrong = left - size, wrong - found  # errors that were found are corrected
            if wrong > still_wrong:
                false += 1
                break
            if still_wrong <= 0.05 * kept:
                break
    assert false / simulated <= 0.05 + 2 * (0.05 * 0.95 / simulated) ** 0.5
