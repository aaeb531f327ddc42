"""Rows to a table: what every reader writes to, a batch of rows at a time. Knows nothing of file formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.readers.overrides import AS_FOUND
from semievol.importing.table import LIMITS, Limits, Reject, Table, snippet, unfit

_WRITTEN = 1_024


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
        self.form = ""
        self.read_as = AS_FOUND
        self.guessed: list[str] = []
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

    def like(self, table: Table) -> TableWriter:
        """This writer, with what is known of the file that `table` was read from."""
        self.rejected, self.sheets, self.form = list(table.rejected), table.sheets, table.form
        self.read_as, self.guessed = table.read_as, table.guessed
        return self

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
        return Table(
            self.name,
            cells,
            numbers,
            notes=self.notes,
            rejected=self.rejected,
            sheets=self.sheets,
            form=self.form,
            read_as=self.read_as,
            guessed=self.guessed,
        )

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
            f"None of the {table.physical:,} rows can be read. The first one: {first.reason}",
            f"{table.name}, {unit} {first.row}{column}",
            first.remedy,
        )
    folded = Counter(column.strip().casefold() for column in table.columns)
    alike = [column for column in table.columns if folded[column.strip().casefold()] > 1]
    if alike:
        table.notes.append(f"These column names differ only in case or spaces: {', '.join(alike[:6])}.")
    return table


def table_of(name: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]], first: int = 2) -> Table:
    """A table of these rows, numbered from `first`."""
    writer = TableWriter(name, columns)
    for number, row in enumerate(rows, first):
        writer.add(number, row)
    return writer.table()
