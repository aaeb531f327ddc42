"""Columns that the labeled file fills, and the unlabeled one lacks or leaves empty: the likely answers."""

from __future__ import annotations

import re
from collections.abc import Mapping as Tables
from collections.abc import Sequence

import pyarrow.compute as pc

from semievol.importing import column_names
from semievol.importing.readers.header import unnamed
from semievol.importing.table import Table
from semievol.records import Split

_LOOKED_AT = 2_000
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*", re.DOTALL)


def only_labeled(tables: Tables[Split, Table]) -> list[str]:
    """These columns, in the order of the file; [] where the two files have no column in common that both fill, or
    one has no names, so that nothing can be concluded. Ids, and columns of dates, are none."""
    labeled, unlabeled = tables.get("labeled"), tables.get("unlabeled")
    if labeled is None or unlabeled is None or labeled.columns == unnamed(len(labeled.columns)):
        return []
    filled = [column for column in labeled.columns if has_values(labeled, column)]
    missing = [column for column in filled if not has_values(unlabeled, column)]
    if len(missing) == len(filled):
        return []
    return [
        column
        for column in missing
        if column_names.rank(column, "id") is None and not are_dates(labeled.column(column, _LOOKED_AT))
    ]


def has_values(table: Table, column: str) -> bool:
    """Whether the table has this column with something other than blanks in it."""
    if column not in table.columns:
        return False
    if any(cell and not cell.isspace() for cell in table.column(column, _LOOKED_AT)):
        return True
    rest = table.cells.column(column).slice(_LOOKED_AT)
    return bool(pc.any(pc.match_substring_regex(rest, r"\S")).as_py())


def are_dates(cells: Sequence[str | None]) -> bool:
    """Whether every cell begins with a date, or is blank."""
    return all(_DATE.fullmatch(cell.strip()) for cell in cells if cell and not cell.isspace())
