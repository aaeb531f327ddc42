"""The round's candidates and a frozen selection as rows for a file. Hidden gold is never among the columns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from semievol.config import MEASURES
from semievol.export.files import Row
from semievol.records import Record, Task
from semievol.store.data import projects
from semievol.store.data.records import load_records
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import results
from semievol.store.runs.rounds import Round
from semievol.task.answers import same

_PAGE = 500


def candidates(store: Store, round_: Round) -> list[Row]:
    """Every pool record: question, options, final answer, agreement, measures, collaborators' answers, decision."""
    records = _records(store, round_)
    names = [collaborator.name for collaborator in round_.config.propagation.collaborators]
    rows: list[Row] = []
    total = 1
    while len(rows) < total:
        page, total = results.candidates_page(store, round_.id, sort="record", offset=len(rows), limit=_PAGE)
        for record_id, found in page.iterrows():
            record = records[str(record_id)]
            row = about(record) | {name: plain(found[name]) for name in ("answer", "agreed", "justified", "exactness")}
            row |= {measure: plain(found[measure]) for measure in MEASURES}
            row |= {f"answer of {name}": found["votes"].get(name) for name in names}
            row |= {name: plain(found[name]) for name in ("similarity", "decision", "decided_answer")}
            rows.append({**row, "content_hash": record.content_hash})
        if page.empty:
            break
    return rows


def selection(store: Store, project: projects.Project, round_: Round, number: int) -> list[Row]:
    """The answers of a frozen selection, each with its passport."""
    records = _records(store, round_)
    return [about(records[i]) | passport for i, passport in passports(store, project, round_, number).items()]


def about(record: Record) -> Row:
    """The first columns of every table of records."""
    row = {"record_id": record.id, "source_id": record.source_id, "question": record.question}
    return row | {"options": list(record.options)}


def passports(store: Store, project: projects.Project, round_: Round, number: int) -> dict[str, Row]:
    """Record id -> the passport of an accepted answer: how sure it is, by whom, from what, under which policy."""
    frozen = next((s for s in selections.selections(store, round_.id) if s["number"] == number), None)
    frame = selections.selection_frame(store, round_.id, number)
    assert frozen is not None, "selection_frame refuses a number that does not exist"
    records, behind = _records(store, round_), results.backgrounds(store, round_.id)
    found: dict[str, Row] = {}
    for one in frame.to_dict("records"):
        record_id = str(one["record_id"])
        row: Row = {name: plain(one[name]) for name in ("answer", "origin", "candidate", "agreed", "justified")}
        row |= {measure: plain(one[measure]) for measure in MEASURES}
        row |= {"reviewer": plain(one["reviewer"]), "decided_at": plain(one["decided"]), "note": plain(one["note"])}
        row |= behind.get(record_id, {"votes": {}, "demonstrations": []})
        row |= {"project": project.name, "round": round_.number, "selection": number, "frozen": frozen["created"]}
        found[record_id] = {**row, "policy": frozen["policy"], "content_hash": records[record_id].content_hash}
    return found


def pseudo_accuracy(task: Task, pool: pd.DataFrame, accepted: Mapping[str, str]) -> tuple[float, float | None] | None:
    """Shares of right answers by the hidden gold: of all candidates, and of the accepted answers (record id -> answer).

    pool: the round's `candidate_frame`. None without hidden gold; the second is None if no accepted record has any.
    """
    gold = pool["gold"].dropna()
    if gold.empty:
        return None
    right = [same(task, answer, gold[i]) for i, answer in pool.loc[gold.index, "answer"].items()]
    kept = [same(task, answer, gold[i]) for i, answer in accepted.items() if i in gold.index]
    return sum(right) / len(right), sum(kept) / len(kept) if kept else None


def plain(value: Any) -> Any:
    """A cell of a frame as plain Python; None for what is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _records(store: Store, round_: Round) -> dict[str, Record]:
    return {record.id: record for record in load_records(store, round_.version_id, "unlabeled")}
