"""The forms in which the field keeps training data become questions and answers; our exports are read as they are."""

from __future__ import annotations

import json

from semievol.importing.mapping import Mapping
from semievol.importing.readers.read import read_table
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.records import Message, earlier_turns
from tests.importing.files import parquet_bytes


def read(*rows: object) -> Table:
    return read_table("\n".join(json.dumps(row) for row in rows).encode(), "data.jsonl")


def asked(table: Table) -> list[tuple[str | None, str | None]]:
    return list(zip(table.column("question"), table.column("answer"), strict=True))


def test_chat_messages() -> None:
    table = read(
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "why?"},
                      {"role": "assistant", "content": "because"}]},
        {"messages": [{"role": "user", "content": "open?"}]},
    )  # fmt: skip
    assert asked(table) == [("why?", "because"), ("open?", None)]
    assert any("conversations" in note for note in table.notes)


def test_sharegpt_with_several_turns_keeps_who_spoke() -> None:
    turns = [("system", "Be brief."), ("human", "one"), ("gpt", "two"), ("human", "three"), ("gpt", "four")]
    table = read({"conversations": [{"from": who, "value": text} for who, text in turns]})
    assert asked(table) == [("three", "four")]
    assert earlier_turns(table.column("earlier turns")[0]) == (Message("user", "one"), Message("assistant", "two"))
    assert table.instruction == "Be brief."


def test_alpaca_puts_the_input_after_the_instruction() -> None:
    table = read(
        {"instruction": "Translate.", "input": "Haus", "output": "house"},
        {"instruction": "Say hello.", "input": "", "output": "hello"},
    )
    assert table.column("question") == ["Translate.\n\nHaus", "Say hello."]
    assert table.column("output") == ["house", "hello"]


def test_a_conversation_without_a_question_is_rejected_with_its_row() -> None:
    good = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    table = read(*[good] * 9, {"messages": [{"role": "system", "content": "only"}]})
    assert [(reject.row, reject.column) for reject in table.rejected] == [(10, "messages")]
    assert len(table) == 9


def test_a_table_with_a_question_of_its_own_stays_as_it_is() -> None:
    table = read({"messages": [{"role": "user", "content": "rendered"}], "question": "raw", "answer": "x"})
    assert asked(table) == [("raw", "x")]
    assert table.columns == ["messages", "question", "answer"]


def test_lists_of_other_things_are_no_conversations() -> None:
    table = read({"tags": [{"role": 1}], "text": "q"}, {"tags": ["a"], "text": "r"})
    assert table.columns == ["tags", "text"]


def test_squad_takes_the_first_of_the_answers_with_their_places() -> None:
    found = [(["Rome", "Rome."], [3, 3]), (["Oslo"], [3]), ([], [])]
    answers = [{"text": texts, "answer_start": starts} for texts, starts in found]
    table = read(
        *({"id": i, "context": "In Rome.", "question": "Where?", "answers": one} for i, one in enumerate(answers))
    )
    assert asked(table) == [("Where?", "Rome"), ("Where?", "Oslo"), ("Where?", None)]
    assert "the first is taken. 1 records have several" in table.notes[-1]
    assert suggest_mapping({"labeled": table}) == Mapping("question", "answer", id="id", context="context")


def test_squad_in_parquet() -> None:
    answers = [{"text": ["Rome", "Oslo"], "answer_start": [1, 2]}] * 12
    table = read_table(parquet_bytes({"question": [f"q {i}" for i in range(12)], "answers": answers}), "a.parquet")
    assert table.column("answer") == ["Rome"] * 12
    assert suggest_mapping({"labeled": table}) == Mapping("question", "answer")
