"""spaCy's categories: `cats` holds a number for each label, {"A": 1.0, "B": 0.0}; the answer is the one that holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from semievol.importing.forms.unfolding import ANSWER, hold, parsed, written
from semievol.importing.table import Limits, Table

_COLUMN, _HOLDS = "cats", 0.5


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the label as `answer`, none where not exactly one holds; None for another form."""
    if _COLUMN not in table.columns or ANSWER in table.columns or not hold(table, _COLUMN, _numbers):
        return None

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        holding = [label for label, value in (_numbers(cells[_COLUMN]) or {}).items() if value >= _HOLDS]
        yield [holding[0] if len(holding) == 1 else None]

    new = written(table, [ANSWER], read, limits, taken_apart=[_COLUMN])
    new.notes.append(f'The answer is the label in "{_COLUMN}" whose number is at least {_HOLDS}, where it is alone.')
    return new


def _numbers(cell: str | None) -> dict[str, float] | None:
    found = parsed(cell, "{")
    try:
        return {label: float(value) for label, value in found.items()} if isinstance(found, dict) and found else None
    except (TypeError, ValueError):
        return None
