"""CSV and TSV: the standard library's strict reader, with every row's fields counted against the header.

A row with too many or too few fields is rejected, never padded or shifted.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from semievol.errors import UserError
from semievol.importing.readers.blank_names import is_blank, named, without_blank
from semievol.importing.readers.content import ESCAPED, SAVE_AS_UTF8, Content
from semievol.importing.readers.header import is_record, settled, unnamed, without_repeated_header
from semievol.importing.readers.missing import without_missing
from semievol.importing.readers.overrides import AS_FOUND, DELIMITERS, ReadAs, words_for
from semievol.importing.readers.quotes import (
    LITERAL_REMEDY,
    NO_VALUE,
    STANDARD_REMEDY,
    Suspects,
    better,
    doubtful,
    literal_rows,
    unescaped,
    without_blanks_after_quotes,
)
from semievol.importing.readers.title_lines import lines_above
from semievol.importing.table import MEGABYTE, Doubt, Limits, Table, check_columns
from semievol.importing.table_writer import TableWriter

_SNIFFED_LINES = 200
_FITS = 0.9
"""A person's choice of delimiter is refused if at least this share of the rows fits another one."""
_PLAIN = 0.5
"""Share of the lines of a .txt file that fit a delimiter, below which every line is one text."""
_DECLARED = re.compile(r'("?)sep=([^"\r\n])\1[\r\n]*', re.IGNORECASE)
_SHOWN = 5
_ENCLOSE = ("quotes", "standard", "Quotation marks enclose cells")
_ORDINARY = ("quotes", "literal", "Quotation marks are ordinary characters")
_OR_LITERAL = "If these marks are ordinary characters: --quotes literal."
# A quotation mark that is never closed makes one field of the rest of the file; this ends it early.
csv.field_size_limit(16 * MEGABYTE)


def read_delimited(content: Content, limits: Limits, read_as: ReadAs = AS_FOUND, expected: str = "") -> Table:
    """Table of a CSV or TSV file. Cells are exactly the text between the delimiters, unquoted.

    A header that is one name short of the rows, which begin with row numbers (R's `write.table`), lacks a first name.

    read_as: what a person chose; the delimiter is else the one that a first line such as `sep=;` declares, or the one
    that fits the rows best. expected: the delimiter that the ending of the file's name means; another one is a guess.
    """
    file = Table(content.name, notes=content.notes)
    delimiter, skipped = _decide_delimiter(content, file, read_as, expected)
    noted = list(content.notes)

    def read(quotes: str) -> _Rows:
        content.notes[:] = noted
        content.bad_lines.clear()
        as_read = replace(file.read_as, quotes=None if quotes == "standard" else quotes)
        own = replace(file, rejected=[], doubts=[], read_as=as_read)
        return _Rows(content, TableWriter(own, limits=limits), delimiter, skipped, quotes, read_as.header)

    rows = read(read_as.quotes or "standard")
    failed: UserError | None = None
    try:
        rows.read()
    except Unclosed as error:
        failed = error
    if read_as.quotes is None:
        tsv = delimiter == "\t" and expected in ("", "\t")
        found = better(content, skipped, delimiter, rows.width, rows.suspects, failed is not None, tsv)
        if found is not None:
            before, rows, failed = rows.suspects, read(found), None
            rows.read()
            rows.writer.file.doubts.append(_told(found, before))
        elif failed is None and doubtful(rows.suspects, rows.width):
            rows.writer.file.doubts.append(_merged(rows.suspects))
    if failed is not None:
        raise failed
    table = rows.table()
    if rows.quotes != "literal":
        lines = itertools.islice(content.lines(), skipped, None)
        table = without_missing(table, lines, delimiter, rows.header_row, skipped)
    table = without_repeated_header(table)
    if rows.header is not None or not (any(map(is_blank, table.columns)) and is_record(table)):
        table = without_blank(table, rows.header_row)
    return settled(table, rows.header_row, rows.header)


def _told(found: str, suspects: Suspects) -> Doubt:
    as_what = "ordinary characters" if found == "literal" else "marks around cells, with a backslash before one inside"
    cases = len(suspects.merged) + suspects.broken
    what = f"Quotation marks were read as {as_what}, because otherwise rows run into each other or cannot be read."
    return Doubt(
        f"quotes_{found}",
        max(1, cases),
        what,
        LITERAL_REMEDY,
        tuple(suspects.examples[:_SHOWN]),
        _ENCLOSE,
        "--quotes standard",
    )


def _merged(suspects: Suspects) -> Doubt:
    what = f"Cells in quotation marks that hold line breaks, and may be several rows: {len(suspects.merged):,}."
    return Doubt(
        "merged_lines",
        len(suspects.merged),
        what,
        STANDARD_REMEDY,
        tuple(suspects.examples[:_SHOWN]),
        _ORDINARY,
        "--quotes literal",
    )


