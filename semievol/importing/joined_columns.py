"""Several columns as one, named A+B: a context of labelled lines, where a question needs more than one."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Tables
from dataclasses import replace

import pyarrow as pa

from semievol.importing.table import Table
from semievol.records import Split

_AND = "+"


def joined_name(*columns: str) -> str:
    """The name of the columns joined."""
    return _AND.join(columns)


def with_joined(tables: Tables[Split, Table], names: Iterable[str]) -> dict[Split, Table]:
    """The tables with a column for each of the names that means several of their columns; other names add nothing."""
    found = dict(tables)
    for name in dict.fromkeys(names):
        columns = name.split(_AND)
        for split, table in found.items():
            if name not in table.columns and len(columns) > 1 and set(columns) <= set(table.columns):
                rows = table.cells.select(columns).to_pydict().values()
                texts = [_lines(columns, row) for row in zip(*rows, strict=True)]
                cells = table.cells.append_column(name, pa.array(texts, pa.large_string()))
                found[split] = replace(table, cells=cells)
    return found


def _lines(columns: list[str], cells: Iterable[str | None]) -> str:
    pairs = zip(columns, cells, strict=True)
    return "\n".join(f"{name}: {cell.strip()}" for name, cell in pairs if cell and cell.strip())
