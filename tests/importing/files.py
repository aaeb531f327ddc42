"""Builds the bytes of files for the tests of reading: tables as CSV, workbooks, Parquet, zip archives."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from semievol.importing.accepted import AcceptedRows, Records
from semievol.importing.duplicates import Tracer, Traces
from semievol.importing.mapping import Mapping
from semievol.importing.table import Table
from semievol.importing.table_writer import TableWriter
from semievol.records import SPLITS, Record


def table_of(name: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]], first: int = 2) -> Table:
    """A table of these rows, numbered from `first`."""
    writer = TableWriter(Table(name), columns)
    for number, row in enumerate(rows, first):
        writer.add(number, row)
    return writer.table()


def csv_bytes(rows: Sequence[Sequence[str]], **options: Any) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, **options).writerows(rows)
    return out.getvalue().encode()


def parquet_bytes(columns: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), out, **options)
    return out.getvalue()


def xlsx_bytes(
    rows: Sequence[Sequence[Any]],
    sheets: Sequence[str] = ("Sheet",),
    merge: str = "",
    others: Sequence[Sequence[Any]] = (),
) -> bytes:
    """others: rows of all other sheets; the last one is then the one that was open."""
    book = openpyxl.Workbook()
    book.active.title = sheets[0]
    for row in rows:
        book.active.append(list(row))
    if merge:
        book.active.merge_cells(merge)
    for name in sheets[1:]:
        sheet = book.create_sheet(name)
        for row in others:
            sheet.append(list(row))
    book.active = len(sheets) - 1 if others else 0
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def with_members(workbook: bytes, members: dict[str, bytes]) -> bytes:
    """The workbook with some of its members replaced or added."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        present = {name: archive.read(name) for name in archive.namelist()}
    return zip_bytes({**present, **members})


def held(records: Sequence[Record]) -> tuple[Records, Traces]:
    """Plain records as the import holds them, with their traces."""
    tracer, parts = Tracer(), []
    for split in SPLITS:
        some = [record for record in records if record.split == split]
        rows = [[r.question, r.source_id, r.group] for r in some]
        table = table_of(f"{split}.csv", ["question", "id", "group"], rows)
        table.numbers[:] = [record.row for record in some]
        for record in some:
            letters = "ABCDEFGHIJ"[: len(record.options)]
            meaning = (
                record.options[letters.index(record.answer)] if record.options and record.answer else record.answer
            )
            tracer.add(record.question, record.options, meaning)
        read = ((place, record.answer, None, record.options) for place, record in enumerate(some))
        parts.append(AcceptedRows.collected(split, table, Mapping("question", id="id", group="group"), read))
    traces = tracer.traces()
    return Records(parts, traces.digests), traces
