"""Numbers of a file: with a decimal comma, as labels, in a row of totals."""

from __future__ import annotations

import pytest

from semievol.errors import UserError
from semievol.importing.findings import Finding
from semievol.importing.imported import Imported
from semievol.importing.numbers import decimal_comma
from semievol.importing.readers.read import read_table
from semievol.jobs.intake import prepare
from tests.importing.files import csv_bytes

TEXTS = [f"some bill for something, number {i}" for i in range(12)]
AMOUNTS = ["38,50", "1.234,50", "7,00", "2.400,00", "12", "0,99", "-4,5", "100,001", "3,1", "3,2", "3,3", "3,4"]


def imported(rows: list[list[str]], map_: str | None = None, **options: object) -> Imported:
    pool = [["text", "x", "spent"], *([f"{text} again", "", str(i)] for i, text in enumerate(TEXTS))]
    tables = {"labeled": read_table(csv_bytes(rows), "a.csv"), "unlabeled": read_table(csv_bytes(pool), "b.csv")}
    return prepare(tables, mapping=map_, **options)  # type: ignore[arg-type]


def found(result: Imported) -> dict[str, Finding]:
    return {one.kind: one for one in result.findings}


def rows(answers: list[str]) -> list[list[str]]:
    return [["text", "amount"], *map(list, zip(TEXTS, answers, strict=True))]


def test_a_column_with_decimal_commas_is_numeric() -> None:
    result = imported(rows(AMOUNTS), "question=text,answer=amount")
    assert result.task.kind == "numeric"
    read = [record.answer for record in result.records if record.split == "labeled"]
    assert read[:8] == ["38.50", "1234.50", "7.00", "2400.00", "12", "0.99", "-4.5", "100.001"]
    assert found(result)["decimal_comma"].asks


@pytest.mark.parametrize(
    ("answers", "comma"),
    [
        (["1,234", "5,678"], False),
        (["1,5", "2.5"], False),
        (["1,5", "1.234,5", "1,234.5"], False),
        (["1,2,3", "1,2"], False),
        (["€ 1.234,50", "3,5 €"], True),
        (["1.234", "2"], False),
        (["1.234", "2,5"], True),
        (["0,125", "1,250", "12,375"], True),  # no thousands begin with 0
        (["12,5", "0.250"], False),
    ],
)
def test_one_sure_comma_decides_if_no_number_contradicts(answers: list[str], comma: bool) -> None:
    assert decimal_comma(answers) is comma


def test_a_number_that_is_written_otherwise_than_the_rest_is_refused() -> None:
    """12,5 among numbers with points once became 125."""
    mixed = rows(["0.250", "1.5", "12,5", "1,250", *"12345678"])
    result = imported(mixed, "question=text,answer=amount", kind="numeric")
    read = [record.answer for record in result.records if record.split == "labeled"]
    assert read[:3] == ["0.250", "1.5", "1250"]
    (reject,) = result.report["labeled"].rejects
    assert "12,5 has a decimal comma" in reject.reason


@pytest.mark.parametrize(
    ("answers", "asks"),
    [(["900", "2.500", "4.500"], True), (["0.500", "2.500"], False), (["2.5", "2.500"], False), (["3", "4"], False)],
)
def test_points_that_may_stand_between_thousands_are_told(answers: list[str], asks: bool) -> None:
    result = imported(rows([*answers, *map(str, range(10, 22 - len(answers)))]), "question=text,answer=amount")
    assert ("unclear_points" in found(result)) is asks


def test_few_whole_numbers_that_repeat_may_be_labels() -> None:
    result = imported(rows([*"012301230123"]), "question=text,answer=amount")
    assert (result.task.kind, found(result)["number_labels"].asks) == ("numeric", True)
    with pytest.raises(UserError, match="number_labels"):
        imported(rows([*"012301230123"]), "question=text,answer=amount", strict=True)
    assert imported(rows([*"012301230123"]), "question=text,answer=amount", kind="numeric", strict=True)
    named = imported(rows([*"012301230123"]), "question=text,answer=amount", labels="a,b,c,d")
    assert "number_labels" not in found(named)


def test_a_row_of_totals_is_no_record_in_silence() -> None:
    result = imported([*rows(AMOUNTS), ["Summe", "5.000,00"], ["", ""]], "question=text,answer=amount")
    told = found(result)["totals_row"]
    assert (told.asks, told.counts, told.examples[0]["row"]) == (True, {"labeled": 1}, 14)
    without = imported([*rows(AMOUNTS), ["Total", ""]], "question=text,answer=amount")
    assert ("totals_row" in found(without), without.report["labeled"].rejected) == (False, 1)


def test_the_refusal_without_answers_names_the_columns_that_are_full() -> None:
    made = [["text", "spent", "paid"], *([text, amount, ""] for text, amount in zip(TEXTS, AMOUNTS, strict=True))]
    with pytest.raises(UserError) as caught:
        imported(made)
    assert 'every row: "spent" (--map question=text,answer=spent)' in caught.value.remedy
    with pytest.raises(UserError, match="No other column has a value"):
        imported([["text", "x"], *([text, ""] for text in TEXTS)])
