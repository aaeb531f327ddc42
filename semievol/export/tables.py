"""The round's candidates and a frozen selection as rows for a file. Hidden gold is never among the columns."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from semievol.config import MEASURES
from semievol.export.files import Row
from semievol.records import Record
from semievol.store import decisions, projects, results, selections
from semievol.store.database import Store
from semievol.store.rounds import Round

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
            row: Row = {"record_id": record.id, "source_id": record.source_id, "question": record.question}
            row |= {"options": list(record.options)}
            row |= {name: plain(found[name]) for name in ("answer", "agreed", "justified", "exactness")}
            row |= {measure: plain(found[measure]) for measure in MEASURES}
            row |= {f"answer of {name}": found["votes"].get(name) for name in names}
            row |= {name: plain(found[name]) for name in ("similarity", "decision", "decided_answer")}
            rows.append({**row, "content_hash": record.content_hash})
        if page.empty:
            break
    return rows


def selection(store: Store, project: projects.Project, round_: Round, number: int) -> list[Row]:
    """The answers of a frozen selection, each with its passport: whence, how sure, by whom, under which policy."""
    records = _records(store, round_)
    frozen = next((s for s in selections.selections(store, round_.id) if s["number"] == number), None)
    frame = selections.selection_frame(store, round_.id, number)
    assert frozen is not None, "selection_frame refuses a number that does not exist"
    said = decisions.standing(store, project.id)
    rows: list[Row] = []
    for found in frame.to_dict("records"):
        record = records[found["record_id"]]
        verdict = decisions.verdict(said.get(record.content_hash, ()), plain(found["candidate"]))
        expert = verdict if found["origin"] == "expert" else None
        row: Row = {"record_id": record.id, "source_id": record.source_id, "question": record.question}
        row |= {"options": list(record.options)}
        row |= {name: plain(found[name]) for name in ("answer", "origin", "candidate", "agreed", "justified")}
        row |= {measure: plain(found[measure]) for measure in MEASURES}
        row |= {"reviewer": expert.reviewer if expert else None, "decided_at": expert.at if expert else None}
        row |= {"project": project.name, "round": round_.number, "selection": number, "frozen": frozen["created"]}
        rows.append({**row, "policy": frozen["policy"], "content_hash": record.content_hash})
    return rows


def plain(value: Any) -> Any:
    """A cell of a frame as plain Python; None for what is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _records(store: Store, round_: Round) -> dict[str, Record]:
    return {record.id: record for record in projects.load_records(store, round_.version_id, "unlabeled")}
