"""RACE: an article with its questions, and lists of their options and answers beside them.

Every question becomes a record; its context is the article.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import QUESTION, SAMPLE, Unreadable, as_text, hold, parsed, written
from semievol.importing.table import Limits, Table

_QUESTIONS = "questions"
_ONE = {_QUESTIONS: QUESTION, "answers": "answer", "labels": "label"}


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with a row for each question; None where it is something else."""
    if _QUESTIONS not in table.columns or QUESTION in table.columns or not hold(table, _QUESTIONS, _questions):
        return None
    beside = [name for name in table.columns if name in (_QUESTIONS, *_beside(table))]

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        lists = [_list(cells[name]) for name in beside]
        asked = _list(cells[_QUESTIONS]) or []
        if any(some is not None and len(some) != len(asked) for some in lists):
            raise Unreadable(_QUESTIONS, "The lists of questions and answers differ in length.", "Correct this row.")
        for place in range(len(asked)):
            known = cells.get("id")
            own = [f"{known} #{place + 1}" if known and len(asked) > 1 else known] if "id" in cells else []
            yield [*own, *(None if some is None else as_text(some[place]) for some in lists)]

    named = [*(["id"] if "id" in table.columns else []), *(_ONE.get(name, name) for name in beside)]
    new = written(table, named, read, limits, taken_apart=beside)
    new.notes.append(f"Each row held several questions, each of which is a record: {len(table):,} rows.")
    return new


def _beside(table: Table) -> list[str]:
    """Columns of lists that are as long as those of the questions."""
    sizes = [len(_list(cell) or ()) for cell in table.column(_QUESTIONS, SAMPLE)]
    found = []
    for name in table.columns:
        lists = [_list(cell) for cell in table.column(name, SAMPLE)]
        known = [(some, size) for some, size in zip(lists, sizes, strict=True) if some is not None]
        if known and sum(len(some) == size for some, size in known) >= 0.8 * len(lists):
            found.append(name)
    return found


def _list(cell: str | None) -> list[Any] | None:
    found = parsed(cell, "[")
    return found if isinstance(found, list) else None


def _questions(cell: str) -> list[Any] | None:
    found = _list(cell)
    return found if found and all(isinstance(one, str) for one in found) else None
