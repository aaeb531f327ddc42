"""The answers as a table for people: what a colleague opens in a spreadsheet.

A line for each unlabeled record: question, final answer, how sure it is, and who decided. The final answer is that of
the newest frozen selection; a record that it does not hold has its candidate's, or none where an expert set that aside.
Hidden gold is never among the columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from semievol.config import Policy
from semievol.export.files import Row
from semievol.records import Decision, Record, Task
from semievol.selection.counts import undecidable
from semievol.selection.decisions import removes, standing_decision
from semievol.store.data import projects
from semievol.store.data.records import load_records
from semievol.store.data.versions import task_of
from semievol.store.database import Store
from semievol.store.decisions import decisions, selections
from semievol.store.results import results
from semievol.store.runs.rounds import Round
from semievol.task.answers import LETTERS

KEPT, LEFT_OUT, UNDECIDED, OPEN = "kept", "left out by the policy", "undecided", "not selected yet"
SET_ASIDE = {"reject": "set aside: rejected", "ambiguous": "set aside: none fits"}
"""Action of an expert -> the status. Such a record has no answer."""
POLICY, UNSIGNED = "policy", "an expert who did not sign"


def kept(store: Store, project: projects.Project, round_: Round) -> list[Row]:
    """The records of the newest frozen selection, with their answers."""
    rows = _rows(store, project, round_)
    return [{name: value for name, value in row.items() if name != "status"} for row in rows if row["status"] == KEPT]


def every(store: Store, project: projects.Project, round_: Round) -> list[Row]:
    """Every unlabeled record, with what became of it under `status`."""
    return _rows(store, project, round_)


def _rows(store: Store, project: projects.Project, round_: Round) -> list[Row]:
    task, frame = task_of(store, round_.version_id), results.candidate_frame(store, round_.id)
    frozen = max(selections.selections(store, round_.id), key=lambda one: one["number"], default=None)
    chosen: dict[str, dict[str, Any]] = {}
    if frozen is not None:
        chosen = {row["record_id"]: row for row in selections.passports(store, round_.id, frozen["number"])}
    policy = Policy.model_validate(frozen["policy"]) if frozen and frozen["policy"] else round_.config.policy
    unclear = dict(zip(frame.index, undecidable(frame, policy.measure), strict=True))
    candidates, said = frame.to_dict("index"), decisions.standing(store, project.id)
    found = []
    for record in load_records(store, round_.version_id, "unlabeled"):
        if record.id not in candidates:
            continue
        line = candidates[record.id]
        last = standing_decision(said.get(record.content_hash, ()), line["answer"])
        passport = chosen.get(record.id)
        if passport is not None:
            status, answer, by = KEPT, passport["answer"], _kept_by(passport)
        elif _is_removed(line):
            status, answer = SET_ASIDE[line["decision"]], None
            by = _signed(last) if last is not None else _nobody()
        else:
            status = UNDECIDED if unclear[record.id] else LEFT_OUT if frozen is not None else OPEN
            answer, by = line["answer"], _nobody()
        found.append(
            _about(task, record, answer)
            | {"status": status, "confidence": _confidence(line, answer), **by}
            | {"round": round_.place, "selection": frozen["number"] if frozen else None, "record_id": record.id}
        )
    return found


def _about(task: Task, record: Record, answer: str | None) -> Row:
    """What is asked, and the answer; in multiple choice the options, and the answer's text beside its letter."""
    row: Row = {"id": record.source_id or record.id, "question": record.question}
    if task.kind != "multiple_choice":
        return row | {"answer": answer}
    place = LETTERS.find(answer) if answer else -1
    text = record.options[place] if 0 <= place < len(record.options) else None
    return row | {"options": list(record.options), "answer": answer, "answer_text": text}


def _is_removed(line: Mapping[Any, Any]) -> bool:
    """Whether an expert set the candidate aside."""
    return isinstance(line["decision"], str) and removes(line["decision"], line["decided_answer"], line["answer"])


def _confidence(line: Mapping[Any, Any], answer: str | None) -> float | None:
    """The candidate's probability, if the answer is the candidate's; an expert's answer has none."""
    if answer is None or answer != line["answer"]:
        return None
    known = [line[name] for name in ("answer_nll", "mean_nll") if not pd.isna(line[name])]
    return round(math.exp(-known[0]), 4) if known else None


def _kept_by(passport: Mapping[str, Any]) -> Row:
    if passport["origin"] != "expert":
        return {"decided_by": POLICY, "decided_at": None, "note": ""}
    at = passport["decided_at"]
    by = passport["reviewer"] or UNSIGNED
    return {"decided_by": by, "decided_at": None if at is None else _date(at), "note": passport["note"] or ""}


def _signed(last: Decision) -> Row:
    return {"decided_by": last.reviewer or UNSIGNED, "decided_at": _date(last.at), "note": last.note}


def _nobody() -> Row:
    return {"decided_by": "", "decided_at": None, "note": ""}


def _date(at: float) -> str:
    """A stored time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds")


FORMS = {"answers": kept, "all_answers": every}
"""Name of the export -> the function that makes its rows."""
