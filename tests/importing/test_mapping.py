"""Columns are suggested by whole words and by content; the task follows from what they hold."""

from __future__ import annotations

import json

import pytest

from semievol.errors import UserError
from semievol.importing.mapping import Mapping, parse_mapping
from semievol.importing.suggestions import align, suggest_mapping
from semievol.importing.table import Table
from semievol.importing.task_kind import infer_task, label_set
from semievol.records import Split, Task
from tests.importing.files import table_of

VARYING = [json.dumps([f"a {i}", f"b {i}"]) for i in range(20)]
SAME = ['["bad", "good"]'] * 20
QUESTIONS = [f"What about number {i}?" for i in range(20)]


def tables(**columns: list[str]) -> dict[Split, Table]:
    names = [name.replace("__", " ") for name in columns]
    rows: list[list[str | None]] = [list(row) for row in zip(*columns.values(), strict=True)]
    return {"labeled": table_of("data.csv", names, rows)}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (tables(message=QUESTIONS, team=["roads", "water"] * 10), Mapping("message", "team")),
        (
            tables(id=QUESTIONS, question=QUESTIONS, answer=["A"] * 20, options=VARYING),
            Mapping("question", "answer", "options", "id"),
        ),
        (
            tables(question=QUESTIONS, gt=["bad"] * 20, options=SAME, answer=["A"] * 20),
            Mapping("question", "answer", "options"),
        ),
        (tables(context=QUESTIONS, text=QUESTIONS, label=["a"] * 20), Mapping("text", "label", context="context")),
        (
            tables(premise=QUESTIONS, hypothesis=QUESTIONS, label=["a"] * 20),
            Mapping("hypothesis", "label", context="premise"),
        ),
        (tables(question_id=QUESTIONS, text=QUESTIONS, label=["a"] * 20), Mapping("text", "label", id="question_id")),
        (tables(answerText=QUESTIONS, Question=QUESTIONS), Mapping("Question", "answerText")),
        (tables(foo=QUESTIONS, bar=["x", "y"] * 10), Mapping("foo", "bar")),
        (tables(foo=QUESTIONS, day=["03.05.2026", "4.5.2026 10:31"] * 10, by=["x", "y"] * 10), Mapping("foo", "by")),
        (tables(foo=QUESTIONS, bar=VARYING, baz=["A", "B"] * 10), Mapping("foo", "baz", "bar")),
        (
            tables(text=QUESTIONS, meta=['{"source": "a", "by": "b"}'] * 20, label=["c", "d"] * 10),
            Mapping("text", "label"),
        ),
        (tables(text=QUESTIONS, LABELS=VARYING, final_decision=["yes", "no"] * 10), Mapping("text", "final_decision")),
        (tables(text=QUESTIONS, ResponseId=QUESTIONS, kind=["c", "d"] * 10), Mapping("text", "kind", id="ResponseId")),
        (tables(text=QUESTIONS, genre=["c", "d"] * 10, score=["2.5", "3.0"] * 10), Mapping("text", "score")),
        (tables(text=QUESTIONS, queue=["c", "d"] * 10, score=["2.5", ""] * 10), Mapping("text", "queue")),
        (tables(text=QUESTIONS, status=["ok"] * 20, queue=["c", "d"] * 10), Mapping("text", "queue")),
        (
            tables(question=QUESTIONS, choices=["['red' 'blue'\n 'green one']"] * 20, answer=["0", "2"] * 10),
            Mapping("question", "answer", "choices"),
        ),
        (
            tables(column__1=QUESTIONS, column__2=QUESTIONS, column__3=QUESTIONS, column__4=["A", "B"] * 10),
            Mapping("column 1", "column 4", choices=("column 2", "column 3")),
        ),
        (tables(text=["a", "b"] * 10, sentence=QUESTIONS, label=["c"] * 20), Mapping("sentence", "label")),
        (
            tables(question=QUESTIONS, A=QUESTIONS, B=QUESTIONS, C=QUESTIONS, answer=["A"] * 20),
            Mapping("question", "answer", choices=("A", "B", "C")),
        ),
        (
            tables(question=QUESTIONS, option_1=QUESTIONS, option_2=QUESTIONS, answer=["1"] * 20),
            Mapping("question", "answer", choices=("option_1", "option_2")),
        ),
    ],
)
def test_columns_are_suggested(given: dict[Split, Table], expected: Mapping) -> None:
    assert suggest_mapping(given) == expected


