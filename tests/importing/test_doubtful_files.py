"""Files that can be read in two ways: the likelier one is taken, said, and can be overruled."""

from __future__ import annotations

import json
import time

import pytest

from semievol.errors import UserError
from semievol.importing.numbers import in_parentheses, unit_of
from semievol.importing.readers.overrides import ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from tests.importing.files import csv_bytes, xlsx_bytes

TEXTS = [f"This text has some words and number {i}" for i in range(12)]
GOOD = "".join(f"text number {i} is here\t{'good' if i % 2 else 'bad'}\n" for i in range(12))


def doubts(table: Table) -> list[str]:
    return [doubt.kind for doubt in table.doubts]


def test_rows_that_a_lone_quotation_mark_merges_are_kept_apart_where_their_labels_show_it() -> None:
    tail = 'good\t"an opening\nbad\tand more\nbad\tclosing"\n'
    rows = "label\ttext\n" + "".join(f"{'good' if i % 2 else 'bad'}\ttext {i}\n" for i in range(12)) + tail
    for raw, name in ((rows, "a.tsv"), (rows.replace("\t", ","), "a.csv")):
        table = read_table(raw.encode(), name)
        assert (len(table), doubts(table)) == (15, ["quotes_literal"])
        assert table.column("text")[-3:] == ['"an opening', "and more", 'closing"']
        assert table.numbers.tolist() == list(range(2, 17))


def test_addresses_over_two_lines_are_one_cell_each() -> None:
    rows = [["kind", "address"], *[["home" if i % 2 else "work", f"{i} High St\nLondon, UK"] for i in range(12)]]
    table = read_table(csv_bytes(rows), "a.csv")
    assert len(table) == 12
    assert doubts(table) == ["merged_lines"]
    assert doubts(read_table(csv_bytes(rows), "a.csv", ReadAs(quotes="standard"))) == []


def test_texts_of_many_lines_are_no_doubt() -> None:
    rows = [["text", "label"], *[[f"Dear all,\nI, {i}, write.\n\nBye", "ab"[i % 2]] for i in range(12)]]
    table = read_table(csv_bytes(rows), "a.csv")
    assert (len(table), doubts(table)) == (12, [])


def test_one_column_of_texts_is_in_doubt_where_only_some_span_lines() -> None:
    texts = "".join(f"text {i} here\n" for i in range(9))
    some = read_table(f'text\n{texts}"a quote that opens\nand closes"\n'.encode(), "a.csv")
    assert (len(some), doubts(some)) == (10, ["merged_lines"])
    every = read_table(csv_bytes([["text"], *[[f"Dear {i},\nbye"] for i in range(9)]]), "a.csv")
    assert (len(every), doubts(every)) == (9, [])
    assert len(read_table(f'text\n{texts}"a quote that opens\nand closes"\n'.encode(), "a.tsv")) == 11


def test_backslashes_before_quotation_marks_are_understood() -> None:
    raw = 'text,label\n"say \\"a, b\\" and \\\\ go",x\n"ends with \\"c\\"",y\n'
    table = read_table(raw.encode(), "a.csv")
    assert table.column("text") == ['say "a, b" and \\ go', 'ends with "c"']
    assert doubts(table) == ["quotes_backslash"]


def test_a_backslash_before_a_line_break_and_an_empty_cell_of_a_database_are_understood() -> None:
    raw = '"1","say \\"a\\"\\\nand C:\\\\new go",x\n"2","so \\"b\\"",\\N\n'
    table = read_table(f"id,text,label\n{raw}".encode(), "a.csv")
    assert table.column("text") == ['say "a"\nand C:\\new go', 'so "b"']
    assert table.column("label") == ["x", ""]


def test_a_backslash_at_the_end_of_a_cell_is_a_backslash() -> None:
    table = read_table(csv_bytes([["path", "label"], ["C:\\dir\\, x", "a"], ["C:\\", "b"]]), "a.csv")
    assert table.column("path") == ["C:\\dir\\, x", "C:\\"]
    assert doubts(table) == []


