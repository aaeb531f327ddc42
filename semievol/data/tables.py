"""What every reader gives back: a table of text with the physical row of every record and the rows it had to reject.

Knows nothing of file formats, mappings or tasks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError

MEGABYTE = 2**20
_WRITTEN = 1_024
_WALKED = 4_096
_NUMBERS = "physical row"
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Limits:
    """What a file may hold; every message about a limit names it. Sizes in bytes."""

    file: int = 500 * MEGABYTE
    decoded: int = 1024 * MEGABYTE
    cell: int = MEGABYTE
    cells: int = 20_000_000
    columns: int = 1_000
    rejected: int = 100_000


LIMITS = Limits()


@dataclass(frozen=True)
class Reject:
    """A row that is not imported: where it stands, what was found there, why, and what to do.

    row: physical row. column: name or "" where the row as a whole is meant. value: snippet of at most 80 characters.
    """

    row: int
    column: str
    value: str
    reason: str
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "column": self.column,
            "value": self.value,
            "reason": self.reason,
            "remedy": self.remedy,
        }


class Table:
    """The cells of one file exactly as text, column by column in Arrow memory; None stands for a missing value where
    the format knows missing values.

    cells: one `large_string` column per name in `columns`.
    numbers: for every row the physical row: the line on which it starts (CSV, TSV, JSONL; the header of a CSV is
    row 1), the sheet's row (XLSX), or the position of the record counted from 1 (JSON array, Parquet).
    notes: what was decided in reading (encoding, delimiter, sheet), as sentences for a person.
    sheets: all sheets of a workbook, that which was read first.
    """

    def __init__(
        self,
        name: str,
        cells: pa.Table,
        numbers: np.ndarray,
        notes: Iterable[str] = (),
        rejected: Iterable[Reject] = (),
        sheets: Iterable[str] = (),
    ) -> None:
        self.name, self.cells, self.numbers = name, cells, numbers
        self.notes, self.rejected, self.sheets = list(notes), list(rejected), list(sheets)
        self.columns: list[str] = list(cells.column_names)

    @classmethod
    def of(cls, name: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]], first: int = 2) -> Table:
        """A table of these rows, numbered from `first`."""
        writer = TableWriter(name, columns)
        for number, row in enumerate(rows, first):
            writer.add(number, row)
        return writer.table()

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
        told = "; ".join(f'"{old}" is read as "{new}"' for old, new in names.items())
        cells = self.cells.rename_columns([names.get(column, column) for column in self.columns])
        return Table(self.name, cells, self.numbers, [*self.notes, f"{told}."], self.rejected, self.sheets)

    def column(self, name: str, first: int | None = None) -> list[str | None]:
        """The cells of a column, all or the `first` ones."""
        found = self.cells.column(name)
        return list((found if first is None else found.slice(0, first)).to_pylist())

    def counts(self, name: str) -> Counter[str | None]:
        """How often each value stands in a column, in the order in which they first appear."""
        found = pc.value_counts(self.cells.column(name))
        return Counter(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))

    def walk(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[str | None, ...]]]:
        """Physical row number and the cells of the named columns, row by row; a batch of them is in memory."""
        position = 0
        for batch in self.cells.select(list(names)).to_batches(max_chunksize=_WALKED):
            numbers = self.numbers[position : position + batch.num_rows].tolist()
            position += batch.num_rows
            yield from zip(numbers, zip(*(column.to_pylist() for column in batch.columns), strict=True), strict=True)

    def save(self, path: Path) -> None:
        """Writes the cells to an Arrow file, which `opened` maps into memory instead of reading it."""
        numbered = self.cells.append_column(_NUMBERS, pa.array(self.numbers))
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, numbered.schema) as writer:
            writer.write_table(numbered)

    @classmethod
    def opened(
        cls, path: Path, name: str, notes: Iterable[str], rejected: Iterable[Reject], sheets: Iterable[str] = ()
    ) -> Table:
        """The table that `save` wrote."""
        found = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        # The last column by position: a column of the file's own may have any name.
        numbers = found.column(found.num_columns - 1).to_numpy()
        return cls(name, found.remove_column(found.num_columns - 1), numbers, notes, rejected, sheets)


class TableWriter:
    """Rows as a reader finds them, on their way to a table; a row with a cell that cannot be kept as text is rejected.

    columns: may grow while rows come in; earlier rows have no value in the later columns.
    """

    def __init__(
        self, name: str, columns: Iterable[str] = (), limits: Limits = LIMITS, notes: list[str] | None = None
    ) -> None:
        self.name, self.limits = name, limits
        self.columns = list(columns)
        self.notes = [] if notes is None else notes
        self.rejected: list[Reject] = []
        self.sheets: list[str] = []
        self._rows: list[Sequence[str | None]] = []
        self._numbers: list[int] = []
        self._written: list[pa.Table] = []
        self._all_numbers: list[np.ndarray] = []
        self._count = 0

    @property
    def count(self) -> int:
        """Rows taken so far."""
        return self._count + len(self._rows)

    @property
    def physical(self) -> int:
        return self.count + len(self.rejected)

    def widen(self, columns: Iterable[str]) -> None:
        """Appends columns."""
        self._write()
        self.columns += columns

    def add(self, number: int, row: Sequence[str | None]) -> None:
        """Takes a row with one cell per column. Raises UserError past the limit of cells."""
        self._rows.append(row)
        self._numbers.append(number)
        if len(self._rows) >= _WRITTEN:
            self._write()

    def reject(self, number: int, column: str, value: str | None, reason: str, remedy: str) -> None:
        """Notes a row that is left out. Raises UserError where there are more than a person would correct."""
        self.rejected.append(Reject(number, column, snippet(value), reason, remedy))
        if len(self.rejected) > self.limits.rejected:
            place = f", column {column}" if column else ""
            raise UserError(
                f"More than {self.limits.rejected:,} rows cannot be read; the last one: {reason}",
                f"{self.name}, row {number}{place}",
                remedy,
            )

    def table(self) -> Table:
        """The table of all rows that were taken."""
        self._write()
        schema = pa.schema([(column, pa.large_string()) for column in self.columns])
        cells = pa.concat_tables([schema.empty_table(), *self._written], promote_options="default")
        numbers = np.concatenate([np.empty(0, np.int64), *self._all_numbers])
        self.rejected.sort(key=lambda reject: reject.row)
        return Table(self.name, cells, numbers, self.notes, self.rejected, self.sheets)

    def _write(self) -> None:
        if not self._rows:
            return
        if (cells := self._as_cells()) is None:
            self._sift()
            cells = self._as_cells()
        if cells is not None:
            self._written.append(cells)
            self._all_numbers.append(np.array(self._numbers, np.int64))
            self._count += len(self._rows)
        self._rows, self._numbers = [], []
        check_cells(self._count, len(self.columns), self.name, self.limits)

    def _as_cells(self) -> pa.Table | None:
        """The waiting rows as text in memory; None where there are none, or a cell is no text or too long."""
        try:
            columns = [pa.array(column, pa.large_string()) for column in zip(*self._rows, strict=True)]
        except UnicodeEncodeError:
            return None
        if not columns or any(_unfit_column(column, self.limits) for column in columns):
            return None
        return pa.table(columns, names=self.columns)

    def _sift(self) -> None:
        rows, numbers = self._rows, self._numbers
        self._rows, self._numbers = [], []
        for number, row in zip(numbers, rows, strict=True):
            for column, value in zip(self.columns, row, strict=True):
                if reason := unfit(value, self.limits) if value else "":
                    self.reject(number, column, value, reason, "Remove or shorten this value in the file.")
                    break
            else:
                self._rows.append(row)
                self._numbers.append(number)


def _unfit_column(column: pa.Array, limits: Limits) -> bool:
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    return longest > limits.cell or bool(pc.any(pc.match_substring(column, "\0")).as_py())


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


def check_columns(columns: list[str], name: str, limits: Limits = LIMITS) -> None:
    """UserError for blank, repeated or too many column names."""
    if len(columns) > limits.columns:
        raise UserError(
            f"The file has {len(columns):,} columns; the limit is {limits.columns:,}.",
            name,
            "Keep the columns that hold the question, the answer and the options.",
        )
    for number, column in enumerate(columns, 1):
        if not column.strip():
            raise UserError(
                "This column has no name.", f"{name}, row 1, column {number}", "Name the column or delete it."
            )
        if unfit(column):
            raise UserError(
                "The name of this column cannot be read as text.",
                f"{name}, row 1, column {number}",
                "Rename the column.",
            )
    repeated = [column for column, times in Counter(columns).items() if times > 1]
    if repeated:
        listed = ", ".join(f'"{snippet(column)}"' for column in repeated[:5])
        places = [str(i) for i, column in enumerate(columns, 1) if column == repeated[0]]
        raise UserError(
            f"Two or more columns share a name: {listed}.",
            f"{name}, row 1, columns {', '.join(places)}",
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


def finished(writer: TableWriter, unit: str = "row") -> Table:
    """The table, if it holds anything; UserError for 0 rows or where not one row could be read."""
    table = writer.table()
    if not table.physical:
        raise UserError(
            "The file has 0 rows below its header." if table.columns else "The file has 0 records.",
            table.name,
            "Choose the file that holds the data.",
        )
    if not len(table):
        first = table.rejected[0]
        column = f", column {first.column}" if first.column else ""
        raise UserError(
            f"Not one of the {table.physical:,} rows can be read. {first.reason}",
            f"{table.name}, {unit} {first.row}{column}",
            first.remedy,
        )
    folded = Counter(column.strip().casefold() for column in table.columns)
    alike = [column for column in table.columns if folded[column.strip().casefold()] > 1]
    if alike:
        table.notes.append(f"These column names differ only in case or spaces: {', '.join(alike[:6])}.")
    return table