WORD = [f"word {i}" for i in range(20)]
SHAPES: dict[str, tuple[list[str], Mapping]] = {
    "MedMCQA": (
        ["id", "question", "opa", "opb", "opc", "opd", "cop", "choice_type", "exp", "subject_name", "topic_name"],
        Mapping("question", "cop", id="id", choices=("opa", "opb", "opc", "opd")),
    ),
    "HellaSwag": (
        ["ind", "activity_label", "ctx_a", "ctx_b", "ctx", "endings", "source_id", "split", "label"],
        Mapping("ctx", "label", "endings", "source_id"),
    ),
    "SWAG": (
        ["video-id", "startphrase", "sent1", "gold-source", "ending0", "ending1", "ending2", "ending3", "label"],
        Mapping("startphrase", "label", id="video-id", choices=("ending0", "ending1", "ending2", "ending3")),
    ),
    "PIQA": (["goal", "sol1", "sol2", "label"], Mapping("goal", "label", choices=("sol1", "sol2"))),
    "WinoGrande": (
        ["sentence", "option1", "option2", "answer"],
        Mapping("sentence", "answer", choices=("option1", "option2")),
    ),
    "SocialIQA": (
        ["context", "question", "answerA", "answerB", "answerC", "label"],
        Mapping("question", "label", choices=("answerA", "answerB", "answerC"), context="context"),
    ),
    "COPA": (
        ["premise", "choice1", "choice2", "question", "label"],
        Mapping("question", "label", choices=("choice1", "choice2"), context="premise"),
    ),
    "RACE with one column each": (
        ["article", "question", "option_a", "option_b", "option_c", "answer"],
        Mapping("question", "answer", choices=("option_a", "option_b", "option_c"), context="article"),
    ),
}
HELD = {"cop": [str(i % 4) for i in range(20)], "label": [str(i % 2) for i in range(20)], "endings": VARYING}
HELD |= {
    "answer": ["1", "2"] * 10,
    "choice_type": ["single"] * 20,
    "split": ["train"] * 20,
    "gold-source": ["gen"] * 20,
}
HELD |= {"topic_name": ["Anatomy", "Surgery"] * 10, "activity_label": ["Skating", "Baking"] * 10}


@pytest.mark.parametrize("name", SHAPES)
def test_columns_of_published_sets_are_known(name: str) -> None:
    columns, expected = SHAPES[name]
    held = [HELD.get(column) or [f"{column} of {word}" for word in WORD] for column in columns]
    rows: list[list[str | None]] = [list(row) for row in zip(*held, strict=True)]
    assert suggest_mapping({"labeled": table_of("data.csv", columns, rows)}) == expected


def test_two_right_answers_are_no_options() -> None:
    found = suggest_mapping(tables(question=QUESTIONS, answer=WORD, answer1=WORD, answer2=WORD))
    assert found == Mapping("question", "answer")


def test_among_options_the_answer_is_the_column_that_names_one_of_them() -> None:
    texts = [json.loads(cell)[1] for cell in VARYING]
    found = suggest_mapping(tables(question=QUESTIONS, answer=WORD, target=texts, options=VARYING))
    assert found.answer == "target"


def test_a_word_inside_another_is_no_match() -> None:
    found = suggest_mapping(
        tables(subtext=["a", "b"] * 10, labelled=["x"] * 20, input=QUESTIONS, target=["u", "v"] * 10)
    )
    assert (found.question, found.answer) == ("input", "target")


def test_a_column_that_other_files_lack_is_not_the_question() -> None:
    both = tables(question=QUESTIONS, text=QUESTIONS, label=["a", "b"] * 10)
    both["unlabeled"] = table_of("pool.csv", ["text"], [["x"]])
    assert suggest_mapping(both) == Mapping("text", "label")


def test_no_question_is_an_error_that_lists_the_columns() -> None:
    with pytest.raises(UserError, match="the columns are: a, b"):
        suggest_mapping(tables(a=["x"] * 20, b=["y"] * 20))


