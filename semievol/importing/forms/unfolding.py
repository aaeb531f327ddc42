"""What all forms share: reading JSON cells, and writing a table with more columns.

Knows nothing of any one form.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from semievol.annotation.votes import leading
from semievol.importing.table import Doubt, Limits, Table, snippet
from semievol.importing.table_writer import TableWriter

QUESTION, ANSWER, EARLIER = "question", "answer", "earlier turns"
SAMPLE = 50
_LONGEST = 200_000
"""Characters of a cell that is read as Python prints it."""
_PYTHON = re.compile(r"(?:\{\s*['\"]|\[\s*['\"\[{])")
_TEXTS_APART = re.compile(r"('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")(\s+(?=['\"]))?")
"""A text, and the space to the next one where no comma is between, as NumPy prints arrays. Python joins the two."""
_ARRAY = re.compile(r"\barray\((\[[^()]*?\])(?:,\s*dtype=[\w<>]+)?\)")
_SHOWN = 5


class Unreadable(ValueError):
    """Why a row cannot be read, in which column, and what to do."""

    def __init__(self, column: str, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.column, self.reason, self.remedy = column, reason, remedy


@dataclass
class Tally:
    """How many rows something is true of, and the first of them."""

    rows: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, row: int, text: str) -> None:
        self.rows += 1
        if len(self.examples) < _SHOWN:
            self.examples.append((row, snippet(text)))

    def doubt(self, kind: str, what: str, remedy: str, column: str = "") -> list[Doubt]:
        """The doubt about these rows, and about a column; none where there are none. what: ends before the number."""
        if not self.rows:
            return []
        return [Doubt(kind, self.rows, f"{what}: {self.rows:,}.", remedy, tuple(self.examples), column=column)]


def written(
    table: Table,
    added: Sequence[str],
    read: Callable[[int, dict[str, str | None]], Iterable[Sequence[str | None]]],
    limits: Limits,
    renamed: dict[str, str] | None = None,
    taken_apart: Collection[str] = (),
) -> Table:
    """The table with the columns `added`, as `read` gives their cells for every row; a row can become several.

    read: gets the physical row and the cells by column, and raises `Unreadable` for a row to reject. renamed: columns
    that get another name, because the form adds a column of theirs. taken_apart: columns of the form's own structure,
    which nothing else can read; they are left out.
    """
    columns = table.columns
    new_names = [(renamed or {}).get(column, column) for column in columns]
    kept = [place for place, name in enumerate(new_names) if name not in added and columns[place] not in taken_apart]
    writer = TableWriter(table, [*(new_names[place] for place in kept), *added], limits)
    for number, cells in table.walk(columns):
        try:
            rows = list(read(number, dict(zip(columns, cells, strict=True))))
        except Unreadable as error:
            value = cells[columns.index(error.column)] if error.column in columns else ""
            writer.reject(number, error.column, value, error.reason, error.remedy)
        else:
            for row in rows:
                writer.add(number, [*(cells[place] for place in kept), *row])
    return writer.finished()


def free_name(table: Table, name: str) -> str:
    """A name for a column that the table does not have yet."""
    while name in table.columns:
        name += "_"
    return name


def hold(table: Table, column: str, read: Callable[[str], object], share: float = 0.8) -> bool:
    """Whether nearly all of the first cells that are not blank can be read so."""
    held = [cell for cell in table.column(column, SAMPLE) if cell and cell.strip()]
    return bool(held) and sum(read(cell) is not None for cell in held) >= share * len(held)


def parsed(cell: str | None, opening: str) -> Any:
    """The value of a cell that begins with one of the characters of `opening`: JSON, else as Python or NumPy print it
    (`{'text': array(['a'], dtype=object)}`); None where it is something else.

    Numbers are text, in JSON as they are written.
    """
    start = (cell or "").lstrip()[:1]
    if not cell or not start or start not in opening:
        return None
    try:
        return json.loads(cell, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return _printed(cell.strip()) if len(cell) <= _LONGEST else None


def _printed(text: str) -> Any:
    """The value of a list or dictionary that Python printed; None where it is something else."""
    if not _PYTHON.match(text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with_commas = _TEXTS_APART.sub(lambda match: match[1] + (", " if match[2] else ""), text)
            return _with_text(ast.literal_eval(_ARRAY.sub(lambda match: match[1], with_commas)))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _with_text(value: Any) -> Any:
    """The value with its numbers as text."""
    if isinstance(value, dict):
        return {str(key): _with_text(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text(one) for one in value]
    return value if value is None or isinstance(value, bool | str) else str(value)


def looks_nested(cell: str) -> bool | None:
    """True for a cell that holds a nested value, whether it can be read or not; None for any other."""
    text = cell.strip()
    return True if (_PYTHON.match(text) and text[-1] in "]}") or parsed(text, "[{") is not None else None


def as_text(value: Any) -> str | None:
    """A value inside a cell's JSON as a cell of its own."""
    return value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False)


def fields_of(cell: str | None) -> dict[str, str | None] | None:
    """The fields of an object as cells of their own; None where the cell is something else."""
    found = parsed(cell, "{")
    if not isinstance(found, dict):
        return None
    return {name: as_text(value) for name, value in found.items() if name.strip()}


@dataclass
class Annotators:
    """What several annotators answered, and the rows on which they differ. tool: where they can settle them. column: of
    the answers; what is doubtful about them is told only where this column is in use."""

    tool: str
    column: str = ANSWER
    disagree: Tally = field(default_factory=Tally)
    tied: Tally = field(default_factory=Tally)

    def answer(self, row: int, answers: Sequence[str]) -> str | None:
        """The answer given most often; None for a tie, or without answers."""
        counts = Counter(answers)
        found = leading(counts)
        if len(counts) > 1:
            words = ", ".join(f"{times} × {answer}" for answer, times in counts.most_common())
            (self.tied if found is None else self.disagree).add(row, words)
        return found

    def doubts(self) -> list[Doubt]:
        return [
            *self.disagree.doubt(
                "annotators_disagree", _DISAGREE, f"Settle them in {self.tool}, or go on.", self.column
            ),
            *self.tied.doubt("annotators_tied", _TIED, f"Settle them in {self.tool}.", self.column),
        ]


_DISAGREE = "Annotators disagree, and the answer given most often was taken. Records"
_TIED = "As many annotators say one thing as another, so these records have no answer. Records"
