"""Responses and candidates as they stand in the tables: values to rows and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, Table, select

from semievol.records import Candidate, Response, turns_of
from semievol.selection.candidates import candidate_columns
from semievol.selection.decisions import standing_decision
from semievol.store import schema
from semievol.store.decisions.decisions import allowed_in, standing_for
from semievol.store.runs.rounds import Round
from semievol.task.prompts import suspicious

_LISTS = ("probabilities", "token_logprobs", "token_entropies")
_RESPONSE = ("text", "answer", "mass", "exactness", "input_hash", *_LISTS)


def response_columns(source: Table) -> list[Column[Any]]:
    """The columns of `source` that `as_response` reads after record id and collaborator."""
    return [source.c[name] for name in _RESPONSE]


def as_response(record_id: str, collaborator: str, *values: Any) -> Response:
    """A response from the values of `response_columns`."""
    columns = dict(zip(_RESPONSE, values, strict=True))
    return Response(record_id, collaborator, **{**columns, **{name: tuple(columns[name]) for name in _LISTS}})


def response_row(response: Response) -> dict[str, Any]:
    """The values of `response_columns`; the caller adds whose response it is and to which record."""
    return {name: getattr(response, name) for name in _RESPONSE}


def candidate_rows(connection: Connection, round_: Round, found: Mapping[int, Candidate]) -> list[dict[str, Any]]:
    """Rows of `schema.candidates`, in the order of `found` (record key -> candidate), standing decisions included."""
    r = schema.records.c
    columns = (r.key, r.content_hash, r.split, r.earlier, r.question, r.options)
    mine = select(*columns).where(r.version_id == round_.version_id)
    about, flagged = {}, {}
    for key, content, split, earlier, question, options in connection.execute(mine):
        if key in found:
            about[key], flagged[key] = (content, split), suspicious(question, options, turns_of(earlier))
    decisions = standing_for(connection, round_.project_id, (content for content, _ in about.values()))
    allowed = allowed_in(connection, round_.version_id, decisions)
    rows = []
    for key, candidate in found.items():
        content, split = about[key]
        decided = standing_decision(decisions.get(content, ()), candidate.answer, allowed.get(content, ()))
        row = {"round_id": round_.id, "record_key": key, "pool": split == "unlabeled"}
        rows.append(row | candidate_columns(candidate, content, flagged[key], decided))
    return rows
