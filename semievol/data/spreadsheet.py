"""XLSX: one sheet as the text that the file stores. Sizes are checked before unpacking; formulas are never run."""

from __future__ import annotations

import datetime
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from semievol.data.content import Content
from semievol.data.read_as import ReadAs
from semievol.data.tables import MEGABYTE, Limits, Table, check_columns
from semievol.data.writing import TableWriter, finished
from semievol.errors import UserError

_SAVE_AGAIN = "Open it in a spreadsheet program and save it again as .xlsx, or export it as CSV UTF-8."
_LONGEST_EXACT = 10**15
_HIDDEN_ROW = re.compile(rb'<row [^>]*\bhidden="(?:1|true)"')
# What zipfile and openpyxl were seen to raise on workbooks with flipped bytes.
_UNREADABLE = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, ParseError),
    *(InvalidFileException, LookupError, ValueError, TypeError, AttributeError, ArithmeticError),
    *(OSError, EOFError, RuntimeError, AssertionError),
)


def read_xlsx(content: Content, limits: Limits, sheet: str | None = None) -> Table:
    """Table of `sheet` (the first one if not named); row numbers are the sheet's own."""
    check_archive(content, limits)
    writer = TableWriter(content.name, limits=limits, notes=content.notes)
    try:
        with content.open() as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            name = _choose_sheet([one.title for one in book.worksheets], sheet, writer)
            with content.open(watched=True) as again:
                formulas = openpyxl.load_workbook(again, read_only=True)
                _read_sheet(book[name], formulas[name], writer, limits)
            _note_layout(content, book[name], writer)
    except _UNREADABLE as error:
        raise UserError(
            f"The workbook is damaged or not an XLSX file ({str(error)[:120]}).", content.name, _SAVE_AGAIN
        ) from None
    return finished(writer)


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
                raise UserError(
                    "The file is a zip archive, not a workbook.", content.name, "Unpack it and choose the data file."
                )
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


def _choose_sheet(names: list[str], wanted: str | None, writer: TableWriter) -> str:
    if wanted is not None and wanted not in names:
        raise UserError(f'There is no sheet "{wanted}".', writer.name, f"Choose one of: {', '.join(names)}.")
    chosen = wanted or names[0]
    writer.form = f'XLSX, sheet "{chosen}"'
    writer.read_as = ReadAs(sheet=chosen)
    writer.sheets = [chosen, *(name for name in names if name != chosen)]
    if len(names) > 1:
        writer.notes.append(f'Sheet "{chosen}" was read; the others are: {", ".join(writer.sheets[1:])}.')
    return chosen


def _read_sheet(sheet: Any, formulas: Any, writer: TableWriter, limits: Limits) -> None:
    blank = dates = rounded = 0
    for number, (cells, sources) in enumerate(zip(_rows(sheet), _rows(formulas), strict=True), 1):
        values = [_text(cell.value) for cell in cells]
        while values and values[-1] is None and len(values) > len(writer.columns):
            values.pop()
        if not writer.columns:
            if not values:
                continue
            names = [(value or "").strip() for value in values]
            check_columns(names, writer.name, limits, number)
            writer.widen(names)
            continue
        unstored = _formula_without_value(cells, sources)
        if all(value is None for value in values) and unstored is None:
            blank += 1
            continue
        width = len(writer.columns)
        if len(values) > width:
            reason = f"The row has a value in column {len(values)}; the header has {width} columns."
            writer.reject(number, "", values[-1], reason, "Name that column in the header or delete the value.")
            continue
        values += [None] * (width - len(values))
        if unstored is not None:
            reason = "The cell holds a formula without a stored value."
            writer.reject(number, _named(writer, unstored), str(sources[unstored].value), reason, _SAVE_AGAIN)
            continue
        error = next((i for i, cell in enumerate(cells[:width]) if cell.data_type == "e"), None)
        if error is not None:
            reason = "The cell holds a spreadsheet error."
            writer.reject(number, _named(writer, error), values[error], reason, "Correct the formula.")
            continue
        dates += any(isinstance(cell.value, datetime.date | datetime.time) for cell in cells)
        rounded += any(_rounded(cell.value) for cell in cells)
        writer.add(number, values)
    if blank:
        writer.notes.append(f"{blank:,} blank rows were skipped.")
    if dates:
        writer.notes.append(f"{dates:,} rows hold dates or times, rendered as ISO 8601: the workbook stores no text.")
    if rounded:
        writer.notes.append(f"{rounded:,} rows hold numbers of 16 or more digits, which spreadsheets round.")


def _note_layout(content: Content, sheet: Any, writer: TableWriter) -> None:
    """What is seen otherwise than it is stored: hidden rows, and merged cells, of which only the first has text."""
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
        writer.notes.append(f"{hidden:,} rows are hidden in the workbook; they were read as well.")
    if merged:
        writer.notes.append(f"The sheet has {merged:,} merged ranges; only the first cell of each holds its value.")


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    # The stored dimensions are a hint that other programs write wrongly.
    sheet.reset_dimensions()
    return sheet.iter_rows()


def _named(writer: TableWriter, position: int) -> str:
    return writer.columns[position] if position < len(writer.columns) else str(position + 1)


def _formula_without_value(cells: tuple[Any, ...], sources: tuple[Any, ...]) -> int | None:
    for position, (cell, source) in enumerate(zip(cells, sources, strict=False)):
        if cell.value is None and source.data_type == "f":
            return position
    return None


def _rounded(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= _LONGEST_EXACT


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
