"""Questions that hold their options: `{"stem": …, "choices": [{"label": …, "text": …}]}` (CommonsenseQA, ARC,
OpenBookQA). The answer stays the letter in its own column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from semievol.importing.forms.unfolding import QUESTION, Unreadable, hold, parsed, written
from semievol.importing.table import Limits, Table

_OPTIONS = "options"


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the stem as `question`, and `options`; None where no column holds such questions."""
    if QUESTION not in table.columns or not hold(table, QUESTION, _asked):
        return None

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        found = _asked(cells[QUESTION])
        if found is None:
            raise Unreadable(QUESTION, "The question has no stem with choices.", "Write it as the others are.")
        yield found

    new = written(table, [QUESTION, _OPTIONS], read, limits)
    new.notes.append("The question and its options were taken out of one nested value.")
    return new


def _asked(cell: str | None) -> tuple[str, str] | None:
    """The stem, and its choices by label as a cell of options; None where the cell is something else."""
    found = parsed(cell, "{")
    stem, choices = (found.get("stem"), found.get("choices")) if isinstance(found, dict) else (None, None)
    if not isinstance(stem, str) or not isinstance(choices, list):
        return None
    pairs = [(one.get("label"), one.get("text")) for one in choices if isinstance(one, dict)]
    if len(pairs) < len(choices) or not all(isinstance(part, str) for pair in pairs for part in pair):
        return None
    texts, labels = [text for _, text in pairs], [label for label, _ in pairs]
    return stem, json.dumps({"text": texts, "label": labels}, ensure_ascii=False)
