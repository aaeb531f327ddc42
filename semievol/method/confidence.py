"""The five confidence measures, and the merge of a record's responses into one candidate.

All measures are computed from untempered probabilities (T = 1), in nats; lower means more confident (docs/design.md,
Confidence measures). A value that cannot be computed is None here and a missing key in the candidate. Knows nothing
of policies: `selection` decides what is confident enough.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from semievol.records import Candidate, Exactness, Response, Task
from semievol.task.answers import same

_BEST_FIRST: tuple[Exactness, ...] = ("exact", "bound", "absent")


def mean_nll(
    task: Task,
    allowed: Sequence[str],
    answer: str | None,
    responses: Sequence[Response],
    weights: Sequence[float] | None = None,
) -> float | None:
    """-(1/T) sum_t log p(y_t) of the final pseudo-response, averaged over the responses.

    Closed tasks: -log p(answer), p renormalised over the allowed answers; every response contributes.
    Open tasks: the tokens as generated; only responses that state `answer` contribute.
    SemiEvol (arXiv 2410.14745) §3.3, where it is called entropy.
    """
    if task.closed:
        table = _distributions(allowed, responses)
        if table is None or answer is None or answer not in allowed:
            return None
        return float(np.average([_nll(row[allowed.index(answer)]) for row in table], weights=weights))
    return _mean([_mean(r.token_logprobs, -1.0) for r in _stating(task, answer, responses)])


def token_entropy(task: Task, answer: str | None, responses: Sequence[Response]) -> float | None:
    """(1/T) sum_t H(p(. | y_<t)), H = -sum_v p_v log p_v over the whole vocabulary, averaged over the responses.

    Open tasks: only responses that state `answer` contribute, as in `mean_nll`.
    """
    about = responses if task.closed else _stating(task, answer, responses)
    return _mean([_mean(response.token_entropies) for response in about])


def answer_entropy(
    allowed: Sequence[str], responses: Sequence[Response], weights: Sequence[float] | None = None
) -> float | None:
    """-sum_k q_k log q_k / log K, q the responses' averaged distribution over the K allowed answers; in [0, 1].

    K = 1 gives 0; open tasks (K = 0) have none.
    """
    table = _distributions(allowed, responses)
    if table is None:
        return None
    return 0.0 if len(allowed) == 1 else _entropy(_pooled(table, weights)) / math.log(len(allowed))


def own_entropy(response: Response) -> float | None:
    """Doubt in one response alone: `answer_entropy` of its probabilities; of a free answer the mean token entropy."""
    spread = response.probabilities
    return answer_entropy([""] * len(spread), [response]) if spread else _mean(response.token_entropies)


def vote_entropy(task: Task, answers: Sequence[str | None]) -> float:
    """-sum_a v_a log v_a, v_a the share of collaborators that answered a; in [0, log n].

    An unparsable answer (None) agrees with no other, also not with a second one, so each is a vote of its own.
    Dagan & Engelson 1995 (query by committee), unnormalised.
    """
    groups = _same_answers(task, answers)
    unparsed = sum(answer is None for answer in answers)
    return _entropy(np.array([len(group) for group in groups] + [1] * unparsed) / max(len(answers), 1))


def answer_nll(
    task: Task,
    allowed: Sequence[str],
    answer: str | None,
    responses: Sequence[Response],
    weights: Sequence[float] | None = None,
) -> float | None:
    """-log of the responses' averaged probability of the final answer.

    Open tasks: the probability of the whole text, exp(sum_t log p(y_t)), where a response states `answer`, and 0 where
    it states another: a lower bound of the averaged probability, since other wordings of the answer are not counted.
    """
    probability = _averaged_probability(task, allowed, answer, responses, weights)
    return None if probability is None else _nll(probability)


def agree(task: Task, answers: Sequence[str | None]) -> bool:
    """Whether all answers could be parsed and every two of them are the same."""
    if None in answers:
        return False
    return len(set(answers)) == 1 or all(same(task, a, b) for a, b in combinations(answers, 2))


def merge(
    task: Task,
    allowed: Sequence[str],
    responses: Sequence[Response],
    justification: Response | None = None,
    verdict_confidence: Literal["judge", "everyone", "pooled"] = "judge",
    earned: Mapping[str, float] | None = None,
) -> Candidate:
    """One record's candidate: an answer, and the confidence in it, from its collaborators' and the judge's responses.

    Agreed, if all answers were parsed and are the same: this answer.
    Else disputed. The answer is the judge's, or the majority's where no judge gave one (ties: larger averaged
    probability, then smaller answer). With "pooled" and a closed task it is the one of the largest averaged
    probability.

    Numbers are averaged over the collaborators. Where a judge decided, `verdict_confidence` says whose count: "judge"
    takes the judge's alone (the paper), "everyone" and "pooled" average over collaborators and judge. The judge's own
    are too high, because it sees the candidate answers: on the starter it was right in 40 % of the disputes at an
    average confidence of 89 %. `vote_entropy` is always the collaborators'. `exactness` is the worst of the responses
    that the numbers come from.

    justification: the judge's response, for a disputed record. earned: collaborator -> weight above 0, for averages
    (closed tasks) and majority votes; the judge gets the average weight; None gives all the same weight.
    """
    if not responses:
        raise ValueError("merge needs at least one response")
    answers = [response.answer for response in responses]
    agreed = agree(task, answers)
    weights = None if earned is None else _shares(responses, earned)
    judge = None if agreed or justification is None or justification.answer is None else justification
    if judge is None:
        answer = answers[0] if agreed else _majority(task, allowed, responses, weights)
        source, counts = list(responses), weights
    elif verdict_confidence == "judge":
        answer, source, counts = judge.answer, [judge], None
    else:
        answer, source = judge.answer, [*responses, judge]
        counts = None if weights is None else [*weights, 1 / len(weights)]
    if verdict_confidence == "pooled" and not agreed:
        answer = _likeliest(allowed, source, counts) or answer
    values = {
        "answer_nll": answer_nll(task, allowed, answer, source, counts),
        "answer_entropy": answer_entropy(allowed, source, counts),
        "mean_nll": mean_nll(task, allowed, answer, source, counts),
        "token_entropy": token_entropy(task, answer, source),
        "vote_entropy": vote_entropy(task, answers),
    }
    return Candidate(
        record_id=responses[0].record_id,
        answer=answer,
        agreed=agreed,
        confidences={name: value for name, value in values.items() if value is not None},
        justified=judge is not None and same(task, answer, judge.answer),
        exactness=max((response.exactness for response in source), key=_BEST_FIRST.index),
    )


def averaged(
    allowed: Sequence[str],
    responses: Sequence[Response],
    justification: Response | None = None,
    earned: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Allowed answer -> averaged probability, with the weights that `merge` gives; empty where a response has none."""
    weights = None if earned is None else _shares(responses, earned)
    source, counts = list(responses), weights
    if justification is not None:
        source.append(justification)
        counts = None if weights is None else [*weights, 1 / len(weights)]
    table = _distributions(allowed, source)
    return {} if table is None else dict(zip(allowed, _pooled(table, counts).tolist(), strict=True))


