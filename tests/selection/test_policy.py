"""Policies over tables of candidates: what is kept, what never is, and what the expert's decisions change."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol.config import MEASURES, Policy, Rule
from semievol.evidence import precision
from semievol.selection.policy import Cut
from semievol.selection.ranking import parts_of

STEADY = settings(deadline=None, derandomize=True, max_examples=60)


def table(values: list[float], **columns: object) -> pd.DataFrame:
    made = {"answer": "A", "agreed": True, "exactness": "exact", "answer_nll": values}
    made |= dict.fromkeys(MEASURES[1:], np.nan) | dict.fromkeys(("flagged", "spent", "cross_fitted"), False)
    made |= {"decision": None, "decided_answer": None, "correct": True, **columns}
    return pd.DataFrame(made, index=[f"r{i}" for i in range(len(values))])


def candidates(count: int, seed: int, hard: float = 0.15) -> pd.DataFrame:
    """Candidates whose chance to be right is what their confidence says; `correct` tells which are."""
    chance = np.random.default_rng(seed)
    right = np.clip(chance.beta(8 * (1 - hard), 8 * hard, count), 1e-3, 1)
    agreed = chance.random(count) < 0.7
    answers = chance.choice(list("ABCD"), count)
    return table((-np.log(right)).tolist(), agreed=agreed, answer=answers, correct=chance.random(count) < right)


def fraction(value: float, **settings: object) -> Policy:
    return Policy(rule=Rule(kind="fraction", value=value), **settings)


def threshold(value: float, **settings: object) -> Policy:
    return Policy(rule=Rule(kind="threshold", value=value), **settings)


def target(value: float, **settings: object) -> Policy:
    return Policy(rule=Rule(kind="target_precision", value=value), **settings)


def kept(policy: Policy, frame: pd.DataFrame, calibration: pd.DataFrame | None = None) -> list[str]:
    return list(frame.index[Cut(policy, frame, calibration).mask])


def test_a_fraction_keeps_the_most_confident() -> None:
    assert kept(fraction(0.5), table([0.4, 0.1, 0.3, 0.2])) == ["r1", "r3"]
    assert kept(fraction(0.0), table([0.4, 0.1])) == []
    assert kept(fraction(1.0), table([0.4, 0.1])) == ["r0", "r1"]


def test_a_fraction_rounds_up_but_not_for_the_last_bit_of_a_product() -> None:
    assert len(kept(fraction(0.5), table([0.1, 0.2, 0.3]))) == 2
    assert len(kept(fraction(0.07), table(list(np.arange(100.0))))) == 7


def test_ties_are_kept_or_dropped_whole() -> None:
    assert kept(fraction(0.5), table([0.1, 0.2, 0.2, 0.3])) == ["r0"]
    assert kept(fraction(0.75), table([0.1, 0.2, 0.2, 0.3])) == ["r0", "r1", "r2"]


def test_a_best_tie_that_is_too_large_is_not_kept_and_the_reason_is_given() -> None:
    frame = table([0.0, 0.0, 0.0, 0.3])
    assert kept(fraction(0.5), frame) == []
    assert Cut(fraction(0.5), frame).reason() == (
        "The 3 most confident candidates have the same value and can only be kept together."
    )


def test_a_share_that_a_tie_makes_much_smaller_says_so() -> None:
    voted = table([0.0] * 8 + [0.7] * 52)
    assert Cut(fraction(0.85), voted).short() == (
        "The share asks for 51 candidates, but 8 are kept. The next 52 have the same value and can only be kept "
        "together."
    )
    assert (
        "Those that come next in their groups"
        in Cut(fraction(0.5, per_class=True), table([0.0, 0.5, 0.5, 0.5] * 2, answer=["A"] * 4 + ["B"] * 4)).short()
    )
    for policy, frame in (
        (fraction(0.05), voted),  # nothing is kept: `reason` says why
        (fraction(0.5), table(list(np.arange(100.0)))),
        (fraction(0.9), table([0.1, 0.2, np.nan, np.nan])),  # no tie, but candidates that no policy decides
        (threshold(0.5), voted),
    ):
        assert Cut(policy, frame).short() == ""


values_or_none = st.lists(st.one_of(st.just(np.nan), st.integers(0, 6).map(float)), max_size=30)


@given(values_or_none, st.floats(0, 1), st.floats(0, 1))
@STEADY
def test_what_every_fraction_keeps(values: list[float], p: float, q: float) -> None:
    frame = table(values)
    mask = Cut(fraction(p), frame).mask
    measure = frame["answer_nll"].to_numpy(dtype=float)
    assert mask.sum() <= np.ceil(p * len(values))
    assert not np.isnan(measure[mask]).any()
    assert not set(measure[mask]) & set(measure[~mask]), "ties stay whole"
    assert not mask.any() or measure[mask].max() < np.nanmin(np.append(measure[~mask], np.inf))
    if p <= q:
        looser = Cut(fraction(q), frame).mask
        assert not (mask & ~looser).any(), "a looser policy keeps what a stricter one keeps"


def test_absent_values_and_missing_answers_are_never_accepted() -> None:
    frame = table([0.1, np.nan, 0.2], answer=["A", "A", None])
    calibration = candidates(200, 1, hard=0.01)
    for policy in (fraction(1.0), threshold(9.0), target(0.5), fraction(1.0, per_class=True)):
        assert kept(policy, frame, calibration) == ["r0"]
    assert kept(fraction(1.0, measure="token_entropy"), frame) == []
    assert "token_entropy" in Cut(fraction(1.0, measure="token_entropy"), frame).reason()


def test_where_none_may_be_accepted_every_reason_is_counted_once() -> None:
    values = [0.1, 0.2, 0.3, np.nan, 0.4, 0.5]
    flags = {"flagged": [True, True, False, False, False, False], "given": [True] * 4 + [False] * 2}
    frame = table(values, answer=["A", None, None, "A", "A", "A"], **flags)
    said = Cut(fraction(1.0, ungiven=False), frame).reason()
    assert said == (
        "None of the 6 candidates may be accepted: 2 with a text that could steer the model, 1 without an answer, "
        "2 with an answer that no collaborator gave, 1 without a value of answer_nll."
    )
    assert Cut(fraction(1.0), table([])).reason() == "There are no candidates."


def test_the_share_counts_all_records_also_those_without_a_value() -> None:
    assert len(kept(fraction(0.5), table([0.1, 0.2, np.nan, np.nan]))) == 2


def test_a_threshold_includes_its_value() -> None:
    assert kept(threshold(0.2), table([0.1, 0.2, 0.3])) == ["r0", "r1"]
    assert Cut(threshold(0.05), table([0.1])).reason() == "The value of every candidate is above the threshold 0.05."


def test_the_reason_names_what_keeps_nothing() -> None:
    quota = Cut(threshold(0.5, quota=2), table([0.1, 0.1, 0.1, 0.2])).reason()
    assert quota.startswith("More than 2 of the most confident candidates of every class have the same value.")
    dropped = Cut(fraction(0.5, disputed="drop"), table([0.1, 0.2], agreed=False)).reason()
    assert dropped == "None of the 2 candidates may be accepted: 2 disputed, which the policy leaves out."
    apart = fraction(0.4, disputed="apart", disputed_rule=Rule(kind="threshold", value=0.01))
    mixed = table([0.1, 0.1, 0.1, 0.2], agreed=[True, True, True, False])
    assert Cut(apart, mixed).reason() == "The value of every candidate is above the threshold 0.01."


def test_disputed_candidates_can_be_dropped_or_stand_apart() -> None:
    frame = table([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], agreed=[True, False, True, False, True, False])
    assert kept(fraction(0.5), frame) == ["r0", "r1", "r2"]
    assert kept(fraction(1.0, disputed="drop"), frame) == ["r0", "r2", "r4"]
    apart = fraction(1.0, disputed="apart", disputed_rule=Rule(value=0.3))
    assert kept(apart, frame) == ["r0", "r1", "r2", "r4"]
    mixed = fraction(0.3, disputed="apart", disputed_rule=Rule(kind="threshold", value=0.4))
    assert kept(mixed, frame) == ["r0", "r1", "r3"]


def test_answers_that_no_collaborator_gave_are_accepted_where_the_policy_says_so() -> None:
    frame = table([0.1, 0.2, 0.3, 0.4], agreed=[True, False, True, False], given=[True, False, True, True])
    assert kept(fraction(0.75), frame) == ["r0", "r1", "r2"]
    assert kept(fraction(0.75, ungiven=False), frame) == ["r0", "r2", "r3"]
    assert kept(threshold(0.3, ungiven=False), frame) == ["r0", "r2"]


def test_a_policy_stored_before_there_was_this_choice_accepts_them() -> None:
    stored = Policy().model_dump(mode="json")
    del stored["ungiven"]
    assert Policy.model_validate(stored).ungiven


def test_per_class_keeps_the_share_of_every_predicted_class() -> None:
    frame = table([0.1, 0.2, 0.3, 0.4, 0.9, 0.8], answer=["A", "A", "A", "A", "B", "B"])
    assert kept(fraction(0.5), frame) == ["r0", "r1", "r2"]
    assert kept(fraction(0.5, per_class=True), frame) == ["r0", "r1", "r5"]


def test_exact_values_and_bounds_never_share_a_percentile() -> None:
    frame = table([0.1, 0.2, 0.8, 0.9], exactness=["exact", "exact", "bound", "bound"])
    assert kept(fraction(0.5), frame) == ["r0", "r2"]
    assert kept(fraction(0.5, measure="vote_entropy"), frame.assign(vote_entropy=[0.0, 0.1, 0.2, 0.3])) == ["r0", "r1"]


def test_cross_fitted_values_take_the_ranks_of_their_own_kind() -> None:
    pool = table([0.1, 0.2, 0.8, 0.9], exactness=["exact", "exact", "bound", "bound"])
    known = table([5.0, 1.0], exactness=["exact", "bound"], cross_fitted=[True] * 2, correct=[True] * 2)
    (part,) = parts_of(fraction(0.5), pool, known)
    assert part.values.tolist() == [0.1, 0.2, 0.8, 0.9, 0.2, 0.9]
    (part,) = parts_of(
        fraction(0.5, measure="vote_entropy"),
        *(frame.assign(vote_entropy=frame["answer_nll"]) for frame in (pool, known)),
    )
    assert part.values.tolist() == [0.1, 0.2, 0.8, 0.9, 0.9, 0.2]


def test_the_line_in_the_histogram_is_the_largest_value_kept() -> None:
    frame = table([0.1, 0.2, 0.3, 0.4], agreed=[True, False, True, False])
    assert Cut(fraction(0.5), frame).lines() == {"all": 0.2}
    assert Cut(threshold(0.25), frame).lines() == {"all": 0.25}
    assert Cut(fraction(0.5, disputed="apart"), frame).lines() == {"agreed": 0.1, "disputed": 0.2}
    assert Cut(fraction(0.1), table([0.2, 0.2])).lines() == {}
    assert Cut(fraction(0.5, per_class=True), frame.assign(answer=list("ABAB"))).lines() == {}


# --- decisions --------------------------------------------------------------------------------------------------


def test_decisions_override_the_policy() -> None:
    frame = table([0.1, 0.2, 0.3, 0.8, 0.9, 0.15])
    frame["decision"] = ["reject", "ambiguous", "skip", "accept", "edit", "edit"]
    frame["decided_answer"] = [None, None, None, None, "C", "D"]
    answers, origins = Cut(threshold(0.5), frame).accepted()
    assert answers == {"r2": "A", "r3": "A", "r4": "C", "r5": "D"}
    assert origins == {"r2": "pseudo", "r3": "expert", "r4": "expert", "r5": "expert"}


def test_a_rejection_concerns_the_rejected_answer_only() -> None:
    frame = table([0.1, 0.1], decision="reject", decided_answer=["A", "B"])
    assert Cut(fraction(1.0), frame).accepted()[0] == {"r1": "A"}


def test_an_expert_answers_for_a_record_that_no_collaborator_could() -> None:
    frame = table([0.1, 0.2], answer=[None, None], decision=["edit", "accept"], decided_answer=["B", None])
    assert Cut(fraction(1.0), frame).accepted() == ({"r0": "B"}, {"r0": "expert"})


def test_a_table_without_decisions_or_without_candidates_is_fine() -> None:
    frame = table([0.1]).drop(columns=["decision", "decided_answer"])
    assert Cut(fraction(1.0), frame).accepted() == ({"r0": "A"}, {"r0": "pseudo"})
    for policy in (fraction(1.0), threshold(1.0), target(0.9), fraction(0.5, disputed="apart", per_class=True)):
        assert Cut(policy, table([]), candidates(50, 0)).accepted() == ({}, {})


# --- target precision and evidence --------------------------------------------------------------------------------


def test_a_target_precision_without_enough_evidence_keeps_nothing_and_says_how_to_get_it() -> None:
    frame = candidates(700, 0)
    for calibration in (None, frame[:0], candidates(40, 1)):
        assert kept(target(0.9), frame, calibration) == []
        assert "not enough evidence" in Cut(target(0.9), frame, calibration).reason()
        assert (
            "a random review (32 reviewed records without an error would prove it)"
            in Cut(target(0.9), frame, calibration).reason()
        )


def test_the_kept_set_has_the_target_precision_in_nineteen_of_twenty_projects() -> None:
    missed = abstained = 0
    coverage = []
    for seed in range(200):
        both = candidates(1100, seed, hard=0.08)
        pool, calibration = both[:700], both[700:]
        mask = Cut(target(0.9), pool, calibration).mask
        abstained += not mask.any()
        missed += bool(mask.any() and pool["correct"][mask].mean() < 0.9)
        coverage.append(mask.mean())
    assert missed / 200 <= 0.05
    assert abstained / 200 <= 0.10, "a procedure that always abstains is valid too"
    assert np.mean(coverage) >= 0.5


def test_evidence_covers_a_cut_found_by_looking() -> None:
    failed = 0
    for seed in range(60):
        both = candidates(900, seed)
        pool, calibration = both[:700], both[700:]
        for share in (0.13, 0.5, 0.77, 1.0):
            policy = fraction(share, disputed="apart", disputed_rule=Rule(value=share / 2))
            found = Cut(policy, pool, calibration).evidence()
            assert found is not None
            mask = Cut(policy, pool).mask
            assert found.kept == mask.sum()
            failed += not found.low <= (~pool["correct"][mask]).sum() <= found.high
    assert failed / 240 <= 0.05


def test_evidence_counts_the_calibration_records_under_the_same_cut() -> None:
    pool = table([0.1, 0.2, 0.3, 0.4])
    calibration = table([0.05, 0.15, 0.35, 0.9]).assign(correct=[True, False, True, True])
    found = Cut(threshold(0.35), pool, calibration).evidence()
    assert found is not None
    assert (found.kept, found.drawn, found.wrong, found.precision) == (3, 3, 1, pytest.approx(2 / 3))
    assert Cut(threshold(0.35), pool, calibration[:0]).evidence() is None


def test_a_target_is_proven_of_what_no_earlier_round_was_trained_on() -> None:
    """What is spent is kept by the same line, and neither helps nor hinders the proof."""
    both = candidates(1200, 5)
    pool, calibration = both[:800], both[800:]
    spent = np.arange(800) % 3 == 0
    whole = Cut(target(0.8), pool.assign(spent=spent), calibration)
    alone = Cut(target(0.8), pool[~spent], calibration)
    assert alone.mask.any()
    assert whole.lines()["all"] == pytest.approx(alone.lines()["all"], abs=0.1)
    found = whole.evidence()
    assert found is not None
    assert (found.kept, found.earlier) == ((whole.mask & ~spent).sum(), (whole.mask & spent).sum())
    assert found.target == 0.8
    for other in (fraction(0.5), target(0.8, quota=50)):  # no test of the set that is kept
        untested = Cut(other, pool, calibration)
        assert untested.mask.any()
        assert untested.evidence().target is None  # type: ignore[union-attr]
    assert Cut(target(0.8), pool.assign(spent=True), calibration).mask.sum() == 0


def test_evidence_of_a_fraction_is_that_of_the_band() -> None:
    both = candidates(900, 3)
    pool, calibration = both[:700].sort_values("answer_nll"), both[700:]
    found = Cut(fraction(0.3), pool, calibration).evidence()
    assert found is not None
    under = [calibration["answer_nll"] < pool["answer_nll"].iloc[min(70 * i, 699)] for i in range(1, 11)]
    under[-1] |= True
    counts = [(mask.sum(), (mask & ~calibration["correct"]).sum()) for mask in under]
    expected = precision.band([n for n, _ in counts], [x for _, x in counts], 70 * np.arange(1, 11)).at(210)
    assert (found.low, found.high) == expected


def test_a_hundred_thousand_candidates_are_sorted_before_the_eye_notices() -> None:
    frame = candidates(100_000, 0)
    for policy in (fraction(0.6), fraction(0.6, per_class=True), fraction(0.6, disputed="apart"), threshold(0.1)):
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            Cut(policy, frame)
            times.append(time.perf_counter() - begun)
        assert min(times) < 0.15, "measured 10 to 30 ms; the bar leaves room for a busy machine"


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_can_carry_a_policy(measure: str) -> None:
    frame = table([np.nan, np.nan]).assign(**{measure: [0.4, 0.1]})
    assert kept(fraction(0.5, measure=measure), frame) == ["r1"]