def test_a_mapping_is_read_from_the_command_line_and_written_the_same() -> None:
    given = tables(q=QUESTIONS, a=["A"] * 20, A=QUESTIONS, B=QUESTIONS)
    found = parse_mapping("question=q, answer=a,options=A+B", given)
    assert found == Mapping("q", "a", choices=("A", "B"))
    assert found.as_dict() == {"question": "q", "answer": "a", "options": "A+B"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("answer=a", "No column is given for the question"),
        ("question", '"question" names no column'),
        ("question=q,label=a", 'no role "label"'),
        ("question=q,question=a", "given twice"),
        ("question=q,answer=q", "mapped twice"),
        ("question=q,answer=zzz", 'data.csv: There is no column "zzz". Its columns are: q, a.'),
        ("question=q,answer=a,options=A+B", "There is no column"),
    ],
)
def test_a_wrong_mapping_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_mapping(text, tables(q=QUESTIONS, a=["x"] * 20))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (tables(question=QUESTIONS, answer=["A"] * 20, options=VARYING), Task("multiple_choice")),
        (tables(question=QUESTIONS, answer=["A"] * 20, options=SAME), Task("classification", ("bad", "good"))),
        (tables(question=QUESTIONS, answer=[*"xyyzz"] * 4), Task("classification", ("y", "z", "x"))),
        (tables(question=QUESTIONS, answer=[*"12345"] * 4), Task("numeric")),
        (tables(question=QUESTIONS, answer=[*"1234"] * 5), Task("classification", ("1", "2", "3", "4"))),
        (tables(question=QUESTIONS, answer=[f"{i},000" for i in range(20)]), Task("numeric")),
        (tables(question=QUESTIONS, answer=[f"because of {i}" for i in range(20)]), Task("text")),
        (tables(question=QUESTIONS, answer=["a long explanation " * 9] * 20), Task("text")),
    ],
)
def test_the_task_is_inferred(given: dict[Split, Table], expected: Task) -> None:
    assert infer_task(given, suggest_mapping(given)) == expected


def test_a_kind_that_is_asked_for_wins() -> None:
    given = tables(question=QUESTIONS, answer=[*"xyyzz"] * 4)
    assert infer_task(given, suggest_mapping(given), "text") == Task("text")
    with pytest.raises(UserError, match="needs options"):
        infer_task(given, suggest_mapping(given), "multiple_choice")
    varying = tables(question=QUESTIONS, answer=["A"] * 20, options=VARYING)
    with pytest.raises(UserError, match="no label set"):
        infer_task(varying, suggest_mapping(varying), "classification")


def test_one_odd_row_does_not_turn_labels_into_choices() -> None:
    given = tables(question=QUESTIONS * 3, answer=["A"] * 60, options=[*SAME, *SAME, *SAME[1:], '["bad", "ugly"]'])
    assert infer_task(given, suggest_mapping(given)) == Task("classification", ("bad", "good"))


def test_spellings_of_one_label_are_one_label() -> None:
    assert label_set(["yes"] * 3 + ["Yes", "no", "no", "no", "no", '["yes", "no"]']) == ("no", "yes")


def with_unlabeled(labeled: dict[str, list[str]], unlabeled: dict[str, list[str]]) -> dict[Split, Table]:
    return {"labeled": tables(**labeled)["labeled"], "unlabeled": tables(**unlabeled)["labeled"]}


@pytest.mark.parametrize(
    ("labeled", "unlabeled", "gold"),
    [
        ({"team": ["roads", "water"] * 10}, {"who_went": ["Roads", "water "] * 10}, "who_went"),
        ({"team": ["roads", "water"] * 10}, {"who_went": ["roads", "nobody"] * 10}, None),
        ({"team": ["roads", "water"] * 10}, {"who_went": ["roads"] * 20}, None),
        ({"team": ["yes", "no"] * 10}, {"urgent": ["yes", "no"] * 10}, None),
        ({"team": ["yes", "no"] * 10}, {"true_answer": ["yes", "no"] * 10}, "true_answer"),
        (
            {"team": ["roads", "water"] * 10, "asked_of": ["water", "roads"] * 10},
            {"asked_of": ["roads", "water"] * 10},
            None,
        ),
        (
            {"team": ["roads", "water"] * 10},
            {"team": ["roads", "water"] * 10, "who_went": ["roads", "water"] * 10},
            None,
        ),
    ],
)
def test_hidden_gold_is_suggested_by_its_content(
    labeled: dict[str, list[str]], unlabeled: dict[str, list[str]], gold: str | None
) -> None:
    given = with_unlabeled({"text": QUESTIONS, **labeled}, {"text": QUESTIONS, **unlabeled})
    assert suggest_mapping(given) == Mapping("text", "team", gold=gold)


