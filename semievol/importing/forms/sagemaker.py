"""Augmented manifests of Amazon SageMaker Ground Truth: a class number, and its name in the `-metadata` beside it.

The answer is the name. Several classes of one text are rejected; a failed or missing annotation gives no answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import ANSWER, QUESTION, Unreadable, free_name, hold, parsed, written
from semievol.importing.table import Limits, Table

_METADATA, _SOURCE = "-metadata", "source"
_NAMES = ("class-name", "class-map")


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with `source` as `question`, and the name of the class as `answer`; None where it is no manifest."""
    if _SOURCE not in table.columns:
        return None
    named = [c for c in table.columns if f"{c}{_METADATA}" in table.columns and hold(table, f"{c}{_METADATA}", _names)]
    if not named:
        return None
    column = f"{named[0]}{_METADATA}"
    own = {name: free_name(table, f"record {name}") for name in table.columns if name in (QUESTION, ANSWER)}

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        names = _names(cells[column]) or []
        if len(names) > 1:
            raise Unreadable(column, f"The text has several labels: {', '.join(names)}.", "Keep one label per record.")
        yield [cells[_SOURCE], names[0] if names else None]

    taken_apart = [_SOURCE, named[0], column]
    new = written(table, [QUESTION, ANSWER], read, limits, own, taken_apart)
    more = f" Labels of other jobs: {', '.join(named[1:])}." if named[1:] else ""
    new.notes.append(f'The file is a manifest of Ground Truth: the answer is the class name of "{named[0]}".{more}')
    return new


def _names(cell: str | None) -> list[str] | None:
    """The names of a record's classes; None where the cell is something else."""
    found: Any = parsed(cell, "{")
    if not isinstance(found, dict) or not str(found.get("type", "")).startswith("groundtruth/text-classification"):
        return None
    name, several = (found.get(key) for key in _NAMES)
    if isinstance(several, dict):
        return [str(one) for one in several.values()]
    return [name] if isinstance(name, str) and name.strip() else []
