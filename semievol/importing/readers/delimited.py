"""CSV and TSV: the standard library's strict reader, with every row's fields counted against the header.

A row with too many or too few fields is rejected, never padded or shifted.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable
from dataclasses import replace

import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.readers.content import ESCAPED, SAVE_AS_UTF8, Content
from semievol.importing.readers.overrides import DELIMITERS, words_for
from semievol.importing.table import MEGABYTE, Limits, Table, TableWriter, check_columns, snippet

_SNIFFED_LINES = 200
_FITS = 0.9
"""A person's choice of delimiter is refused if at least this share of the rows fits another one."""
_DECLARED = re.compile(r'("?)sep=([^"\r\n])\1[\r\n]*', re.IGNORECASE)
_NAMELESS = "(after the last delimiter)"
# A quotation mark that is never closed makes one field of the rest of the file; this ends it early.
csv.field_size_limit(16 * MEGABYTE)


def read_delimited(content: Content, limits: Limits, chosen: str | None = None, expected: str = "") -> Table:
    """Table of a CSV or TSV file. Cells are exactly the text between the delimiters, unquoted.

    chosen: the delimiter that a person chose; else the one that a first line such as `sep=;` declares, or the one that
    fits the rows best. expected: the delimiter that the ending of the file's name means; another one is a guess.
    """
    writer = TableWriter(Table(content.name, notes=content.notes), limits=limits)
    delimiter, skipped = _decide_delimiter(content, writer.file, chosen, expected)
    reader = csv.reader(itertools.islice(content.lines(), skipped, None), delimiter=delimiter, strict=True)
    blank = long = width = 0
    while True:
        start = reader.line_num + skipped + 1
        try:
            fields = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            _csv_error(writer, start, reader.line_num + skipped, error)
            continue
        end = reader.line_num + skipped
        if width and len(fields) == width and not content.bad_lines:
            writer.add(start, fields)  # nearly every row
        elif not fields or (len(fields) == 1 and not fields[0].strip() and width != 1):
            blank += 1
        elif not width:
            writer.widen(_header(fields, content.name, start, limits))
            width = len(fields)
        elif bad := [content.bad_lines[line] for line in range(start, end + 1) if line in content.bad_lines]:
            broken = next((field for field in fields if ESCAPED.search(field)), "")
            writer.reject(start, "", broken, f"Byte {bad[0]:,} of the file is not valid UTF-8.", SAVE_AS_UTF8)
        elif len(fields) != width:
            long += len(fields) > width
            reason = f"The row has {len(fields)} fields; the header has {width}."
            remedy = "Put quotation marks around text that holds the delimiter, or complete the row."
            writer.reject(start, "", delimiter.join(fields), reason, remedy)
        else:
            writer.add(start, fields)
    if blank:
        content.notes.append(f"Blank lines that were skipped: {blank:,}.")
    if not width:
        raise UserError("The file holds nothing but white space.", content.name, "Choose the file that holds the data.")
    if long and long == writer.physical:
        raise UserError(
            f"Every row has more fields than the header has names ({width}).",
            f"{content.name}, row {writer.file.rejected[0].row}",
            "Name every column in the first row.",
        )
    return _note_header(_drop_trailing_column(writer.finished()))


