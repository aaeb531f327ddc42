"""The nameless first column of row numbers that pandas writes with every table: it is left out.

Any other column without a name is refused.
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.table import Table

NUMBERS = "(before the first delimiter)"
"""Name of a nameless first column until it is known what it holds."""


def without_row_numbers(table: Table) -> Table:
    """The table without a first column `NUMBERS`. UserError where it holds anything but different whole numbers."""
    if table.columns[0] != NUMBERS:
        return table
    column = table.cells.column(0)
    whole = pc.all(pc.match_substring_regex(column, r"^[0-9]+$")).as_py()
    if not whole or column.null_count or pc.count_distinct(column).as_py() < len(column):
        raise UserError("This column has no name.", f"{table.name}, column 1", "Name the column or delete it.")
    table.notes.append("The first column has no name and holds row numbers; it was left out.")
    return replace(table, cells=table.cells.remove_column(0))
