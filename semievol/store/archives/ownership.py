"""Which tables and rows of a project are archived, and which of their numbers point at which rows.

Both are derived from the schema. A table added to it belongs to a project as soon as a foreign key
leads there; a test checks every table.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Integer, Table, select, true

from semievol.store import schema

APART = ("migrations", "settings", "study_results")
"""Tables that are not archived: those of the workspace, and studies, which can be made again."""
POINTERS = {"record_key": "records", "decision_id": "decisions", "undoes": "decisions"}
"""Columns that point at a table's rows without a declared foreign key."""
LISTS = {("reviews", "drawn"): "records"}
"""JSON columns that are lists of such numbers."""


@cache
def tables() -> tuple[Table, ...]:
    """A project's tables, ordered by foreign keys: a table comes after those that it points at."""
    return tuple(table for table in schema.metadata.sorted_tables if table.name not in APART)


def number(table: Table) -> Column[Any] | None:
    """The column with the number that the database gives every row; None where rows have none."""
    (first, *rest) = table.primary_key.columns
    return first if not rest and isinstance(first.type, Integer) and not first.foreign_keys else None


@cache
def pointers(table: Table) -> dict[str, str]:
    """Column -> the table whose rows' numbers stand in it."""
    found = {c.name: POINTERS[c.name] for c in table.columns if c.name in POINTERS}
    return found | {c.name: key.column.table.name for c in table.columns for key in c.foreign_keys}


def owned(table: Table, project_id: int) -> ColumnElement[bool]:
    """The condition that a row of the table belongs to this project, and not to one of its studies."""
    key = number(table)
    if table is schema.projects:
        assert key is not None
        return key == project_id
    owner = next(c for c in table.columns if c.foreign_keys and not c.nullable)
    (above,) = (foreign.column for foreign in owner.foreign_keys)
    if above.table is schema.projects:
        of_rounds = schema.runs.c.round_id.is_not(None) if table is schema.runs else true()
        return (owner == project_id) & of_rounds
    return owner.in_(select(above).where(owned(above.table, project_id)))
