"""Lines of a title above a table of delimited cells, as spreadsheet programs save them."""

from __future__ import annotations

import csv

_MOST = 3
"""Lines of a title at most."""
_LOOKED_AT = 8
_COLUMNS = 3
"""Columns from which on a title needs no delimiters after it."""


def lines_above(lines: list[str], delimiter: str) -> int:
    """How many lines before the header hold a title: a few with nothing but some words in their first cell, before rows
    that have several cells, as many in each."""
    if any(line.count('"') % 2 for line in lines[:_LOOKED_AT]):
        return 0
    try:
        rows = list(csv.reader(lines[:_LOOKED_AT], delimiter=delimiter))
    except csv.Error:
        return 0
    filled = [[place for place, cell in enumerate(row) if cell.strip()] for row in rows]
    place = next((place for place, cells in enumerate(filled) if len(cells) > 1), 0)
    titles = [row[0] for row, cells in zip(rows[:place], filled, strict=False) if cells]
    fits = 0 < len(titles) <= _MOST and all(cells in ([], [0]) for cells in filled[:place])
    below = [row for row, cells in zip(rows[place:], filled[place:], strict=True) if cells]
    width = len(below[0]) if below else 0
    even = len(below) > 1 and all(len(row) == width for row in below) and all(cell.strip() for cell in below[0])
    # A single column with commas in its texts looks the same, but for the delimiters after the title.
    saved = all(len(row) == width for row in rows[:place] if row) or width >= _COLUMNS
    spoken = place > 1 or len(titles[0].split()) > 1 if titles else False
    return place if fits and even and saved and spoken else 0
