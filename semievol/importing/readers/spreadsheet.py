"""XLSX: one sheet as the text that the file stores. Sizes are checked before unpacking; no formula is computed."""

from __future__ import annotations

import datetime
import itertools
import lzma
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from semievol.errors import UserError
from semievol.importing.forms.unfolding import Tally
from semievol.importing.readers.blank_names import named, without_blank
from semievol.importing.readers.content import Content
from semievol.importing.readers.header import settled, unnamed
from semievol.importing.readers.overrides import AS_FOUND, ReadAs
from semievol.importing.table import MEGABYTE, MERGED, Doubt, Limits, Reject, Table, check_columns, snippet
from semievol.importing.table_writer import TableWriter

_SAVE_AGAIN = "Open it in a spreadsheet program and save it again as .xlsx, or export it as CSV UTF-8."
_STRING = f"{{{SHEET_MAIN_NS}}}si"
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_SEEN = {
    "blank": "Blank rows that were skipped: {:,}.",
    "date": "Rows with dates or times, written as ISO 8601 because the workbook stores no text for them: {:,}.",
    "duration": "Rows with durations, written as hours:minutes:seconds because the workbook stores no text: {:,}.",
    "rounded": "Rows with numbers of 16 or more digits, which spreadsheets round: {:,}.",
}
_DOCUMENTS = {
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a PowerPoint presentation",
    "xl/workbook.bin": "a binary workbook (.xlsb)",
    "content.xml": "an OpenDocument file",
}
_LONGEST_EXACT = 10**15
_TITLES = 3
"""Lines of a title at most."""
_LOOKED_AT = 50
"""First rows of a sheet, by which it is told whether it holds a table."""
_BESIDE = "Cells beside the table, with an empty column between, were left out. Rows"
_HIDDEN_ROW = re.compile(rb'<row [^>]*\bhidden="(?:1|true)"')
# What zipfile and openpyxl were seen to raise on workbooks with flipped bytes.
_UNREADABLE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, ParseError),
    *(InvalidFileException, LookupError, ValueError, TypeError, AttributeError, ArithmeticError),
    *(OSError, EOFError, RuntimeError, AssertionError),
)


def read_xlsx(content: Content, limits: Limits, read_as: ReadAs = AS_FOUND) -> Table:
    """Table of a sheet: if not named, the one that was open when the workbook was saved, else the first with a table.

    Row numbers are the sheet's own.
    """
    check_archive(content, limits)
    writer = TableWriter(Table(content.name, notes=content.notes), limits=limits)
    try:
        with content.open() as file:
            book = _opened(file, data_only=True)
            name = _choose_sheet(book, read_as.sheet, writer.file)
            with content.open(watched=True) as again:
                formulas = _opened(again)
                first = _read_sheet(book[name], formulas[name], writer, limits, read_as.header)
            _note_layout(content, book[name])
    except _UNREADABLE as error:
        raise UserError(
            f"The workbook is damaged or not an XLSX file ({str(error)[:120]}).", content.name, _SAVE_AGAIN
        ) from None
    return settled(without_blank(writer.finished(), first), first, read_as.header)


class _Reader(ExcelReader):
    """openpyxl's reader with its own shared strings: openpyxl drops all but the first character of `_x005F_`."""

    def read_strings(self) -> None:
        part = self.package.find(SHARED_STRINGS)
        if part is None:
            return
        with self.archive.open(part.PartName[1:]) as source:
            for _, node in iterparse(source):
                if node.tag == _STRING:
                    self.shared_strings.append(Text.from_tree(node).content)
                    node.clear()


def _opened(file: BinaryIO, data_only: bool = False) -> Any:
    reader = _Reader(file, read_only=True, data_only=data_only)
    reader.read()
    return reader.wb


def check_archive(content: Content, limits: Limits) -> None:
    """UserError for a zip that is no workbook, holds macros or entities, or unpacks past the limit."""
    try:
        with content.open() as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > limits.decoded // 2:
                raise UserError(
                    f"The workbook unpacks to {total:,} bytes; the limit is {limits.decoded // 2:,} bytes.",
                    content.name,
                    "Save only the sheet that is needed, as CSV.",
                )
            names = {member.filename for member in members}
            if "xl/workbook.xml" not in names:
                raise _no_workbook(names, content.name)
            if any(name.endswith("vbaProject.bin") for name in names):
                raise UserError("The workbook holds macros.", content.name, "Save it as .xlsx without macros.")
            for member in members:
                if member.flag_bits & 1:
                    raise UserError("The workbook is encrypted.", content.name, "Save it without a password.")
                if member.filename.endswith((".xml", ".rels")):
                    with archive.open(member) as part:
                        head = part.read(4096)
                    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                        raise UserError("The workbook declares XML entities.", content.name, _SAVE_AGAIN)
    except _UNREADABLE as error:
        raise UserError(f"The workbook is damaged ({str(error)[:120]}).", content.name, _SAVE_AGAIN) from None


