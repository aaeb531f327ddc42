"""Columns whose name is blank. Row numbers that pandas writes with every table, and columns without a value, are left
out; in a file whose first row is a record they are columns as all others. Any other is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.table import Table

NUMBERS = "(before the first delimiter)"
"""Name of a nameless first column until it is known what it holds."""
TRAILING = "(after the last delimiter)"
"""The same of a last one."""
_BLANK = re.compile(r"\(column \d+ has no name\)")
_REFUSED = "This column has no name."
_REMEDY = "Name the column or delete it. If the first row is a record: --no-header."


def named(names: list[str]) -> list[str]:
    """The names, with others in the place of blank ones, by which these are known until they are left out."""
    found = [name or f"(column {place} has no name)" for place, name in enumerate(names, 1)]
    if len(names) > 1 and not names[-1] and all(names[1:-1]):
        found[-1] = TRAILING
    if len(names) > 1 and not names[0] and all(names[1:]):
        found[0] = NUMBERS
    return found


def is_blank(name: str) -> bool:
    """Whether the name stands for a blank one."""
    return name in (NUMBERS, TRAILING) or _BLANK.fullmatch(name) is not None


def without_blank(table: Table, row: int) -> Table:
    """The table without its columns of blank names. row: that of the header. UserError where such a column has values
    that are no row numbers."""
    table = without_row_numbers(_without_trailing(table, row))
    blank = [column for column in table.columns if _BLANK.fullmatch(column)]
    for column in blank:
        if not _is_empty(table, column):
            raise _refused(table, row, column)
    if blank:
        places = ", ".join(str(table.columns.index(column) + 1) for column in blank)
        table.notes.append(f"Columns with neither a name nor a value were left out: {places}.")
        table = replace(table, cells=table.cells.drop_columns(blank))
    return table


def without_row_numbers(table: Table) -> Table:
    """The table without a first column `NUMBERS`. UserError where it holds anything but different whole numbers, or
    nothing."""
    if table.columns[0] != NUMBERS:
        return table
    if _is_empty(table, NUMBERS):  # the table begins in a later column
        table.notes.append("Columns with neither a name nor a value were left out: 1.")
        return replace(table, cells=table.cells.remove_column(0))
    column = table.cells.column(0)
    whole = pc.all(pc.match_substring_regex(column, r"^[0-9]+$")).as_py()
    if not whole or column.null_count or pc.count_distinct(column).as_py() < len(column):
        raise UserError(_REFUSED, f"{table.name}, column 1", _REMEDY)
    table.notes.append("The first column has no name and holds row numbers; it was left out.")
    return replace(table, cells=table.cells.remove_column(0))


def _without_trailing(table: Table, row: int) -> Table:
    if table.columns[-1] != TRAILING:
        return table
    if not _is_empty(table, TRAILING):
        raise _refused(table, row, TRAILING)
    table.notes.append("Every row ends with a delimiter; the empty last column was dropped.")
    return replace(table, cells=table.cells.remove_column(len(table.columns) - 1))


def _is_empty(table: Table, column: str) -> bool:
    return not pc.any(pc.match_substring_regex(table.cells.column(column), r"\S")).as_py()


def _refused(table: Table, row: int, column: str) -> UserError:
    return UserError(_REFUSED, f"{table.name}, row {row}, column {table.columns.index(column) + 1}", _REMEDY)
