"""Risk against coverage: by the definition read out aloud, in corners, and when a measure may be called the best."""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol import charts
from semievol.config import MEASURES
from semievol.evidence import risk
from semievol.method import metrics

STEADY = settings(deadline=None, derandomize=True, max_examples=60)
NAN = float("nan")


def frame(values: list[float], correct: list[bool] | None = None, **columns: object) -> pd.DataFrame:
    made: dict[str, object] = {"answer": "A", "exactness": "exact", "answer_nll": values, "cross_fitted": False}
    made["correct"] = True if correct is None else correct
    return pd.DataFrame(made | dict.fromkeys(MEASURES[1:], NAN) | columns)


def area(pool: pd.DataFrame, known: pd.DataFrame, measure: str = "answer_nll") -> tuple[float, float]:
    """Area and excess of one measure that has values."""
    found = risk.suggestion(pool, known, [measure])
    assert found is not None
    return found.areas[measure], found.excess[measure]


def area_by_hand(places: list[float], wrong: list[bool]) -> float:
    """Mean over all orders that the ties allow of the mean risk of the first 1 to n records (never kept: inf)."""
    orders = [o for o in permutations(range(len(places))) if all(places[a] <= places[b] for a, b in pairwise(o))]
    total = Fraction(0)
    for order in orders:
        errors = 0
        for kept, record in enumerate(order, start=1):
            errors += wrong[record]
            total += Fraction(errors, kept) / len(order)
    return float(total / len(orders))


small = st.lists(st.tuples(st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, NAN]), st.booleans()), min_size=1, max_size=6)


@given(small, st.lists(st.sampled_from([0.5, 1.0, 2.0, 2.5, NAN]), min_size=1, max_size=8))
@STEADY
def test_the_curve_is_its_definition(known: list[tuple[float, bool]], pool: list[float]) -> None:
    values, correct = [value for value, _ in known], [right for _, right in known]
    found = risk.curves(frame(pool), frame(values, correct), ["answer_nll"])
    places = [sum(p <= v for p in pool) / len(pool) if v == v else float("inf") for v in values]
    wrong = [not right for right in correct]
    reached = sorted({place for place in places if place < float("inf")})
    if reached:
        mean, excess = area(frame(pool), frame(values, correct))
        assert mean == pytest.approx(area_by_hand(places, wrong))
        assert excess == pytest.approx(mean - area_by_hand([float(w) for w in wrong], wrong))
    assert found["coverage"].tolist() == pytest.approx(reached)
    for coverage, share, kept in zip(found["coverage"], found["risk"], found["kept"], strict=True):
        inside = [w for place, w in zip(places, wrong, strict=True) if place <= coverage + 1e-12]
        assert (kept, share) == (len(inside), pytest.approx(sum(inside) / len(inside)))


@given(small, st.integers(0, 5))
@STEADY
def test_no_order_is_better_than_the_best(known: list[tuple[float, bool]], n: int) -> None:
    values, correct = [value for value, _ in known], [right for _, right in known]
    pool, judged = frame([0.5] * n + [1.2, 2.5]), frame(values, correct)
    found = risk.curves(pool, judged, ["answer_nll"])
    assert list(found["coverage"]) == sorted(set(found["coverage"]))
    assert found["risk"].between(0, 1).all()
    if len(found):
        mean, excess = area(pool, judged)
        assert excess >= -1e-12
        assert 0 <= mean <= 1


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=12))
@STEADY
def test_a_record_drawn_twice_is_two_records(known: list[tuple[int, bool, int]]) -> None:
    places = np.array([place for place, _, _ in known], dtype=float)
    wrong, times = np.array([w for _, w, _ in known]), np.array([t for _, _, t in known])
    if times.sum():
        once = np.ones((1, int(times.sum())), dtype=int)
        repeated = risk._areas(np.repeat(places, times), np.repeat(wrong, times), once)
        assert risk._areas(places, wrong, times[None])[0] == pytest.approx(repeated[0])


def test_without_ties_the_area_is_that_of_the_metric() -> None:
    chance = np.random.default_rng(0)
    values, correct = chance.random(80), chance.random(80) < 0.8
    found, _ = area(frame(np.linspace(0, 1, 5000).tolist()), frame(values.tolist(), correct.tolist()))
    assert found == pytest.approx(metrics.risk_coverage(values, correct).area, abs=1e-3)


def test_absent_values_bounds_and_missing_answers_are_never_kept() -> None:
    known = frame([0.1, 0.2, 0.3, NAN], [True] * 4, answer=["A", "A", None, "A"])
    known["exactness"] = ["exact", "bound", "exact", "exact"]
    pool = frame([0.1, 0.2, 0.3, 0.4], exactness=["exact", "bound", "exact", "exact"])
    found = risk.curves(pool, known, ["answer_nll"])
    assert (found["coverage"].tolist(), found["kept"].tolist()) == ([0.25], [1])
    votes = risk.curves(pool.assign(vote_entropy=0.0), known.assign(vote_entropy=0.0), ["vote_entropy"])
    assert votes["kept"].tolist() == [3], "votes are exact where probabilities are bounds"