class Unclosed(UserError):
    """A quotation mark swallows the rows after it."""


class _Rows:
    """Reads the rows of a file once, with quotation marks as one of `QUOTES`. header: one of `HEADER`, or None."""

    def __init__(
        self, content: Content, writer: TableWriter, delimiter: str, skipped: int, quotes: str, header: str | None
    ) -> None:
        self.content, self.writer, self.delimiter, self.skipped = content, writer, delimiter, skipped
        self.quotes, self.header, self.header_row = quotes, header, 0
        self.suspects = Suspects()
        self.blank = self.long = self.width = self.repaired = 0
        self._line = ""

    def read(self) -> None:
        """All rows. Raises `Unclosed` where a quotation mark swallows rows."""
        lines = self._lines()
        if self.quotes == "literal":
            reader = literal_rows(lines, self.delimiter)
        else:
            lines = unescaped(lines) if self.quotes == "backslash" else lines
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        content, writer, width = self.content, self.writer, 0
        while True:
            start = reader.line_num + self.skipped + 1
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                line = self._line if start == reader.line_num + self.skipped else ""
                if len(repaired := without_blanks_after_quotes(line, self.delimiter)) == (width or len(repaired)) > 0:
                    self.repaired += 1
                    width = width or self._begin(repaired, start)
                    if self.header_row != start:
                        writer.add(start, repaired)
                    continue
                self.suspects.broken += 1
                _csv_error(writer, start, reader.line_num + self.skipped, error)
                continue
            if self.quotes == "backslash":
                fields = ["" if field == NO_VALUE else field for field in fields]
            end = reader.line_num + self.skipped
            if end > start and width and len(fields) == width:
                self.suspects.look_at(start, end, fields, self.delimiter)
            if width and len(fields) == width and not content.bad_lines:
                writer.add(start, fields)  # nearly every row
            elif not width and fields and not (len(fields) == 1 and not fields[0].strip()):
                width = self._begin(fields, start)
            else:
                self._odd(fields, start, end)
        self.suspects.rows = writer.physical

    def _lines(self) -> Iterator[str]:
        for line in itertools.islice(self.content.lines(), self.skipped, None):
            self._line = line
            yield line

    def _begin(self, fields: list[str], start: int) -> int:
        """Takes the first row, as names or as a record; returns how many fields a row has."""
        self.width, self.header_row = len(fields), start
        if self.header == "no":
            self.writer.widen(unnamed(len(fields)))
            self.writer.add(start, fields)
        else:
            self.writer.widen(_header(fields, self.content.name, start, self.writer.limits))
        return self.width

    def _odd(self, fields: list[str], start: int, end: int) -> None:
        """A blank line, or a row that is not as the others are."""
        content, width = self.content, self.width
        if not fields or (len(fields) == 1 and not fields[0].strip() and width != 1):
            self.blank += 1
        elif bad := [content.bad_lines[line] for line in range(start, end + 1) if line in content.bad_lines]:
            broken = next((field for field in fields if ESCAPED.search(field)), "")
            self.writer.reject(start, "", broken, f"Byte {bad[0]:,} of the file is not valid UTF-8.", SAVE_AS_UTF8)
        elif len(fields) != width:
            self.long += len(fields) > width
            reason = f"The row has {len(fields)} fields; the header has {width}."
            remedy = "Put quotation marks around text that holds the delimiter, or complete the row."
            self.writer.reject(start, "", self.delimiter.join(fields), reason, remedy)
        else:
            self.writer.add(start, fields)

    def table(self) -> Table:
        """The table of all rows. UserError where there is none that could be read."""
        name, writer = self.content.name, self.writer
        if self.blank:
            self.content.notes.append(f"Blank lines that were skipped: {self.blank:,}.")
        if self.repaired:
            note = f"Rows with blanks after a closing quotation mark, which were left out: {self.repaired:,}."
            self.content.notes.append(note)
        if not self.width:
            raise UserError("The file holds nothing but white space.", name, "Choose the file that holds the data.")
        if self.long and self.long == writer.physical:
            raise UserError(
                f"Every row has more fields than the header has names ({self.width}).",
                f"{name}, row {writer.file.rejected[0].row}",
                "Name every column in the first row (R: write.table with col.names = NA, or row.names = FALSE).",
            )
        return writer.finished()