def test_the_answer_column_may_be_the_hidden_gold_and_no_other_column_has_two_roles() -> None:
    given = with_unlabeled({"text": QUESTIONS, "team": ["a", "b"] * 10}, {"text": QUESTIONS, "team": ["a", "b"] * 10})
    assert parse_mapping("question=text,answer=team,gold=team", given).answer_in("unlabeled") == "team"
    with pytest.raises(UserError, match="as question and as hidden gold"):
        parse_mapping("question=text,answer=team,gold=text", given)
    bare = with_unlabeled({"text": QUESTIONS, "team": ["a", "b"] * 10}, {"text": QUESTIONS})
    with pytest.raises(UserError, match='no column "team"'):
        parse_mapping("question=text,answer=team,gold=team", bare)


def test_every_file_has_its_own_column_of_ids() -> None:
    rows = [[f"C-{i}", f"text of {i}", "ab"[i % 2]] for i in range(9)]
    labeled = table_of("a.csv", ["Claim no", "note", "label"], rows)
    pool = table_of("b.csv", ["id", "note"], [[f"U{i}", f"other text of {i}"] for i in range(9)])
    tables: dict[Split, Table] = {"labeled": labeled, "unlabeled": pool}
    mapping = suggest_mapping(tables)
    assert mapping.id == "Claim no"
    aligned = align(tables, mapping)
    assert aligned["unlabeled"].column("Claim no", 2) == ["U0", "U1"]
    assert aligned["unlabeled"].notes == ['"id" is read as "Claim no".']
    unnamed = table_of("c.csv", ["note", "label"], [row[1:] for row in rows])
    assert suggest_mapping({"labeled": unnamed, "unlabeled": pool}).id == "id"


def test_numbers_that_repeat_or_measure_something_are_no_ids() -> None:
    rows = [[str(i % 3), str(10.5 * i), f"text of {i}", "ab"[i % 2]] for i in range(9)]
    table = table_of("a.csv", ["room number", "amount", "note", "label"], rows)
    assert suggest_mapping({"labeled": table}).id is None


def beside(labeled: dict[str, list[str]], unlabeled: dict[str, list[str]]) -> dict[Split, Table]:
    return tables(**labeled) | {"unlabeled": tables(**unlabeled)["labeled"]}