def _decide_delimiter(content: Content, file: Table, chosen: str | None, expected: str) -> tuple[str, int]:
    """The delimiter, and how many lines before the header only declare it; both are noted in `file`."""
    lines = list(itertools.islice(content.lines(), _SNIFFED_LINES))
    line = _DECLARED.fullmatch(lines[0]) if lines else None
    declared = line[2] if line else None
    skipped = 1 if line else 0
    found, share = sniff_delimiter(lines[skipped:])
    delimiter = chosen or declared or (found if share else expected or found)
    header: list[str] = next(iter(_lenient_rows(lines[skipped:], delimiter)), [])
    if chosen is not None and chosen != found and share >= _FITS and len(header) < 2:
        raise UserError(
            f"The first row has no {words_for(chosen)}; the rows are separated by {words_for(found)}.",
            content.name,
            "Choose another delimiter, or none to have it found.",
        )
    file.read_as = replace(content.read_as, delimiter=delimiter)
    guessed = not chosen and not declared and share > 0 and delimiter != expected
    file.guessed = [*content.guessed, *(["delimiter"] if guessed else [])]
    file.form = f"{words_for(delimiter).capitalize()} between the cells, {content.encoding_name}"
    if declared and not chosen:
        file.notes.append(f"The first line says that columns are separated by {words_for(declared)}.")
    elif delimiter != ",":
        file.notes.append(f"Columns are separated by {words_for(delimiter)}.")
    return delimiter, skipped


def sniff_delimiter(lines: list[str]) -> tuple[str, float]:
    """The delimiter that gives most rows the header's number of fields, at least two, and their share.

    A comma and 0 if none does.
    """
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        counts = [len(row) for row in _lenient_rows(lines, delimiter) if row]
        if not counts or counts[0] < 2:
            continue
        alike = sum(count == counts[0] for count in counts[1:]) / max(1, len(counts) - 1)
        if (alike, counts[0]) > best_score:
            best, best_score = delimiter, (alike, counts[0])
    return best, best_score[0]


def _lenient_rows(lines: list[str], delimiter: str) -> Iterable[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter)
    except csv.Error:
        return


def _header(fields: list[str], name: str, row: int, limits: Limits) -> list[str]:
    columns = [field.strip() for field in fields]
    if len(columns) > 1 and not columns[-1] and all(columns[:-1]):
        # A delimiter at the end of every line. The nameless column is dropped later if it is empty.
        columns[-1] = _NAMELESS
    check_columns(columns, name, limits, row)
    return columns


def _drop_trailing_column(table: Table) -> Table:
    if table.columns[-1] != _NAMELESS:
        return table
    last = len(table.columns) - 1
    if pc.any(pc.not_equal(table.cells.column(last), "")).as_py():
        where = f"{table.name}, row 1, column {last + 1}"
        raise UserError("This column has no name.", where, "Name the column or delete it.")
    table.notes.append("Every row ends with a delimiter; the empty last column was dropped.")
    return replace(table, cells=table.cells.remove_column(last))


def _note_header(table: Table) -> Table:
    names = table.columns
    if any(len(name) > 100 or name[:1] in "[{" or name.replace(".", "", 1).isdigit() for name in names) or all(
        pc.any(pc.equal(column, name)).as_py() for name, column in zip(names, table.cells.columns, strict=True)
    ):
        shown = snippet(", ".join(names))
        table.notes.append(f"The first row reads like data, not like column names: {shown}.")
    return table


def _csv_error(writer: TableWriter, start: int, end: int, error: csv.Error) -> None:
    """Rejects the row that starts in line `start`; UserError where it is not known where the next row starts."""
    message, where = str(error), f"{writer.file.name}, row {start}"
    if "field larger" in message:
        raise UserError(
            "A cell is larger than 16 MB, or a quotation mark is opened and never closed.",
            where,
            "Close it, or shorten the cell.",
        )
    if "unexpected end of data" in message:
        raise UserError(
            "A quotation mark is opened here and never closed.",
            where,
            'Close it, or write a quotation mark inside a cell as "".',
        )
    if not writer.columns:
        raise UserError(f"The header cannot be read ({message}).", where, "Correct the header.")
    if end > start:
        # It is not known which of these rows the text belongs to.
        raise UserError(
            f"A quotation mark is opened in row {start}; the next one, in row {end}, does not fit ({message}).",
            f"{writer.file.name}, rows {start} to {end}",
            'Close it, or write a quotation mark inside a cell as "".',
        )
    remedy = 'Write a quotation mark inside a quoted cell as "".'
    writer.reject(start, "", "", f"The quotation marks of this row do not match ({message}).", remedy)
