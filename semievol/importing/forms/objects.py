"""Objects of any form, taken apart: each field becomes a column of its own, such as `inputs.question`.

The values of MongoDB's extended JSON, `{"$numberInt": "5"}`, become the value that they mean. Concerns columns that the
file holds as objects, not texts that are written as JSON; and not those that hold options, or details of a record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from semievol.importing import column_names
from semievol.importing.column_cells import filled, holds_lists
from semievol.importing.forms.unfolding import as_text, fields_of, hold, parsed
from semievol.importing.readers.header import NUMBER
from semievol.importing.table import Limits, Table

_FIRST = ("value", "text", "content", "label", "name")
"""Fields that say what an object is about; their columns come first."""
_DETAILS = {"metadata", "meta", "metrics", "info", "extra", "config", "options", "choices", "predictions"}
_MOST, _DEPTH = 20, 3
"""Fields of an object, and objects inside each other."""


def unwrapped(table: Table) -> Table:
    """The table without the wrappers of extended JSON."""
    cells = table.cells
    for name in table.nested:
        before = table.column(name)
        if any('"$' in cell for cell in before if cell):
            texts = [as_text(_plain(parsed(cell, "[{"))) if cell and '"$' in cell else cell for cell in before]
            cells = cells.set_column(table.columns.index(name), name, pa.array(texts, pa.large_string()))
    return replace(table, cells=cells)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    (key, inner), *more = value.items() or [("", None)]
    return _plain(inner) if key.startswith("$") and not more else {name: _plain(one) for name, one in value.items()}


def taken_apart(table: Table, limits: Limits) -> Table:
    """The table with a column for each field of its objects; the objects stay as columns of structure."""
    for _ in range(_DEPTH):
        found = {name: fields for name in table.nested if (fields := _fields(table, name))}
        for name, fields in found.items():
            table = _with_fields(table, name, fields)
        if not found:
            break
    return table


def _fields(table: Table, name: str) -> list[str]:
    """The fields of the column's objects; [] where it is to stay as it is."""
    if name not in table.plain.columns or _DETAILS & set(column_names.words(name)) or not hold(table, name, fields_of):
        return []
    cells = filled(table, name)
    pairs = [pair for cell in cells for pair in (parsed(cell, "{") or {}).items()]
    fields = list(dict.fromkeys(field for field, _ in pairs if field.strip()))
    said = any(isinstance(value, dict | str) and not NUMBER.fullmatch(str(value)) for _, value in pairs)
    taken = {f"{name}.{field}" for field in fields} & set(table.columns)
    if taken or not said or len(fields) > _MOST or holds_lists(cells):
        return []
    return sorted(fields, key=lambda field: field.casefold() not in _FIRST)


def _with_fields(table: Table, name: str, fields: list[str]) -> Table:
    rows = [fields_of(cell) or {} for cell in table.column(name)]
    cells, nested = table.cells, list(table.nested)
    for field in fields:
        texts = [row.get(field) for row in rows]
        cells = cells.append_column(f"{name}.{field}", pa.array(texts, pa.large_string()))
        if any(isinstance((parsed(cell, "{") or {}).get(field), list | dict) for cell in filled(table, name)):
            nested.append(f"{name}.{field}")
    named = ", ".join(f'"{name}.{field}"' for field in fields)
    notes = [*table.notes, f"Fields of objects were read as columns: {named}."]
    return replace(table, cells=cells, nested=nested, structure=[*table.structure, name], notes=notes)
