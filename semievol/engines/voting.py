"""Answers without a language model: the nearest labeled records' vote, and a logistic regression on the embeddings.

Knows nothing of tasks: a labeled record votes for the text of its answer, and every query has a list of texts that may
be voted for. No record votes about a query of equal content.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from semievol.engines import retrieval
from semievol.engines.vectors import Embed
from semievol.method.protocols import Reply
from semievol.records import Record

NEIGHBOURS = 5
SHARED_VOTES = 0.5
"""Additional votes that all allowed answers share evenly, so that none has probability 0."""
INVERSE_PENALTY = 10.0
REFITS = 10
"""Most additional regressions, for queries whose content is also that of a labeled record."""


def neighbours(
    labeled: Sequence[Record], queries: Sequence[Record], allowed: Sequence[Sequence[str]], embed: Embed
) -> list[Reply]:
    """The NEIGHBOURS nearest labeled records vote, each with a weight in proportion to its cosine (none below 0).

    p(a) = (n sum_i w_i [y_i = a] + s / K) / (n + s), over the n votes for one of the K allowed answers, w summing to 1,
    s = SHARED_VOTES. Without any vote for an allowed answer the text is empty and all answers are equally probable. An
    empty list allows any answer; then there are no probabilities.
    """
    found = retrieval.neighbours(labeled, queries, NEIGHBOURS, embed)
    return [
        _vote([(near.record.answer or "", near.similarity) for near in shown], list(may))
        for shown, may in zip(found, allowed, strict=True)
    ]


def regression(
    labeled: Sequence[Record], queries: Sequence[Record], allowed: Sequence[Sequence[str]], embed: Embed
) -> list[Reply]:
    """Multinomial logistic regression (scikit-learn, C = 10) on the unit vectors of the texts.

    Its probabilities count as n labeled records, and one more record is spread evenly over the allowed answers. A query
    with the content of a labeled record is answered by a regression that was fitted without this content.
    """
    vectors = retrieval.unit_vectors([*labeled, *queries], embed).astype(np.float64)
    known, asked = vectors[: len(labeled)], vectors[len(labeled) :]
    answers = np.array([record.answer or "" for record in labeled], dtype=object)
    hashes = np.array([record.content_hash for record in labeled], dtype=object)
    own = [query.content_hash for query in queries]
    both = sorted(set(own) & set(hashes))
    part = {content: number % REFITS for number, content in enumerate(both)}
    groups = np.array([part.get(content, -1) for content in own])
    replies: dict[int, Reply] = {}
    for group in sorted(set(groups.tolist())):
        rest = np.array([part.get(content, -2) != group for content in hashes], dtype=bool)
        places = np.flatnonzero(groups == group)
        classes, table = _fitted(known[rest], answers[rest], asked[places])
        for place, row in zip(places.tolist(), table, strict=True):
            replies[place] = _shares(dict(zip(classes, row.tolist(), strict=True)), list(allowed[place]), rest.sum(), 1)
    return [replies[place] for place in range(len(queries))]


def _vote(votes: Sequence[tuple[str, float]], allowed: list[str]) -> Reply:
    counted = [(answer, max(similarity, 0.0)) for answer, similarity in votes if not allowed or answer in allowed]
    total = sum(weight for _, weight in counted)
    shares: dict[str, float] = {}
    for answer, weight in counted:
        shares[answer] = shares.get(answer, 0.0) + (weight / total if total else 1 / len(counted))
    if not allowed:
        return Reply(text=max(shares, key=lambda answer: shares[answer], default=""), exactness="absent")
    return _shares(shares, allowed, len(counted), SHARED_VOTES)


def _shares(shares: dict[str, float], allowed: list[str], votes: float, shared: float) -> Reply:
    """Probabilities of the allowed answers from the shares of all `votes`, with `shared` votes more spread evenly."""
    # An answer that is allowed twice gets its share once.
    own = np.array([shares.get(answer, 0.0) if allowed.index(answer) == i else 0.0 for i, answer in enumerate(allowed)])
    if not own.sum():
        return Reply(text="", probabilities=tuple([1 / len(allowed)] * len(allowed)))
    spread = (votes * own / own.sum() + shared / len(allowed)) / (votes + shared)
    return Reply(text=allowed[int(np.argmax(spread))], probabilities=tuple(spread.tolist()))


def _fitted(
    known: npt.NDArray[np.float64], answers: npt.NDArray[np.object_], asked: npt.NDArray[np.float64]
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Classes, and their probabilities for the queries, float64[asked, classes]."""
    classes = sorted(set(answers.tolist()))
    if len(classes) < 2:
        return classes, np.ones((len(asked), len(classes)))
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=2_000)
    model.fit(known, answers.astype(str))
    return [str(name) for name in model.classes_], np.asarray(model.predict_proba(asked))
