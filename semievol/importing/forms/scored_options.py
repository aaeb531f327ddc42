"""BIG-bench: `target_scores` holds options with a score each, {"Shark": 0, "Dolphin": 1}; the best is the answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from semievol.importing.forms.unfolding import ANSWER, Unreadable, free_name, hold, parsed, written
from semievol.importing.table import Limits, Table

_COLUMN, _OPTIONS = "target_scores", "options"
_ONE = "Keep one answer per record."


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with `options` and `answer`, which nothing is where no option has a score; None for another form."""
    if _COLUMN not in table.columns or not hold(table, _COLUMN, _scores):
        return None
    own = {name: free_name(table, f"record {name}") for name in table.columns if name in (_OPTIONS, ANSWER)}

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        scores = _scores(cells[_COLUMN]) or {}
        best = max(scores.values(), default=0.0)
        answers = [option for option, score in scores.items() if score == best > 0]
        if len(answers) > 1:
            raise Unreadable(_COLUMN, f"Several options are right: {', '.join(answers)}.", _ONE)
        yield [json.dumps(list(scores), ensure_ascii=False), answers[0] if answers else None]

    new = written(table, [_OPTIONS, ANSWER], read, limits, own, [_COLUMN])
    new.notes.append(f'Options and answer were read from "{_COLUMN}": the answer has the best score.')
    return new


def _scores(cell: str | None) -> dict[str, float] | None:
    found = parsed(cell, "{")
    try:
        return {option: float(score) for option, score in found.items()} if isinstance(found, dict) and found else None
    except (TypeError, ValueError):
        return None
