"""Labelbox' NDJSON exports: `data_row` with the text, `projects` with the labels of annotators.

The answer is the name of the chosen radio button or the written text; of several annotators' that given most often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import ANSWER, QUESTION, Annotators, Tally, Unreadable, hold, parsed, written
from semievol.importing.table import Limits, Table

_ROW, _PROJECTS = "data_row", "projects"
_SEVERAL = 'Each text was asked several things, each of which became a column; "answer" is the first. Records'


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with `id`, `question`, `answer` and a column for every further question; None where it is no such
    export."""
    if not {_ROW, _PROJECTS} <= set(table.columns) or not hold(table, _ROW, _row):
        return None
    asked: dict[str, None] = {}
    for cell in table.column(_PROJECTS):
        for one in _labels(cell):
            asked.update(dict.fromkeys(one))
    first, further = next(iter(asked), ""), [name for name in list(asked)[1:] if name not in ("id", QUESTION, ANSWER)]
    annotators, several = Annotators("Labelbox"), Tally()
    of_others = {name: Annotators("Labelbox", name) for name in further}

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        row, labels = _row(cells[_ROW]), _labels(cells[_PROJECTS])
        if row is None:
            raise Unreadable(_ROW, "The record has no text.", "Export it with its data row.")
        said = [one[first] for one in labels if first in one]
        if bad := next((one for one in said if isinstance(one, list)), None):
            raise Unreadable(_PROJECTS, f"The annotator chose several labels: {', '.join(bad)}.", "Keep one label.")
        if further:
            several.add(number, ", ".join(asked))
        others = (
            one.answer(number, [v for label in labels if isinstance(v := label.get(name), str)])
            for name, one in of_others.items()
        )
        yield [*row, annotators.answer(number, [str(one) for one in said]), *others]

    new = written(table, ["id", QUESTION, ANSWER, *further], read, limits, taken_apart=table.columns)
    chosen = f': the column "answer" is what annotators chose for "{first}"' if first else " without labels"
    new.notes.append(f"The file is a Labelbox export{chosen}.")
    for some in (annotators, *of_others.values()):
        new.doubts.extend(some.doubts())
    new.doubts.extend(several.doubt("several_questions", _SEVERAL, f"The others are: {', '.join(further)}.", ANSWER))
    return new


def _row(cell: str | None) -> tuple[str | None, str] | None:
    """Id and text of a data row; None where it has no text."""
    found = parsed(cell, "{")
    text = found.get("row_data") if isinstance(found, dict) else None
    named = None if text is None else found.get("global_key") or found.get("id")
    return (named if isinstance(named, str) else None, text) if isinstance(text, str) else None


def _labels(cell: str | None) -> list[dict[str, Any]]:
    """What every annotator answered: question -> answer, or the list of several answers."""
    found = parsed(cell, "{")
    answered = []
    for project in found.values() if isinstance(found, dict) else ():
        for label in (project.get("labels") if isinstance(project, dict) else None) or []:
            given = label.get("annotations") if isinstance(label, dict) else None
            classes = given.get("classifications") if isinstance(given, dict) else None
            answered.append({str(one.get("name")): _answer(one) for one in classes or [] if isinstance(one, dict)})
    return [{name: answer for name, answer in one.items() if answer} for one in answered]


def _answer(classification: dict[str, Any]) -> str | list[str]:
    for kind in ("radio_answer", "text_answer"):
        if isinstance(value := classification.get(kind), dict):
            return str(value.get("name") or value.get("content") or "")
    ticked = classification.get("checklist_answers")
    names = [str(one.get("name")) for one in ticked or [] if isinstance(one, dict)]
    return names if len(names) > 1 else "".join(names)
