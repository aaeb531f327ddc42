"""Looking at results: candidates as a table for the policy, and the evaluation of a round's models.

Gold answers of the pool are unknown here; those of the calibration split stand in their own table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from semievol.config import MEASURES
from semievol.method import metrics
from semievol.method.prompts import suspicious
from semievol.method.protocols import Journal, Plan
from semievol.method.tasks import same
from semievol.records import Record


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


def evaluation(plan: Plan, journal: Journal, arms: Sequence[str]) -> dict[str, object]:
    """Accuracy and macro-F1 with 95 % intervals for every arm, and the paired test of evolved against warm-up."""
    gold = {record.id: record.answer for record in plan.test}
    answers = {arm: {r.record_id: r.answer for r in journal.predictions(arm)} for arm in arms}
    correct = {arm: [same(plan.task, answers[arm].get(i), gold[i]) for i in gold] for arm in arms}
    result: dict[str, object] = {"n": len(gold)}
    for arm in arms:
        low, high = metrics.wilson(sum(correct[arm]), len(gold))
        figures = {"accuracy": sum(correct[arm]) / len(gold), "low": low, "high": high}
        if plan.task.closed:
            truth = [answer or "" for answer in gold.values()]
            figures["macro_f1"] = metrics.macro_f1(truth, [answers[arm].get(i) for i in gold])
        result[arm] = figures
    if "warm_up" in correct and "evolved" in correct:
        pairs = list(zip(correct["warm_up"], correct["evolved"], strict=True))
        gained, lost = sum(e and not w for w, e in pairs), sum(w and not e for w, e in pairs)
        result |= {"p_value": metrics.mcnemar_midp(gained, lost), "gained": gained, "lost": lost}
    return result
