"""Files of other programs: what can be read is read, what cannot be is called by its name, with a way out."""

from __future__ import annotations

from typing import Any

import pytest

from semievol.errors import UserError
from semievol.importing.readers.overrides import ReadAs
from semievol.importing.readers.read import read_table
from tests.importing.files import xlsx_bytes
from tests.importing.test_more_tool_forms import columns, doubts, imported


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_row_names_of_r_have_no_name_in_the_header(delimiter: str) -> None:
    rows = [["text", "label"], *[[str(i), rf"He said \"no {i}\" twice", "ab"[i % 2]] for i in range(1, 12)]]
    raw = "".join(delimiter.join(f'"{cell}"' for cell in row) + "\n" for row in rows)
    table = read_table(raw.encode(), "a.txt")
    assert columns(table, "text", "label")[0] == ('He said "no 1" twice', "b")
    assert (table.columns, len(table), table.numbers[0]) == (["text", "label"], 11, 2)
    alone = "".join(f'"{i}"{delimiter}"some text {i}"\n' for i in range(1, 9))
    assert read_table(f'"text"\n{alone}'.encode(), "a.txt").columns == ["text"]


def test_rows_with_a_field_too_many_are_no_row_names() -> None:
    raw = "text,label\n" + "".join(f"Well {i}, yes,a\n" for i in range(9))
    with pytest.raises(UserError, match="more fields than the header") as caught:
        read_table(raw.encode(), "a.csv")
    assert "row.names" in caught.value.remedy


def test_codes_before_questions_are_their_labels_and_this_is_told() -> None:
    raw = "".join(f"{['DESC:manner', 'NUM:count'][i % 2]} How is number {i} ?\n" for i in range(12)).encode()
    table = read_table(raw, "train.txt")
    assert columns(table, "text", "label")[0] == ("How is number 0 ?", "DESC:manner")
    assert doubts(table) == {"label_first": 12}
    whole = read_table(raw, "train.txt", ReadAs(delimiter="\t"))
    assert whole.rows[1] == ["NUM:count How is number 1 ?"]


def test_links_and_dialogues_are_no_codes() -> None:
    for line in ("http://a.b/{} is a page", "Note: number {} is here", "Speaker{}:x said so"):
        table = read_table("".join(f"{line.format(i)}\n" for i in range(12)).encode(), "pool.txt")
        assert len(table.columns) == 1


def test_lines_without_answers_are_told_from_a_table_without_them() -> None:
    table = read_table("".join(f"good this is text {i}\n" for i in range(12)).encode(), "labeled.txt")
    with pytest.raises(UserError) as caught:
        imported(table, table)
    assert "has one column" in caught.value.remedy


def test_cells_beside_the_table_of_a_sheet_are_left_out_and_told() -> None:
    rows: list[list[Any]] = [["text", "label"], *([f"text {i}", "ab"[i % 2]] for i in range(12))]
    besides: list[list[Any]] = [["Label", "Count"], ["a", 6], ["b", 6]]
    for row, beside in zip(rows[2:], besides, strict=False):
        row += [None, *beside]
    rows.append([None, None, None, "Total", 12])
    table = read_table(xlsx_bytes(rows), "a.xlsx")
    assert (table.columns, len(table), table.rejected) == (["text", "label"], 12, [])
    assert doubts(table) == {"cells_beside": 4}
    rows[6] += ["next to it"]
    assert [reject.row for reject in read_table(xlsx_bytes(rows), "a.xlsx").rejected] == [7]


PAGE = b'\xef\xbb\xbf<html xmlns:x="urn:x"><body><table><tr><td>text</td></tr></table></body></html>'
DUMP = b"-- MySQL dump 10.13\n--\n/*!40101 SET x */;\nCREATE TABLE `t` (`id` int);\nINSERT INTO `t` VALUES (1);\n"


@pytest.mark.parametrize(
    ("content", "name", "kind", "remedy"),
    [
        (PAGE, "a.xls", "web page", "spreadsheet program"),
        (PAGE, "a.csv", "web page", "spreadsheet program"),
        (PAGE, "a.xlsx", "web page", "spreadsheet program"),
        (b'<?xml version="1.0"?><Workbook/>', "a.xls", "XML", "spreadsheet program"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a.xls", "old .xls", ".xlsx"),
        (DUMP, "a.sql", "SQL dump", "from the database"),
        (DUMP, "a.txt", "SQL dump", "from the database"),
        (b"CREATE TABLE t (id int);", "a.sql", "ending", "from the database"),
    ],
)
def test_what_is_no_table_is_named(content: bytes, name: str, kind: str, remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        read_table(content, name)
    assert kind in caught.value.what
    assert remedy in caught.value.remedy


def test_an_object_with_several_arrays_names_them() -> None:
    with pytest.raises(UserError, match="one object") as caught:
        read_table(b'{"train": [{"a": 1}], "dev": [{"a": 2}]}', "a.json")
    assert "train, dev" in caught.value.remedy
