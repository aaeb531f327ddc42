"""Batch results of Amazon Mechanical Turk: a row per assignment, with columns `Input.…` and `Answer.…`.

Assignments of one HIT become one record; the answer given most often counts. Rejected assignments do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import ANSWER, Annotators, Tally, free_name, parsed, written
from semievol.importing.table import Limits, Table

_INPUT, _ANSWERS, _HIT, _STATUS = "Input.", "Answer.", "HITId", "AssignmentStatus"
_TOOL = "Mechanical Turk"
_SEVERAL = 'Workers were asked several things, each of which became a column; "answer" is the first. Records'


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the inputs under their own names, `answer`, and a column for every further question; None where it
    is no such file."""
    inputs = [name for name in table.columns if name.startswith(_INPUT)]
    given = [name for name in table.columns if name.startswith(_ANSWERS)]
    if not inputs or not given or _HIT not in table.columns:
        return None
    hits: dict[str, list[dict[str, str]]] = {}
    rejected, taken = 0, [_HIT, *([_STATUS] if _STATUS in table.columns else []), *given]
    asked: dict[str, None] = {}
    for _, row in table.walk(taken):
        cells = dict(zip(taken, row, strict=True))
        said = hits.setdefault(cells[_HIT] or "", [])
        if (cells.get(_STATUS) or "").strip().casefold() == "rejected":
            rejected += 1
        else:
            said.append(_answers(cells, given))
            asked.update(dict.fromkeys(said[-1]))
    inside = [name.removeprefix(_INPUT) for name in inputs]
    first, further = next(iter(asked), ""), [name for name in list(asked)[1:] if name not in (*inside, ANSWER)]
    several, annotators = Tally(), Annotators(_TOOL)
    of_others = {name: Annotators(_TOOL, name) for name in further}
    added = [*(name for name in inside if name != ANSWER), ANSWER, *further]
    texts = [name for name in inputs if name.removeprefix(_INPUT) != ANSWER]
    own = {name: free_name(table, f"record {name}") for name in table.columns if name in added}

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        answers = hits.pop(cells[_HIT] or "", None)
        if answers is None:
            return  # another assignment of a HIT that was read
        if further:
            several.add(number, ", ".join(asked))
        label = annotators.answer(number, [one[first] for one in answers if first in one])
        others = (
            one.answer(number, [said[name] for said in answers if name in said]) for name, one in of_others.items()
        )
        yield [*(cells[name] for name in texts), label, *others]

    about = [name for name in table.columns if name != _HIT and name not in own]
    new = written(table, added, read, limits, own, about)
    new.notes.append(
        f'The file is a batch of Mechanical Turk: the column "answer" is what workers said for "{first}", and '
        f"assignments of one HIT are one record. Assignments: {table.physical:,}; rejected, and left out: {rejected:,}."
    )
    for one in (annotators, *of_others.values()):
        new.doubts.extend(one.doubts())
    new.doubts.extend(several.doubt("several_questions", _SEVERAL, f"The others are: {', '.join(further)}.", ANSWER))
    return new


def _answers(cells: dict[str, str | None], given: list[str]) -> dict[str, str]:
    """Question -> answer of one assignment, from columns of their own or from the JSON of `Answer.taskAnswers`."""
    found: dict[str, str] = {}
    for name in given:
        cell, question = (cells[name] or "").strip(), name.removeprefix(_ANSWERS).removesuffix(".label")
        nested = parsed(cell, "[")
        if isinstance(nested, list) and len(nested) == 1 and isinstance(nested[0], dict):
            read = {str(key): _chosen(value) for key, value in nested[0].items()}
            found.update({key: value for key, value in read.items() if value})
        elif cell:
            found[question] = cell
    return found


def _chosen(value: Any) -> str:
    """An answer of a form's JSON: a text, `{"label": …}`, or the one box that is ticked; "" where it is none."""
    if isinstance(value, dict):
        ticked = [str(name) for name, state in value.items() if state is True]
        value = value.get("label", ticked[0] if len(ticked) == 1 else "")
    return value.strip() if isinstance(value, str) else ""
