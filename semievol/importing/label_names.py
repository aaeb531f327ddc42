"""Labels that a person names: names for labels that files hold as numbers, or the label set of a classification."""

from __future__ import annotations

from collections.abc import Mapping as Tables
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.mapping import Mapping
from semievol.importing.table import Table
from semievol.importing.task_kind import known_answers
from semievol.records import Split, Task

_WHERE = "--labels"


def named(text: str) -> tuple[str, ...]:
    """Names from `a,b,c`. UserError where there are fewer than two, or one is blank or given twice."""
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise UserError("These are no different labels.", _WHERE, "Write at least two names, separated by commas.")
    return names


def with_names(tables: Tables[Split, Table], mapping: Mapping, names: Sequence[str]) -> tuple[dict[Split, Table], Task]:
    """The tables and their task: classification by these labels. Where all known answers are whole numbers, each
    becomes its name; they count from 0 if one of them is 0, else from 1."""
    answers = known_answers(tables, mapping)
    task = Task("classification", tuple(names))
    if not answers or not all(answer.isdecimal() for answer in answers):
        return dict(tables), task
    numbers = sorted({int(answer) for answer in answers})
    first = 0 if numbers[0] == 0 else 1
    if numbers[-1] - first >= len(names):
        raise UserError(
            f"The answers are numbers from {numbers[0]} to {numbers[-1]}, and there are {len(names)} names.",
            _WHERE,
            "Give a name for every number, in their order.",
        )
    known = {str(number): name for number, name in enumerate(names, first)}
    columns = {column for column in (mapping.answer, mapping.gold) if column}
    return {split: _renamed(table, columns, known) for split, table in tables.items()}, task


def _renamed(table: Table, columns: set[str], known: dict[str, str]) -> Table:
    cells = table.cells
    for column in sorted(columns & set(table.columns)):
        coded = cells.column(column).combine_chunks().dictionary_encode()
        texts = [known.get(str(text).strip(), text) for text in coded.dictionary.to_pylist()]
        named = pc.take(pa.array(texts, pa.large_string()), coded.indices)
        cells = cells.set_column(table.columns.index(column), column, named)
    return replace(table, cells=cells)