def _no_workbook(names: set[str], file: str) -> UserError:
    """What a zip archive without a workbook is, by the names of its members, and what to do with it."""
    for member, kind in _DOCUMENTS.items():
        if member in names:
            remedy = "Open it in the program that it belongs to, and save the table as .xlsx or .csv."
            return UserError(f"This is {kind}, not a table.", file, remedy)
    return UserError("The file is a zip archive, not a workbook.", file, "Unpack it and choose the data file.")


def _choose_sheet(book: Any, wanted: str | None, file: Table) -> str:
    """The name of the sheet to read; a doubt where several hold tables, and nobody chose."""
    names = [one.title for one in book.worksheets]
    if wanted is not None and wanted not in names:
        raise UserError(f'There is no sheet "{wanted}".', file.name, f"Choose one of: {', '.join(names)}.")
    filled = [one.title for one in book.worksheets if one.sheet_state == "visible" and _is_table(one)]
    active = getattr(book.active, "title", "")
    chosen = wanted or (active if active in filled else next(iter(filled or names)))
    if wanted is None and len(filled) > 1:
        others = [name for name in filled if name != chosen]
        what = f'Sheet "{chosen}" was read, while others hold tables as well: {", ".join(others)}.'
        other = ("sheet", others[0], f'Read "{others[0]}"')
        option = f'--sheet "{others[0]}"'
        file.doubts.append(Doubt("several_sheets", 1, what, "Choose the sheet that is meant.", (), other, option))
    file.form = f'XLSX, sheet "{chosen}"'
    file.read_as = ReadAs(sheet=chosen)
    file.sheets = [chosen, *(name for name in names if name != chosen)]
    if len(names) > 1:
        file.notes.append(f'Sheet "{chosen}" was read; the others are: {", ".join(file.sheets[1:])}.')
    return chosen


def _is_table(sheet: Any) -> bool:
    """Whether a sheet holds two rows of at least two cells."""
    full = (row for row in itertools.islice(_rows(sheet), _LOOKED_AT) if sum(c.value is not None for c in row) > 1)
    return len(list(itertools.islice(full, 2))) == 2


def _above(sheet: Any) -> int:
    """Rows before the table that hold a title: a few with nothing but their first cell, before rows with several."""
    rows = itertools.islice(_rows(sheet), _LOOKED_AT)
    filled = [[at for at, cell in enumerate(row) if cell.value is not None] for row in rows]
    place = next((place for place, cells in enumerate(filled) if len(cells) > 1), 0)
    titles, following = ([cells for cells in part if cells] for part in (filled[:place], filled[place:]))
    fits = 0 < len(titles) <= _TITLES and all(cells == [0] for cells in titles)
    return place if fits and all(len(cells) > 1 for cells in following[:_TITLES]) else 0


def _read_sheet(sheet: Any, formulas: Any, writer: TableWriter, limits: Limits, header: str | None) -> int:
    """Reads all rows; returns the number of the first one. header: what a person says that this one holds."""
    seen: Counter[str] = Counter()
    above = _above(sheet) if header is None else 0
    if above:
        writer.file.notes.append(f"Lines above the table that were left out: {above:,}.")
    first, beside = 0, Tally()
    for number, (cells, sources) in enumerate(zip(_rows(sheet), _rows(formulas), strict=True), 1):
        if number <= above:
            continue
        values = [_text(cell.value, cell.data_type) for cell in cells]
        while values and values[-1] is None and len(values) > len(writer.columns):
            values.pop()
        if not writer.columns:
            if values:
                first = number
                names = [(value or "").strip() for value in values]
                names = unnamed(len(names)) if header == "no" else named(names)
                check_columns(names, writer.file.name, limits, number)
                writer.widen(names)
            if header != "no" or not values:
                continue
        if len(values) > (width := len(writer.columns)) and values[width] is None:
            beside.add(number, next(value for value in values[width:] if value is not None))
            values, cells, sources = values[:width], cells[:width], sources[:width]
        unreadable = list(_unreadable(number, cells, sources, writer))
        if all(value is None for value in values) and not unreadable:
            seen["blank"] += 1
        elif not _too_long(number, values, writer):
            for place, fault in unreadable:
                values += [None] * (place + 1 - len(values))
                values[place] = None
                writer.file.unreadable.append(fault)
            seen.update({sort for cell in cells if (sort := _sort(cell.value))})
            writer.add(number, values + [None] * (len(writer.columns) - len(values)))
    writer.file.doubts += beside.doubt("cells_beside", _BESIDE, "If they belong to the table, name their columns.")
    writer.file.notes += [note.format(seen[sort]) for sort, note in _SEEN.items() if seen[sort]]
    return first


