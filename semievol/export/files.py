"""Writing files that are either whole or not there, and tables in the formats that other programs read.

CSV, TSV and XLSX are opened in spreadsheets, so text that a spreadsheet would run as a formula gets an apostrophe in
front; JSONL, JSON and Parquet keep every character.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from semievol.durable import sync
from semievol.errors import UserError

Row = dict[str, Any]
_FORMULA = re.compile(r"[=+\-@\t\r\0]")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_READ_AS_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
"""What a workbook's readers take for an escape (ECMA-376 part 1, 22.9.2.19) without being one."""
_LONGEST_XLSX_CELL, _MOST_XLSX_ROWS = 32_767, 1_048_576
_BATCH = 5_000  # rows of a Parquet file that are in memory at once
_MEASURED, _WIDEST = 50, 60
"""Rows by which the widths of a workbook's columns are set, and the widest column, in characters."""


@contextmanager
def whole(out: Path, overwrite: bool = False) -> Iterator[Path]:
    """A path next to `out` for a new file or folder, which is synced and renamed to `out` when the block succeeds."""
    partial = out.with_name(f".{sha256(out.name.encode())[:12]}.{os.getpid()}.partial")  # the name itself may be long
    try:
        if not overwrite:
            refuse_taken(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        for path in [partial, *partial.rglob("*")] if partial.is_dir() else [partial]:
            sync(path)
        if out.is_dir() and not partial.is_dir():
            raise UserError("There is a folder at this path.", str(out), "Choose another name.")
        if out.is_dir():
            shutil.rmtree(out)
        os.replace(partial, out)
        sync(out.parent)
    except OSError as error:
        raise UserError(
            f"The export cannot be written ({error.strerror or error}).", str(out), "Choose another folder."
        ) from None
    finally:
        with suppress(OSError):  # where nothing can be written; the first error is the one to show
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                partial.unlink(missing_ok=True)


def refuse_taken(out: Path) -> None:
    """Raises UserError if there is a file, or a folder with something in it, at this path."""
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(
            "There is already a file or folder at this path.", str(out), "Choose another name or delete it first."
        )


def text(out: Path, content: str, endings: Sequence[str]) -> Path:
    """Writes a text file whose name must have one of these endings."""
    fitting(out, endings)
    with whole(out) as path:
        path.write_text(content, encoding="utf-8", newline="")
    return out


def table(out: Path, rows: Iterable[Row], for_people: bool = False) -> Path:
    """Writes rows of equal keys in the format of the name's ending. Lists and dicts are JSON text in flat formats.

    rows: gone through row by row, for Parquet twice, so that they need not all be in memory.
    for_people: CSV and TSV begin with a byte order mark, without which Excel takes UTF-8 for another encoding.
    """
    ending = fitting(out, TABLES)
    with whole(out) as path:
        _WRITERS[ending](path, rows)
        if for_people and ending in (".csv", ".tsv"):
            path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    return out


def check_table(out: Path, rows: Iterable[Row]) -> None:
    """Raises the UserError that `table` would, before hours are spent on what the table is to hold; `out` stays away.

    A workbook, which cannot hold every row and cell, is written whole; of other formats the first row.
    """
    ending = fitting(out, TABLES)
    with suppress(_Tried), whole(out) as path:
        _WRITERS[ending](path, rows if ending == ".xlsx" else list(islice(rows, 1)))
        raise _Tried


class _Tried(Exception):
    """Leaves the block of `whole` so that nothing is put in place."""


def folder(out: Path, members: Sequence[tuple[str, Path | bytes]]) -> Path:
    """Writes files, given by their name in the folder and a file or bytes, to a new folder or, if its name ends in
    .zip, an archive of one folder."""
    with whole(out) as partial:
        if out.suffix.lower() == ".zip":
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in members:
                    if isinstance(content, Path):
                        how = zipfile.ZIP_STORED if content.suffix == ".safetensors" else None  # it would not shrink
                        archive.write(content, f"{out.stem}/{name}", how)
                    else:
                        archive.writestr(f"{out.stem}/{name}", content)
        else:
            for name, content in members:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, Path):
                    shutil.copyfile(content, partial / name)
                else:
                    (partial / name).write_bytes(content)
    return out


