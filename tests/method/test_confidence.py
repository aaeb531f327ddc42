"""The five measures on hand-worked numbers, and how responses become a candidate."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from semievol.method.confidence import agree, merge
from semievol.records import Exactness, Response, Task

CHOICE = Task("multiple_choice")
NUMERIC = Task("numeric", tolerance=0.01)
TEXT = Task("text")


def scored(answer: str | None, *probabilities: float, exactness: Exactness = "exact") -> Response:
    return Response("r", "c", answer or "", answer, probabilities, exactness=exactness)


def written(answer: str | None, *logprobs: float, entropies: tuple[float, ...] = ()) -> Response:
    return Response("r", "c", answer or "?", answer, token_logprobs=logprobs, token_entropies=entropies)


def test_an_agreed_closed_record_takes_the_mean_over_the_collaborators() -> None:
    found = merge(CHOICE, ("A", "B"), [scored("A", 0.9, 0.1), scored("A", 0.6, 0.4)])
    assert (found.answer, found.agreed, found.justified) == ("A", True, False)
    assert found.confidences["mean_nll"] == pytest.approx(-(math.log(0.9) + math.log(0.6)) / 2)
    assert found.confidences["answer_nll"] == pytest.approx(-math.log(0.75))
    assert found.confidences["answer_entropy"] == pytest.approx(stats.entropy([0.75, 0.25]) / math.log(2))
    assert found.confidences["vote_entropy"] == 0
    assert "token_entropy" not in found.confidences


def test_a_justified_record_takes_the_justifications_numbers_but_the_collaborators_votes() -> None:
    responses = [scored("A", 0.9, 0.1), scored("B", 0.4, 0.6)]
    found = merge(CHOICE, ("A", "B"), responses, scored("B", 0.3, 0.7))
    assert (found.answer, found.agreed, found.justified) == ("B", False, True)
    assert found.confidences["answer_nll"] == found.confidences["mean_nll"] == pytest.approx(-math.log(0.7))
    assert found.confidences["answer_entropy"] == pytest.approx(stats.entropy([0.3, 0.7]) / math.log(2))
    assert found.confidences["vote_entropy"] == pytest.approx(math.log(2))


def test_a_justification_that_all_speak_for_has_the_mean_over_collaborators_and_judge() -> None:
    responses = [scored("A", 0.9, 0.1), scored("B", 0.4, 0.6, exactness="bound")]
    found = merge(CHOICE, ("A", "B"), responses, scored("B", 0.1, 0.9), "everyone")
    assert (found.answer, found.agreed, found.justified, found.exactness) == ("B", False, True, "bound")
    assert found.confidences["answer_nll"] == pytest.approx(-math.log((0.1 + 0.6 + 0.9) / 3))
    assert found.confidences["mean_nll"] == pytest.approx(-(math.log(0.1) + math.log(0.6) + math.log(0.9)) / 3)
    p = (0.9 + 0.4 + 0.1) / 3
    assert found.confidences["answer_entropy"] == pytest.approx(stats.entropy([p, 1 - p]) / math.log(2))
    assert found.confidences["vote_entropy"] == pytest.approx(math.log(2)), "votes are the collaborators' alone"


def test_a_disputed_record_without_justification_goes_to_the_majority() -> None:
    responses = [scored("A", 0.9, 0.1), scored("B", 0.4, 0.6), scored("B", 0.3, 0.7)]
    found = merge(CHOICE, ("A", "B"), responses)
    assert (found.answer, found.agreed, found.justified) == ("B", False, False)
    assert found.confidences["answer_nll"] == pytest.approx(-math.log((0.1 + 0.6 + 0.7) / 3))
    assert found.confidences["vote_entropy"] == pytest.approx(stats.entropy([1, 2]))


def test_a_tie_of_votes_goes_to_the_larger_probability_then_to_the_smaller_answer() -> None:
    assert merge(CHOICE, ("A", "B"), [scored("A", 0.6, 0.4), scored("B", 0.1, 0.9)]).answer == "B"
    assert merge(CHOICE, ("A", "B"), [scored("B", 0.4, 0.6), scored("A", 0.6, 0.4)]).answer == "A"
    assert merge(CHOICE, ("A", "B"), [scored("B"), scored("A")]).answer == "A"


def test_unparsable_answers_are_a_disagreement_even_if_unanimous() -> None:
    found = merge(TEXT, (), [written(None, -0.1), written(None, -0.1)])
    assert (found.answer, found.agreed) == (None, False)
    assert found.confidences == {"vote_entropy": pytest.approx(math.log(2))}


def test_a_justification_that_cannot_be_read_settles_nothing() -> None:
    found = merge(CHOICE, ("A", "B"), [scored("A", 0.9, 0.1), scored("B", 0.4, 0.6)], scored(None))
    assert (found.answer, found.justified) == ("A", False)


def test_probabilities_are_renormalised_over_the_allowed_answers() -> None:
    found = merge(CHOICE, ("A", "B"), [scored("A", 0.3, 0.1)])
    assert found.confidences["answer_nll"] == pytest.approx(-math.log(0.75))


def test_one_allowed_answer_has_no_entropy() -> None:
    found = merge(Task("classification", labels=("only",)), ("only",), [scored("only", 1.0)])
    assert found.confidences == {"answer_nll": 0, "answer_entropy": 0, "mean_nll": 0, "vote_entropy": 0}


def test_a_probability_of_zero_stays_finite() -> None:
    assert math.isfinite(merge(CHOICE, ("A", "B"), [scored("A", 0.0, 1.0)]).confidences["answer_nll"])


def test_an_agreed_text_takes_the_tokens_as_generated() -> None:
    responses = [written("Bern", -0.2, -0.4, entropies=(1.0, 2.0)), written("bern.", -0.6, entropies=(0.5,))]
    found = merge(TEXT, (), responses)
    assert (found.answer, found.agreed) == ("Bern", True)
    assert found.confidences["mean_nll"] == pytest.approx((0.3 + 0.6) / 2)
    assert found.confidences["token_entropy"] == pytest.approx((1.5 + 0.5) / 2)
    assert found.confidences["answer_nll"] == pytest.approx(-math.log((math.exp(-0.6) + math.exp(-0.6)) / 2))
    assert "answer_entropy" not in found.confidences


def test_a_text_that_lost_the_vote_does_not_speak_for_the_winner() -> None:
    found = merge(TEXT, (), [written("Bern", -0.2), written("Bern", -0.4), written("Rome", -5.0)])
    assert found.confidences["mean_nll"] == pytest.approx(0.3)
    assert found.confidences["answer_nll"] == pytest.approx(-math.log((math.exp(-0.2) + math.exp(-0.4)) / 3))


def test_one_collaborator_without_numbers_leaves_only_the_votes() -> None:
    found = merge(CHOICE, ("A", "B"), [scored("A", 0.9, 0.1), scored("A", exactness="absent")])
    assert found.confidences == {"vote_entropy": 0}
    assert found.exactness == "absent"


def test_exactness_is_the_worst_of_those_the_numbers_come_from() -> None:
    responses = [scored("A", 0.9, 0.1), scored("B", 0.4, 0.6, exactness="bound")]
    assert merge(CHOICE, ("A", "B"), responses).exactness == "bound"
    assert merge(CHOICE, ("A", "B"), responses, scored("A", 0.9, 0.1)).exactness == "exact"


def test_agreement_on_numbers_holds_between_every_two() -> None:
    assert agree(NUMERIC, ["100", "100.5", "101"])
    assert not agree(NUMERIC, ["100.9", "100", "101.8"]), "100 and 101.8 differ by more than the tolerance"
    assert not agree(NUMERIC, ["3.14", "314"])
    assert not agree(NUMERIC, ["1", None])


def test_pooled_disputes_go_to_the_likeliest_answer_on_average_with_a_judge_or_without() -> None:
    """Two weak votes for A against one strong one for B; a judge for A is one voice more."""
    said = [scored("A", 0.55, 0.45), scored("A", 0.55, 0.45), scored("B", 0.05, 0.95)]
    found = merge(CHOICE, ("A", "B"), said, None, "pooled")
    assert merge(CHOICE, ("A", "B"), said).answer == "A", "the majority's"
    assert found.answer == "B"
    assert found.confidences["answer_nll"] == pytest.approx(-math.log((0.45 + 0.45 + 0.95) / 3))
    overruled = merge(CHOICE, ("A", "B"), said, scored("A", 0.51, 0.49), "pooled")
    assert (overruled.answer, overruled.justified) == ("B", False), "the judge was heard, and did not decide"
    judged = merge(CHOICE, ("A", "B"), said, scored("A", 1.0, 0.0), "pooled")
    assert (judged.answer, judged.justified) == ("A", True)
    assert judged.confidences["answer_nll"] == pytest.approx(-math.log((0.55 + 0.55 + 0.05 + 1.0) / 4))


def test_a_wrong_number_of_probabilities_is_a_bug_and_says_so() -> None:
    with pytest.raises(ValueError, match="expected 2, found 3"):
        merge(CHOICE, ("A", "B"), [scored("A", 0.5, 0.3, 0.2)])


@given(st.lists(st.lists(st.floats(1e-6, 1), min_size=3, max_size=3), min_size=1, max_size=5))
@settings(deadline=None, derandomize=True)
def test_measures_stay_in_their_ranges_and_do_not_depend_on_the_order(rows: list[list[float]]) -> None:
    letters = ("A", "B", "C")
    responses = [scored(letters[row.index(max(row))], *row) for row in rows]
    found, reversed_ = merge(CHOICE, letters, responses), merge(CHOICE, letters, responses[::-1])
    assert 0 <= found.confidences["answer_entropy"] <= 1 + 1e-9
    assert 0 <= found.confidences["vote_entropy"] <= math.log(len(rows)) + 1e-9
    assert found.confidences["mean_nll"] >= found.confidences["answer_nll"] - 1e-9, "Jensen's inequality"
    assert found.answer == reversed_.answer
    assert found.confidences == pytest.approx(reversed_.confidences)


def test_earned_weights_weigh_every_average_over_the_collaborators() -> None:
    both = [scored("A", 0.9, 0.1), replace(scored("A", 0.6, 0.4), collaborator="other")]
    earned = {both[0].collaborator: 0.75, "other": 0.25}
    found = merge(CHOICE, ("A", "B"), both, earned=earned).confidences
    assert found["answer_nll"] == pytest.approx(-math.log(0.75 * 0.9 + 0.25 * 0.6))
    assert found["mean_nll"] == pytest.approx(-0.75 * math.log(0.9) - 0.25 * math.log(0.6))
    pooled = 0.75 * 0.9 + 0.25 * 0.6
    entropy = -(pooled * math.log(pooled) + (1 - pooled) * math.log(1 - pooled)) / math.log(2)
    assert found["answer_entropy"] == pytest.approx(entropy)


def test_equal_weights_give_what_no_weights_give() -> None:
    names = ("one", "two", "three")
    said = [replace(scored(a, p, 1 - p), collaborator=n) for n, a, p in zip(names, "AAB", (0.9, 0.7, 0.2), strict=True)]
    judge = scored("B", 0.3, 0.7)
    earned = dict.fromkeys(names, 1 / 3)
    for justification in (None, judge):
        for whose in ("judge", "everyone"):
            plain = merge(CHOICE, ("A", "B"), said, justification, whose)
            weighed = merge(CHOICE, ("A", "B"), said, justification, whose, earned)
            assert weighed.answer == plain.answer
            assert weighed.confidences == pytest.approx(plain.confidences)


def test_in_a_dispute_without_a_judge_the_heavier_side_wins() -> None:
    names = ("one", "two", "three")
    said = [replace(scored(a, p, 1 - p), collaborator=n) for n, a, p in zip(names, "AAB", (0.6, 0.6, 0.2), strict=True)]
    assert merge(CHOICE, ("A", "B"), said).answer == "A"
    assert merge(CHOICE, ("A", "B"), said, earned={"one": 0.2, "two": 0.2, "three": 0.6}).answer == "B"
