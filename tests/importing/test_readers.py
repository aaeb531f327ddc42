"""Files of every format give back the cells that were written, letter by letter."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol.errors import UserError
from semievol.importing.readers.overrides import ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.table import Limits
from tests.importing.files import csv_bytes, parquet_bytes, xlsx_bytes, zip_bytes

NAMES = st.text("abcdefghij_ÄßЖ字", min_size=1, max_size=8)
BOOK = xlsx_bytes([["q", "a"], ["x", 1], ["y", "=1+1"]])
PARQUET = parquet_bytes({"q": ["x", "y"] * 20, "a": [1.5, None] * 20})
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), include_characters="\n\r\t\x1b"), max_size=20
)


def handled(raw: bytes, name: str) -> bool:
    """Whether reading gives a whole table, or an error that says where and what to do."""
    try:
        table = read_table(raw, name)
    except UserError as error:
        return bool(error.what and error.where and error.remedy)
    return all(len(row) == len(table.columns) for row in table.rows)


@st.composite
def tables(draw: st.DrawFn, cell: st.SearchStrategy[str | None]) -> tuple[list[str], list[list[str | None]]]:
    columns = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    return columns, draw(st.lists(st.lists(cell, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=6))


@settings(deadline=None)
@given(tables(TEXT), st.sampled_from(",;\t|"))
def test_csv_round_trip(written: tuple[list[str], list[list[str]]], delimiter: str) -> None:
    columns, rows = written
    raw = csv_bytes([columns, *rows], delimiter=delimiter, quoting=csv.QUOTE_ALL)
    table = read_table(raw, "data.csv")
    assert (table.columns, table.rows, table.rejected) == (columns, rows, [])


@settings(deadline=None)
@given(tables(TEXT | st.none()))
def test_jsonl_round_trip(written: tuple[list[str], list[list[str | None]]]) -> None:
    columns, rows = written
    raw = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in rows).encode()
    table = read_table(gzip.compress(raw), "data.jsonl.gz")
    assert (table.columns, table.rows, table.rejected) == (columns, rows, [])
    assert table.numbers.tolist() == list(range(1, len(rows) + 1))


@settings(deadline=None)
@given(tables(TEXT | st.none()))
def test_json_and_parquet_round_trip(written: tuple[list[str], list[list[str | None]]]) -> None:
    columns, rows = written
    array = json.dumps([dict(zip(columns, row, strict=True)) for row in rows], ensure_ascii=False, indent=1).encode()
    by_column = {column: [row[i] for row in rows] for i, column in enumerate(columns)}
    for raw, name in ((array, "data.json"), (parquet_bytes(by_column), "data.parquet")):
        table = read_table(raw, name)
        if not (name.endswith("parquet") and any(all(v is None for v in values) for values in by_column.values())):
            assert (table.columns, table.rows, table.rejected) == (columns, rows, [])


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=300), st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.xlsx", "a.csv.gz"])
)
def test_any_bytes_give_a_table_or_a_user_error(raw: bytes, name: str) -> None:
    assert handled(raw, name)


@settings(deadline=None, max_examples=300)
@given(st.text('[]{}",:\\ \n1aeNu', max_size=60), st.sampled_from(["a.csv", "a.jsonl", "a.json"]))
def test_almost_valid_text_gives_a_table_or_a_user_error(text: str, name: str) -> None:
    assert handled(text.encode(), name)


def test_numbers_in_json_stay_as_written() -> None:
    raw = b'{"a": 1.50, "b": 12345678901234567890123, "c": [1.0, {"x": 1e5}], "d": true, "e": null}'
    assert read_table(raw, "a.jsonl").rows == [["1.50", "12345678901234567890123", '[1.0, {"x": 1e5}]', "true", None]]


def test_records_under_one_key_are_found() -> None:
    table = read_table(b'{"version": 1, "data": [{"q": "a"}, {"q": "b"}]}', "a.json")
    assert table.column("q") == ["a", "b"]
    assert any('"data"' in note for note in table.notes)


@pytest.mark.parametrize(
    ("raw", "columns", "rows"),
    [
        ('{"q": {"0": "a", "1": "b"}, "n": {"0": 1.50, "1": null}}', ["q", "n"], [["a", "1.50"], ["b", None]]),
        (
            json.dumps({"q": {f"r{i}": f"a{i}" for i in range(12)}, "n": {f"r{i}": i for i in range(12)}}),
            ["q", "n"],
            [[f"a{i}", str(i)] for i in range(12)],
        ),
        ('{"x7": {"q": "a", "n": 1}, "x9": {"q": "b"}}', ["key", "q", "n"], [["x7", "a", "1"], ["x9", "b", None]]),
        (
            '{"columns": ["q", "n"], "index": [3, 4], "data": [["a", 1.50], ["b", "2"]]}',
            ["q", "n"],
            [["a", "1.50"], ["b", "2"]],
        ),
    ],
)
def test_one_object_in_the_forms_of_pandas_is_a_table(
    raw: str, columns: list[str], rows: list[list[str | None]]
) -> None:
    table = read_table(raw.encode(), "a.json")
    assert (table.columns, table.rows) == (columns, rows)


def test_json_lines_under_the_ending_json_are_read() -> None:
    assert read_table(b'{"q": "a"}\n{"q": "b"}\n', "a.json").column("q") == ["a", "b"]


def test_a_workbook_gives_text_as_stored_and_the_sheet_that_was_asked_for() -> None:
    raw = xlsx_bytes([["q", "n"], ["007", 7], ["x", 1.5], [None, None], [" y ", True]], sheets=("One", "Two"))
    table = read_table(raw, "a.xlsx", ReadAs(sheet="One"))
    assert table.rows == [["007", "7"], ["x", "1.5"], [" y ", "TRUE"]]
    assert table.numbers.tolist() == [2, 3, 5]
    with pytest.raises(UserError, match="Choose one of: One, Two"):
        read_table(raw, "a.xlsx", ReadAs(sheet="Three"))


def test_excels_unicode_text_of_one_column_holds_commas() -> None:
    table = read_table('Text\r\none, two\r\n"three ""four"""\r\n'.encode("utf-16"), "a.txt")
    assert table.rows == [["one, two"], ['three "four"']]


