"""Scorecards, agreement and the judge's audit, beside scikit-learn's figures and counts by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score

from semievol.method import scorecards
from semievol.records import Record, Response, Task

LABELS = ("bad", "fair", "good")
TASK = Task("classification", LABELS)
NUMBER = Task("numeric", tolerance=0.01)


def _said(record_id: str, who: str, answer: str | None, sure: float = 0.8) -> Response:
    rest = (1 - sure) / (len(LABELS) - 1)
    spread = () if answer is None else tuple(sure if label == answer else rest for label in LABELS)
    return Response(record_id, who, answer or "", answer, spread)


def _records(gold: dict[str, str]) -> list[Record]:
    return [Record(i, i, (), answer) for i, answer in gold.items()]


def _drawn(n: int = 200) -> tuple[dict[str, str], list[Response]]:
    """Known answers, and those of two collaborators of whom the second is better."""
    draw = np.random.default_rng(3)
    gold = {f"r{i}": str(draw.choice(LABELS)) for i in range(n)}
    said = []
    for i, answer in gold.items():
        for who, skill in (("one", 0.5), ("two", 0.8)):
            given = answer if draw.random() < skill else str(draw.choice(LABELS))
            said.append(_said(i, who, given, float(draw.uniform(0.5, 0.99))))
    return gold, said


def test_accuracy_by_class_and_over_all_is_scikit_learns() -> None:
    gold, said = _drawn()
    cards = scorecards.scorecards(TASK, _records(gold), said)
    assert [card.name for card in cards] == ["one", "two"]
    for card in cards:
        given = [r.answer for r in said if r.collaborator == card.name]
        assert card.right == accuracy_score(list(gold.values()), given)
        recalls = recall_score(list(gold.values()), given, labels=LABELS, average=None)
        assert [right / n for right, n in card.of_class.values()] == pytest.approx(recalls)
        assert card.calibration is not None
        stated = [max(r.probabilities) for r in said if r.collaborator == card.name]
        assert card.calibration.stated == pytest.approx(np.mean(stated))


def test_only_records_that_all_answered_count_and_who_alone_is_right() -> None:
    gold = {"a": "good", "b": "bad", "c": "fair"}
    said = [_said("a", "one", "good"), _said("b", "one", "good"), _said("a", "two", "bad"), _said("b", "two", None)]
    said += [_said("c", "one", "fair")]
    one, two = scorecards.scorecards(TASK, _records(gold), said)
    assert (one.n, one.right, one.alone) == (2, 0.5, 1)
    assert (two.n, two.right, two.alone) == (2, 0.0, 0)


def test_without_known_answers_there_is_no_card_with_a_share() -> None:
    assert scorecards.scorecards(TASK, [], _drawn(3)[1]) == []


def test_an_answer_that_was_drawn_is_stated_with_its_own_probability() -> None:
    """Drawn at a temperature of 1, the answers of a calibrated model are right as often as it says."""
    drawn = Response("a", "one", "fair", "fair", (0.5, 0.2, 0.1))
    assert scorecards.stated_probability(drawn, LABELS) == pytest.approx(0.25)
    assert math.isnan(scorecards.stated_probability(replace(drawn, answer=None), LABELS))
    assert math.isnan(scorecards.stated_probability(replace(drawn, probabilities=()), LABELS))
    chance, right = np.random.default_rng(0), Task("classification", ("a", "b"))
    spreads = [(p, 1 - p) for p in chance.uniform(0, 1, 4_000)]
    gold = {f"r{i}": str(chance.choice(["a", "b"], p=spread)) for i, spread in enumerate(spreads)}
    said = [str(chance.choice(["a", "b"], p=spread)) for spread in spreads]
    answers = [Response(f"r{i}", "one", a, a, s) for i, (a, s) in enumerate(zip(said, spreads, strict=True))]
    (card,) = scorecards.scorecards(right, _records(gold), answers)
    assert card.calibration is not None
    assert card.calibration.stated == pytest.approx(card.right, abs=3 * (0.25 / len(gold)) ** 0.5)


def test_agreement_and_kappa_are_scikit_learns() -> None:
    gold, said = _drawn()
    votes = [{r.collaborator: r.answer for r in said if r.record_id == i} for i in gold]
    (pair,) = scorecards.agreement(["one", "two"], votes)
    one, two = ([of[name] for of in votes] for name in ("one", "two"))
    assert pair.share == accuracy_score(one, two)
    assert pair.kappa == pytest.approx(cohen_kappa_score(one, two))


def test_an_unreadable_answer_is_like_no_other_and_equal_constants_have_no_kappa() -> None:
    (pair,) = scorecards.agreement(["one", "two"], [{"one": None, "two": None}, {"one": "x", "two": "x"}])
    assert pair.share == 0.5
    (same,) = scorecards.agreement(["one", "two"], [{"one": "x", "two": "x"}] * 3)
    assert same.share == 1.0
    assert math.isnan(same.kappa)


def test_answers_that_count_as_the_same_are_spelled_alike() -> None:
    text = Task("text")
    assert scorecards.spelled(text, "The  Roads!") == scorecards.spelled(text, "the roads")
    assert scorecards.spelled(NUMBER, "1,000.50") == scorecards.spelled(NUMBER, "1000.5")
    assert scorecards.spelled(TASK, "good") == "good"
    assert scorecards.spelled(text, None) is None


def test_the_judge_is_set_against_the_majority() -> None:
    known = [Record(i, i, (), answer) for i, answer in {"a": "good", "b": "good", "c": "bad", "d": "bad"}.items()]
    votes = {"a": ("bad", "bad", "good"), "b": ("good", "good", "bad"), "c": ("bad", "bad", "good")}
    votes["d"] = ("good", "good", "fair")
    said = [_said(i, f"c{n}", answer) for i, given in votes.items() for n, answer in enumerate(given)]
    judged = {"a": "good", "b": "bad", "c": "bad", "d": "fair", "not known": "bad"}
    found = scorecards.judge_audit(TASK, known, said, [_said(i, "judge", answer) for i, answer in judged.items()])
    # a: helped; b: harmed; c: as the majority; d: from one wrong answer to another
    assert found == scorecards.JudgeAudit(n=4, changed=3, helped=1, harmed=1, right=2, majority_right=2)
    unread = [_said(i, "judge", None) for i in judged]  # the majority stands
    found = scorecards.judge_audit(TASK, known, said, unread)
    assert found == scorecards.JudgeAudit(n=4, changed=0, helped=0, harmed=0, right=2, majority_right=2)
