"""What a person says about a file wins over what is found in it; what was guessed is known as such."""

from __future__ import annotations

from pathlib import Path

import pytest

from semievol.errors import UserError
from semievol.importing.build import build_records
from semievol.importing.mapping import Mapping
from semievol.importing.readers.overrides import ReadAs, delimiter_named, encoding_named, per_file
from semievol.importing.readers.read import read_table
from semievol.importing.readers.sandbox import read_contained
from semievol.records import Split, Task
from tests.importing.files import xlsx_bytes
from tests.importing.test_bad_inputs import BOOK, PARQUET, rows

THREE: dict[Split, str] = {"labeled": "a.csv", "unlabeled": "b.xlsx", "test": "c.jsonl"}


def test_an_encoding_that_is_said_is_taken() -> None:
    raw = rows("це тест,yes").encode("cp1251")
    assert "Windows-1252" in read_table(raw, "a.csv").form
    table = read_table(raw, "a.csv", ReadAs(encoding="cp1251"))
    assert table.rows[-1] == ["це тест", "yes"]
    assert (table.read_as.encoding, table.guessed) == ("cp1251", [])


@pytest.mark.parametrize("encoding", ["gb18030", "cp932", "utf-16-be"])
def test_text_in_many_encodings_is_read_when_it_is_said(encoding: str) -> None:
    table = read_table(rows("測試,yes").encode(encoding), "a.csv", ReadAs(encoding=encoding))
    assert table.rows[-1] == ["測試", "yes"]


def test_an_encoding_that_the_bytes_are_not_in_is_refused() -> None:
    with pytest.raises(UserError, match="not valid GB18030"):
        read_table(rows("caf\xff\xff,yes").encode("latin-1"), "a.csv", ReadAs(encoding="gb18030"))


def test_bytes_that_are_not_utf8_in_a_file_said_to_be_utf8_stay_with_their_rows() -> None:
    table = read_table(rows("café,yes").encode("cp1252"), "a.csv", ReadAs(encoding="utf-8"))
    assert [reject.row for reject in table.rejected] == [14]