@pytest.mark.parametrize(
    ("labeled", "answer"),
    [
        ({"status": ["open", "done"] * 10, "reason": ["pay", "log in"] * 10}, "reason"),
        ({"priority": ["1", "2"] * 10, "agent": ["Al", "Bo"] * 10, "reason": ["pay", "log in"] * 10}, "reason"),
        ({"label": ["x", "y"] * 10, "reason": ["pay", "log in"] * 10}, "label"),
        ({"task": ["Say why."] * 20, "grade of it": [f"{i}+" for i in range(20)]}, "grade of it"),
        (
            {"language": ["en"] * 20, "German": [f"Was ist mit Nummer {i}, die lange Zeit fehlt?" for i in range(20)]},
            "German",
        ),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_the_answer_is_the_column_that_only_the_labeled_file_fills(
    labeled: dict[str, list[str]], answer: str, empty: bool
) -> None:
    """answer: the unlabeled file lacks it and "agent", or has them without values; it has all other columns."""
    rest = {name: cells for name, cells in labeled.items() if name not in ("reason", "agent", answer)}
    blank = dict.fromkeys(labeled, [""] * 20) if empty else {}
    given = beside({"sent": QUESTIONS, **labeled}, {"sent": QUESTIONS, **blank, **rest})
    found = suggest_mapping(given)
    assert (found.question, found.answer) == ("sent", answer)


def test_a_refusal_for_lack_of_answers_names_the_column_that_only_the_labeled_file_fills() -> None:
    given = beside(
        {"sent": QUESTIONS, "day": [f"2024-05-{i + 1:02}" for i in range(20)], "kind, of": ["a", "", "", "b"] * 5},
        {"sent": QUESTIONS, "day": ["2024-06-01"] * 20},
    )
    given["labeled"].notes.append("Merged ranges in the sheet, where only the first cell holds the value: 5.")
    with pytest.raises(UserError) as refused:
        infer_task(given, Mapping("sent"))
    option = "--map 'question=sent,answer=kind, of'"
    assert option in refused.value.remedy
    assert "Merged ranges" in refused.value.remedy
    assert "day" not in refused.value.remedy
    assert parse_mapping("question=sent,answer=kind, of", given) == Mapping("sent", "kind, of")
    assert parse_mapping('question=sent,answer="kind, of"', given) == Mapping("sent", "kind, of")


def test_a_question_lies_in_a_column_that_all_files_fill_and_is_no_remark() -> None:
    rest = {"what__was__said": QUESTIONS, "remark": [f"{text} {text}" for text in QUESTIONS]}
    long = [f"{text} {text} {text}" for text in QUESTIONS]
    given = beside({**rest, "else": long, "kind": ["a", "b"] * 10}, {**rest, "else": [""] * 20})
    assert suggest_mapping(given) == Mapping("what was said", "kind")


def test_the_names_beside_numbers_of_labels_are_the_answer() -> None:
    names = ["pay", "log in", "other"] * 7
    given = tables(text=QUESTIONS, label=[*"012" * 7][:20], label_text=names[:20])
    assert suggest_mapping(given) == Mapping("text", "label_text")
    signs: dict[Split, Table] = {"labeled": table_of("a.csv", ["#", "text", "label"], [["7", "some text", "x"]] * 3)}
    assert suggest_mapping(signs).answer == "label"
    mixed = tables(text=QUESTIONS, label=[*"01" * 10], label_text=names[:20])
    assert suggest_mapping(mixed).answer == "label"


def test_a_ticket_names_a_record() -> None:
    rows = [[f"HR-{1000 + n}", f"How do I book day {n} off?", "leave" if n % 2 else "pay"] for n in range(8)]
    tickets = table_of("a.csv", ["Ticket", "Question", "Topic"], rows)
    assert suggest_mapping({"labeled": tickets}).id == "Ticket"


QUIZ = {f"option {letter}": [f"{letter} of {i}" for i in range(20)] for letter in "ABCD"}
BESIDE = {"difficulty": ["1", "2"] * 10, "category": ["science", "history"] * 10}


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("correct", ["B", "C"] * 10),
        ("correct", ["2", "3"] * 10),
        ("Correct", [f"C of {i}" for i in range(20)]),
        ("right option", ["0", "3"] * 10),
        ("Key", ["b", "d"] * 10),
    ],
)
@pytest.mark.parametrize("beside", [{}, BESIDE, {"difficulty": ["1", "2"] * 10, "explanation": ["Because."] * 20}])
def test_what_points_to_the_right_option_is_the_answer_whatever_stands_beside_it(name, cells, beside) -> None:
    found = suggest_mapping(tables(question=QUESTIONS, **QUIZ, **beside, **{name: cells}))
    assert (found.question, found.answer, found.choices) == ("question", name, tuple(QUIZ))
    listed = {"options": [" | ".join(texts) for texts in zip(*QUIZ.values(), strict=True)]}
    assert suggest_mapping(tables(question=QUESTIONS, **listed, **beside, **{name: cells})).answer == name


@pytest.mark.parametrize("answer", ["B) a text", "Option B", "B: a text", "A,B"])
def test_an_answer_that_is_written_otherwise_stays_the_answer(answer: str) -> None:
    others = {"correct": ["1", "2"] * 10, "version": ["a", "b"] * 10}
    assert (
        suggest_mapping(tables(question=QUESTIONS, answer=[answer] * 20, **QUIZ, **BESIDE, **others)).answer == "answer"
    )


@pytest.mark.parametrize(
    ("name", "cells"),
    [("difficulty", ["1", "2"] * 10), ("version", ["a", "b"] * 10), ("key", [str(i) for i in range(20)])],
)
def test_no_other_column_of_letters_or_numbers_takes_the_place_of_an_answer(name: str, cells: list[str]) -> None:
    beside = {"category": ["science", "history"] * 10}
    assert suggest_mapping(tables(question=QUESTIONS, **QUIZ, **beside, **{name: cells})).answer == "category"


def test_numbered_answers_are_options_where_another_column_says_which_is_correct() -> None:
    """As a quiz tool's template names its columns."""
    numbered = {f"Answer {n} - max 75 characters": [f"answer {n} of {i}" for i in range(20)] for n in range(1, 5)}
    right = {"Correct answer(s) - choose at least one": ["2", "3"] * 10}
    found = suggest_mapping(tables(question=QUESTIONS, **numbered, **right))
    assert (found.question, found.answer, found.choices) == ("question", *right, tuple(numbered))
    alone = suggest_mapping(tables(question=QUESTIONS, **numbered))
    assert not alone.choices, "without it they may all be right"
