"""Whose word counts how much in a round: weights that the collaborators earn on records with known answers.

Those are the calibration records, or the labeled ones where they were cross-fitted. What a record contributed to never
judges that record: the pool is merged with the weights that all of them earned, each of them with the weights that the
other folds earned (docs/design.md, Weights of collaborators). The two differ a little, as the pool's come from all
folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semievol.method import weights
from semievol.method.protocols import Journal, Plan
from semievol.records import Record, Response
from semievol.task.answers import allowed_answers


def settle(plan: Plan, journal: Journal) -> None:
    """Finds and stores the round's weights, unless they are there.

    Stored are `records` (how many they were earned on), `cross_fitted`, and either `everybody` (collaborator -> weight,
    0: left out) with `folds` (the same per fold) or `reason`, why all count equally after all. A reason is not final:
    there may be more known records later.
    """
    stored = journal.weights()
    if stored is None or "reason" in stored:
        found = _found(plan, journal)
        journal.save_weights(found)
        if "reason" in found:
            journal.event("justify", found["reason"])


def settled(plan: Plan, journal: Journal) -> Mapping[str, Any] | None:
    """The round's weights; None where all collaborators count equally."""
    stored = journal.weights() if plan.config.propagation.weighting == "earned" else None
    return None if stored is None or "reason" in stored else stored


def sentence(found: Mapping[str, Any]) -> str:
    """Who earned what, or why all have the same say although they were to earn it."""
    if "reason" in found:
        return str(found["reason"])
    ranked = sorted(found["everybody"].items(), key=lambda one: -one[1])
    said = [f"{name} {100 * weight:.0f} %" for name, weight in ranked if weight > 0]
    out = [name for name, weight in ranked if weight == 0]
    kind = "cross-fitted labeled" if found["cross_fitted"] else "calibration"
    left_out = f"; {', '.join(out)} left out" if out else ""
    return f"Weights of the collaborators: {', '.join(said)}{left_out}. Fitted on {found['records']:,} {kind} records."


def of(found: Mapping[str, Any], record: Record, known: bool) -> Mapping[str, float]:
    """Collaborator -> weight for one record; known: whether it is one on which weights were earned."""
    mine: Mapping[str, float] = found["folds"][weights.fold_of(record.content_hash)] if known else found["everybody"]
    return mine


def heard(said: Sequence[Response], mine: Mapping[str, float]) -> list[Response]:
    """The responses of those that have a say; all where nobody of them has."""
    return [response for response in said if mine.get(response.collaborator, 0.0) > 0] or list(said)


def _found(plan: Plan, journal: Journal) -> dict[str, Any]:
    names = [collaborator.name for collaborator in plan.config.propagation.collaborators]
    crossed = bool(plan.config.cross_fit) and not plan.calibration
    known = plan.labeled if crossed else plan.calibration
    records = [record for record in known if record.content_hash not in plan.spent]
    said: dict[tuple[str, str], Response] = {(r.record_id, r.collaborator): r for r in journal.responses("respond")}
    gold, folds = [], []
    for record in records:
        given = [_of_gold(plan, record, said.get((record.id, name))) for name in names]
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
    """Probability that a response gives to the record's known answer, renormalised; None where it gives none."""
    allowed = allowed_answers(plan.task, record)
    if response is None or record.answer not in allowed or len(response.probabilities) != len(allowed):
        return None
    total = sum(response.probabilities)
    return response.probabilities[allowed.index(record.answer)] / total if total > 0 else None
