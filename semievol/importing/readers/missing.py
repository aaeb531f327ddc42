"""Bare NA, null and the like in a file that encloses its texts in quotation marks: no value, as R and pandas write it.

Where the marks do not tell, such a cell stays the text that it is.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.importing.table import Doubt, Table

MISSING = ("NA", "NaN", "nan", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL")
"""How programs write that there is no value."""
_LOOKED_AT, _ENOUGH, _SHOWN = 2_000, 2, 5
_NUMBER = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?|TRUE|FALSE|True|False|Inf|-Inf")


def without_missing(table: Table, lines: Iterable[str], delimiter: str, header_row: int, skipped: int) -> Table:
    """The table without the bare cells that say so; a doubt for each column tells their number.

    table: with all columns of the file, in its order. lines: of the file, after the `skipped` first ones. header_row:
    its line. A column's bare cells mean no value where its texts are enclosed, or where it has none, and the header and
    another column are enclosed.
    """
    read_so = [pc.is_in(column, value_set=pa.array(MISSING, pa.large_string())) for column in table.cells.columns]
    suspects = [place for place, found in enumerate(read_so) if pc.any(found).as_py()]
    if not suspects:
        return table
    flags = {place: read_so[place].to_numpy() for place in suspects}
    looked_at = np.logical_or.reduce([*flags.values(), np.arange(len(table)) < _LOOKED_AT])
    places = {int(table.numbers[place]): int(place) for place in np.flatnonzero(looked_at)}
    header, enclosed, bare = False, Counter[int](), Counter[int]()
    missing: dict[int, list[int]] = {place: [] for place in suspects}
    for number, row in _rows(lines, delimiter, skipped):
        place = places.get(number)
        cells = _split(row, delimiter) if place is not None or number == header_row else []
        if place is None:
            header = header or (bool(cells) and all(cell.startswith('"') for cell in cells if cell))
        elif len(cells) == len(table.columns):
            for column, cell in enumerate(cells):
                if cell.startswith('"'):
                    enclosed[column] += 1
                elif column in missing and flags[column][place]:
                    missing[column].append(place)
                elif cell.strip() and not _NUMBER.fullmatch(cell.strip()):
                    bare[column] += 1
    somewhere = header and any(times >= _ENOUGH and not bare[column] for column, times in enclosed.items())
    for column, rows in missing.items():
        if rows and not bare[column] and (enclosed[column] >= _ENOUGH or somewhere):
            table = _emptied(table, column, rows)
    return table


def _emptied(table: Table, column: int, rows: list[int]) -> Table:
    name = table.columns[column]
    cells = table.cells.column(column).combine_chunks()
    gone = np.zeros(len(table), bool)
    gone[rows] = True
    examples = tuple((int(table.numbers[place]), str(cells[place].as_py())) for place in rows[:_SHOWN])
    what = f'Cells of "{name}" that say {examples[0][1]} without quotation marks, read as no value: {len(rows):,}.'
    remedy = "If it is a value, put quotation marks around it, as around the others."
    doubt = Doubt("missing_values", len(rows), what, remedy, examples, column=name)
    emptied = pc.if_else(pa.array(gone), pa.scalar(None, pa.large_string()), cells)
    return replace(table, cells=table.cells.set_column(column, name, emptied), doubts=[*table.doubts, doubt])


def _rows(lines: Iterable[str], delimiter: str, skipped: int) -> Iterator[tuple[int, str]]:
    """The rows as they are written, with the number of their first line. skipped: lines before them."""
    held: list[str] = []

    def kept() -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield line

    reader, number = csv.reader(kept(), delimiter=delimiter), skipped + 1
    try:
        for _ in reader:
            yield number, "".join(held)
            held.clear()
            number = reader.line_num + skipped + 1
    except csv.Error:
        return


def _split(row: str, delimiter: str) -> list[str]:
    """The cells of a row, with their quotation marks."""
    other = rf"[^{re.escape(delimiter)}\r\n]*"
    cell = re.compile(rf'"(?:[^"]|"")*"{other}|{other}')
    found, place = [], 0
    while (match := cell.match(row, place)) is not None:
        found.append(match[0])
        place = match.end() + 1
        if row[match.end() : place] != delimiter:
            break
    return found
