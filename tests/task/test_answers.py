"""Reading answers out of text and comparing them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol.records import Record, Task
from semievol.task.answers import allowed_answers, answer_text, fold, parse, parse_number, same

CHOICE = Task("multiple_choice")
NUMERIC = Task("numeric")
TEXT = Task("text")
LABELS = Task("classification", labels=("urgent", "not urgent", "art", "party", "C#", "C"))
STEADY = settings(deadline=None, derandomize=True)


def asked(*options: str) -> Record:
    return Record("r", "?", options)


def test_allowed_answers_are_letters_or_labels_or_nothing() -> None:
    assert allowed_answers(CHOICE, asked("x", "y", "z")) == ("A", "B", "C")
    assert allowed_answers(LABELS, asked()) == LABELS.labels
    assert allowed_answers(NUMERIC, asked()) == allowed_answers(TEXT, asked()) == ()


@pytest.mark.parametrize(
    "text",
    ["A", "a", "A.", "(A)", " A) Paris", "**A**", "[A]", "A\nbecause it is", "The answer is A.", "Answer: a", "paris!"],
)
def test_one_letter_is_read_however_it_is_written(text: str) -> None:
    assert parse(CHOICE, asked("Paris", "Rome"), text) == "A"


@pytest.mark.parametrize("text", ["", "C", "A, B", "A and B", "A or B", "option A or option B", "It is a dog", "?"])
def test_no_letter_or_two_letters_are_unparsable(text: str) -> None:
    assert parse(CHOICE, asked("Paris", "Rome"), text) is None


def test_a_letter_wins_over_an_option_that_reads_like_it() -> None:
    assert parse(CHOICE, asked("B", "C", "A"), "A") == "A"


def test_options_of_punctuation_stay_apart() -> None:
    record = asked("?", "!", "<5", ">5")
    assert [parse(CHOICE, record, text) for text in ("!", "<5", ">5", "*")] == ["B", "C", "D", None]


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=26), st.data())
@STEADY
def test_every_letter_of_a_record_is_read_back(options: list[str], data: st.DataObject) -> None:
    letter = data.draw(st.sampled_from(allowed_answers(CHOICE, asked(*options))))
    assert parse(CHOICE, asked(*options), letter) == letter


@given(st.lists(st.sampled_from(["Paris", "Rome", "Bern", "Oslo"]), min_size=2, max_size=4, unique=True), st.data())
@STEADY
def test_an_answer_in_words_is_read_back(options: list[str], data: st.DataObject) -> None:
    letter = data.draw(st.sampled_from(allowed_answers(CHOICE, asked(*options))))
    assert parse(CHOICE, asked(*options), answer_text(CHOICE, asked(*options), letter)) == letter


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("urgent", "urgent"),
        ("Urgent.", "urgent"),
        ("This is not urgent.", "not urgent"),
        ("C#", "C#"),
        ("art or party", None),
        ("music", None),
        ("partying", None),
    ],
)
def test_labels_are_read_as_whole_words(text: str, label: str | None) -> None:
    assert parse(LABELS, asked(), text) == label


def test_labels_that_differ_in_case_only_need_the_exact_text() -> None:
    task = Task("classification", labels=("US", "us"))
    assert [parse(task, asked(), text) for text in ("US", "us", "Us", "in the US")] == ["US", "us", None, None]


@given(st.lists(st.text(min_size=1, max_size=10).map(str.strip).filter(bool), min_size=1, unique=True), st.data())
@STEADY
def test_every_label_is_read_back(labels: list[str], data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(labels))
    assert parse(Task("classification", labels=tuple(labels)), asked(), label) == label


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3.14", "3.14"),
        ("5 %", "0.05"),
        ("12.5%", "0.125"),
        ("1,234.5", "1234.5"),
        ("10 000", "10000"),
        ("10\u00a0000", "10000"),
        ("10\u202f000", "10000"),
        ("1'000'000", "1000000"),
        ("-7", "-7"),
        ("\u22127", "-7"),
        (".5", "0.5"),
        ("1.5e3", "1500"),
        ("The answer is 42.", "42"),
        ("2 + 3 = 5", "5"),
        ("6 boxes of 7, #### 42", "42"),
        ("Of 3 and 4, the answer is 4", "4"),
    ],
)
def test_a_number_is_read_however_it_is_written(text: str, value: str) -> None:
    assert parse(NUMERIC, asked(), text) == value


@pytest.mark.parametrize("text", ["", "none", "3 or 4", "1,2345", "1e999999999", "e5", "x = y", "1-2"])
def test_no_number_or_several_are_unparsable(text: str) -> None:
    assert parse_number(text) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6))
@STEADY
def test_every_decimal_is_read_back(number: Decimal) -> None:
    text = parse(NUMERIC, asked(), f"{number:f}")
    assert text is not None
    assert Decimal(text) == number
    assert parse(NUMERIC, asked(), text) == text
    assert parse_number(f"{number:,f}") == number


@given(st.text(max_size=40))
@STEADY
def test_no_text_breaks_the_reading(text: str) -> None:
    for task in (CHOICE, NUMERIC, TEXT, LABELS):
        answer = parse(task, asked("x", "y"), text)
        assert answer is None or parse(task, asked("x", "y"), answer) == answer


def test_numbers_are_the_same_within_the_tolerance() -> None:
    assert same(NUMERIC, "0.05", "5 %")
    assert same(NUMERIC, "5", "5.0")
    assert not same(NUMERIC, "3.14", "314")
    assert same(Task("numeric", tolerance=0.01), "100", "100.9")
    assert not same(Task("numeric", tolerance=0.01), "100", "102")


def test_an_unparsable_answer_is_the_same_as_nothing() -> None:
    for task in (CHOICE, NUMERIC, TEXT):
        assert not same(task, None, None)
        assert not same(task, "5", None)


def test_texts_are_compared_folded() -> None:
    assert same(TEXT, "The Beatles!", "the  beatles")
    assert not same(TEXT, "3.14", "314")
    assert not same(TEXT, "👍", "👎")
    assert not same(TEXT, "कि", "का")
    assert not same(TEXT, "<5", ">5")


@given(st.text(max_size=30))
@STEADY
def test_folding_twice_changes_nothing_and_never_empties(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert bool(fold(text)) == bool(text.strip())
