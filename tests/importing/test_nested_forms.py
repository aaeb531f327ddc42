"""Objects, lists and odd exports: the question and the answer are found inside them, and what was guessed is told."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from semievol.importing.imported import Imported
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.jobs.intake import prepare
from semievol.records import Split
from tests.importing.files import csv_bytes, parquet_bytes
from tests.importing.test_more_tool_forms import Row, columns, doubts, imported, read

NAMES = ["Anna", "Bela", "Cleo", "Dora", "Emil", "Finn", "Gina", "Hugo", "Ines", "Jana", "Karl", "Lena"]


def options(result: Imported) -> dict[str, str]:
    return {finding.kind: finding.option for finding in result.findings}


def test_fields_of_objects_are_columns() -> None:
    rows = [
        {"inputs": {"question": f"Who is {n}?"}, "outputs": {"answer": n}, "metadata": {"topic": "x"}} for n in NAMES
    ]
    table = read(*rows)
    assert table.columns[3:] == ["inputs.question", "outputs.answer"]
    result = imported(table, read({"inputs": {"question": "Who?"}, "outputs": None}))
    assert (result.mapping.question, result.mapping.answer) == ("inputs.question", "outputs.answer")
    assert (result.records[0].question, result.records[0].answer) == ("Who is Anna?", "Anna")
    assert "nested_field" not in options(result)


def test_one_of_several_fields_is_told_with_the_mapping_of_the_whole() -> None:
    def row(name: str) -> Row:
        return {"Question": f"Who is {name}?", "Answer": {"Aliases": [name, name.upper()], "Type": "P", "Value": name}}

    result = imported(read(*map(row, NAMES)), read({"Question": "Who?"}))
    assert result.mapping.answer == "Answer.Value"
    assert options(result)["nested_field"] == "--map question=Question,answer=Answer"
    whole = imported(read(*map(row, NAMES)), read({"Question": "Who?"}), "question=Question,answer=Answer")
    assert json.loads(whole.records[0].answer or "")["Type"] == "P"


def test_texts_that_are_written_as_json_stay_texts() -> None:
    rows = [{"text": f"My name is {name}", "output": json.dumps({"name": name, "age": 3})} for name in NAMES]
    assert read(*rows).columns == ["text", "output"]


def test_extended_json_of_mongodb_means_its_values() -> None:
    row = {"_id": {"$oid": "65f"}, "at": {"$date": {"$numberLong": "17"}}, "body": "good", "stars": {"$numberInt": "5"}}
    assert columns(read(row, row), "_id", "at", "body", "stars")[0] == ("65f", "17", "good", "5")


def test_an_article_with_several_questions_is_a_record_for_each() -> None:
    def row(number: int, *answers: str) -> Row:
        asked = [f"What is {number}.{place}?" for place in range(len(answers))]
        four = [[f"w{number}", "x", "y", "z"]] * len(answers)
        return {
            "id": f"{number}.txt",
            "article": f"Text {number}.",
            "questions": asked,
            "options": four,
            "answers": list(answers),
        }

    table = read(row(1, "B", "C"), row(2, "A"), row(3, "D", "A"), row(5, "A"), {**row(4, "A", "B"), "answers": ["A"]})
    assert columns(table, "id", "question", "answer")[:3] == [
        ("1.txt #1", "What is 1.0?", "B"),
        ("1.txt #2", "What is 1.1?", "C"),
        ("2.txt", "What is 2.0?", "A"),
    ]
    assert [(reject.row, reject.column) for reject in table.rejected] == [(5, "questions")]
    pool = {name: cell for name, cell in row(9, "A").items() if name != "answers"}
    result = imported(table, read(pool))
    assert (result.mapping.context, result.task.kind, result.records.size("unlabeled")) == (
        "article",
        "multiple_choice",
        1,
    )


def test_options_with_scores_are_options_and_the_best_is_the_answer() -> None:
    rows = [{"input": f"{i}?", "target_scores": {"yes": i % 2, "no": 1 - i % 2, "4": 0}} for i in range(5)]
    bad = {"input": "x?", "target_scores": {"yes": 1, "no": 1}}
    task = {"name": "quiz", "keywords": ["a", "b"], "metrics": ["c"], "examples": [*rows, bad]}
    table = read_table(json.dumps(task).encode(), "task.json")
    assert columns(table, "options", "answer")[:2] == [('["yes", "no", "4"]', "no"), ('["yes", "no", "4"]', "yes")]
    assert [reject.row for reject in table.rejected] == [6]


def test_tasks_of_label_studio_without_annotations_are_its_tasks() -> None:
    table = read({"id": 1, "data": {"text": "one"}}, {"id": 2, "data": {"text": "two"}})
    assert columns(table, "text", "answer") == [("one", None), ("two", None)]


def test_older_doccano_names_the_annotator_beside_the_label() -> None:
    def row(*given: tuple[Any, int]) -> Row:
        return {"id": 1, "text": "a", "annotations": [{"label": label, "user": user} for label, user in given]}

    table = read(row((3, 1)), row((3, 1), (3, 2)), row((4, 1), (3, 2)), row((4, 1), (3, 1)), row())
    assert [answer for (answer,) in columns(table, "answer")] == ["3", "3", None, None]
    assert (doubts(table), [reject.row for reject in table.rejected]) == ({"annotators_tied": 1}, [4])
    spans = read(
        *[{"id": 1, "text": "a", "annotations": [{"label": 3, "start_offset": 0, "end_offset": 1}]}, row((3, 1))]
    )
    assert [reject.row for reject in spans.rejected] == [1]


def test_what_a_prodigy_annotator_wrote_is_the_answer() -> None:
    row = {"text": "Who?", "_view_id": "blocks", "_input_hash": 1, "answer": "accept"}
    table = read({**row, "user_input": "Anna"}, {**row, "_input_hash": 2, "user_input": "Bela", "answer": "ignore"})
    assert columns(table, "answer", "verdict") == [("Anna", "accept"), (None, "ignore")]


def test_a_turn_alone_is_the_answer_and_the_refused_one_is_not() -> None:
    def row(answer: str) -> Row:
        asked = {"conversations": [{"from": "human", "value": "Who?"}]}
        return {"chosen": {"from": "gpt", "value": answer}, "rejected": {"from": "gpt", "value": "No"}} | asked

    assert columns(read(row("Anna"), row("Bela")), "question", "answer") == [("Who?", "Anna"), ("Who?", "Bela")]


def test_a_preferred_conversation_that_repeats_the_prompt_is_read_once() -> None:
    asked = [{"role": "user", "content": "Who?"}]
    row = {"prompt": asked, "chosen": [*asked, {"role": "assistant", "content": "Anna"}]}
    table = read(row, row)
    assert columns(table, "question", "answer") == [("Who?", "Anna")] * 2
    assert "earlier turns" not in table.columns


@pytest.mark.parametrize(
    ("cell", "answer"),
    [
        ("['yes' 'yes' 'no']", "yes"),
        ("['yes'\n 'yes' 'no']", "yes"),
        ("['it''s' 'no']", None),
    ],
)
def test_lists_are_read_as_numpy_prints_them(cell: str, answer: str | None) -> None:
    states = "['submitted' 'submitted' 'submitted']" if answer else "['submitted' 'submitted']"
    rows = [["text", "mood.responses", "mood.responses.status"], ["a", cell, states], ["b", "['no']", "['submitted']"]]
    assert columns(read_table(csv_bytes(rows), "a.csv"), "answer") == [(answer,), ("no",)]


def test_lists_of_labels_in_parquet_have_their_names() -> None:
    feature = {"_type": "List", "feature": {"_type": "ClassLabel", "names": ["joy", "anger"]}}
    described = json.dumps({"info": {"features": {"text": {"_type": "Value"}, "labels": feature}}})
    cells = pa.table({"text": ["a", "b", "c"], "labels": [[0], [1], [0, 1]]})
    table = read_table(parquet_bytes(cells.replace_schema_metadata({"huggingface": described})), "a.parquet")
    assert [cell for (cell,) in columns(table, "labels")] == ["joy", "anger", '["joy", "anger"]']


def test_numbers_get_the_names_that_another_file_holds_and_this_is_told() -> None:
    def parquet(labels: list[int], named: bool) -> Table:
        cells = pa.table({"text": [f"text number {i} here" for i in range(len(labels))], "label": labels})
        feature = {"_type": "ClassLabel", "names": ["bad", "good"]}
        described = json.dumps({"info": {"features": {"label": feature}}})
        cells = cells.replace_schema_metadata({"huggingface": described}) if named else cells
        return read_table(parquet_bytes(cells), "a.parquet")

    tables: dict[Split, Table] = {
        "labeled": parquet([0, 1] * 6, named=True),
        "unlabeled": read({"text": "some other text"}),
        "test": parquet([1, 0], named=False),
    }
    result = prepare(tables)
    assert [record.answer for record in result.records if record.split == "test"] == ["good", "bad"]
    assert "0 = bad, 1 = good" in next(one.what for one in result.findings if one.kind == "numbers_named")


def test_of_several_right_answers_the_first_is_taken_and_told() -> None:
    rows: list[Row] = [{"question": f"Who is {name}?", "ideal": name} for name in NAMES]
    rows[3]["ideal"] = ["Dora", "dora"]
    result = imported(read(*rows), read({"question": "Who?"}))
    assert result.records[3].answer == "Dora"
    assert next(one.count for one in result.findings if one.kind == "answer_lists") == 1
