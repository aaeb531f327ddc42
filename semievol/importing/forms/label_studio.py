"""Label Studio's exports: JSON, with a task's data and its annotations; JSON-MIN or CSV, with a row per annotation.

Of several annotations of one task the answer of most annotators counts; cancelled ones and predictions do not. Labels
of passages in a text (spans) are no answers, and such a row is rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import (
    ANSWER,
    DISAGREE,
    TIED,
    Tally,
    Unreadable,
    as_text,
    free_name,
    hold,
    majority,
    parsed,
    written,
)
from semievol.importing.table import Limits, Table

_KEPT_APART = {"id", "annotation_id", "annotator", "created_at", "updated_at", "lead_time", "agreement", "file_upload"}
_STRUCTURE = {"predictions", "drafts", "meta"}
_ONE = "Keep one label per record."
_SEVERAL = "Each task was asked several things, each of which became a column; the answer is the first of them. Tasks"


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the data's fields and `answer` as columns; None where it is no export of Label Studio."""
    names = set(table.columns)
    given = next((name for name in ("annotations", "completions") if name in names), None)
    if "data" in names and given and hold(table, "data", _fields) and _results(table, given):
        return _unfold_tasks(table, given, limits)
    if {"annotation_id", "lead_time"} <= names:
        return _unfold_rows(table, limits)
    return None


def _results(table: Table, column: str) -> bool:
    """Whether the cells hold annotations, or there are none yet."""
    cells = [cell for cell in table.column(column, 50) if cell and cell.strip() not in ("", "[]")]
    return not cells or hold(table, column, lambda cell: parsed(cell, "["))


def _unfold_tasks(table: Table, given: str, limits: Limits) -> Table:
    fields: dict[str, None] = {}
    questions: dict[str, None] = {}
    for _, (data, cell) in table.walk(["data", given]):
        fields.update(dict.fromkeys(_fields(data) or {}))
        for found in _annotations(cell):
            questions.update(dict.fromkeys(found))
    first = next(iter(questions), None)
    further = [name for name in list(questions)[1:] if name not in fields and name != ANSWER]
    own = {name: free_name(table, f"task {name}") for name in table.columns if name in {*fields, *further, ANSWER}}
    disagree, tied, several = Tally(), Tally(), Tally()
    added = [*(name for name in fields if name != ANSWER), ANSWER, *further]

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        data = _fields(cells["data"])
        if not data:
            raise Unreadable("data", "The task has no data.", 'Give it {"text": "…"}.')
        found = _annotations(cells[given])
        answers: dict[str, str | None] = {}
        for name in questions:
            said = [one[name] for one in found if name in one]
            bad = next((one for one in said if one.startswith("\0")), None)
            if bad is not None:
                raise Unreadable(given, bad[1:], _ONE)
            answers[name], words = majority(said)
            if name == first and len(set(said)) > 1:
                (disagree if answers[name] else tied).add(number, words)
        if len(questions) > 1:
            several.add(number, ", ".join(questions))
        label = answers[first] if first else None
        yield [*(data.get(name) for name in added if name in fields and name != ANSWER), label] + [
            answers[name] for name in further
        ]

    new = written(table, added, read, limits, own, {"data", given, *_STRUCTURE})
    shown = f'"{first}"' if first else "none yet"
    new.notes.append(f"The file is a Label Studio export: the answer is what annotators chose for {shown}.")
    new.notes.append("Predictions of a model are no answers.")
    new.doubts.extend(disagree.doubt("annotators_disagree", DISAGREE, "Settle them in Label Studio, or go on."))
    new.doubts.extend(tied.doubt("annotators_tied", TIED, "Settle them in Label Studio."))
    new.doubts.extend(
        several.doubt("several_questions", _SEVERAL, f"Map the answer to one of: {', '.join(questions)}.")
    )
    return new


def _fields(cell: str | None) -> dict[str, str | None] | None:
    """The fields of a task's data as text; None where the cell is something else."""
    found = parsed(cell, "{")
    if not isinstance(found, dict):
        return None
    return {key: as_text(value) for key, value in found.items() if key.strip()}


def _annotations(cell: str | None) -> list[dict[str, str]]:
    """What every annotator answered: name of the question -> answer. An answer that cannot be one begins with NUL."""
    found = []
    for annotation in parsed(cell, "[") or []:
        if isinstance(annotation, dict) and not (annotation.get("was_cancelled") or annotation.get("skipped")):
            results = annotation.get("result")
            answers: dict[str, str] = {}
            for result in results if isinstance(results, list) else []:
                if isinstance(result, dict):
                    answers.setdefault(str(result.get("from_name", "answer")), _answer(result))
            found.append(answers)
    return found


def _answer(result: dict[str, Any]) -> str:
    """The answer that one result of an annotation gives; with a NUL before it the reason why it gives none."""
    value = result.get("value")
    value = value if isinstance(value, dict) else {}
    if "start" in value or "labels" in value:
        return "\0The annotation marks passages of the text, which is no answer to a question."
    for kind in ("choices", "text", "rating", "number", "taxonomy"):
        if kind in value:
            said = value[kind]
            said = (
                [" / ".join(map(str, one)) if isinstance(one, list) else one for one in said]
                if isinstance(said, list)
                else [said]
            )
            if len(said) > 1:
                return f"\0The annotator chose several labels: {', '.join(map(str, said))}."
            return str(said[0]) if said else "\0The annotation is empty."
    return f'\0The annotation is of the type "{result.get("type", "unknown")}", which is no answer.'


def _unfold_rows(table: Table, limits: Limits) -> Table | None:
    """JSON-MIN and CSV: a column for each question, beside those of the data and of the bookkeeping."""
    if ANSWER in table.columns:
        return None
    chosen = [name for name in table.columns if name not in _KEPT_APART and hold(table, name, _chosen)]
    plain = [name for name in table.columns if name not in _KEPT_APART and name not in chosen and _repeats(table, name)]
    column = next(iter([*chosen, *plain]), None)
    if column is None:
        return None

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        several = _chosen(cells[column] or "")
        if several is not None and len(several) > 1:
            reason = f"The annotator chose several labels: {', '.join(several)}."
            raise Unreadable(column, reason, _ONE)
        yield [cells[column] if several is None else several[0] if several else None]

    new = written(table, [ANSWER], read, limits)
    new.notes.append(f'The file is a Label Studio export: the answer is what annotators chose for "{column}".')
    if len(chosen) + len(plain) > 1:
        tally = Tally(rows=len(new))
        names = ", ".join([*chosen, *plain])
        new.doubts.extend(tally.doubt("several_questions", _SEVERAL, f"Map the answer to one of: {names}."))
    return new


def _chosen(cell: str) -> list[str] | None:
    """The choices of `{"choices": […]}`; None where the cell is something else."""
    found = parsed(cell, "{")
    choices = found.get("choices") if isinstance(found, dict) else None
    return [str(choice) for choice in choices] if isinstance(choices, list) else None


def _repeats(table: Table, column: str) -> bool:
    cells = [cell for cell in table.column(column, 2_000) if cell and cell.strip()]
    return bool(cells) and len(set(cells)) <= max(2, len(cells) // 2)
