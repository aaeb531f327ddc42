"""doccano's exports: `text` (or `data`) with a list of labels.

Labels of a whole text are lists of names, which become the answer. Labels of passages are lists of [start, end, name],
which are no answers: such a row is rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import ANSWER, Unreadable, hold, parsed, written
from semievol.importing.table import Limits, Table

_TEXTS, _LABELS = ("text", "data"), ("label", "labels", "cats", "entities")
_SPANS = "The labels mark passages of the text, which is no answer to a question."


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the label as `answer`; None where it is no export of doccano."""
    names = set(table.columns)
    if ANSWER in names or not names & set(_TEXTS) or not names & {"Comments", "comments", "id"}:
        return None
    column = next((name for name in _LABELS if name in names and hold(table, name, _labels)), None)
    if column is None:
        return None

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        found = _labels(cells[column]) or []
        if any(isinstance(label, list | dict) for label in found):
            raise Unreadable(column, _SPANS, "Export labels of whole texts.")
        if len(found) > 1:
            several = ", ".join(map(str, found))
            raise Unreadable(column, f"The text has several labels: {several}.", "Keep one label per record.")
        yield [str(found[0]) if found else None]

    new = written(table, [ANSWER], read, limits)
    new.notes.append(f'The file is in the form of doccano: the answer is the label in "{column}".')
    return new


def _labels(cell: str | None) -> list[Any] | None:
    found = parsed(cell, "[")
    return found if isinstance(found, list) else None