def _same_answers(task: Task, answers: Sequence[str | None]) -> list[list[str]]:
    """The parsed answers in groups of the same answer; each group and the list are in order of appearance."""
    groups: list[list[str]] = []
    for answer in answers:
        if answer is not None:
            alike = (group for group in groups if group[0] == answer or same(task, group[0], answer))
            if (found := next(alike, None)) is None:
                groups.append(found := [])
            found.append(answer)
    return groups


def _shares(responses: Sequence[Response], earned: Mapping[str, float]) -> list[float] | None:
    """Weight of every response, summing to 1; None (all weigh the same) if no collaborator has a weight."""
    found = [earned.get(response.collaborator, 0.0) for response in responses]
    total = math.fsum(found)
    return [weight / total for weight in found] if total > 0 else None


def _majority(
    task: Task, allowed: Sequence[str], responses: Sequence[Response], weights: Sequence[float] | None
) -> str | None:
    groups = _same_answers(task, [response.answer for response in responses])
    each = [1.0] * len(responses) if weights is None else weights

    def rank(group: list[str]) -> tuple[float, float, str]:
        votes = math.fsum(weight for weight, response in zip(each, responses, strict=True) if response.answer in group)
        probability = _averaged_probability(task, allowed, group[0], responses, weights)
        return -votes, -(probability or 0.0), group[0]

    return min(groups, key=rank)[0] if groups else None


def _likeliest(allowed: Sequence[str], responses: Sequence[Response], weights: Sequence[float] | None) -> str | None:
    """The allowed answer with the largest averaged probability, of equals the first; None without probabilities."""
    table = _distributions(allowed, responses)
    return None if table is None else allowed[int(np.argmax(_pooled(table, weights)))]


def _averaged_probability(
    task: Task,
    allowed: Sequence[str],
    answer: str | None,
    responses: Sequence[Response],
    weights: Sequence[float] | None = None,
) -> float | None:
    if answer is None:
        return None
    if task.closed:
        table = _distributions(allowed, responses)
        if table is None or answer not in allowed:
            return None
        return float(_pooled(table, weights)[allowed.index(answer)])
    stating = _stating(task, answer, responses)
    if not stating or not all(response.token_logprobs for response in stating):
        return None
    return math.fsum(math.exp(math.fsum(response.token_logprobs)) for response in stating) / len(responses)


def _distributions(allowed: Sequence[str], responses: Sequence[Response]) -> np.ndarray | None:
    """(responses, K) probabilities, each row summing to 1; None if a response has none."""
    if not allowed or not responses or not all(response.probabilities for response in responses):
        return None
    for response in responses:
        if len(response.probabilities) != len(allowed):
            found = f"{len(response.probabilities)} probabilities from {response.collaborator}"
            raise ValueError(f"expected {len(allowed)}, found {found} for record {response.record_id}")
    table = np.array([response.probabilities for response in responses], dtype=float)
    totals = table.sum(axis=1, keepdims=True)
    return table / totals if bool(np.all(totals > 0)) and bool(np.all(np.isfinite(totals))) else None


def _pooled(table: np.ndarray, weights: Sequence[float] | None) -> np.ndarray:
    """The linear pool of distributions, float[K]."""
    return np.asarray(np.average(table, axis=0, weights=weights))


def _stating(task: Task, answer: str | None, responses: Sequence[Response]) -> list[Response]:
    return [r for r in responses if r.answer is not None and (r.answer == answer or same(task, r.answer, answer))]


def _mean(values: Sequence[float] | Sequence[float | None], sign: float = 1.0) -> float | None:
    """Mean times `sign`; None if there are no values, or one is missing or not finite."""
    present = [value for value in values if value is not None and math.isfinite(value)]
    if not values or len(present) < len(values):
        return None
    return sign * math.fsum(present) / len(present) + 0.0


def _nll(probability: float) -> float:
    """-log p in [0, 708.4]: a probability that underflowed to 0 counts as the smallest normal number."""
    return max(-math.log(max(float(probability), sys.float_info.min)), 0.0)


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return max(float(-(positive * np.log(positive)).sum()), 0.0)
