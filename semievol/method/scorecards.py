"""How good each collaborator is, how alike they answer, and whether the judge helps.

The first and the last are measured on records with known answers that no model had seen: calibration records, or
cross-fitted labeled ones. Numbers only; the page that shows them is `ui.responses.scorecards`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semievol.method import calibration, confidence, metrics
from semievol.records import Record, Response, Task
from semievol.task.answers import allowed_answers, fold, parse_number, same


@dataclass(frozen=True)
class Scorecard:
    """One collaborator on n records with known answers.

    right: share of right answers, low to high its 95 % Wilson interval. alone: records that only this one has right.
    of_class: label -> (right, records), for classification. calibration: None where no probabilities are known.
    """

    name: str
    n: int
    right: float
    low: float
    high: float
    alone: int
    of_class: Mapping[str, tuple[int, int]]
    calibration: calibration.Calibration | None


def scorecards(task: Task, known: Sequence[Record], responses: Iterable[Response]) -> list[Scorecard]:
    """One card per collaborator, in order of appearance, over the records that all of them answered.

    known: records with their true answers.
    """
    gold = {record.id: str(record.answer) for record in known}
    allowed = {record.id: allowed_answers(task, record) for record in known}
    given: dict[str, dict[str, Response]] = defaultdict(dict)
    for response in responses:
        if response.record_id in gold:
            given[response.collaborator][response.record_id] = response
    shared = [i for i in gold if all(i in mine for mine in given.values())] if given else []
    right = {name: [same(task, mine[i].answer, gold[i]) for i in shared] for name, mine in given.items()}
    how_many = np.sum(list(right.values()), axis=0) if right else np.zeros(0)
    return [
        _card(task, name, right[name], [mine[i] for i in shared], how_many, gold, allowed)
        for name, mine in given.items()
    ]


def _card(
    task: Task,
    name: str,
    right: Sequence[bool],
    mine: Sequence[Response],
    how_many: np.ndarray,
    gold: Mapping[str, str],
    allowed: Mapping[str, Sequence[str]],
) -> Scorecard:
    hits = np.array(right, dtype=bool)
    low, high = metrics.wilson(int(hits.sum()), hits.size)
    classes: dict[str, tuple[int, int]] = {}
    if task.kind == "classification":
        asked = Counter(gold[response.record_id] for response in mine)
        got = Counter(gold[response.record_id] for response, hit in zip(mine, right, strict=True) if hit)
        classes = {label: (got[label], asked[label]) for label in task.labels if asked[label]}
    stated = [stated_probability(response, allowed[response.record_id]) for response in mine]
    return Scorecard(
        name=name,
        n=hits.size,
        right=float(hits.mean()) if hits.size else math.nan,
        low=low,
        high=high,
        alone=int((hits & (how_many == 1)).sum()),
        of_class=classes,
        calibration=calibration.of(stated, hits),
    )


def stated_probability(response: Response, allowed: Sequence[str]) -> float:
    """Probability that a response to a closed task gives to its own answer, renormalised; NaN where it is not known.

    allowed: the answers that its probabilities belong to. Drawn at a temperature, an answer need not be the likeliest.
    """
    total = math.fsum(response.probabilities)
    if response.answer not in allowed or not total > 0:
        return math.nan
    return response.probabilities[allowed.index(response.answer)] / total


@dataclass(frozen=True)
class Alike:
    """Two collaborators on n records: share of equal answers, and Cohen's kappa, which takes out what chance alone
    would give (Cohen 1960); NaN where both always give one and the same answer."""

    first: str
    second: str
    n: int
    share: float
    kappa: float


def agreement(names: Sequence[str], votes: Iterable[Mapping[str, str | None]]) -> list[Alike]:
    """Every pair of `names`. votes: for each record collaborator -> answer, in one spelling (`spelled`).

    A missing or unreadable answer (None) is like no other.
    """
    codes: dict[str, int] = {}
    rows = [[-1 if (a := of.get(name)) is None else codes.setdefault(a, len(codes)) for name in names] for of in votes]
    table = np.array(rows, dtype=np.int64).reshape(-1, len(names))
    found = []
    for i, first in enumerate(names):
        for j in range(i + 1, len(names)):
            left, right = table[:, i], table[:, j]
            share = float(((left == right) & (left >= 0)).mean()) if len(table) else math.nan
            found.append(Alike(first, names[j], len(table), share, _kappa(left, right, share, len(codes))))
    return found


def spelled(task: Task, answer: str | None) -> str | None:
    """An answer in the one spelling that all answers which count as the same share; numbers without their tolerance."""
    if answer is None or task.closed:
        return answer
    number = None if task.kind == "text" else parse_number(answer)
    return fold(answer) if number is None else repr(float(number))


def _kappa(a: np.ndarray, b: np.ndarray, share: float, answers: int) -> float:
    if not a.size:
        return math.nan
    of_a, of_b = (np.bincount(side[side >= 0], minlength=answers) / a.size for side in (a, b))
    chance = float(of_a @ of_b)
    return (share - chance) / (1 - chance) if chance < 1 else math.nan


@dataclass(frozen=True)
class JudgeAudit:
    """What the judge made of n disputed records with known answers, against the majority of the collaborators.

    changed: records where its answer differs from theirs; of these `helped` became right by it and `harmed` wrong.
    right, majority_right: of all n.
    """

    n: int
    changed: int
    helped: int
    harmed: int
    right: int
    majority_right: int


def judge_audit(
    task: Task, known: Sequence[Record], responses: Iterable[Response], justified: Iterable[Response]
) -> JudgeAudit:
    """known: records with their true answers. justified: the judge's responses."""
    verdicts = {response.record_id: response for response in justified}
    given: dict[str, list[Response]] = defaultdict(list)
    for response in responses:
        given[response.record_id].append(response)
    count: Counter[str] = Counter()
    for record in known:
        if record.id not in verdicts or not given[record.id]:
            continue
        majority = confidence.merge(task, allowed_answers(task, record), given[record.id]).answer
        # A verdict that cannot be read changes nothing, see `confidence.merge`.
        verdict = majority if verdicts[record.id].answer is None else verdicts[record.id].answer
        now, before = same(task, verdict, record.answer), same(task, majority, record.answer)
        changed = not same(task, verdict, majority)
        count.update(n=1, right=now, majority_right=before, changed=changed)
        count.update(helped=changed and now, harmed=changed and before)
    return JudgeAudit(**{name: count[name] for name in JudgeAudit.__dataclass_fields__})