def _decide_delimiter(content: Content, file: Table, read_as: ReadAs, expected: str) -> tuple[str, int]:
    """The delimiter, and how many lines before the header declare it or hold a title; all is noted in `file`."""
    chosen = read_as.delimiter
    lines = list(itertools.islice(content.lines(), _SNIFFED_LINES))
    line = _DECLARED.fullmatch(lines[0]) if lines else None
    declared = line[2] if line else None
    skipped = 1 if line else 0
    found, share = sniff_delimiter(lines[skipped:], read_as.quotes == "literal")
    if chosen is None and declared is None and share == 0:  # a title without delimiters
        for above in range(1, min(len(lines) - skipped, 4)):
            below, fitting = sniff_delimiter(lines[skipped + above :])
            if fitting >= _FITS and lines_above(lines[skipped:], below) == above:
                found, share = below, fitting
    plain = share < _PLAIN and content.name.lower().endswith(".txt")
    delimiter = chosen or declared or ("\t" if plain else found if share else expected or found)
    if read_as.header is None and not plain and (above := lines_above(lines[skipped:], delimiter)):
        file.notes.append(f"Lines above the table that were left out: {above:,}.")
        skipped += above
    rows = list(_lenient_rows(lines[skipped:], delimiter, read_as.quotes == "literal"))
    header: list[str] = next(iter(rows), [])
    if read_as.header != "no" and _lacks_a_name(rows):
        content.header = (skipped, delimiter)
    if chosen is not None and chosen != found and share >= _FITS and len(header) < 2:
        raise UserError(
            f"The first row has no {words_for(chosen)}; the rows are separated by {words_for(found)}.",
            content.name,
            "Choose another delimiter, or none to have it found.",
        )
    file.read_as = replace(content.read_as, delimiter=delimiter)
    guessed = not chosen and not declared and share > 0 and not plain and delimiter != expected
    file.guessed = [*content.guessed, *(["delimiter"] if guessed else [])]
    file.form = f"{words_for(delimiter).capitalize()} between the cells, {content.encoding_name}"
    if declared and not chosen:
        file.notes.append(f"The first line says that columns are separated by {words_for(declared)}.")
    elif plain and not chosen:
        file.notes.append("Every line is one text.")
    elif delimiter != ",":
        file.notes.append(f"Columns are separated by {words_for(delimiter)}.")
    return delimiter, skipped


def sniff_delimiter(lines: list[str], literal: bool = False) -> tuple[str, float]:
    """The delimiter that gives most rows the header's number of fields, at least two, and their share.

    A comma and 0 if none does. literal: whether quotation marks are ordinary characters.
    """
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        rows = [row for row in _lenient_rows(lines, delimiter, literal) if row]
        width = len(rows[0]) + _lacks_a_name(rows) if rows else 0
        if width < 2:
            continue
        alike = sum(len(row) == width for row in rows[1:]) / max(1, len(rows) - 1)
        if (alike, width) > best_score:
            best, best_score = delimiter, (alike, width)
    return best, best_score[0]


def _lacks_a_name(rows: list[list[str]]) -> bool:
    """Whether nearly all rows have a field more than the first one, and begin with a number of their own."""
    longer = [row[0] for row in rows[1:] if len(row) == len(rows[0]) + 1]
    numbered = len(set(longer)) == len(longer) > 1 and all(map(str.isdecimal, longer))
    return numbered and len(longer) >= _FITS * sum(map(bool, rows[1:]))


def _lenient_rows(lines: list[str], delimiter: str, literal: bool = False) -> Iterable[list[str]]:
    try:
        yield from literal_rows(lines, delimiter) if literal else csv.reader(lines, delimiter=delimiter)
    except csv.Error:
        return


def _header(fields: list[str], name: str, row: int, limits: Limits) -> list[str]:
    columns = [field.strip() for field in fields]
    if any(columns):
        columns = named(columns)
    try:
        check_columns(columns, name, limits, row)
    except UserError as error:
        raise UserError(error.what, error.where, f"{error.remedy} If the first row is a record: --no-header.") from None
    return columns


def _csv_error(writer: TableWriter, start: int, end: int, error: csv.Error) -> None:
    """Rejects the row that starts in line `start`; UserError where it is not known where the next row starts."""
    message, where = str(error), f"{writer.file.name}, row {start}"
    if "field larger" in message:
        raise Unclosed(
            "A cell is larger than 16 MB, or a quotation mark is opened and never closed.",
            where,
            f"Close it, or shorten the cell. {_OR_LITERAL}",
        )
    if "unexpected end of data" in message:
        raise Unclosed(
            "A quotation mark is opened here and never closed.",
            where,
            f'Close it, or write a quotation mark inside a cell as "". {_OR_LITERAL}',
        )
    if not writer.columns:
        raise Unclosed(f"The header cannot be read ({message}).", where, "Correct the header.")
    if end > start:
        # It is not known which of these rows the text belongs to.
        raise Unclosed(
            f"A quotation mark is opened in row {start}; the next one, in row {end}, does not fit ({message}).",
            f"{writer.file.name}, rows {start} to {end}",
            f'Close it, or write a quotation mark inside a cell as "". {_OR_LITERAL}',
        )
    remedy = f'Write a quotation mark inside a quoted cell as "". {_OR_LITERAL}'
    writer.reject(start, "", "", f"The quotation marks of this row do not match ({message}).", remedy)
