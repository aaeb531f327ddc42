"""Names for labels that are numbers: in a column beside them (label_text beside label), or in another file
of the import (ClassLabel)."""

from __future__ import annotations

import re
from collections.abc import Mapping as Tables
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from semievol.importing import column_names
from semievol.importing.table import Doubt, Table
from semievol.records import Split

_LOOKED_AT = 2_000
_NUMBER = re.compile(r"\d{1,4}(?:\.0)?")


def names_of(answer: str | None, columns: Sequence[str], table: Table) -> str | None:
    """The column with a name for each number of the answer's column (label, label_text); None if there is none."""
    for column in columns if answer else ():
        words = column_names.words(column)
        if words[-1:] in (["text"], ["name"], ["names"], ["str"]) and words[:-1] == column_names.words(str(answer)):
            numbers, names = table.column(str(answer), _LOOKED_AT), table.column(column, _LOOKED_AT)
            pairs = set(zip(numbers, names, strict=True))
            if len(pairs) == len(set(numbers)) == len(set(names)) and all(n and _NUMBER.fullmatch(n) for n in numbers):
                return column
    return None


def with_names_of_others(tables: Tables[Split, Table]) -> dict[Split, Table]:
    """The tables with the names that one of the files holds in the place of such numbers in the others, and a doubt."""
    found = dict(tables)
    for column, names in (pair for table in tables.values() for pair in table.label_names.items()):
        for split, table in tables.items():
            if column in table.columns and column not in table.label_names:
                found[split] = _named(found[split], column, names)
    return found


def _named(table: Table, column: str, names: Sequence[str]) -> Table:
    known = {str(number): name for number, name in enumerate(names)}
    given = {cell: cell.strip().removesuffix(".0") for cell in table.counts(column) if cell and cell.strip()}
    if not given or not set(given.values()) <= {*known, "-1"}:
        return table
    cells = table.column(column)
    texts = [known.get(given[cell]) if cell in given else cell for cell in cells]
    new = table.cells.set_column(table.columns.index(column), column, pa.array(texts, pa.large_string()))
    pairs = ", ".join(f"{number} = {name}" for number, name in list(known.items())[:12])
    what = f'The numbers in "{column}" were read as the names that another file holds for them: {pairs}.'
    rows = sum(cell in given for cell in cells)
    doubt = Doubt("numbers_named", rows, what, "If they mean others, write the names into this file.", column=column)
    return replace(table, cells=new, doubts=[*table.doubts, doubt])
