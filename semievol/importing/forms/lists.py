"""Columns whose cells are lists of one element, such as `["positive"]` or `['positive']`: the element is meant.

A list of several elements stays as it is, for the import to refuse where one answer is needed.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from semievol.errors import UserError
from semievol.importing.answer_cells import from_python
from semievol.importing.forms.unfolding import SAMPLE, parsed
from semievol.importing.table import Limits, Table

_MOSTLY = 0.5


def unwrapped(table: Table, limits: Limits) -> Table:
    """The table with such lists replaced by their element, and empty ones by nothing; a note names the columns."""
    found: list[str] = []
    cells = table.cells
    for place, name in enumerate(table.columns):
        if not _is_listed(table.column(name, SAMPLE)):
            continue
        texts = [_element(cell) for cell in table.column(name)]
        cells = cells.set_column(place, name, pa.array(texts, pa.large_string()))
        found.append(name)
    if not found:
        return table
    named = ", ".join(f'"{name}"' for name in found)
    return replace(table, cells=cells, notes=[*table.notes, f"Lists of one element were read as the element: {named}."])


def _is_listed(cells: list[str | None]) -> bool:
    """Whether all of the first cells are lists of scalars, and most of these have one element."""
    sizes = []
    for cell in cells:
        if cell and cell.strip():
            if not cell.lstrip().startswith("["):
                return False
            elements = _elements(cell)
            if elements is None:
                return False
            sizes.append(len(elements))
    return any(size == 1 for size in sizes) and sum(size < 2 for size in sizes) >= _MOSTLY * len(sizes)


def _element(cell: str | None) -> str | None:
    elements = _elements(cell) if cell else None
    if elements is None or len(elements) > 1:
        return cell
    return elements[0] if elements else None


def _elements(cell: str) -> list[str] | None:
    """The elements of a list as text, numbers as they are written; None where the cell is no list of scalars."""
    found = parsed(cell, "[")
    if found is None:
        try:
            found = from_python(cell.strip())
        except UserError:
            return None
    if not isinstance(found, list) or any(isinstance(one, list | dict) for one in found):
        return None
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in found if one is not None]
