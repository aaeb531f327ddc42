"""CSV and TSV: the standard library's strict reader, with every row's fields counted against the header.

A row with too many or too few fields is rejected, never padded or shifted.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable

from semievol.data.content import SAVE_AS_UTF8, Content
from semievol.data.tables import MEGABYTE, Limits, Table, check_cells, check_columns, finished, snippet
from semievol.errors import UserError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_SNIFFED_LINES = 200
# A quotation mark that is never closed makes one field of the rest of the file; this ends it early.
csv.field_size_limit(16 * MEGABYTE)


def read_delimited(content: Content, limits: Limits) -> Table:
    """Table of a CSV or TSV file. Cells are exactly what stands between the delimiters, unquoted."""
    delimiter = sniff_delimiter(list(itertools.islice(content.lines(), _SNIFFED_LINES)))
    reader = csv.reader(content.lines(), delimiter=delimiter, strict=True)
    table = Table(content.name, [], notes=content.notes)
    if delimiter != ",":
        table.notes.append(f"Columns are separated by {DELIMITERS[delimiter]}.")
    blank = long = 0
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            _csv_error(table, start, error)
            continue
        if not fields or (len(fields) == 1 and not fields[0].strip() and len(table.columns) != 1):
            blank += 1
        elif not table.columns:
            table.columns = _header(fields, content.name, start, limits)
        elif content.bad_lines and (bad := _first_bad(content.bad_lines, start, reader.line_num)) is not None:
            broken = next((f for f in fields if not _encodes(f)), "")
            reason = f"Byte {bad:,} of the file is not valid UTF-8."
            table.reject(start, "", broken, reason, SAVE_AS_UTF8)
        elif len(fields) != len(table.columns):
            long += len(fields) > len(table.columns)
            reason = f"The row has {len(fields)} fields; the header has {len(table.columns)}."
            remedy = "Put quotation marks around text that holds the delimiter, or complete the row."
            table.reject(start, "", delimiter.join(fields), reason, remedy)
        else:
            table.add(start, list(fields), limits)
            check_cells(len(table.rows), len(table.columns), content.name, limits)
    if blank:
        table.notes.append(f"{blank:,} blank lines were skipped.")
    if not table.columns:
        raise UserError("The file holds nothing but white space.", content.name, "Choose the file that holds the data.")
    if long and long == table.physical:
        raise UserError(
            f"Every row has more fields than the header has names ({len(table.columns)}).",
            f"{content.name}, row {table.rejected[0].row}",
            "Name every column in the first row.",
        )
    return _note_header(_drop_trailing_column(finished(table)))


def sniff_delimiter(lines: list[str]) -> str:
    """The delimiter that gives most rows the header's number of fields, at least two; a comma if none does."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        counts = [len(row) for row in _lenient(lines, delimiter) if row]
        if len(counts) < 1 or counts[0] < 2:
            continue
        alike = sum(count == counts[0] for count in counts[1:]) / max(1, len(counts) - 1)
        if (alike, counts[0]) > best_score:
            best, best_score = delimiter, (alike, counts[0])
    return best


def _lenient(lines: list[str], delimiter: str) -> Iterable[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter)
    except csv.Error:
        return


def _header(fields: list[str], name: str, row: int, limits: Limits) -> list[str]:
    columns = [field.strip() for field in fields]
    if len(columns) > 1 and not columns[-1] and all(columns[:-1]):
        # A delimiter at the end of every line; the nameless column goes again if it holds nothing.
        columns[-1] = "(after the last delimiter)"
    check_columns(columns, name, limits)
    return columns


def _drop_trailing_column(table: Table) -> Table:
    if table.columns[-1] != "(after the last delimiter)":
        return table
    number = len(table.columns)
    if any(row[-1] for row in table.rows):
        raise UserError(
            "This column has no name.", f"{table.name}, row 1, column {number}", "Name the column or delete it."
        )
    table.columns.pop()
    for row in table.rows:
        row.pop()
    table.notes.append("Every row ends with a delimiter; the empty last column was dropped.")
    return table


def _note_header(table: Table) -> Table:
    first = table.columns
    looks_like_data = any(
        len(name) > 100 or name[:1] in "[{" or name.replace(".", "", 1).isdigit() for name in first
    ) or all(name in (table.rows[i][j] for i in range(len(table.rows))) for j, name in enumerate(first))
    if looks_like_data:
        table.notes.append(f"The first row reads like data, not like column names: {snippet(', '.join(first))}.")
    return table


def _csv_error(table: Table, start: int, error: csv.Error) -> None:
    message = str(error)
    if "unexpected end of data" in message or "field larger" in message:
        raise UserError(
            "A quotation mark is opened here and never closed.",
            f"{table.name}, row {start}",
            'Close it, or write a quotation mark inside a cell as "".',
        )
    if not table.columns:
        raise UserError(f"The header cannot be read ({message}).", f"{table.name}, row {start}", "Correct the header.")
    remedy = 'Write a quotation mark inside a quoted cell as "".'
    table.reject(start, "", "", f"The quotation marks of this row do not match ({message}).", remedy)


def _first_bad(bad_lines: dict[int, int], start: int, end: int) -> int | None:
    return next((bad_lines[line] for line in range(start, end + 1) if line in bad_lines), None)


def _encodes(field: str) -> bool:
    try:
        field.encode()
    except UnicodeEncodeError:
        return False
    return True
