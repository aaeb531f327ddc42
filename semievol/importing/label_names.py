"""Labels that a person names: names for labels that files hold as numbers, or the label set of a classification."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Tables
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.mapping import Mapping
from semievol.importing.table import Table
from semievol.importing.task_kind import known_answers
from semievol.records import Split, Task

_WHERE = "--labels"
_NUMBER = re.compile(r"[-+]?\d{1,9}(?:\.\d{1,9})?")


def named(text: str) -> tuple[str, ...]:
    """Names from `a,b,c`. UserError where there are fewer than two, or one is blank or given twice."""
    names = tuple(name.strip() for name in text.split(","))
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise UserError("These are no different labels.", _WHERE, "Write at least two names, separated by commas.")
    return names


def are_numbers(labels: Collection[str]) -> bool:
    """Whether all of these labels are mere numbers, and there are any."""
    return bool(labels) and all(_NUMBER.fullmatch(label) for label in labels)


def with_names(tables: Tables[Split, Table], mapping: Mapping, names: Sequence[str]) -> tuple[dict[Split, Table], Task]:
    """The tables and their task: classification by these labels. Where all known answers are numbers, each
    becomes its name; they count from 0 if one of them is 0, else from 1. Other numbers need a name each."""
    answers, task = known_answers(tables, mapping), Task("classification", tuple(names))
    if not are_numbers(answers):
        return dict(tables), task
    numbers = sorted({Decimal(answer) for answer in answers})
    first = 0 if numbers[0] == 0 else 1
    if all(number == int(number) and first <= number < first + len(names) for number in numbers):
        by_number = {Decimal(number): name for number, name in enumerate(names, first)}
    elif len(numbers) == len(names):
        by_number = dict(zip(numbers, names, strict=True))
    else:
        raise UserError(
            f"The answers are numbers from {numbers[0]} to {numbers[-1]}, and there are {len(names)} names.",
            _WHERE,
            "Give a name for every number, in their order.",
        )
    known = {str(number): name for number, name in by_number.items()}
    known |= {answer: by_number[Decimal(answer)] for answer in answers}
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
