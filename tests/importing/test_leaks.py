"""Prompts that hold their own answer are no questions, and texts that a question needs are not lost unsaid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from semievol.errors import UserError
from semievol.importing.earlier_mapping import mapping_again
from semievol.importing.imported import Imported
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.jobs.intake import prepare
from semievol.records import Split
from tests.importing.files import table_of

NAMES = ["Anna", "Bela", "Cleo", "Dora", "Emil", "Finn", "Gina", "Hugo", "Ines", "Jana", "Karl", "Lena"]
ASKED = [f"Who lives in house number {place}?" for place in range(len(NAMES))]


def made(columns: list[str], labeled: list[list[str]], pool: list[list[str]], **options: Any) -> Imported:
    tables: dict[Split, Table] = {
        "labeled": table_of("l.jsonl", columns, labeled),
        "unlabeled": table_of("u.jsonl", columns, pool),
    }
    return prepare(tables, **options)


def kinds(imported: Imported) -> set[str]:
    return {finding.kind for finding in imported.findings}


def rendered(question: str, answer: str = "") -> str:
    return f"Below is an instruction.\n\n### Instruction:\n{question}\n\n### Response:\n{answer}"


def test_a_prompt_with_its_answer_is_neither_question_nor_context() -> None:
    rows = [[rendered(question, name), question, name] for question, name in zip(ASKED, NAMES, strict=True)]
    for names in (["text", "question", "output"], ["text", "prompt", "completion"]):
        found = made(names, rows, [[rendered("Who?"), "Who?", ""]])
        assert (found.mapping.question, found.mapping.answer, found.mapping.context) == (names[1], names[2], None)
        assert not kinds(found) & {"answer_in_question", "left_out_text"}


def test_questions_that_hold_their_answer_are_told_and_refused() -> None:
    columns = ["text", "question", "output"]
    rows = [[rendered(question, name), question, name] for question, name in zip(ASKED, NAMES, strict=True)]
    given = "question=question,answer=output,context=text"
    found = made(columns, rows, [[rendered("Who?"), "Who?", ""]], mapping=given)
    leak = next(finding for finding in found.findings if finding.kind == "answer_in_question")
    assert (leak.count, leak.asks, leak.option) == (12, True, "--map question=question,answer=output")
    with pytest.raises(UserError, match="answer_in_question"):
        made(columns, rows, [[rendered("Who?"), "Who?", ""]], mapping=given, strict=True)


@pytest.mark.parametrize("ending", ["{}", "Answer: {}", "[/INST] {}", "<|assistant|>\n{}", "so it is: {}."])
def test_answers_after_words_for_them_or_at_the_end_are_found(ending: str) -> None:
    rows = [[f"Note {place} is about {name[0]}. {ending.format(name)}", name] for place, name in enumerate(NAMES)]
    assert "answer_in_question" in kinds(made(["text", "answer"], rows, [["Note 99.", ""]]))


def test_an_option_that_stands_in_a_prompt_as_its_text_is_found() -> None:
    rows = [[f"Number {i}?\nAnswer: {name}", name, "nobody", "AB"[0]] for i, name in enumerate(NAMES)]
    found = made(["question", "A", "B", "answer"], rows, [["Number 99?", "Tom", "nobody", ""]])
    assert (found.task.kind, "answer_in_question" in kinds(found)) == ("multiple_choice", True)


def test_questions_that_end_with_options_or_with_a_fixed_word_hold_no_answer() -> None:
    either = [[f"Is number {i} odd? Answer yes or no", "yes" if i % 5 == 0 else "no"] for i in range(20)]
    listed = [[f"Number {i}?\nLabel: odd, even", ["even", "odd"][i % 2]] for i in range(20)]
    for rows in (either, listed):
        assert "answer_in_question" not in kinds(made(["text", "label"], rows, [["Number 99?", ""]]))


def test_a_passage_may_end_with_the_answer_to_a_question_about_it() -> None:
    rows = [[f"In house {i} lives {name}.", ASKED[i], name] for i, name in enumerate(NAMES)]
    found = made(["passage", "question", "answer"], rows, [["In house 99 lives Zoe.", "Who?", ""]])
    assert (found.mapping.context, "answer_in_question" in kinds(found)) == ("passage", False)


WORDS = ["bank", "key", "place", "fly", "note", "spring"]
PAIRS = ["word", "sentence1", "sentence2", "genre", "label"]
SENSES = [
    [WORDS[i % 6], f"The {WORDS[i % 6]} number {i} is here.", f"A {WORDS[i % 6]} was there {i}.", "news", "ft"[i % 2]]
    for i in range(12)
]
POOL = [[*row[:4], ""] for row in SENSES[:3]]


def test_a_word_that_is_asked_about_in_other_columns_is_told_with_the_mapping_that_keeps_it() -> None:
    found = made(PAIRS, SENSES, POOL)
    told = next(finding for finding in found.findings if finding.kind == "left_out_text")
    assert told.option == "--map question=sentence2,answer=label,context=word+sentence1"
    assert told.what.endswith(': "word".')
    again = made(PAIRS, SENSES, POOL, mapping=told.option.removeprefix("--map "))
    question = "word: bank\nsentence1: The bank number 0 is here.\n\nA bank was there 0."
    assert again.records[0].question == question
    later = mapping_again([{"mapping": again.mapping.as_dict()}], {"unlabeled": table_of("n", PAIRS, SENSES)})
    assert later == (again.mapping, [])


def test_the_aspect_of_a_review_is_told() -> None:
    rows = [
        [f"The {'food' if i % 2 else 'staff'} of place {i} was fine", "food" if i % 2 else "staff", "ab"[i % 3 > 0]]
        for i in range(12)
    ]
    found = made(["sentence", "term", "label"], rows, [["The food was cold", "food", ""]])
    told = next(finding for finding in found.findings if finding.kind == "left_out_text")
    assert told.option == "--map question=sentence,answer=label,context=term"


SAID = [f"{name} told us at length what the neighbours think of the new lights." for name in NAMES]


@pytest.mark.parametrize("extra", ["reply", "Segment", "qzx"])
def test_a_column_of_texts_that_nothing_reads_is_told_whatever_its_name(extra: str) -> None:
    rows = [
        [question, said, "yes" if place % 2 else "no"]
        for place, (question, said) in enumerate(zip(ASKED, SAID, strict=True))
    ]
    found = made(["question", extra, "answer"], rows, [["Who?", "Nobody told us anything at all so far.", ""]])
    assert "left_out_text" in kinds(found) or found.mapping.context == extra


def test_nested_texts_are_told_and_nested_numbers_are_not() -> None:
    texts = [json.dumps([{"input": "", "output": said}]) for said in SAID]
    numbers = [json.dumps({"score": place}) for place in range(len(SAID))]
    for cells, told in ((texts, True), (numbers, False)):
        rows = [[q, cell, "yes" if i % 2 else "no"] for i, (q, cell) in enumerate(zip(ASKED, cells, strict=True))]
        found = made(["question", "more", "answer"], rows, [["Who?", cells[0], ""]])
        assert ("left_out_text" in kinds(found)) == told


def test_an_answer_that_the_pool_fills_too_is_doubted_where_another_column_says_nothing_there() -> None:
    """Stance data: the target is known of every record, the stance of labeled ones only."""
    stances = ["FAVOR", "AGAINST", "NONE"]
    rows = [[said, ["Lights", "Lanes"][i % 2], stances[i % 3]] for i, said in enumerate(SAID)]
    for unknown in ("UNKNOWN", ""):
        pool = [[said + " Again.", ["Lights", "Lanes"][i % 2], unknown] for i, said in enumerate(SAID)]
        found = made(["Tweet", "Target", "Stance"], rows, pool)
        assert found.mapping.answer == "Stance" or "answer_guessed" in kinds(found)


def test_no_record_gets_a_second_system_turn() -> None:
    """Labeled conversations with system turns of their own, and a pool whose conversations share one."""

    def line(system: str, question: str, answer: str | None) -> str:
        turns = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        turns += [] if answer is None else [{"role": "assistant", "content": answer}]
        return json.dumps({"messages": turns})

    labeled = [
        line(f"Today is {day} May.", asked, name) for day, (asked, name) in enumerate(zip(ASKED, NAMES, strict=True), 1)
    ]
    pool = [line("Today is 28 May.", f"{asked} And why?", None) for asked in ASKED]
    tables: dict[Split, Table] = {
        "labeled": read_table("\n".join(labeled).encode(), "l.jsonl"),
        "unlabeled": read_table("\n".join(pool).encode(), "u.jsonl"),
    }
    found = prepare(tables)
    assert found.task.instruction == ""
    assert "system_turn_left_out" in kinds(found)
    with pytest.raises(UserError):
        prepare(tables, strict=True)
