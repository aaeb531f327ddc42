"""Answers without a language model: against computations by hand and by scikit-learn, and what never has a say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from semievol.engines import voting
from semievol.records import Record

LABELS = ("roads", "water", "parks")
VECTORS = {
    "one": (1.0, 0.0, 0.0),
    "two": (0.9, 0.1, 0.0),
    "three": (0.0, 1.0, 0.0),
    "four": (0.1, 0.9, 0.3),
    "five": (0.0, 0.1, 1.0),
    "six": (0.2, 0.0, 0.9),
    "query": (0.8, 0.3, 0.1),
}
KNOWN = [
    Record(name, name, (), answer)
    for name, answer in zip(VECTORS, ("roads", "roads", "water", "water", "parks", "parks"), strict=False)
]
QUERY = Record("q", "query")


def embed(texts: object) -> np.ndarray:
    return np.array([VECTORS[text] for text in texts], dtype=np.float32)  # type: ignore[attr-defined]


def unit(name: str) -> np.ndarray:
    vector = np.array(VECTORS[name])
    return vector / np.linalg.norm(vector)


def test_the_five_nearest_vote_by_their_cosine_and_half_a_vote_is_shared() -> None:
    (reply,) = voting.neighbours(KNOWN, [QUERY], [LABELS], embed)
    cosines = {r.id: max(float(unit(r.question) @ unit("query")), 0.0) for r in KNOWN}
    nearest = sorted(KNOWN, key=lambda record: -cosines[record.id])[:5]
    total = sum(cosines[record.id] for record in nearest)
    shares = [sum(cosines[r.id] for r in nearest if r.answer == label) / total for label in LABELS]
    np.testing.assert_allclose(reply.probabilities, (5 * np.array(shares) + 0.5 / 3) / 5.5, atol=1e-5)
    assert reply.text == "roads"
    assert reply.exactness == "exact"


def test_the_regression_is_scikit_learns_with_one_record_shared_by_all_labels() -> None:
    (reply,) = voting.regression(KNOWN, [QUERY], [(*LABELS, "lights")], embed)
    model = LogisticRegression(C=10, max_iter=10_000).fit(
        [unit(record.question) for record in KNOWN], [record.answer for record in KNOWN]
    )
    raw = dict(zip(model.classes_, model.predict_proba([unit("query")])[0], strict=True))
    expected = [(6 * raw.get(label, 0.0) + 1 / 4) / 7 for label in (*LABELS, "lights")]
    np.testing.assert_allclose(reply.probabilities, expected, atol=1e-3)
    assert reply.text == "roads"


@pytest.mark.parametrize("how", [voting.neighbours, voting.regression])
def test_a_record_never_votes_for_itself(how: object) -> None:
    # Alone in its class, it would vote for itself if it could.
    odd = Record("odd", "one", (), "lights")
    labels = (*LABELS, "lights")
    known = [odd, *KNOWN[1:]]
    asked = [odd, Record("copy", "one"), QUERY]
    replies = how(known, asked, [labels] * 3, embed)  # type: ignore[operator]
    without = how(KNOWN[1:], asked[:1], [labels], embed)  # type: ignore[operator]
    for reply in replies[:2]:
        np.testing.assert_allclose(reply.probabilities, without[0].probabilities, atol=1e-3)
        assert reply.text != "lights"


@pytest.mark.parametrize("how", [voting.neighbours, voting.regression])
def test_every_allowed_answer_has_a_probability_above_zero_and_they_sum_to_one(how: object) -> None:
    (reply,) = how(KNOWN[:2], [QUERY], [LABELS], embed)  # type: ignore[operator]
    assert min(reply.probabilities) > 0
    assert sum(reply.probabilities) == pytest.approx(1)
    assert reply.text == "roads"


def test_votes_for_what_is_not_allowed_do_not_count_and_without_a_vote_nothing_is_said() -> None:
    only, none = voting.neighbours(KNOWN, [QUERY, QUERY], [("parks", "water"), ("lights", "bins")], embed)
    assert only.text == "water"
    assert (none.text, none.probabilities) == ("", (0.5, 0.5))


def test_where_anything_may_be_said_the_vote_has_no_probabilities() -> None:
    (reply,) = voting.neighbours(KNOWN, [QUERY], [()], embed)
    assert (reply.text, reply.probabilities, reply.exactness) == ("roads", (), "absent")
