"""What every reader returns: a table of text, with the physical row of every record and the rejected rows.

Also says how much a file may hold. Knows nothing of file formats, mappings or tasks.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.readers.overrides import AS_FOUND, ReadAs

MEGABYTE = 2**20
_WALKED = 4_096
MERGED = "Merged ranges in the sheet"
"""How the note about them begins."""
_NUMBERS = "physical row"
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Limits:
    """How much a file may hold; every message about a limit names the limit. Sizes in bytes."""

    file: int = 500 * MEGABYTE
    decoded: int = 1024 * MEGABYTE
    cell: int = MEGABYTE
    cells: int = 20_000_000
    columns: int = 1_000
    rejected: int = 100_000


LIMITS = Limits()


@dataclass(frozen=True)
class Reject:
    """A row that is not imported: its place, what was found there, why it is rejected, and what to do.

    row: physical row. column: name or "" where the row as a whole is meant. value: snippet of at most 80 characters.
    """

    row: int
    column: str
    value: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Doubt:
    """A guess in reading a file that changes what records mean, for a person to confirm or to correct.

    rows: how many rows it concerns. examples: (physical row, text) of the first ones. correction: (field of `ReadAs`,
    value, words) of the other reading, if there is one to choose. option: the same on the command line. column: the one
    that it concerns, told only where this column is in use.
    """

    kind: str
    rows: int
    what: str
    remedy: str
    examples: tuple[tuple[int, str], ...] = ()
    correction: tuple[str, str, str] | None = None
    option: str = ""
    column: str = ""


@dataclass(eq=False)
class Table:
    """The cells of one file exactly as text, column by column in Arrow memory; None for a missing value, in formats
    that have such.

    cells: one `large_string` column per name in `columns`.
    numbers: for every row the physical row: the line on which it starts (CSV, TSV, JSONL; the header of a CSV is
    row 1), the sheet's row (XLSX), or the position of the record counted from 1 (JSON array, Parquet).
    notes: what was decided in reading (encoding, delimiter, sheet), as sentences for a person.
    sheets: all sheets of a workbook, the one that was read first. form: format, encoding and delimiter, for a person.
    read_as: encoding and delimiter that were taken, None where the format has none. guessed: which of them were guessed
    from the content, because neither the file nor a person states them. doubts: guesses that change what records mean.
    instruction: the system turn that all of the file's conversations share; "" if there is none.
    label_names: column -> all its labels, in files that say so, also those that no row has.
    nested: columns whose values the file holds as lists or objects, not as text.
    structure: columns whose content other columns hold as well.
    unreadable: cells without a value that anybody could read, missing in `cells`; their rows are rejected only where
    their column is used.
    """

    name: str
    cells: pa.Table = field(default_factory=lambda: pa.table({}))
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    notes: list[str] = field(default_factory=list)
    rejected: list[Reject] = field(default_factory=list)
    sheets: list[str] = field(default_factory=list)
    form: str = ""
    read_as: ReadAs = AS_FOUND
    guessed: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    instruction: str = ""
    label_names: dict[str, list[str]] = field(default_factory=dict)
    nested: list[str] = field(default_factory=list)
    structure: list[str] = field(default_factory=list)
    unreadable: list[Reject] = field(default_factory=list)

    @cached_property
    def columns(self) -> list[str]:
        return list(self.cells.column_names)

    @cached_property
    def plain(self) -> Table:
        """The table without the columns of `structure`."""
        left_out = [column for column in self.structure if column in self.columns]
        return replace(self, cells=self.cells.drop_columns(left_out)) if left_out else self

    def __len__(self) -> int:
        return int(self.cells.num_rows)

    @property
    def physical(self) -> int:
        """Rows that the file holds, read or rejected, without header and blank lines."""
        return len(self) + len(self.rejected)

    @property
    def rows(self) -> list[list[str | None]]:
        """All cells row by row; for small tables."""
        return [list(row) for _, row in self.walk(self.columns)]

    def renamed(self, names: Mapping[str, str]) -> Table:
        """The same cells with some columns under other names; a note says which."""
        renames = "; ".join(f'"{old}" is read as "{new}"' for old, new in names.items())
        cells = self.cells.rename_columns([names.get(column, column) for column in self.columns])
        return replace(self, cells=cells, notes=[*self.notes, f"{renames}."])

    def column(self, name: str, first: int | None = None) -> list[str | None]:
        """The cells of a column, all or the `first` ones."""
        found = self.cells.column(name)
        return list((found if first is None else found.slice(0, first)).to_pylist())

    def counts(self, name: str) -> Counter[str | None]:
        """How often each value occurs in a column, in the order of their first occurrence."""
        return value_counts(self.cells.column(name))

    def walk(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[str | None, ...]]]:
        """Physical row number and the cells of the named columns, row by row; a batch of them is in memory."""
        position = 0
        for batch in self.cells.select(list(names)).to_batches(max_chunksize=_WALKED):
            numbers = self.numbers[position : position + batch.num_rows].tolist()
            position += batch.num_rows
            yield from zip(numbers, zip(*(column.to_pylist() for column in batch.columns), strict=True), strict=True)

    def save(self, path: Path) -> None:
        """Writes the cells to an Arrow file, which `opened` maps into memory instead of reading it.

        An existing file is replaced, not overwritten: a process that has mapped it still sees the old cells.
        """
        numbered = self.cells.append_column(_NUMBERS, pa.array(self.numbers))
        partial = path.with_name(f"{path.name}.{os.getpid()}.part")
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, numbered.schema) as writer:
            writer.write_table(numbered)
        os.replace(partial, path)

    @classmethod
    def opened(cls, path: Path, **others: Any) -> Table:
        """The table that `save` wrote. others: its fields beside `cells` and `numbers`."""
        found = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        # The last column by position: a column of the file's own may have any name.
        last = found.num_columns - 1
        return cls(cells=found.remove_column(last), numbers=found.column(last).to_numpy(), **others)


def value_counts(texts: pa.ChunkedArray) -> Counter[Any]:
    """How often each value occurs, in the order of their first occurrence."""
    found = pc.value_counts(texts)
    return Counter(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))


def unfit(value: str, limits: Limits = LIMITS) -> str:
    """Why `value` cannot be kept as text, or ""."""
    if value.isascii():
        size = len(value)
        found = "\0" in value
    else:
        size = len(value.encode("utf-8", "surrogatepass")) if len(value) * 4 > limits.cell else 0
        found = _UNFIT.search(value) is not None
    if size > limits.cell:
        return f"The cell holds {size:,} bytes; the limit is {limits.cell:,} bytes per cell."
    if found:
        return f"The cell holds {'a NUL character' if chr(0) in value else 'half a character (lone surrogate)'}."
    return ""


def snippet(value: str | None, length: int = 80) -> str:
    """At most `length` characters of a value, safe to store and to show: what cannot be encoded is escaped."""
    text = (value or "")[: length + 1]
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\0")
    return text if len(text) <= length else text[: length - 1] + "…"


def display_name(name: str) -> str:
    """The last part of a file name for messages; a name is never used as a path. Its ending is kept."""
    last = re.split(r"[/\\]", name)[-1]
    shown = snippet("".join(char if char.isprintable() else "?" for char in last), len(last)) or "file"
    return shown if len(shown) <= 80 else f"{shown[:60]}…{shown[-19:]}"


def check_columns(columns: list[str], name: str, limits: Limits = LIMITS, row: int | None = None) -> None:
    """UserError for blank, repeated or too many column names. row: the row that they are in, if they are in one."""
    where = name if row is None else f"{name}, row {row}"
    if len(columns) > limits.columns:
        raise UserError(
            f"The file has {len(columns):,} columns; the limit is {limits.columns:,}.",
            name,
            "Keep the columns that hold the question, the answer and the options.",
        )
    for number, column in enumerate(columns, 1):
        if not column.strip():
            raise UserError("This column has no name.", f"{where}, column {number}", "Name the column or delete it.")
        if unfit(column):
            raise UserError(
                "The name of this column cannot be read as text.",
                f"{where}, column {number}",
                "Rename the column.",
            )
    repeated = [column for column, times in Counter(columns).items() if times > 1]
    if repeated:
        listed = ", ".join(f'"{snippet(column)}"' for column in repeated[:5])
        places = [str(i) for i, column in enumerate(columns, 1) if column == repeated[0]]
        raise UserError(
            f"Two or more columns share a name: {listed}.",
            f"{where}, columns {', '.join(places)}",
            "Rename them so that every column has its own name.",
        )


def check_cells(rows: int, columns: int, name: str, limits: Limits) -> None:
    """UserError past the limit of cells."""
    if rows * columns > limits.cells:
        raise UserError(
            f"The file holds more than {limits.cells:,} cells, which is the limit.",
            f"{name}, record {rows:,}",
            "Split the file, or keep only the columns that are needed.",
        )
