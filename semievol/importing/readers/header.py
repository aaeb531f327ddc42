"""Whether the first row of a file holds the names of its columns, or is its first record.

Looks at the form of the cells only: a name that is like the values of its column is no name.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.importing import column_names
from semievol.importing.readers.blank_names import is_blank
from semievol.importing.table import Doubt, Table, snippet

_LOOKED_AT, _BEGINNING = 500, 300
"""Cells of a column that are looked at, and characters of each."""
_LEAST_ROWS, _SURE_ROWS = 3, 8
_SENTENCE = 4
_MARK = "\ufeff"
"""Words from which on a cell is a sentence."""
NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?%?")
DESCRIBED = '{"ImportId":'
"""The third row of a Qualtrics file, in which every cell describes its column."""
NAMES_REMEDY = "If it holds the names of the columns, say so."
RECORD_REMEDY = "If it is a record, say so."


def unnamed(width: int) -> list[str]:
    """Names for the columns of a file without names."""
    return [f"column {place}" for place in range(1, width + 1)]


def settled(table: Table, number: int, chosen: str | None) -> Table:
    """The table, with its header as the first record where it is no header. number: the header's row. chosen: one of
    `HEADER` if a person said what the first row is; it was read so then."""
    if chosen is not None:
        table.read_as = replace(table.read_as, header=chosen)
        return table
    shown = snippet(", ".join("" if is_blank(name) else name for name in table.columns))
    if is_record(table):
        what = f"The first row is like the others, and was read as a record, not as names of columns: {shown}."
        names = ("header", "yes", "The first row holds names")
        new = without_header(table, number)
        doubt = Doubt("no_header", 1, what, NAMES_REMEDY, ((number, shown),), names, "--header")
        return replace(new, doubts=[*new.doubts, doubt])
    if _reads_like_data(table):
        what = f"The first row reads like data, not like column names: {shown}."
        record = ("header", "no", "The first row is a record")
        doubt = Doubt("header_in_doubt", 1, what, RECORD_REMEDY, ((number, shown),), record, "--no-header")
        table.doubts.append(doubt)
    return table


def without_header(table: Table, number: int) -> Table:
    """The table with its header as the first record, in this row of the file, and columns named by their place."""
    names = unnamed(len(table.columns))
    record = ["" if is_blank(name) else name for name in table.columns]
    first = pa.table([pa.array([cell], pa.large_string()) for cell in record], names=names)
    cells = pa.concat_tables([first, table.cells.rename_columns(names)])
    numbers = np.concatenate([np.array([number], np.int64), table.numbers])
    return replace(table, cells=cells, numbers=numbers, read_as=replace(table.read_as, header="no"))


def without_repeated_header(table: Table) -> Table:
    """The table without rows that hold the names of the columns once more, as in files that were joined. They are told
    by a byte order mark, or by a name that fits a role in each; else such a row may be a record."""
    if not len(table) or table.read_as.header == "no":
        return table
    known = len(table.columns) > 1 and all(_fits_a_role(name) for name in table.columns)
    repeated = np.ones(len(table), bool)
    for place, name in enumerate(table.columns):
        marked = [f"{_MARK}{name}", f'{_MARK}"{name}"']
        same = marked if place == 0 and not known else [name] if place else [name, *marked]
        repeated &= pc.is_in(table.cells.column(place), value_set=pa.array(same, pa.large_string())).to_numpy()
    if not repeated.any():
        return table
    note = f"Rows that repeat the names of the columns were left out: {repeated.sum():,}."
    cells, numbers = table.cells.filter(pa.array(~repeated)), table.numbers[~repeated]
    return replace(table, cells=cells, numbers=numbers, notes=[*table.notes, note])


def _fits_a_role(name: str) -> bool:
    return any(column_names.rank(name, role) is not None for role in ("question", "answer", "options", "id", "context"))


def is_record(table: Table) -> bool:
    """Whether a name is one of the few values that its column repeats, or all names are like the values below them."""
    names = table.columns
    if len(table) < _LEAST_ROWS or names == [str(place) for place in range(len(names))]:
        return False
    values = {name: _beginnings(table.column(name, _LOOKED_AT)) for name in names}
    if any(value.startswith(DESCRIBED) for cells in values.values() for value in cells[:2]):
        return False
    # A name that is also a label is enough among many rows; among few, beside a sentence among sentences.
    labels = [name for name in names if _repeats(name, values[name])]
    sentence = any(_is_sentence(name, values[name]) for name in names)
    sure = len(table) >= _SURE_ROWS and not all(map(NUMBER.fullmatch, labels))
    label = bool(labels)
    return sure or (label and sentence) or all(_like(name, values[name]) for name in names)


def _beginnings(cells: list[str | None]) -> list[str]:
    return [value for cell in cells if cell and (value := cell[:_BEGINNING].strip())]


def _repeats(name: str, values: list[str]) -> bool:
    """Whether a name is one of a few values; one that stands there once among many may be a second header."""
    distinct = set(values)
    few = name in distinct and len(distinct) <= max(2, len(values) // 2)
    return few and (len(values) < _SURE_ROWS or values.count(name) > 1)


def _is_sentence(name: str, values: list[str]) -> bool:
    """Whether a name is a sentence among sentences."""
    many = sum(len(value.split()) >= _SENTENCE for value in values) >= 0.5 * len(values)
    return len(name.split()) >= _SENTENCE and bool(values) and many


def _like(name: str, values: list[str]) -> bool:
    """Whether a name is one of a few values, a number among numbers, a sentence among sentences, or of the same shape
    as values that hold digits."""
    if not values:
        return False
    if _repeats(name, values):
        return True
    if NUMBER.fullmatch(name):
        return sum(NUMBER.fullmatch(value) is not None for value in values) >= 0.9 * len(values)
    if len(name.split()) >= _SENTENCE:
        return _is_sentence(name, values)
    shapes = Counter(map(_shape, values))
    return any(char.isdigit() for char in name) and shapes[_shape(name)] >= 0.5 * len(values)


def _shape(value: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value))


def _reads_like_data(table: Table) -> bool:
    names = table.columns
    if names == [str(place) for place in range(len(names))]:
        return False
    if len(names) == 1 and len(names[0].split()) > 1:
        words = [len(value.split()) for value in _beginnings(table.column(names[0], _LOOKED_AT))]
        if words and len(names[0].split()) >= 0.5 * sum(words) / len(words):
            return True
    odd = any(len(name) > 100 or name[:1] in "[{" or name.replace(".", "", 1).isdigit() for name in names)
    return odd or all(name in set(table.column(name, _LOOKED_AT)) for name in names)