@pytest.mark.parametrize("end", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_recognised_and_said(end: str) -> None:
    table = read_table(rows("déjà vu,no").encode(end), "a.csv")
    assert table.rows[-1] == ["déjà vu", "no"]
    assert table.guessed == ["encoding"]
    assert any("UTF-16" in note and "nothing states" in note for note in table.notes)
    assert read_table(rows().encode(end), "a.csv", ReadAs(encoding="utf-16")).columns == ["question", "answer"]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    raw = b"\xff\xfe" + rows().encode("utf-16-le")
    for said in ("utf-16", "utf-16-le"):
        assert read_table(raw, "a.csv", ReadAs(encoding=said)).columns == ["question", "answer"]


def test_a_first_line_that_names_the_delimiter_is_no_data() -> None:
    table = read_table(b"sep=;\r\nquestion;answer\r\none, or two;a\r\nx;y;z\r\n", "a.csv")
    assert table.columns == ["question", "answer"]
    assert table.rows == [["one, or two", "a"]]
    assert table.numbers.tolist() == [3]
    assert table.rejected[0].row == 4
    assert table.guessed == []
    assert any("first line says" in note for note in table.notes)


def test_a_delimiter_that_is_said_wins_over_all_others() -> None:
    raw = b"sep=;\nquestion~answer\na; b, c~x\n"
    table = read_table(raw, "a.csv", ReadAs(delimiter="~"))
    assert table.rows == [["a; b, c", "x"]]
    assert table.read_as.delimiter == "~"


def test_a_delimiter_that_parts_nothing_is_refused_with_the_one_that_does() -> None:
    with pytest.raises(UserError, match="has no tabs; the rows are separated by commas"):
        read_table(rows().encode(), "a.csv", ReadAs(delimiter="\t"))
    assert read_table(b"question\none, or two\n", "a.csv", ReadAs(delimiter=";")).rows == [["one, or two"]]


def test_a_single_column_of_a_tsv_file_may_hold_commas() -> None:
    assert read_table(b"question\none, or two\n", "a.tsv").rows == [["one, or two"]]


@pytest.mark.parametrize(
    ("raw", "name", "said"),
    [
        (BOOK, "a.xlsx", ReadAs(encoding="utf-8")),
        (PARQUET, "a.parquet", ReadAs(delimiter=";")),
        (b'{"q": "a"}\n', "a.jsonl", ReadAs(delimiter=";")),
        (rows().encode(), "a.csv", ReadAs(sheet="Data")),
    ],
)
def test_what_a_format_does_not_have_cannot_be_said(raw: bytes, name: str, said: ReadAs) -> None:
    with pytest.raises(UserError, match="A file of this format has no"):
        read_table(raw, name, said)


def test_what_is_said_reaches_the_process_that_reads(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes("question;answer\nсвет;a\n".encode("cp1251"))
    table = read_contained(path, "a.csv", tmp_path / "cells", read_as=ReadAs(encoding="cp1251"))
    assert table.rows == [["свет", "a"]]
    assert table.read_as == ReadAs(encoding="cp1251", delimiter=";")
    assert table.guessed == ["delimiter"]


@pytest.mark.parametrize(
    ("raw", "name", "guessed"),
    [
        (rows(), "a.csv", []),
        (rows().replace(",", "\t"), "a.tsv", []),
        ("question\nq\n", "a.txt", []),
        (rows().replace(",", ";"), "a.csv", ["delimiter"]),
        (rows().replace(",", "\t"), "a.csv", ["delimiter"]),
        (rows(), "a.txt", ["delimiter"]),
        (rows().encode("utf-16"), "a.csv", []),
        (rows("café,yes").encode("cp1252"), "a.csv", ["encoding"]),
        ('{"q": "café"}\n'.encode("cp1252"), "a.jsonl", ["encoding"]),
    ],
)
def test_a_guess_is_what_neither_the_file_nor_its_name_says(raw: str | bytes, name: str, guessed: list[str]) -> None:
    assert read_table(raw if isinstance(raw, bytes) else raw.encode(), name).guessed == guessed


def test_strict_refuses_a_guess_and_takes_it_when_it_is_said() -> None:
    raw = b"question;answer\n" + b"".join(b"caf\xe9 %d;%s\n" % (i, b"ab"[i % 2 : i % 2 + 1]) for i in range(20))
    mapping, task = Mapping("question", "answer"), Task("classification", ("a", "b"))
    with pytest.raises(UserError) as caught:
        build_records({"labeled": read_table(raw, "a.csv")}, mapping, task, strict=True)
    assert "--encoding labeled=cp1252 --delimiter labeled=semicolon" in caught.value.remedy
    said = per_file({"labeled": "a.csv"}, encodings=["labeled=cp1252"], delimiters=["labeled=semicolon"])
    build_records({"labeled": read_table(raw, "a.csv", said["labeled"])}, mapping, task, strict=True)


def test_what_is_said_of_all_files_concerns_those_that_have_it() -> None:
    found = per_file(THREE, ["Data"], ["latin1"], ["tab", "labeled=="])
    assert found == {
        "labeled": ReadAs(encoding="iso8859-1", delimiter="="),
        "unlabeled": ReadAs(sheet="Data"),
        "test": ReadAs(encoding="iso8859-1"),
    }


def test_what_is_said_of_no_file_is_refused() -> None:
    with pytest.raises(UserError, match="None of the files"):
        per_file({"labeled": "a.csv"}, ["Data"])
    with pytest.raises(UserError, match="no test file"):
        per_file({"labeled": "a.csv"}, (), ["test=cp1252"])


def test_names_of_encodings_and_delimiters() -> None:
    assert [encoding_named(name) for name in ("UTF8", "Windows-1252", "shift-jis", "GB2312", "utf-16le")] == [
        *("utf-8", "cp1252", "cp932", "gb18030", "utf-16-le")
    ]
    for wrong in ("rot13", "idna", "nonsense", ""):
        with pytest.raises(UserError, match="no encoding"):
            encoding_named(wrong)
    assert [delimiter_named(text) for text in ("tab", "\t", ";", "Pipe")] == ["\t", "\t", ";", "|"]
    for wrong in ("::", "", '"', "a", "\n"):
        with pytest.raises(UserError, match="no delimiter"):
            delimiter_named(wrong)


def test_a_sheet_is_chosen_by_name() -> None:
    raw = xlsx_bytes([["q"], ["x"]], sheets=("One", "Two"))
    assert read_table(raw, "a.xlsx", ReadAs(sheet="One")).read_as == ReadAs(sheet="One")
    with pytest.raises(UserError, match="Choose one of: One, Two"):
        read_table(raw, "a.xlsx", ReadAs(sheet="one"))


@pytest.mark.parametrize(
    ("text", "encoding", "taken"),
    [
        ("央行今日宣布下调存款准备金率，国家队在加时赛中战胜对手。", "gbk", "gb18030"),
        ("央行今日宣布下調存款準備金率，國家隊在加時賽中戰勝對手。", "big5", "big5"),
        ("오늘 은행은 기준 금리를 내렸고 대표팀은 연장전에서 이겼습니다", "euc_kr", "cp949"),
        ("これはとても良い映画だと思います。", "euc_jp", "euc_jp"),
        ("Größe: ÄRGERLICH, Straße, Übergrößen für Füße, ÖFFNUNG, hübsch", "cp1252", "cp1252"),
        ("¿Qué ocurrió? ESPAÑA, AÑO, MAÑANA, CAMIÓN, ÁRBOL, ÉXITO, ÍNDICE", "cp1252", "cp1252"),
        ("“Déjà vu” – l’été à Nîmes coûte 5 €… «être» où ça?", "cp1252", "cp1252"),
    ],
)
def test_an_east_asian_encoding_is_told_by_its_common_characters(text: str, encoding: str, taken: str) -> None:
    table = read_table(f"text,label\n{text.replace(',', '')},x\n".encode(encoding), "a.csv")
    assert (table.read_as.encoding, table.guessed) == (taken, ["encoding"])
    assert table.rows == [[text.replace(",", ""), "x"]]
