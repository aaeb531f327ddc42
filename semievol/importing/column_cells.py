"""What the cells of a column are like: texts, few values that repeat, labels, lists of options."""

from __future__ import annotations

import re

from semievol.importing import column_names
from semievol.importing.answer_cells import options_in
from semievol.importing.table import Table

MOST_LABELS = 30
LONGEST_LABEL = 60
LOOKED_AT = 2_000
COMPARED = 300
"""Rows, and characters of each cell, by which one column is found inside others."""
TEXT, SHORT_TEXT = 2, 1.5
"""Words on average, from which on the cells of a column are texts, and from which on they may be."""
_SPLIT_NAMES = {"train", "training", "validation", "valid", "val", "dev", "eval", "test", "unassigned"}
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}\.?([t ]\d{1,2}:\d{2}.*)?")
_KEY = re.compile(r"""\{\s*["']?([^"':]*)["']?\s*:\s*(\[?)""")
_LISTS = ("text", "texts", "options", "choices", "label", "labels")
POINTS = re.compile(r"\(?[A-Za-z][).:]?|\d{1,2}")
"""A letter or a position, as an answer that names an option."""


def filled(table: Table, column: str) -> list[str]:
    """The first cells of a column that are not blank."""
    return [cell for cell in table.column(column, LOOKED_AT) if cell and cell.strip()]


def are_texts(cells: list[str], words: float = TEXT) -> bool:
    """Whether the cells are texts of some words on average, most of them different."""
    some = cells[:200]
    return bool(some) and sum(len(cell[:200].split()) for cell in some) >= words * len(some) and not few_values(cells)


def may_be_labels(cells: list[str]) -> bool:
    """Whether the cells have few values, other than names of splits and dates."""
    values = {cell.strip().casefold() for cell in cells}
    return few_values(cells) and not values <= _SPLIT_NAMES and not all(map(_DATE.fullmatch, values))


def few_values(cells: list[str]) -> bool:
    distinct = set(cells)
    return bool(cells) and len(distinct) <= max(2, len(cells) // 2) and max(map(len, distinct)) <= LONGEST_LABEL


def holds_lists(cells: list[str]) -> bool:
    """Whether nearly all of the first cells are lists of options; answers in the form of SQuAD, and texts with tokens
    of a chat (`<|user|>`), are none."""
    sample = [cell for cell in cells[:200] if "answer_start" not in cell and "<|" not in cell]
    lists = sum(bool(options_in(cell)) and _names_options(cell) for cell in sample)
    return bool(sample) and lists >= 0.8 * len(cells[:200])


def _names_options(cell: str) -> bool:
    """Whether a cell is a list, or names options by letters or numbers: other objects hold details of a task."""
    key = _KEY.match(cell.lstrip())
    if key is None or (key[1].casefold() in _LISTS and key[2]):
        return True
    return POINTS.fullmatch(key[1]) is not None or column_names.is_choice(key[1])
