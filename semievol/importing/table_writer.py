"""Rows of a file to a table: readers give them one by one; what cannot be kept is rejected, limits are held."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.table import LIMITS, Limits, Reject, Table, check_cells, snippet, unfit

_WRITTEN = 1_024
"""Rows that are turned into Arrow's form together."""


class TableWriter:
    """Collects rows for a table, and rejects a row with a cell that cannot be kept as text.

    file: a table with what is known of the file beside its cells; readers add to it. columns: may grow while rows come
    in; earlier rows have no value in the later columns.
    """

    def __init__(self, file: Table, columns: Iterable[str] = (), limits: Limits = LIMITS) -> None:
        self.file, self.limits, self.columns = replace(file, rejected=list(file.rejected)), limits, list(columns)
        self._rows: list[Sequence[str | None]] = []
        self._numbers: list[int] = []
        self._written: list[pa.Table] = []
        self._all_numbers: list[np.ndarray] = []
        self._count = 0

    @property
    def physical(self) -> int:
        """Rows so far, taken or rejected."""
        return self._count + len(self._rows) + len(self.file.rejected)

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
        """Notes a row that is left out. Raises UserError where there are more than the limit of rejected rows."""
        self.file.rejected.append(Reject(number, column, snippet(value), reason, remedy))
        if len(self.file.rejected) > self.limits.rejected:
            place = f", column {column}" if column else ""
            raise UserError(
                f"More than {self.limits.rejected:,} rows cannot be read; the last one: {reason}",
                f"{self.file.name}, row {number}{place}",
                remedy,
            )

    def table(self) -> Table:
        """The table of all rows that were taken."""
        self._write()
        schema = pa.schema([(column, pa.large_string()) for column in self.columns])
        cells = pa.concat_tables([schema.empty_table(), *self._written], promote_options="default")
        numbers = np.concatenate([np.empty(0, np.int64), *self._all_numbers])
        self.file.rejected.sort(key=lambda reject: reject.row)
        return replace(self.file, cells=cells, numbers=numbers)

    def finished(self, unit: str = "row") -> Table:
        """As `table`; UserError where it has no rows, or not one could be read. unit: what `Reject.row` counts, in
        words."""
        table = self.table()
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
        check_cells(self._count, len(self.columns), self.file.name, self.limits)

    def _as_cells(self) -> pa.Table | None:
        """The waiting rows as Arrow text; None where a cell is no text or too long, or there are no columns."""
        try:
            columns = [pa.array(column, pa.large_string()) for column in zip(*self._rows, strict=True)]
        except UnicodeEncodeError:
            return None
        if not columns or any(_unfit_column(column, self.limits) for column in columns):
            return None
        return pa.table(columns, names=self.columns)

    def _sift(self) -> None:
        """Rejects those of the waiting rows that have such a cell."""
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
