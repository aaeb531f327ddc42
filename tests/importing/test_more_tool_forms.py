"""Exports of further tools and data sets: the question, the options and the answer are found where they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from semievol.importing.imported import Imported
from semievol.importing.readers.read import read_table
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.jobs.intake import prepare
from semievol.records import Split
from tests.importing.files import csv_bytes, xlsx_bytes

Row = dict[str, Any]


def read(*rows: Row, name: str = "export.jsonl") -> Table:
    return read_table("\n".join(map(json.dumps, rows)).encode(), name)


def columns(table: Table, *names: str) -> list[tuple[str | None, ...]]:
    return list(zip(*(table.column(name) for name in names), strict=True))


def doubts(table: Table) -> dict[str, int]:
    return {doubt.kind: doubt.rows for doubt in table.doubts}


def imported(labeled: Table, unlabeled: Table, mapping: str | None = None) -> Imported:
    tables: dict[Split, Table] = {"labeled": labeled, "unlabeled": unlabeled}
    return prepare(tables, mapping=mapping)


def test_contents_of_parts_are_a_conversation_with_its_instruction() -> None:
    def row(*said: str) -> Row:
        contents = [
            {"role": role, "parts": [{"text": text}]}
            for role, text in zip(["user", "model", "user", "model"], said, strict=False)
        ]
        return {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": contents}

    table = read(row("one?", "yes"), row("two?", "no"), row("three?", "no", "four?", "yes"), row("five?"))
    assert columns(table, "question", "answer") == [("one?", "yes"), ("two?", "no"), ("four?", "yes"), ("five?", None)]
    assert table.instruction == "Be brief."
    assert "systemInstruction" not in table.columns


def test_lines_of_fasttext_are_a_label_and_a_text() -> None:
    content = "__label__good-one It works, really.\n__label__bad It broke.\n\n__label__bad __label__late Too late.\n"
    table = read_table(content.encode(), "train.txt")
    assert columns(table, "text", "label") == [("It works, really.", "good-one"), ("It broke.", "bad")]
    assert (table.rejected[0].row, "several labels: bad, late" in table.rejected[0].reason) == (4, True)


def test_lines_of_a_text_file_are_texts_with_their_commas_and_quotation_marks() -> None:
    lines = [
        "How do I add a colleague to it?",
        "Wrong size, how do I return it?",
        '"Error 5" again and again.',
        "Help me",
    ]
    table = read_table("\n".join(lines).encode(), "pool.txt")
    assert columns(table, "column 1") == [(line,) for line in lines]
    labeled = "".join(f"__label__{'ab'[i % 2]} some text, number {i}\n" for i in range(12))
    result = imported(read_table(labeled.encode(), "train.txt"), table)
    assert (result.task.labels, result.report["unlabeled"].accepted) == (("a", "b"), 4)


@pytest.mark.parametrize("bars", [False, True])
def test_a_printed_table_has_no_rule_and_no_padding(bars: bool) -> None:
    lines = [
        " id |    body     | topic ",
        "----+-------------+-------",
        "  1 | broken  box | late",
        " 12 | - a         | ",
    ]
    lines = [f"|{line}|" for line in lines] if bars else lines
    table = read_table("\n".join([*lines, "" if bars else "(2 rows)"]).encode(), "out.txt")
    assert columns(table, "id", "body", "topic") == [("1", "broken  box", "late"), ("12", "- a", "")]
    assert (table.rejected, table.numbers.tolist()) == ([], [3, 4])


def test_a_text_that_psql_prints_over_two_lines_is_rejected() -> None:
    lines = [" body  | topic", "-------+-------", " one  +| late", " more  | ", " two   | C++"]
    table = read_table("\n".join(lines).encode(), "out.txt")
    assert columns(table, "body", "topic") == [("two", "C++")]
    assert [reject.row for reject in table.rejected] == [3, 4]


def test_a_gold_column_of_test_questions_is_not_the_answer() -> None:
    made = [["text", "tone", "tone_gold"]]
    made += [[f"some text, number {i}", ["good", "bad"][i % 2], "bad" if i == 3 else ""] for i in range(12)]
    mapping = suggest_mapping({"labeled": read_table(csv_bytes(made), "a.csv")})
    assert mapping.answer == "tone"
    full = [[*row[:2], row[1] if i else "tone_gold"] for i, row in enumerate(made)]
    assert suggest_mapping({"labeled": read_table(csv_bytes(full), "a.csv")}).answer == "tone_gold"


def test_names_of_splits_are_no_answers() -> None:
    made = [[["TRAIN", "TEST"][i % 3 == 0], f"some text, number {i}", ["good", "bad"][i % 2]] for i in range(12)]
    table = read_table(csv_bytes(made), "a.csv")
    assert suggest_mapping({"labeled": table}).answer == "column 3"


def test_an_id_that_differs_in_every_row_is_preferred() -> None:
    made = [["type_id", "id_of_row", "text", "label"]]
    made += [["3", str(i), f"some text, number {i}", "ab"[i % 2]] for i in range(12)]
    assert suggest_mapping({"labeled": read_table(csv_bytes(made), "a.csv")}).id == "id_of_row"
    without = [[row[0], *row[2:]] for row in made]
    assert suggest_mapping({"labeled": read_table(csv_bytes(without), "a.csv")}).id is None


def assignment(hit: str, answer: str, status: str = "Approved") -> list[str]:
    return [hit, "3TYPE", f"W{answer}", status, f"text of {hit}", answer, "5"]


def test_assignments_of_one_hit_are_one_record() -> None:
    head = ["HITId", "HITTypeId", "WorkerId", "AssignmentStatus", "Input.text", "Answer.tone.label", "Answer.sure"]
    rows = [
        *(assignment("h1", "good"), assignment("h1", "bad"), assignment("h1", "good")),
        *(assignment("h2", "bad", "Rejected"), assignment("h2", "good"), assignment("h3", "bad", "Rejected")),
        *(assignment("h4", "bad"), assignment("h4", "good")),
    ]
    table = read_table(csv_bytes([head, *rows]), "batch.csv")
    found = columns(table, "HITId", "text", "answer")
    assert found == [
        (h, f"text of {h}", answer)
        for h, answer in zip(["h1", "h2", "h3", "h4"], ["good", "good", None, None], strict=True)
    ]
    assert doubts(table) == {"annotators_disagree": 1, "annotators_tied": 1, "several_questions": 4}
    assert table.column("sure") == ["5", "5", None, "5"]


def test_answers_of_workers_in_json_are_read() -> None:
    head = ["HITId", "Input.text", "Answer.taskAnswers"]
    given = ['[{"tone": {"label": "good"}}]', '[{"tone": {"bad": true, "good": false}}]']
    table = read_table(csv_bytes([head, ["1", "one", given[0]], ["2", "two", given[1]]]), "batch.csv")
    assert columns(table, "text", "answer") == [("one", "good"), ("two", "bad")]


def test_a_labelbox_export_gives_text_and_chosen_name() -> None:
    def row(text: str, *chosen: Any) -> Row:
        made = [{"annotations": {"classifications": [{"name": "Topic", **one}]}} for one in chosen]
        return {"data_row": {"id": "x", "row_data": text}, "media_attributes": {}, "projects": {"p": {"labels": made}}}

    radio, other = ({"radio_answer": {"name": name}} for name in ("Billing", "Account"))
    several = {"checklist_answers": [{"name": "Billing"}, {"name": "Account"}]}
    table = read(row("one", radio), row("two", radio, other, radio), row("three"), row("four", several))
    assert columns(table, "question", "answer") == [("one", "Billing"), ("two", "Billing"), ("three", None)]
    assert "several labels: Billing, Account" in table.rejected[0].reason
    assert doubts(table) == {"annotators_disagree": 1}


def test_questions_that_hold_their_choices_are_multiple_choice() -> None:
    def row(stem: str, answer: str) -> Row:
        choices = [{"label": label, "text": f"{stem} {label.lower()}"} for label in "BAC"]
        return {"answerKey": answer, "question": {"stem": stem, "choices": choices}}

    result = imported(
        read(*(row(f"which {i}?", "ABC"[i % 3]) for i in range(12))), read(*(row(f"what {i}?", "A") for i in range(4)))
    )
    first = result.records[0]
    assert (result.task.kind, first.question, first.answer) == ("multiple_choice", "which 0?", "A")
    assert first.options == ("which 0? a", "which 0? b", "which 0? c")


def test_a_label_without_consensus_is_no_answer() -> None:
    def row(i: int, label: str) -> Row:
        texts = {"sentence1": f"some first text {i}", "sentence2": f"some second text {i}"}
        return {"annotator_labels": ["neutral", "entailment"], "gold_label": label, **texts}

    labels = ["neutral", "entailment", "-"] * 4
    result = imported(read(*map(row, range(12), labels)), read(*map(row, range(20, 26), labels)))
    assert (result.task.labels, result.report["labeled"].rejected) == (("entailment", "neutral"), 4)
    assert {one.kind: one.counts for one in result.findings}["no_consensus"] == {"labeled": 4}
    assert result.report["unlabeled"].accepted == 6


def test_every_question_of_an_argilla_record_is_a_column_to_choose() -> None:
    def row(i: int) -> Row:
        said = {"clear": [{"value": 4}, {"value": i % 5}], "tone": [{"value": ["good", "bad"][i % 2]}]}
        return {"id": str(i), "fields": {"review": f"some text, number {i}"}, "responses": said if i < 20 else {}}

    labeled, pool = read(*map(row, range(12))), read(*map(row, range(20, 26)))
    assert 'the column "answer" is the response to "tone"' in labeled.notes[-1]
    assert "nothing is answered yet" in pool.notes[-1]
    result = imported(labeled, pool)
    assert result.task.labels == ("bad", "good")
    assert "several_questions" in {one.kind for one in result.findings}
    other = imported(labeled, pool, "question=review,answer=clear")
    found = {one.kind: one.count for one in other.findings}
    assert (found["annotators_tied"], other.report["labeled"].rejected) == (10, 10)
    assert "several_questions" not in found
    assert "annotators_tied" not in {one.kind for one in result.findings}


def test_the_sheet_that_was_open_is_read_below_its_title_and_the_choice_is_told() -> None:
    rows = [["A title"], [], ["text", "label"], ["one", "a"], ["two", "b"]]
    book = xlsx_bytes([["code", "name"], [1, "a"], [2, "b"]], ["Codes", "Data"], others=rows)
    table = read_table(book, "book.xlsx")
    assert columns(table, "text", "label") == [("one", "a"), ("two", "b")]
    (doubt,) = (one for one in table.doubts if one.kind == "several_sheets")
    assert (doubt.correction, doubt.option) == (("sheet", "Codes", 'Read "Codes"'), '--sheet "Codes"')
    assert "Lines above the table that were left out: 2." in table.notes


def test_a_name_above_a_stray_note_is_no_title() -> None:
    table = read_table(xlsx_bytes([["text"], ["one"], ["two", "a note"], ["three"], ["four"]]), "book.xlsx")
    assert (table.columns, [reject.row for reject in table.rejected]) == (["text"], [3])