def safe_cell(value: Any) -> Any:
    """A value for a spreadsheet: text that would be taken for a formula is prefixed; plain signed numbers are not."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def sha256(content: Path | bytes) -> str:
    """SHA-256 of a file or of bytes, 64 hex digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fitting(out: Path, endings: Sequence[str]) -> str:
    """The name's ending, if it is one of these; else UserError."""
    ending = out.suffix.lower()
    if ending not in endings:
        raise UserError(f'This export has no format "{ending}".', str(out), f"End the name with {', '.join(endings)}.")
    return ending


def _flat(value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False)
    return value


def _begun(rows: Iterable[Row], count: int = 1) -> tuple[list[Row], Iterator[Row]]:
    """The first rows, and an iterator over all of them."""
    left = iter(rows)
    first = list(islice(left, count))
    return first, chain(first, left)


def _write_csv(path: Path, rows: Iterable[Row], delimiter: str = ",") -> None:
    first, every = _begun(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow([safe_cell(name) for name in _names(first)])
        for row in every:
            writer.writerow(["" if value is None else safe_cell(_flat(value)) for value in row.values()])


def _write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        for row in rows:
            # U+2028 and the like end a line for some readers; escaped they are the same text.
            line = json.dumps(row, ensure_ascii=False, allow_nan=False)
            stream.write(re.sub("[\x85\u2028\u2029]", lambda found: f"\\u{ord(found.group()):04x}", line) + "\n")


def _write_json(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        before = "[\n"
        for row in rows:
            stream.write(before + json.dumps(row, ensure_ascii=False, allow_nan=False, indent=1))
            before = ",\n"
        stream.write("[]" if before == "[\n" else "\n]")


def _write_parquet(path: Path, rows: Iterable[Row]) -> None:
    def batches() -> Iterator[pa.Table]:
        left = iter(rows)
        while batch := list(islice(left, _BATCH)):
            yield pa.Table.from_pylist([{name: _flat(value) for name, value in row.items()} for row in batch])

    # A column may be empty in one batch and hold text or numbers in the next one.
    schema = pa.unify_schemas([pa.schema([]), *(batch.schema for batch in batches())], promote_options="permissive")
    with pq.ParquetWriter(path, schema) as writer:
        for batch in batches():
            writer.write_table(batch.cast(schema))


def _write_xlsx(path: Path, rows: Iterable[Row]) -> None:
    import openpyxl  # here, as it loads slowly and few exports need it
    from openpyxl.utils import get_column_letter

    first, every = _begun(rows, _MEASURED)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("export")
    sheet.freeze_panes = "A2"  # the names stay in sight
    for place, width in enumerate(_widths(first), start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    try:
        for line, values in enumerate(chain([_names(first)], (list(row.values()) for row in every)), start=1):
            if line > _MOST_XLSX_ROWS:
                raise UserError(
                    f"A workbook holds {_MOST_XLSX_ROWS:,} rows; there are more.",
                    "export",
                    "Export as CSV, JSONL or Parquet.",
                )
            sheet.append([_xlsx_cell(sheet, _flat(value)) for value in values])
    finally:
        sheet.close()  # else it complains on standard error when it is collected
    with path.open("wb") as stream:
        book.save(stream)


def _widths(first: Sequence[Row]) -> list[int]:
    """Widths of a workbook's columns, in characters: as wide as the first rows need, within limits."""
    shown = [_names(first), *(list(row.values()) for row in first)]
    lengths = ([len(str(_flat(cell))) for cell in cells if cell is not None] for cells in zip(*shown, strict=True))
    return [min(max(*found, 6) + 2, _WIDEST) for found in lengths]


def _xlsx_cell(sheet: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, WriteOnlyCell

    text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", safe_cell(value))
    text = _READ_AS_ESCAPE.sub("_x005F_", text).replace("\r", "_x000D_")
    if len(text) > _LONGEST_XLSX_CELL:
        raise UserError(
            f"A cell holds {len(text):,} characters; a workbook holds {_LONGEST_XLSX_CELL:,}.",
            "export",
            "Export as CSV, JSONL or Parquet.",
        )
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    return cell


def _names(rows: Sequence[Row]) -> list[str]:
    return list(rows[0]) if rows else []


_WRITERS: dict[str, Callable[[Path, Iterable[Row]], None]] = {
    ".csv": _write_csv,
    ".tsv": lambda path, rows: _write_csv(path, rows, "\t"),
    ".jsonl": _write_jsonl,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".xlsx": _write_xlsx,
}
TABLES = tuple(_WRITERS)
"""Endings of the formats of `table`."""
