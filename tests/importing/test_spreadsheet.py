"""Cells of a workbook: escapes and durations, as they are stored and as openpyxl gives them."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from openpyxl import Workbook

from semievol.export.files import table
from semievol.importing.readers.read import read_table
from semievol.jobs.intake import prepare
from tests.importing.files import with_members, xlsx_bytes

NAMES = "http://schemas.openxmlformats.org"
STORED = ["_x0041_", "_x005F_x0041_", "_x005F_x005F_", "a_x000D_b", "_xD83D__xDE00_", "x005F_ _x41_ _x00G1_"]
MEANT = ["A", "_x0041_", "_x005F_", "a\rb", "😀", "x005F_ _x41_ _x00G1_"]


def with_shared(texts: list[str]) -> bytes:
    """A workbook as Excel and XlsxWriter write it: texts in a table of their own, cells with their numbers."""
    entries = "".join(f"<si><t>{escape(text)}</t></si>" for text in ["q", *texts])
    rows = "".join(f'<row r="{i}"><c r="A{i}" t="s"><v>{i - 1}</v></c></row>' for i in range(1, len(texts) + 2))
    kinds = f"{NAMES}/package/2006/content-types"
    relation = f"{NAMES}/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    main = f"{NAMES}/spreadsheetml/2006/main"
    relations = "".join(
        f'<Relationship Id="rId{i}" Type="{relation}/{what}" Target="{target}"/>'
        for i, (what, target) in enumerate([("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "s.xml")], 1)
    )
    members = {
        "xl/s.xml": f'<sst xmlns="{main}">{entries}</sst>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{kinds.replace("content-types", "relationships")}">'
        f"{relations}</Relationships>",
        "[Content_Types].xml": f'<Types xmlns="{kinds}"><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
        f'<Override PartName="/xl/s.xml" ContentType="{kind}.sharedStrings+xml"/></Types>',
    }
    return with_members(xlsx_bytes([["q"]]), {name: text.encode() for name, text in members.items()})


def test_escapes_in_shared_strings_mean_what_the_standard_says() -> None:
    assert read_table(with_shared(STORED), "a.xlsx").column("q") == MEANT


def test_escapes_in_cells_of_their_own_mean_the_same() -> None:
    assert read_table(xlsx_bytes([["q"], *[[text] for text in STORED]]), "a.xlsx").column("q") == MEANT


def test_an_escaped_half_character_or_nul_rejects_its_row() -> None:
    found = read_table(with_shared(["good", "_xD83D_", "_x0000_"]), "a.xlsx")
    assert found.column("q") == ["good"]
    assert [reject.row for reject in found.rejected] == [3, 4]


def test_an_exported_text_that_looks_like_an_escape_is_read_back(tmp_path: Path) -> None:
    table(tmp_path / "a.xlsx", [{"q": text} for text in [*MEANT, *STORED]])
    assert read_table(tmp_path / "a.xlsx").column("q") == [*MEANT, *STORED]


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (datetime.timedelta(days=1, hours=2, minutes=3, seconds=4), "26:03:04"),
        (datetime.timedelta(seconds=-90), "-0:01:30"),
        (datetime.timedelta(milliseconds=1_500), "0:00:01.5"),
        (datetime.timedelta(0), "0:00:00"),
    ],
)
def test_durations_are_hours_minutes_and_seconds_and_that_is_said(span: datetime.timedelta, shown: str) -> None:
    found = read_table(xlsx_bytes([["q"], [span]]), "a.xlsx")
    assert found.rows == [[shown]]
    assert any("durations, written as hours:minutes:seconds" in note for note in found.notes)


def test_a_failed_formula_rejects_its_row_only_where_its_column_is_used() -> None:
    def book(where: str) -> bytes:
        made = Workbook()
        made.active.append(["question", "answer", "lookup"])
        for i in range(12):
            made.active.append([f"some question number {i}", "ab"[i % 2], "x"])
        made.active[where] = "#N/A"
        made.active["C4"] = "=LEN(A4)"  # without a stored value
        stream = io.BytesIO()
        made.save(stream)
        return stream.getvalue()

    pool = read_table(b"question\nanother question\none more question\n", "pool.csv")
    unused = prepare({"labeled": read_table(book("C3"), "a.xlsx"), "unlabeled": pool})
    assert (unused.report["labeled"].accepted, unused.report["labeled"].rejects) == (12, [])
    used = prepare({"labeled": read_table(book("B3"), "a.xlsx"), "unlabeled": pool})
    (reject,) = used.report["labeled"].rejects
    assert (reject.row, reject.column, reject.reason) == (3, "answer", "The cell holds a spreadsheet error.")


def test_a_table_may_begin_in_a_later_column_and_have_an_empty_one() -> None:
    made = Workbook()
    for row in (["", "text", "", "label"], *(["", f"some text {i}", "", "ab"[i % 2]] for i in range(4))):
        made.active.append([cell or None for cell in row])
    stream = io.BytesIO()
    made.save(stream)
    assert read_table(stream.getvalue(), "a.xlsx").columns == ["text", "label"]