def test_a_path_is_read_as_well_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"q,a\n1,2\n")
    assert read_table(path).rows == read_table(path.read_bytes(), "data.csv").rows
    with pytest.raises(UserError, match="Check the path"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(UserError, match="directory"):
        read_table(tmp_path)


def test_limits_of_cells_are_named() -> None:
    with pytest.raises(UserError, match="more than 10 cells"):
        read_table(csv_bytes([["a", "b"], *[["1", "2"]] * 9]), "a.csv", limits=Limits(cells=10))


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"])
def test_every_form_can_be_packed(form: str) -> None:
    cells = {"q": ["007", "NA"], "a": ["1", "2"]}
    lines = [{"q": q, "a": a} for q, a in zip(*cells.values(), strict=True)]
    rows = [list(cells), *([line["q"], line["a"]] for line in lines)]
    written = {
        "csv": csv_bytes(rows),
        "tsv": csv_bytes(rows, delimiter="\t"),
        "jsonl": "\n".join(map(json.dumps, lines)).encode(),
        "json": json.dumps(lines).encode(),
        "parquet": parquet_bytes(cells),
        "xlsx": xlsx_bytes(rows),
    }
    table = read_table(gzip.compress(written[form]), f"data.{form}.gz")
    assert (table.columns, table.rows) == (["q", "a"], rows[1:])


def test_several_gzip_members_are_one_file() -> None:
    raw = gzip.compress(b"q,a\n1,") + gzip.compress(b"2\n")
    assert read_table(raw, "a.csv.gz").rows == [["1", "2"]]


def test_a_cut_off_gzip_file_is_refused() -> None:
    raw = gzip.compress(b"q,a\n" + b"1,2\n" * 1000)
    with pytest.raises(UserError, match="cut off"):
        read_table(raw[:-12], "a.csv.gz")


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_workbooks_and_parquet_files_give_a_table_or_a_user_error(data: st.DataObject) -> None:
    name, raw = data.draw(st.sampled_from([("a.xlsx", BOOK), ("a.parquet", PARQUET)]))
    damaged = bytearray(raw)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert handled(bytes(damaged), name)


@pytest.mark.parametrize(
    ("raw", "kind", "remedy"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG picture", "picture of a table"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "a WebP picture", "picture of a table"),
        (b"\x00\x00\x00\x18ftypheic\x00", "a HEIC or AVIF picture", "picture of a table"),
        (b"\x00\x00\x00\x18ftypmp42\x00", "a video", "Choose the file with the table"),
        (b"%PDF-1.7", "a PDF document", "export the table"),
        (b"Rar!\x1a\x07\x00", "a packed archive", "Unpack it"),
        (zip_bytes({"word/document.xml": b"<x/>"}), "a Word document", "save the table as .xlsx or .csv"),
    ],
)
def test_what_is_no_table_is_named_whatever_its_ending(raw: bytes, kind: str, remedy: str) -> None:
    for name in ("photo.csv", "photo.xlsx", "photo.jsonl"):
        with pytest.raises(UserError, match=f"This is {kind}, not a table") as refused:
            read_table(raw, name)
        assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    "header", ["ID3,answer", "BM25,answer", "MZ,answer", "MM,answer", "Rar!,answer", "fLaC,answer"]
)
def test_a_header_that_begins_like_a_binary_file_is_text(header: str) -> None:
    assert read_table(f"{header}\na,b\n".encode(), "data.csv").columns == header.split(",")