@pytest.mark.parametrize(
    "raw",
    [
        "a fine film it was,good\nnot of my kind,bad\nquite good so far,good\nno no no no,bad\nso it is now,good\n",
        "1,a fine film it was,good\n2,not of my kind,bad\n3,quite good so far,good\n4,no,bad\n5,so it is now,good\n",
        "which of these is it,red,tea,A\nwhat is it called here,blue,milk,B\nwho is it to us,a,b,A\nwhy so,x,y,B\n",
        "r-1,0\nr-2,1\nr-3,0\nr-4,0\n",
        "I like it very much.\nIt is not what I wanted.\nWell done to all of you.\nNever again in this life.\n",
    ],
)
def test_a_first_row_like_all_others_is_a_record(raw: str) -> None:
    table = read_table(raw.encode(), "a.csv")
    assert len(table) == raw.count("\n")
    assert table.numbers[0] == 1
    assert table.columns[0] == "column 1"
    assert doubts(table) == ["no_header"]
    said = read_table(raw.encode(), "a.csv", ReadAs(header="yes"))
    assert (len(said), doubts(said)) == (raw.count("\n") - 1, [])


@pytest.mark.parametrize(
    "raw",
    [
        "question,answer\nwhat is it called here,a\nwhat is it called there,b\nwhere is it then,a\nwho is it now,b\n",
        "0,1\nsome text here,good\nother text here,bad\nmore text here,good\n",
        "id,2019,2020\n1,5,6\n2,7,8\n3,9,1\n",
        "When did you come?,What did you like most of all?\nMonday,the food was very good\nFriday,the way back home\n",
    ],
)
def test_names_stay_names(raw: str) -> None:
    table = read_table(raw.encode(), "a.csv")
    assert table.columns == raw.split("\n")[0].split(",")
    assert "no_header" not in doubts(table)


def test_a_file_without_names_can_be_said_to_have_none() -> None:
    table = read_table(b"x,x\nb,c\n", "a.csv", ReadAs(header="no"))
    assert (table.columns, table.rows) == (["column 1", "column 2"], [["x", "x"], ["b", "c"]])


def test_row_numbers_without_a_name_are_left_out_and_other_nameless_columns_refused() -> None:
    for table in (
        read_table(b",text\n7,a\n9,b\n", "a.csv"),
        read_table(xlsx_bytes([[None, "text"], [7, "a"], [9, "b"]]), "a.xlsx"),
    ):
        assert (table.columns, table.rows) == (["text"], [["a"], ["b"]])
        assert "row numbers" in table.notes[-1]
    for raw in (b",text\nx,a\ny,b\n", b",text\n1,a\n1,b\n"):
        with pytest.raises(Exception, match="has no name"):
            read_table(raw, "a.csv")


@pytest.mark.parametrize(
    ("answer", "unit"),
    [
        *(("5", ""), ("-1,234.5", ""), ("5 %", ""), ("5 kg", "kg"), ("$5", "$"), ("so 2+3 = 5", ""), ("x #### 42", "")),
        *(("EUR 5", "eur"), ("12 km/h", "km/h"), ("1e5", ""), (".5", ""), ("0.5", ""), ("0", "")),
        *(
            (one, None)
            for one in ("P1", "Tier 2", "cat_17", "007", "(2.5)", "5k", "5 M", "#1", "1st", "3 a", "1-2", "")
        ),
        *((one, None) for one in ("No. 5", "5 stars", "12:30", "2024-01-05", "A1", "v1.2", "1/2")),
    ],
)
def test_a_number_has_a_unit_only_if_it_is_one(answer: str, unit: str | None) -> None:
    assert unit_of(answer) == unit


def test_numbers_in_parentheses_are_known() -> None:
    assert [in_parentheses(text) for text in ("(2.5)", "($1,200)", "(a)", "2.5", "(2) (3)")] == [
        *(True, True, False, False, False)
    ]


def test_a_long_text_is_told_from_a_number_at_once() -> None:
    began = time.monotonic()
    assert unit_of("1 " * 500_000) is None
    assert unit_of("word = " * 200_000 + "word") is None
    assert unit_of("so " * 200_000 + "#### 42") == ""
    assert not in_parentheses("(" + "1 " * 500_000)
    assert time.monotonic() - began < 1


def test_one_name_that_is_a_label_of_its_column_makes_the_row_a_record() -> None:
    rows = [[f"which one is it, {i}?", f"red {i}", "blue", "ABCD"[i % 4]] for i in range(12)]
    for table in (read_table(csv_bytes(rows), "a.csv"), read_table(xlsx_bytes(rows), "a.xlsx")):
        assert (len(table), table.numbers[0], doubts(table)) == (12, 1, ["no_header"])
    said = read_table(xlsx_bytes(rows), "a.xlsx", ReadAs(header="yes"))
    assert (len(said), said.columns[-1]) == (11, "A")
    assert read_table(xlsx_bytes([["a", "a"]]), "a.xlsx", ReadAs(header="no")).rows == [["a", "a"]]


