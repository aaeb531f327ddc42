"""The collaborators' weights in a round, fitted on records with known answers.

These are the calibration records, or the labeled records if they are cross-fitted. No record is judged by weights that
it contributed to: unlabeled records get the weights fitted on all known records, a known record those fitted on the
other folds (docs/design.md, Weights of collaborators).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semievol.config import Config
from semievol.importing.splits import holds_out
from semievol.method import weights
from semievol.method.protocols import Journal, Plan
from semievol.records import Record, Response, Task
from semievol.task.answers import allowed_answers

CROSS_FIT_FROM = 100
"""Least number of labeled records, copies and groups counted once, that `auto` cross-fits."""
CROSS_FIT_FOLDS = 2


def settled(config: Config, task: Task, labeled: Sequence[Record], later_round: bool) -> Config:
    """The settings with `weighting: auto` decided for a round: `earned` or `equal`, and the folds that `earned` needs.

    later_round: the round starts from a model that has seen all labeled records, so they cannot be cross-fitted.
    """
    propagation, folds = config.propagation, config.cross_fit
    if propagation.weighting != "auto":
        return config
    earned = False
    if task.closed and len(propagation.collaborators) > 1:
        if holds_out(len(labeled), config.calibration, config.calibration_minimum):
            earned = True
        elif not later_round and not config.is_far:  # each fold would be a fine-tuning at the server
            earned = bool(folds) or independent(labeled) >= CROSS_FIT_FROM
            folds = folds or CROSS_FIT_FOLDS * earned
    propagation = propagation.model_copy(update={"weighting": "earned" if earned else "equal"})
    return config.model_copy(update={"propagation": propagation, "cross_fit": folds})


def independent(labeled: Sequence[Record]) -> int:
    """Number of records, copies and groups counted once, as each of these stays in one fold."""
    return len({record.group or record.content_hash for record in labeled})


def fit(plan: Plan, journal: Journal) -> None:
    """Fits and saves the round's weights, unless they are already stored.

    Saved are `records` (the number of known records), `cross_fitted`, and either `everybody` (collaborator -> weight,
    0: left out) with `folds` (the same per fold) or `reason`: why all collaborators count equally nevertheless. With a
    reason the weights are fitted again next time, since there may be more known records then.
    """
    before = journal.weights()
    if before is None or "reason" in before:
        found = _fitted(plan, journal)
        journal.save_weights(found)
        if "reason" in found:
            journal.event("justify", found["reason"])


def stored(journal: Journal) -> Mapping[str, Any] | None:
    """The round's weights as `fit` saved them; None if all collaborators count equally."""
    found = journal.weights()
    return None if found is None or "reason" in found else found


def sentence(found: Mapping[str, Any]) -> str:
    """The weight of every collaborator, or why all count equally nevertheless."""
    if "reason" in found:
        return str(found["reason"])
    ranked = sorted(found["everybody"].items(), key=lambda one: -one[1])
    shares = [f"{name} {100 * weight:.0f} %" for name, weight in ranked if weight > 0]
    out = [name for name, weight in ranked if weight == 0]
    kind = "cross-fitted labeled" if found["cross_fitted"] else "calibration"
    left_out = f"; {', '.join(out)} left out" if out else ""
    said = ", ".join(shares) + left_out
    return f"Weights of the collaborators: {said}. Fitted on {found['records']:,} {kind} records."


def for_record(fitted: Mapping[str, Any], record: Record, known: bool) -> Mapping[str, float]:
    """Collaborator -> weight for one record. fitted: as `stored` gives it. known: whether weights are fitted on it."""
    found: Mapping[str, float] = fitted["folds"][weights.fold_of(record.content_hash)] if known else fitted["everybody"]
    return found


def with_weight(responses: Sequence[Response], of_record: Mapping[str, float]) -> list[Response]:
    """The responses of collaborators that have a weight; all responses if none of them has one."""
    return [response for response in responses if of_record.get(response.collaborator, 0.0) > 0] or list(responses)


def _fitted(plan: Plan, journal: Journal) -> dict[str, Any]:
    names = [collaborator.name for collaborator in plan.config.propagation.collaborators]
    crossed = bool(plan.config.cross_fit) and not plan.calibration
    known = plan.labeled if crossed else plan.calibration
    records = [record for record in known if record.content_hash not in plan.spent]
    responses = {(r.record_id, r.collaborator): r for r in journal.responses("respond", [r.id for r in records])}
    gold, folds = [], []
    for record in records:
        given = [_of_gold(plan, record, responses.get((record.id, name))) for name in names]
        if len(probabilities := [p for p in given if p is not None]) == len(names):
            gold.append(probabilities)
            folds.append(weights.fold_of(record.content_hash))
    result: dict[str, Any] = {"records": len(gold), "cross_fitted": crossed}
    if not plan.task.closed:
        reason = "this task has no fixed answers whose probabilities could be compared"
    elif len(gold) < weights.FEWEST:
        reason = (
            f"weights need {weights.FEWEST} records with a known answer and the probabilities of all collaborators, "
            f"{len(gold):,} were found; hold out a calibration split, or cross-fit"
        )
    else:
        everybody, others = weights.earned(gold), weights.cross_earned(gold, folds)
        named = [dict(zip(names, np.round(found, 6).tolist(), strict=True)) for found in (everybody, *others)]
        return result | {"everybody": named[0], "folds": named[1:]}
    return result | {"reason": f"All collaborators have equal weight: {reason}."}


def _of_gold(plan: Plan, record: Record, response: Response | None) -> float | None:
    """Probability that a response gives to the record's known answer, renormalised; None if it gives none."""
    allowed = allowed_answers(plan.task, record)
    if response is None or record.answer not in allowed or len(response.probabilities) != len(allowed):
        return None
    total = sum(response.probabilities)
    return response.probabilities[allowed.index(record.answer)] / total if total > 0 else None
