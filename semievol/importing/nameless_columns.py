"""Files without names of columns beside each other: the first row is a record in all of them or in none, and columns
are found again by what their cells look like.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping as Tables
from collections.abc import Sequence
from dataclasses import replace

from semievol.importing import column_names
from semievol.importing.named_numbers import with_names_of_others
from semievol.importing.readers.header import NAMES_REMEDY, NUMBER, without_header
from semievol.importing.table import Doubt, Table, snippet
from semievol.records import Split

_LOOKED_AT = 200
_SENTENCE = 4
"""Words on average, from which on cells are sentences."""
_MOST_COLUMNS = 10
_NAMED = ("question", "answer", "options", "id", "context")


def agreed(tables: Tables[Split, Table]) -> dict[Split, Table]:
    """The tables; where the labeled file has no names of columns, others lose theirs if these may be a record, and
    those with fewer columns get the names of the columns that theirs are like. Numbers of labels get the names that
    another file has for them. Doubts say so."""
    tables = with_names_of_others(tables)
    labeled = tables.get("labeled")
    if labeled is None or labeled.read_as.header != "no":
        return tables
    found = dict(tables)
    others = [(split, table) for split, table in tables.items() if split != "labeled"]
    for split, table in others:
        if table.read_as.header is None and len(table) and _may_be_record(table, len(labeled.columns)):
            found[split] = _as_record(table, split)
        fewer = len(table.columns) < len(labeled.columns) <= _MOST_COLUMNS
        if found[split].read_as.header == "no" and fewer:
            found[split] = _matched(found[split], labeled)
    return found


def _may_be_record(table: Table, width: int) -> bool:
    """Whether no name of a delimited file or a workbook says what its column holds, or is one word above sentences."""
    if (table.read_as.delimiter is None and not table.sheets) or len(table.columns) > width:
        return False
    for name in table.columns:
        words = column_names.words(name)
        if len(words) <= 2 and any(column_names.rank(name, role) is not None for role in _NAMED):
            return False
        if len(words) == 1 and not any(map(str.isdigit, name)) and _features(table, name)[1] >= math.log(_SENTENCE):
            return False
    return True


def _as_record(table: Table, split: Split) -> Table:
    number, shown = max(1, int(table.numbers[0]) - 1), snippet(", ".join(table.columns))
    what = f"The first row was read as a record, as in the labeled file, not as names of columns: {shown}."
    names = ("header", "yes", "The first row holds names")
    doubt = Doubt("no_header", 1, what, NAMES_REMEDY, ((number, shown),), names, f"--header {split}=yes")
    new = without_header(table, number)
    return replace(new, doubts=[*new.doubts, doubt])


def _matched(table: Table, labeled: Table) -> Table:
    """The table with the names of those columns of the labeled file, in their order, whose cells are most alike."""
    mine = [_features(table, column) for column in table.columns]
    theirs = {column: _features(labeled, column) for column in labeled.columns}

    def distance(columns: Sequence[str]) -> float:
        pairs = zip(mine, (theirs[column] for column in columns), strict=True)
        return sum(math.dist(one, other) for one, other in pairs)

    best = min(itertools.combinations(labeled.columns, len(mine)), key=distance)
    what = f"The file has {len(mine)} of the {len(theirs)} columns of the labeled file, and no names. "
    what += f"By their content, they were taken for: {', '.join(best)}."
    remedy = "If this is wrong, name the columns in the first row of both files."
    names = dict(zip(table.columns, best, strict=True))
    cells = table.cells.rename_columns([names[column] for column in table.columns])
    return replace(table, cells=cells, doubts=[*table.doubts, Doubt("columns_matched", len(table), what, remedy)])


def _features(table: Table, column: str) -> tuple[float, float, float, float]:
    """What the cells of a column are like: logarithms of characters and words on average, shares of numbers and of
    different values."""
    cells = [cell.strip() for cell in table.column(column, _LOOKED_AT) if cell and cell.strip()]
    if not cells:
        return 0.0, 0.0, 0.0, 0.0
    size = sum(map(len, cells)) / len(cells)
    words = sum(len(cell.split()) for cell in cells) / len(cells)
    numbers = sum(NUMBER.fullmatch(cell) is not None for cell in cells) / len(cells)
    return math.log(size), math.log(words), numbers, len(set(cells)) / len(cells)
