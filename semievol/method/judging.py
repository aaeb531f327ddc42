"""Looking at results: candidates as a table for the policy, and the evaluation of what a round came to.

Gold answers of the pool are unknown here; those of the calibration split stand in their own table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from semievol.config import MEASURES
from semievol.method import comparison, metrics
from semievol.method.protocols import Journal, Plan
from semievol.records import Record
from semievol.task.answers import same
from semievol.task.prompts import suspicious


def candidate_frames(plan: Plan, journal: Journal) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candidates of the pool, and those of the calibration split (or of the labeled records, where these were
    cross-fitted) with their true answers, one line a record each. Calibration records that are spent are left out."""
    verdicts = journal.verdicts()
    stored = {candidate.record_id: candidate for candidate in journal.candidates()}

    def frame(records: Sequence[Record], with_gold: bool) -> pd.DataFrame:
        lines = []
        for record in records:
            candidate = stored.get(record.id)
            if candidate is None:
                continue
            line: dict[str, Any] = {
                "record_id": record.id,
                "content_hash": record.content_hash,
                "spent": record.content_hash in plan.spent,
                "answer": candidate.answer,
                "flagged": suspicious(record.question, record.options),
            }
            line |= {"agreed": candidate.agreed, "justified": candidate.justified, "exactness": candidate.exactness}
            line |= {measure: candidate.confidences.get(measure, float("nan")) for measure in MEASURES}
            line |= {"gold": record.answer if with_gold else None, "decision": None, "decided_answer": None}
            line |= {"correct": same(plan.task, candidate.answer, record.answer) if with_gold else None}
            for shown, verdict in verdicts.get(record.content_hash, ()):
                if verdict.action in ("accept", "edit", "ambiguous") or shown == candidate.answer:
                    line |= {"decision": verdict.action, "decided_answer": verdict.answer}
            lines.append(line)
        return pd.DataFrame(lines, columns=_COLUMNS).set_index("record_id")

    known = frame(plan.calibration or plan.labeled, with_gold=True)
    known = known[~known["spent"].to_numpy(dtype=bool)]
    return frame(plan.unlabeled, with_gold=False), known.assign(cross_fitted=not plan.calibration)


_COLUMNS = [
    *("record_id", "content_hash", "spent", "answer", "flagged", "agreed", "justified", "exactness", *MEASURES),
    *("gold", "correct", "decision", "decided_answer"),
]


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
