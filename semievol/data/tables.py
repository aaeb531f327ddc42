"""What every reader gives back: a table of text with the physical row of every record and the rows it had to reject.

Knows nothing of file formats, mappings or tasks.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from semievol.errors import UserError

MEGABYTE = 2**20
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Limits:
    """What a file may hold; every message about a limit names it. Sizes in bytes."""

    file: int = 500 * MEGABYTE
    decoded: int = 1024 * MEGABYTE
    cell: int = MEGABYTE
    cells: int = 20_000_000
    columns: int = 1_000


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


@dataclass
class Table:
    """The cells of one file exactly as text; None stands for a missing value where the format knows missing values.

    numbers: for every row the physical row: the line on which it starts (CSV, TSV, JSONL; the header of a CSV is
    row 1), the sheet's row (XLSX), or the position of the record counted from 1 (JSON array, Parquet).
    notes: what was decided in reading (encoding, delimiter, sheet), as sentences for a person.
    """

    name: str
    columns: list[str]
    rows: list[list[str | None]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rejected: list[Reject] = field(default_factory=list)

    @property
    def physical(self) -> int:
        """Rows that the file holds, read or rejected, without header and blank lines."""
        return len(self.rows) + len(self.rejected)

    def column(self, name: str) -> list[str | None]:
        position = self.columns.index(name)
        return [row[position] for row in self.rows]

    def add(self, number: int, row: list[str | None], limits: Limits) -> None:
        """Append a row, or reject it where a cell cannot be kept as text."""
        for column, value in zip(self.columns, row, strict=True):
            reason = unfit(value, limits) if value else ""
            if reason:
                self.reject(number, column, value, reason, "Remove or shorten this value in the file.")
                return
        self.rows.append(row)
        self.numbers.append(number)

    def reject(self, number: int, column: str, value: str | None, reason: str, remedy: str) -> None:
        self.rejected.append(Reject(number, column, snippet(value), reason, remedy))


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


def finished(table: Table, unit: str = "row") -> Table:
    """The table, if it holds anything; UserError for 0 rows or where not one row could be read."""
    if not table.physical:
        raise UserError(
            "The file has 0 rows below its header." if table.columns else "The file has 0 records.",
            table.name,
            "Choose the file that holds the data.",
        )
    if not table.rows:
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