def test_one_column_of_short_texts_without_a_name_is_in_doubt() -> None:
    assert doubts(read_table(b"good film\nbad book\nfine meal\n", "a.txt")) == ["header_in_doubt"]
    assert doubts(read_table(b"Customer message\n" + b"this is what I wanted to say to you\n" * 4, "a.txt")) == []


@pytest.mark.parametrize(
    "raw",
    [
        {"text": {"0": "a", "5": "b"}, "label": {"0": "x", "5": None}},
        {"columns": ["text", "label"], "index": [0, 5], "data": [["a", "x"], ["b", None]]},
    ],
)
def test_a_table_that_pandas_wrote_as_one_object_is_read_in_every_orientation(raw: object) -> None:
    table = read_table(json.dumps(raw).encode(), "a.json")
    assert (table.columns, table.rows) == (["text", "label"], [["a", "x"], ["b", None]])


@pytest.mark.parametrize(
    "raw", [{"a": {"b": "c"}}, {"a": {"0": 1}, "b": {"1": 2}}, {"columns": ["a"], "data": [[1, 2]]}]
)
def test_other_objects_are_no_tables(raw: object) -> None:
    with pytest.raises(UserError):
        read_table(json.dumps(raw).encode(), "a.json")


def test_a_title_above_a_table_is_left_out_and_told() -> None:
    rows = "".join(f"{i},{text},{'ab'[i % 2]}\n" for i, text in enumerate(TEXTS))
    for title in ("Feedback of 2024,,\n,,\n", "Feedback of 2024\n", "Feedback\n\n"):
        table = read_table(f"{title}no,text,label\n{rows}".encode(), "a.csv")
        assert (table.columns, len(table)) == (["no", "text", "label"], len(TEXTS))
        assert table.notes[-1].startswith("Lines above the table that were left out")
        assert table.numbers[0] == title.count("\n") + 2


def test_a_name_above_texts_with_commas_is_no_title() -> None:
    table = read_table(("text\n" + "one, two\n" * 9).encode(), "a.txt")
    assert (table.columns, len(table)) == (["text"], 9)


def test_blanks_after_a_closing_quotation_mark_are_left_out() -> None:
    raw = '"text" ,label\n' + "".join(f'"a, ""b"" , {text}" \u00a0,x \n' for text in TEXTS)
    table = read_table(raw.encode(), "a.csv")
    assert table.columns == ["text", "label"]
    assert table.rows == [[f'a, "b" , {text}', "x "] for text in TEXTS]
    assert table.notes == [f"Rows with blanks after a closing quotation mark, which were left out: {len(TEXTS) + 1}."]


def test_columns_with_neither_a_name_nor_a_value_are_left_out() -> None:
    table = read_table(("v1,v2,,,\n" + "".join(f"ham,{text},,,\n" for text in TEXTS)).encode(), "a.csv")
    assert table.columns == ["v1", "v2"]
    assert table.notes == ["Columns with neither a name nor a value were left out: 3, 4, 5."]


def test_a_first_record_with_an_empty_cell_is_a_record() -> None:
    raw = "".join(f"ab{i % 2},{i % 2},,{text}\n" for i, text in enumerate(TEXTS))
    table = read_table(raw.encode(), "a.csv")
    assert table.rows[0] == ["ab0", "0", "", TEXTS[0]]
    with pytest.raises(UserError, match="has no name") as refused:
        read_table(("a,,b\n" + "1,2,3\n" * 3).encode(), "a.csv")
    assert "--no-header" in refused.value.remedy


def test_rows_that_repeat_the_names_of_the_columns_are_left_out() -> None:
    rows = "".join(f"{text},{'ab'[i % 2]}\n" for i, text in enumerate(TEXTS))
    for again in ("text,label", "\ufefftext,label", '\ufeff"text",label'):
        table = read_table(f"text,label\n{rows}{again}\n{rows}".encode(), "a.csv")
        assert (table.columns, len(table), doubts(table)) == (["text", "label"], 2 * len(TEXTS), [])
        assert table.numbers[len(TEXTS)] == len(TEXTS) + 3
        assert table.notes == ["Rows that repeat the names of the columns were left out: 1."]
    one = read_table("item\nfirst item\n\ufeffitem\nitem\n".encode(), "a.csv")
    assert one.rows == [["first item"], ["item"]]
