"""Columns that hold a whole record once more: a prompt as a model was given it, and after it the answer.

Such a text is neither a question nor its context, since it would tell a model the answer.
"""

from __future__ import annotations

import re

from semievol.importing.column_cells import COMPARED
from semievol.importing.table import Table

_NEARLY = 0.9


def renders(table: Table, column: str, question: str, answer: str | None) -> bool:
    """Whether nearly every cell of a column holds that of the question, and later that of the answer."""
    if answer is None or len({column, question, answer} & set(table.columns)) < 3:
        return False
    rows = zip(*(table.column(name, COMPARED) for name in (column, question, answer)), strict=True)
    full = [(whole, asked, known) for whole, asked, known in rows if whole and asked and known and known.strip()]
    return bool(full) and sum(_follow(*row) for row in full) >= _NEARLY * len(full)


def _follow(whole: str, question: str, answer: str) -> bool:
    """Whether the question's paragraphs stand in a text in their order, and then the answer."""
    place = 0
    for part in question.split("\n\n"):
        place = whole.find(part.strip(), place)
        if place < 0:
            return False
        place += len(part.strip())
    return re.compile(rf"(?<!\w){re.escape(answer.strip())}(?!\w)").search(whole, place) is not None
