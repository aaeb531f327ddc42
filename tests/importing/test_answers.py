"""Options and gold answers in every form in which files write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol.errors import UserError
from semievol.importing.answer_cells import AnswerForm, answer_form, by_key, parse_options, read_answer
from semievol.records import Task

CHOICE = Task("multiple_choice")
MOOD = Task("classification", ("negative", "neutral", "positive"))
NUMBER = Task("numeric")
FOUR = ("red", "green", "blue", "grey")
LETTERS = AnswerForm()


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ('["a", "b, c"]', ("a", "b, c")),
        ("['a', \"b's\"]", ("a", "b's")),
        ("('a', 'b')", ("a", "b")),
        ("a | b|c", ("a", "b", "c")),
        ('{"B": "y", "A": "x"}', ("x", "y")),
        ("{'A': 'x', 'B': 'y'}", ("x", "y")),
        ('{"text": ["x", "y"], "label": ["1", "2"]}', ("x", "y")),
        ("[0.10, 1e5, 12345678901234567890]", ("0.10", "1e5", "12345678901234567890")),
        ("[0x10, -1.50, True]", ("0x10", "-1.50", "True")),
        ("[true, false]", ("true", "false")),
        ('["AA", "Aa"]', ("AA", "Aa")),
    ],
)
def test_options_are_read_from_every_form(cell: str, options: tuple[str, ...]) -> None:
    assert parse_options(cell) == options


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "",
            "only one",
            '["a"]',
            "[]",
            '["a", " a"]',
            '["a", ""]',
            '["a", null]',
            "[1, [2]]",
            '["a", "b"',
            "[1+2j, 3]",
        ),
        *("[b'a', 'c']", "{'a', 'b'}", "[f'x', 'y']", "__import__('os')", "{**{}}", '["\\ud800", "b"]', "[" * 50_000),
    ],
)
def test_options_that_are_none_are_refused(cell: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_options(cell)
    assert caught.value.remedy


@settings(deadline=None, max_examples=400)
@given(st.text() | st.text("[]{}()'\",|:01aN.e+-\\\n*# ", max_size=30))
def test_parsing_options_raises_nothing_but_a_user_error(cell: str) -> None:
    try:
        options = parse_options(cell)
    except UserError:
        return
    assert len({option.strip() for option in options}) == len(options) > 1


@pytest.mark.parametrize(
    ("cell", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        (" (b) ", "B"),
        ("B.", "B"),
        ("green", "B"),
        ("2", "B"),
        ("Answer: B", "B"),
        ("GREEN", "B"),
    ],
)
def test_a_choice_is_a_letter_an_index_or_a_text(cell: str, letter: str) -> None:
    assert read_answer(CHOICE, FOUR, cell, LETTERS) == letter


@pytest.mark.parametrize("cell", ["E", "5", "0", "purple", "A or B", "-1", ""])
def test_a_choice_outside_the_options_is_refused(cell: str) -> None:
    with pytest.raises(UserError, match="is not among the 4 options"):
        read_answer(CHOICE, FOUR, cell, LETTERS)


def test_indices_count_from_zero_only_where_a_zero_is_among_them() -> None:
    assert answer_form([(FOUR, "1"), (FOUR, "4"), (FOUR, "B")]) == AnswerForm(base=1)
    assert answer_form([(FOUR, "0"), (FOUR, "3")]) == AnswerForm(base=0)
    assert read_answer(CHOICE, FOUR, "3", AnswerForm(base=0)) == "D"


@pytest.mark.parametrize(("base", "cell"), [(0, "4"), (1, "0")])
def test_a_number_that_fits_only_when_counted_otherwise_says_so(base: int, cell: str) -> None:
    form = AnswerForm(base=base)
    for task in (CHOICE, MOOD):
        options = FOUR if task is CHOICE else MOOD.labels
        number = cell if cell == "0" else str(len(options))
        with pytest.raises(UserError) as caught:
            read_answer(task, options, number, form)
        assert f"count from {1 - base} (--count-from {1 - base})" in caught.value.remedy
        with pytest.raises(UserError) as caught:
            read_answer(task, options, "99", form)
        assert "count" not in caught.value.remedy


def test_numbers_that_are_option_texts_are_not_taken_for_indices() -> None:
    options = ("2", "1", "4")
    form = answer_form([(options, "1"), (options, "4"), (options, "2")])
    assert form.text_first
    assert read_answer(CHOICE, options, "1", form) == "B"


@pytest.mark.parametrize(
    ("cell", "label"), [("neutral", "neutral"), ("Neutral ", "neutral"), ("B", "neutral"), ("3", "positive")]
)
def test_labels_are_understood_as_text_letter_or_index_of_the_options(cell: str, label: str) -> None:
    assert read_answer(MOOD, MOOD.labels, cell, LETTERS) == label


@pytest.mark.parametrize("cell", ["very positive", "B", '["neutral", "positive"]', "not neutral"])
def test_labels_outside_the_set_are_refused(cell: str) -> None:
    with pytest.raises(UserError):
        read_answer(MOOD, (), cell, LETTERS)


@pytest.mark.parametrize(
    ("cell", "number"), [("1,234.50", "1234.50"), ("5 %", "0.05"), ("-3", "-3"), ("6 * 7 = 42\n#### 42", "42")]
)
def test_numbers_are_plain_decimals(cell: str, number: str) -> None:
    assert read_answer(NUMBER, (), cell, LETTERS) == number


@pytest.mark.parametrize("cell", ["many", "1 or 2", "1e999999", ""])
def test_what_is_not_one_number_is_refused(cell: str) -> None:
    with pytest.raises(UserError, match="is not one number"):
        read_answer(NUMBER, (), cell, LETTERS)


def test_labels_say_which_letter_an_option_has() -> None:
    assert parse_options('{"text": ["two", "one"], "label": ["B", "A"]}') == ("one", "two")
    assert parse_options('{"text": ["ten", "nine"], "label": ["10", "9"]}') == ("nine", "ten")
    assert parse_options("{'text': ['two', 'one'], 'label': ['B', 'A']}") == ("one", "two")


@pytest.mark.parametrize(
    ("options", "answer", "letter"),
    [
        ({"A": "one", "B": "two", "D": "four", "E": "five"}, "D", "C"),
        ({"A": "one", "B": "two", "D": "four", "E": "five"}, "(e)", "D"),
        ({"A": "one", "B": "two", "C": None, "D": "four"}, "D", "C"),
        ({"0": "one", "1": "two", "2": "three"}, "1", "B"),
        ({"text": ["one", "two", "three"], "label": ["0", "1", "2"]}, "2", "C"),
        ([{"id": "A", "text": "one"}, {"id": "B", "text": "two"}], "B", "B"),
        ([{"label": "x", "text": "one"}, {"label": "y", "text": "two"}], "Y", "B"),
        ({"1": "2", "2": "1"}, "2", "2"),  # the text of an option
        (["one", "two"], "B", "B"),
    ],
)
def test_an_answer_means_the_option_with_this_key(options: Any, answer: str, letter: str) -> None:
    """Once the fourth letter meant the fourth option, also where the options were called A, B, D and E."""
    assert by_key(json.dumps(options), answer) == letter


def test_a_key_that_no_option_has_is_refused() -> None:
    with pytest.raises(UserError, match="answer C is not among the options A, B, D"):
        by_key('{"A": "one", "B": "two", "D": "four"}', "C")
