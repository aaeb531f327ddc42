"""Token F1 by SQuAD's definition and relative errors, against values worked out in other ways."""

from __future__ import annotations

import math
import random
import re

import numpy as np
import pytest

from semievol.method import open_answers
from semievol.method.open_answers import median_interval, relative_error, token_f1


def _by_crossing_out(answer: str, gold: str) -> float:
    """The same without counters: every shared word is crossed out of the known answer once."""

    def words(text: str) -> list[str]:
        bare = "".join(c for c in text.lower() if c.isalnum() or c.isspace())
        return [word for word in re.split(r"\s+", bare) if word not in ("", "a", "an", "the")]

    given, left = words(answer), words(gold)
    known, shared = len(left), 0
    for word in given:
        if word in left:
            left.remove(word)
            shared += 1
    if not shared:
        return float(not given and not known)
    precision, recall = shared / len(given), shared / known
    return 2 * precision * recall / (precision + recall)


def test_token_f1_is_squads() -> None:
    assert token_f1("The Eiffel Tower!", "an eiffel tower") == 1
    assert token_f1("in Paris, France", "Paris") == pytest.approx(2 * (1 / 3) / (1 / 3 + 1))
    assert token_f1("blue blue", "blue") == pytest.approx(2 / 3), "a word counts as often as both have it"
    assert (token_f1(None, "x"), token_f1("red", "blue"), token_f1("the", "A"), token_f1("the", "x")) == (0, 0, 1, 0)
    draw = random.Random(3)
    vocabulary = ["the", "a", "red", "Red.", "car", "cars,", "an", "old", "(old)", "tower"]
    for _ in range(300):
        answer, gold = (" ".join(draw.choices(vocabulary, k=draw.randint(1, 6))) for _ in range(2))
        assert token_f1(answer, gold) == pytest.approx(_by_crossing_out(answer, gold)), (answer, gold)


def test_a_relative_error_without_an_answer_is_infinite_and_with_gold_zero_undefined() -> None:
    assert relative_error("110", "100") == pytest.approx(0.1)
    assert relative_error("-100", "100") == 2
    assert relative_error(None, "100") == relative_error("many", "100") == math.inf
    assert math.isnan(relative_error("3", "0"))


def test_the_intervals_cover_the_true_value_about_as_often_as_they_say() -> None:
    draw, covered = np.random.default_rng(0), 0
    for _ in range(400):
        _, low, high = median_interval(draw.exponential(size=25).tolist())
        covered += low <= math.log(2) <= high
    assert 0.94 <= covered / 400 <= 0.99, "exact, so at least 95 %"
    means = [open_answers.mean_interval(draw.beta(2, 1, size=60).tolist(), draws=300) for _ in range(200)]
    assert 0.89 <= np.mean([low <= 2 / 3 <= high for _, low, high in means]) <= 0.98
    assert all(math.isnan(value) for value in median_interval([1.0] * 5)[1:])
    assert median_interval([math.nan, 1.0, 3.0])[0] == 2
