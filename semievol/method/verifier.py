"""Confidence that learns: how probable it is that a candidate is right, judged by records with known answers.

A verifier is a logistic regression on what is known of a candidate (its measures, agreement, similarity, what each
collaborator thinks of the answer). It is fitted on the candidates of calibration records, or of cross-fitted labeled
records: the models that answered these had not been trained on them. No record is judged by a verifier that was fitted
on it (docs/design.md, Verifier).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from semievol.config import MEASURES, Measure
from semievol.method import weights
from semievol.method.given import without_tokens
from semievol.method.protocols import Engine, Journal, Plan
from semievol.records import Candidate, Record, Response, Task
from semievol.task.answers import allowed_answers, same

MEASURE: Measure = "verifier_nll"
FEWEST = 30
"""Known records that a verifier needs at least."""
FEWEST_OF_EACH = 5
"""Right ones among them, and wrong ones; a verifier fitted on fewer would be noise."""
_LEAST = 1e-6
_OTHER = tuple(name for name in MEASURES if name not in (MEASURE, "answer_nll"))


@dataclass(frozen=True)
class Seen:
    """What a candidate's features are made from, beside its line in the candidate table.

    responses: record id -> the collaborators' responses. allowed: record id -> its allowed answers.
    """

    task: Task
    names: Sequence[str]
    responses: Mapping[str, Mapping[str, Response]]
    allowed: Mapping[str, Sequence[str]]


def fit(plan: Plan, engine: Engine, journal: Journal) -> None:
    """Stores the measure `verifier_nll` = -log p(right) for every candidate with an answer, of the pool and of known
    records.

    All records are cut into folds by their content, and a fold is judged by a verifier that was fitted on the known
    records of the others. Where `obstacle` finds one, the measure stays absent.
    """
    considered = journal.considered()
    known = considered.calibration[considered.calibration["answer"].notna()]
    pool = considered.pool[considered.pool["answer"].notna()]
    if known.empty or pool.empty:
        return
    if obstacle(known["correct"].to_numpy(dtype=bool)):
        return
    seen = _seen(plan, journal)
    of_known, of_pool = features(known, seen), features(pool, seen)
    right = known["correct"].to_numpy(dtype=bool)
    folds = [np.array([weights.fold_of(content) for content in table["content_hash"]]) for table in (known, pool)]
    found = out_of_fold(engine.verify, (of_known, of_pool), right, folds)
    for table, probability in zip((known, pool), found, strict=True):
        _save(journal, table, probability)


def out_of_fold(
    verify: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    described: Sequence[np.ndarray],
    right: np.ndarray,
    folds: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Probability of being right, float[n] of the known and float[m] of the pool's candidates: each by the verifier
    that was fitted on the known ones outside its fold. NaN where those are all right or all wrong.

    verify: as `Engine.verify`. described: float[n, d] and float[m, d]. right: bool[n], of the known ones. folds: int[n]
    and int[m]. Within a fold, known and pool records are judged by one verifier that saw none of them, so they stay
    exchangeable, as the evidence assumes.
    """
    result = [np.full(len(rows), np.nan) for rows in described]
    for fold in sorted(set(np.concatenate(folds).tolist())):
        rest, mine = folds[0] != fold, [np.flatnonzero(part == fold) for part in folds]
        if len(set(right[rest].tolist())) == 2:
            asked = np.vstack([rows[places] for rows, places in zip(described, mine, strict=True)])
            found = verify(described[0][rest], right[rest], asked)
            result[0][mine[0]], result[1][mine[1]] = np.split(found, [len(mine[0])])
    return result


def obstacle(right: np.ndarray) -> str:
    """Why no verifier can be fitted on records with these right and wrong answers, bool[n]; empty if one can."""
    of_each = min(int(right.sum()), int((~right).sum()))
    if len(right) >= FEWEST and of_each >= FEWEST_OF_EACH:
        return ""
    return (
        f"The learned confidence needs {FEWEST} records with known answers, {FEWEST_OF_EACH} of them answered rightly "
        f"and {FEWEST_OF_EACH} wrongly; there are {len(right):,}, {int((~right).sum()):,} answered wrongly."
    )


def features(table: pd.DataFrame, seen: Seen) -> np.ndarray:
    """What is known of each candidate, float[n, d], NaN where a value is not known.

    table: as `selection.candidates` describes it, every candidate with an answer. The columns: log-odds of the averaged
    probability of the answer; the other measures; whether all agree; whether a judge decided; cosine to the nearest
    labeled record; log ratio of the likeliest two answers; mean mass on the allowed answers; then for each collaborator
    the log-odds of its probability of the answer (open tasks: whether it states the answer).
    """
    lines = []
    for record_id, answer in table["answer"].items():
        given = seen.responses.get(str(record_id), {})
        allowed = seen.allowed[str(record_id)]
        own = [_stance(seen.task, given.get(name), allowed, answer) for name in seen.names]
        masses = [response.mass for response in given.values() if response.mass is not None]
        lines.append([_margin(given.values(), allowed), float(np.mean(masses)) if masses else math.nan, *own])
    shared = [
        _log_odds(np.exp(-table["answer_nll"].to_numpy(dtype=float))),
        *(table[name].to_numpy(dtype=float) for name in (*_OTHER, "agreed", "justified", "similarity")),
    ]
    return np.column_stack([*shared, np.array(lines, dtype=float)])


def _seen(plan: Plan, journal: Journal) -> Seen:
    names = [collaborator.name for collaborator in plan.config.propagation.collaborators]
    responses: dict[str, dict[str, Response]] = {}
    everything: list[Record] = [*plan.unlabeled, *plan.calibration, *plan.labeled]
    for response in without_tokens(journal, "respond", everything):
        responses.setdefault(response.record_id, {})[response.collaborator] = response
    return Seen(plan.task, names, responses, {r.id: allowed_answers(plan.task, r) for r in everything})


def _stance(task: Task, response: Response | None, allowed: Sequence[str], answer: str) -> float:
    if response is None or response.answer is None:
        return math.nan
    if not task.closed:
        return float(same(task, response.answer, answer))
    if len(response.probabilities) != len(allowed) or answer not in allowed:
        return math.nan
    total = sum(response.probabilities)
    return float(_log_odds(response.probabilities[allowed.index(answer)] / total)) if total > 0 else math.nan


def _margin(responses: Iterable[Response], allowed: Sequence[str]) -> float:
    """Log ratio of the two largest averaged probabilities; NaN where there are no two."""
    rows = [r.probabilities for r in responses if len(r.probabilities) == len(allowed)]
    if not rows or len(allowed) < 2:
        return math.nan
    ranked = np.sort(np.mean(rows, axis=0))
    return float(np.log(max(ranked[-1], _LEAST) / max(ranked[-2], _LEAST)))


def _log_odds(probability: float | np.ndarray) -> np.ndarray:
    kept = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(kept / (1 - kept)))


def _save(journal: Journal, table: pd.DataFrame, right: np.ndarray) -> None:
    """The candidates of a table once more, with the probability that they are right; NaN leaves it out."""
    candidates = []
    for (record_id, line), probability in zip(table.iterrows(), right.tolist(), strict=True):
        known = {str(name): float(line[name]) for name in MEASURES if name != MEASURE and not pd.isna(line[name])}
        if not math.isnan(probability):
            known[MEASURE] = -math.log(min(max(probability, _LEAST), 1.0)) + 0.0
        flags = {"justified": bool(line["justified"]), "exactness": line["exactness"]}
        candidates.append(Candidate(str(record_id), line["answer"], bool(line["agreed"]), known, **flags))
    journal.save_candidates(candidates)