def _unreadable(
    number: int, cells: tuple[Any, ...], sources: tuple[Any, ...], writer: TableWriter
) -> Iterator[tuple[int, Reject]]:
    """The cells of a row whose formula failed or has no stored value, each with its place."""
    for place, (cell, source) in enumerate(zip(cells[: len(writer.columns)], sources, strict=False)):
        if cell.data_type == "e":
            reason, remedy, value = "The cell holds a spreadsheet error.", "Correct the formula.", cell.value
        elif cell.value is None and source.data_type == "f":
            reason, remedy, value = "The cell holds a formula without a stored value.", _SAVE_AGAIN, source.value
        else:
            continue
        yield place, Reject(number, _named(writer, place), snippet(str(value)), reason, remedy)


def _too_long(number: int, values: list[str | None], writer: TableWriter) -> bool:
    """Whether the row had to be rejected because it has more cells than the header."""
    width = len(writer.columns)
    if len(values) > width:
        reason = f"The row has a value in column {len(values)}; the header has {width} columns."
        writer.reject(number, "", values[-1], reason, "Name that column in the header or delete the value.")
    return len(values) > width


def _note_layout(content: Content, sheet: Any) -> None:
    """Notes what looks different in a spreadsheet program: hidden rows, and merged cells, of which only the first has
    text."""
    hidden = merged = 0
    with content.open() as file, zipfile.ZipFile(file) as archive, archive.open(sheet._worksheet_path) as part:
        kept = b""
        while chunk := part.read(MEGABYTE):
            text = kept + chunk
            whole = text.rfind(b">") + 1
            hidden += len(_HIDDEN_ROW.findall(text[:whole]))
            merged += text[:whole].count(b"<mergeCell ")
            kept = text[whole:][-MEGABYTE:]
    if hidden:
        content.notes.append(f"Rows that are hidden in the workbook, and were read as well: {hidden:,}.")
    if merged:
        content.notes.append(f"{MERGED}, where only the first cell holds the value: {merged:,}.")


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    # The stored dimensions are a hint that other programs write wrongly.
    sheet.reset_dimensions()
    return sheet.iter_rows()


def _named(writer: TableWriter, position: int) -> str:
    return writer.columns[position] if position < len(writer.columns) else str(position + 1)


def _sort(value: Any) -> str:
    """Which of the `_SEEN` values this is, or ""."""
    if isinstance(value, datetime.date | datetime.time):
        return "date"
    if isinstance(value, datetime.timedelta):
        return "duration"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "rounded" if number and abs(value) >= _LONGEST_EXACT else ""


def _text(value: Any, data_type: str = "") -> str | None:
    if value is None or isinstance(value, str):
        return _unescaped(value) if value and data_type == "s" else value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return _duration(value) if isinstance(value, datetime.timedelta) else str(value)


def _unescaped(text: str) -> str:
    """Text of ECMA-376's type ST_Xstring (part 1, 22.9.2.19): `_xHHHH_` is the UTF-16 unit HHHH, `_x005F_` a `_`."""
    if "_x" not in text or not _ESCAPE.search(text):
        return text
    found = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    try:
        return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return found  # half a character, for which the row is rejected


def _duration(span: datetime.timedelta) -> str:
    """Hours (also more than 24), minutes and seconds, as a spreadsheet shows them: `26:03:04`, `-0:01:30.5`."""
    total = abs(span) // datetime.timedelta(microseconds=1)
    seconds, rest = divmod(total, 1_000_000)
    fraction = f".{rest:06d}".rstrip("0") if rest else ""
    sign = "-" if span < datetime.timedelta(0) else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"