def test_being_absent_where_it_is_hard_does_not_pay() -> None:
    correct = [True] * 6 + [False] * 2
    pool = frame([float(i) for i in range(8)], mean_nll=[0.0, *[NAN] * 7])
    known = frame([float(i) for i in range(8)], correct, mean_nll=[0.0, *[NAN] * 7])
    assert area(pool, known, "answer_nll") < area(pool, known, "mean_nll")


def test_no_errors_few_records_and_one_value_for_all() -> None:
    pool = frame([0.1, 0.2, 0.3], mean_nll=[0.3, 0.2, 0.1])
    perfect = frame([0.1, 0.2], [True, True], mean_nll=[0.2, 0.1])
    found = risk.suggestion(pool, perfect, ["answer_nll", "mean_nll"])
    assert found is not None
    assert (found.measure, found.close, found.difference) == ("answer_nll", True, 0.0)
    assert "The difference is too small to decide" in found.reason
    one = pool, frame([0.2], [False])
    assert risk.curves(*one, ["answer_nll"])[["coverage", "risk"]].values.tolist() == [[pytest.approx(2 / 3), 1.0]]
    assert area(*one) == (1.0, 0.0)
    tied = frame([0.5] * 3), frame([0.5] * 4, [True, True, True, False])
    assert risk.curves(*tied, ["answer_nll"])[["coverage", "risk"]].values.tolist() == [[1.0, 0.25]]
    assert area(*tied)[0] == pytest.approx(0.25)
    assert risk.curves(pool, frame([], []), ["answer_nll"]).empty
    assert risk.suggestion(pool, frame([], []), ["answer_nll"]) is None
    assert risk.suggestion(frame([]), perfect, ["answer_nll"]) is None, "no pool, no ranks"


def world(records: int, seed: int, noise: dict[str, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pool and calibration records; every measure is the logit of being wrong plus noise of its own."""
    chance = np.random.default_rng(seed)
    logit = chance.normal(-1.8, 1.8, 700 + records)
    correct = chance.random(logit.size) > 1 / (1 + np.exp(-logit))
    made = frame([0.0] * logit.size, correct.tolist())
    for measure, sigma in noise.items():
        made[measure] = logit + chance.normal(0, sigma, logit.size)
    return made[:700], made[700:]


def test_a_clearly_better_measure_is_suggested_with_its_figures() -> None:
    pool, known = world(400, 0, {"answer_nll": 6.0, "token_entropy": 0.1, "vote_entropy": 8.0})
    found = risk.suggestion(pool, known)
    assert found is not None
    assert (found.measure, found.best, found.close) == ("token_entropy", "token_entropy", False)
    assert list(found.areas) == sorted(found.areas, key=lambda m: found.areas[m])
    assert found.low > 0
    assert found.low < found.difference < found.high
    assert "token_entropy keeps fewer wrong answers" in found.reason
    assert f"{100 * found.difference:.1f} points" in found.reason
    assert "400 calibration records" in found.reason


def test_two_that_cannot_be_told_apart_do_not_bring_back_a_default_that_is_clearly_worse() -> None:
    pool, known = world(400, 1, {"answer_nll": 9.0, "token_entropy": 0.1, "mean_nll": 0.1})
    found = risk.suggestion(pool, known)
    assert found is not None
    assert found.close
    assert {found.best, found.other} == {"token_entropy", "mean_nll"}
    assert found.measure == found.best


def test_a_measure_alone_needs_no_comparison() -> None:
    found = risk.suggestion(frame([0.1, 0.2]), frame([0.1, 0.2], [True, False]))
    assert found is not None
    assert (found.measure, found.other) == ("answer_nll", None)
    assert "only measure" in found.reason


def test_equally_good_measures_are_rarely_told_apart() -> None:
    noise = dict.fromkeys(("answer_nll", "token_entropy", "mean_nll", "vote_entropy", "answer_entropy"), 1.5)
    called = 0
    for seed in range(120):
        found = risk.suggestion(*world(90, seed, noise), draws=400)
        assert found is not None
        called += found.measure != "answer_nll"
    assert called / 120 <= 0.05


def test_the_same_records_give_the_same_suggestion() -> None:
    pool, known = world(90, 3, {"answer_nll": 1.0, "mean_nll": 1.2})
    assert risk.suggestion(pool, known) == risk.suggestion(pool, known)


def test_curves_are_drawn_as_they_come() -> None:
    pool, known = world(50, 4, {"answer_nll": 1.0, "mean_nll": 2.0})
    found = risk.curves(pool, known)
    assert list(found["measure"].unique()) == ["answer_nll", "mean_nll"]
    assert len(charts.risk_coverage(found).data) == 2
    assert risk.curves(pool, known[:0]).empty


def test_a_hundred_thousand_candidates_are_no_problem() -> None:
    chance = np.random.default_rng(0)
    noise = {"answer_nll": chance.random(100_000), "mean_nll": chance.random(100_000)}
    pool = frame([0.0] * 100_000).assign(**noise)
    known = pool[:2000].assign(correct=chance.random(2000) < 0.8)
    began = time.perf_counter()
    assert risk.suggestion(pool, known, draws=500) is not None
    assert time.perf_counter() - began < 3, "measured 0.2 s; the bar leaves room for a busy machine"
