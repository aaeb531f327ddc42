"""What the cells of a column are like: texts, few values that repeat, labels. Knows nothing of roles and names."""

from __future__ import annotations

from semievol.importing.table import Table

MOST_LABELS = 30
LONGEST_LABEL = 60
LOOKED_AT = 2_000
COMPARED = 300
"""Rows, and characters of each cell, by which one column is found inside others."""
TEXT, SHORT_TEXT = 2, 1.5
"""Words on average, from which on the cells of a column are texts, and from which on they may be."""
_SPLIT_NAMES = {"train", "training", "validation", "valid", "val", "dev", "eval", "test", "unassigned"}


def filled(table: Table, column: str) -> list[str]:
    """The first cells of a column that are not blank."""
    return [cell for cell in table.column(column, LOOKED_AT) if cell and cell.strip()]


def are_texts(cells: list[str], words: float = TEXT) -> bool:
    """Whether the cells are texts of some words on average, most of them different."""
    some = cells[:200]
    return bool(some) and sum(len(cell[:200].split()) for cell in some) >= words * len(some) and not few_values(cells)


def may_be_labels(cells: list[str]) -> bool:
    """Whether the cells have few values, other than names of splits."""
    return few_values(cells) and not {cell.strip().casefold() for cell in cells} <= _SPLIT_NAMES


def few_values(cells: list[str]) -> bool:
    distinct = set(cells)
    return bool(cells) and len(distinct) <= max(2, len(cells) // 2) and max(map(len, distinct)) <= LONGEST_LABEL
