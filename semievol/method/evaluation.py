"""What a round came to on the test set: accuracy with intervals, and paired tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from semievol.method import comparison, metrics
from semievol.method.protocols import Journal, Plan
from semievol.task.answers import same


def evaluation(plan: Plan, journal: Journal) -> dict[str, Any]:
    """Accuracy and macro-F1 with 95 % intervals of every row that answered; the paired test of evolved against warm-up
    and, under `against`, of evolved against what a user would pick instead."""
    gold = {record.id: record.answer for record in plan.test}
    found = {row: {r.record_id: r.answer for r in journal.predictions(row)} for row in comparison.ROWS}
    answers = {row: said for row, said in found.items() if said}
    correct = {row: [same(plan.task, said.get(i), gold[i]) for i in gold] for row, said in answers.items()}
    result: dict[str, Any] = {"n": len(gold)}
    for row, said in answers.items():
        low, high = metrics.wilson(sum(correct[row]), len(gold))
        figures = {"accuracy": sum(correct[row]) / len(gold), "low": low, "high": high}
        if plan.task.closed:
            truth = [answer or "" for answer in gold.values()]
            figures["macro_f1"] = metrics.macro_f1(truth, [said.get(i) for i in gold])
        result[row] = figures
    if "evolved" in correct:
        if "warm_up" in correct:
            result |= _paired(correct["warm_up"], correct["evolved"])
        against = {row: _paired(correct[row], correct["evolved"]) for row in comparison.SIMPLER if row in correct}
        result["against"] = against
    return result


def _paired(before: Sequence[bool], after: Sequence[bool]) -> dict[str, float]:
    """Records that turned right and wrong from one to the other, and the mid-p McNemar test of the two."""
    pairs = list(zip(before, after, strict=True))
    gained, lost = sum(a and not b for b, a in pairs), sum(b and not a for b, a in pairs)
    return {"p_value": metrics.mcnemar_midp(gained, lost), "gained": gained, "lost": lost}
