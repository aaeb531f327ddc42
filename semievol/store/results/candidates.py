"""Candidates as rows: what a round's collaborators came to, with what the decisions that stand say about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from semievol.records import Candidate
from semievol.selection.candidates import candidate_columns
from semievol.selection.decisions import standing_decision
from semievol.store import schema
from semievol.store.decisions.standing import allowed_in, standing_for
from semievol.store.runs.rounds import Round
from semievol.task.prompts import suspicious


def rows(connection: Connection, round_: Round, found: Mapping[int, Candidate]) -> list[dict[str, Any]]:
    """Rows of `schema.candidates`, in the order of `found` (record key -> candidate)."""
    r = schema.records.c
    mine = select(r.key, r.content_hash, r.split, r.question, r.options).where(r.version_id == round_.version_id)
    about, flagged = {}, {}
    for key, content, split, *text in connection.execute(mine):
        if key in found:
            about[key], flagged[key] = (content, split), suspicious(*text)
    said = standing_for(connection, round_.project_id, (content for content, _ in about.values()))
    allowed = allowed_in(connection, round_.version_id, said)
    made = []
    for key, candidate in found.items():
        content, split = about[key]
        decided = standing_decision(said.get(content, ()), candidate.answer, allowed.get(content, ()))
        row = {"round_id": round_.id, "record_key": key, "pool": split == "unlabeled"}
        made.append(row | candidate_columns(candidate, content, flagged[key], decided))
    return made
