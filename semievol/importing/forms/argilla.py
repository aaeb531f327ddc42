"""Argilla's exports: records with fields, and responses of annotators to questions.

Three shapes: columns `label.responses` and `label.responses.status` (a dataset of version 2), nested `fields` and
`responses` (its JSON), and `annotation` beside `prediction` (version 1). Only submitted responses are answers; of
several the one given most often counts. Suggestions and predictions are no answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from semievol.annotation.argilla import status_of
from semievol.importing.forms.unfolding import (
    ANSWER,
    Annotators,
    Tally,
    Unreadable,
    fields_of,
    free_name,
    hold,
    parsed,
    written,
)
from semievol.importing.table import Limits, Table

_RESPONSES = ".responses"
_STRUCTURE = {"fields", "responses", "suggestions", "metadata", "vectors", "inputs", "prediction"}
_ONE = "Keep one label per record."
_SEVERAL = 'Each record was asked several questions, each of which became a column; "answer" is the first. Records'
Said = Callable[[dict[str, str | None]], dict[str, list[Any]]]
"""A row's cells -> question -> the submitted responses to it."""


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with `answer`, and the record's fields as columns; None where it is no export of Argilla."""
    names = set(table.columns)
    flat = [c[: -len(_RESPONSES)] for c in table.columns if c.endswith(_RESPONSES)]
    if flat and any(f"{name}{_RESPONSES}.status" in names or f"{name}.suggestion" in names for name in flat):
        return _unfold(table, flat, _flat(flat), limits)
    if {"fields", "responses"} <= names and hold(table, "fields", fields_of):
        asked = list(dict.fromkeys(name for cell in table.column("responses") for name in fields_of(cell) or {}))
        return _unfold(table, asked, _nested, limits, fields="fields")
    lists = [c for c in table.columns if f"{c}-suggestion" in names]
    if lists:
        return _unfold(
            table, lists, lambda cells: {name: _submitted(parsed(cells[name], "[{")) for name in lists}, limits
        )
    if {"annotation", "prediction"} <= names and names & {"status", "annotation_agent", "inputs"}:
        nested = "inputs" if "inputs" in names and hold(table, "inputs", fields_of) else None
        return _unfold(table, ["annotation"], _legacy, limits, fields=nested)
    return None


def _unfold(table: Table, asked: list[str], said: Said, limits: Limits, fields: str | None = None) -> Table:
    asked = _labels_first(table, asked, said)
    first = next(iter(asked), "")
    inside = dict.fromkeys(name for cell in (table.column(fields) if fields else ()) for name in fields_of(cell) or {})
    further = [name for name in asked[1:] if name not in inside and name != ANSWER]
    added = [*(name for name in inside if name != ANSWER), ANSWER, *further]
    own = {name: free_name(table, f"record {name}") for name in table.columns if name in added}
    annotators, several = Annotators("Argilla"), Tally()
    of_others = {name: Annotators("Argilla", name) for name in further}

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        given = said(cells)
        answers = [_answer(value, f"{first}{_RESPONSES}") for value in given.get(first, [])]
        answer = annotators.answer(number, answers)
        if len(asked) > 1:
            several.add(number, ", ".join(asked))
        found = (fields_of(cells[fields]) if fields else None) or {}
        others = (one.answer(number, _single(given.get(name, []))) for name, one in of_others.items())
        yield [*(found.get(name) for name in inside if name != ANSWER), answer, *others]

    new = written(table, added, read, limits, own, _STRUCTURE & set(table.columns) if fields else ())
    chosen = f': the column "answer" is the response to "{first}"' if first else ", in which nothing is answered yet"
    new.notes.append(f"The file is an Argilla export{chosen}. Suggestions are not answers.")
    for one in (annotators, *of_others.values()):
        new.doubts.extend(one.doubts())
    remedy = f'The answer is "{first}"; map it to another one if that is meant: {", ".join(further)}.'
    new.doubts.extend(several.doubt("several_questions", _SEVERAL, remedy, ANSWER))
    return new


def _labels_first(table: Table, asked: list[str], said: Said) -> list[str]:
    """The questions, those whose responses are ratings (numbers) last."""
    rated = dict.fromkeys(asked, True)
    for _, row in table.walk(table.columns):
        for name, values in said(dict(zip(table.columns, row, strict=True))).items():
            if rated.get(name) and not all(str(value).strip().isdecimal() for value in values):
                rated[name] = False
    return sorted(asked, key=lambda name: rated[name])


def _single(values: list[Any]) -> list[str]:
    """The responses to a further question; none where one is no single label."""
    try:
        return [_answer(value, "") for value in values]
    except Unreadable:
        return []


def _flat(asked: list[str]) -> Said:
    def said(cells: dict[str, str | None]) -> dict[str, list[Any]]:
        found = {}
        for name in asked:
            values = _listed(cells.get(f"{name}{_RESPONSES}"))
            states = _listed(cells.get(f"{name}{_RESPONSES}.status"))
            pairs = (
                zip(values, states, strict=True) if len(states) == len(values) else ((v, "submitted") for v in values)
            )
            found[name] = [value for value, state in pairs if state == "submitted" and value is not None]
        return found

    return said


def _nested(cells: dict[str, str | None]) -> dict[str, list[Any]]:
    given = parsed(cells["responses"], "{") or {}
    return {name: _submitted(value, cells.get("status")) for name, value in given.items()}


def _legacy(cells: dict[str, str | None]) -> dict[str, list[Any]]:
    answer = cells["annotation"]
    gone = (cells.get("status") or "").casefold() in ("discarded", "default")
    return {"annotation": [] if gone or not answer or not answer.strip() else [parsed(answer, "[") or answer]}


def _submitted(given: Any, of_record: str | None = None) -> list[Any]:
    """The values of submitted responses: a list of objects, or an object of lists. of_record: the record's status."""
    if isinstance(given, dict) and isinstance(given.get("value"), list):
        values, states = given["value"], given.get("status")
        states = states if isinstance(states, list) and len(states) == len(values) else [None] * len(values)
        given = [{"value": value, "status": state} for value, state in zip(values, states, strict=True)]
    given = given if isinstance(given, list) else [given]
    fit = [one for one in given if isinstance(one, dict) and status_of(one, of_record) == "submitted"]
    return [one["value"] for one in fit if one.get("value") is not None]


def _answer(value: Any, column: str) -> str:
    """A response as text. Raises `Unreadable` where it is several labels, or none."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and isinstance(value.get("label"), str):
        value = value["label"]
    if isinstance(value, list | dict):
        several = isinstance(value, list) and all(isinstance(one, str) for one in value)
        reason = f"The annotator chose several labels: {', '.join(value)}." if several else "The response is no label."
        raise Unreadable(column, reason, _ONE)
    return str(value)


def _listed(cell: str | None) -> list[Any]:
    """The values of a list; a plain cell is one value."""
    if not cell or not cell.strip():
        return []
    found = parsed(cell, "[")
    return found if isinstance(found, list) else [cell]
