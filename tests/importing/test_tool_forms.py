"""Exports of annotation tools: who answered what becomes the answer, and what is no answer is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semievol.errors import UserError
from semievol.importing.mapping import Mapping
from semievol.importing.readers.read import read_table
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.records import earlier_turns
from tests.importing.files import csv_bytes

Row = dict[str, Any]
KEYS = [
    *("data", "annotations", "result", "value", "choices", "from_name", "type", "was_cancelled", "text", "answer"),
    *("label", "labels", "label.responses", "label.responses.status", "fields", "responses", "status", "inputs"),
    *("annotation", "prediction", "label-suggestion", "accept", "options", "id", "_input_hash", "spans", "Comments"),
    *("messages", "conversations", "role", "content", "from", "tool_calls", "instruction", "input", "output"),
    *("history", "system", "paragraphs", "qas", "question", "answers", "answer_start", "context", "title", "sentences"),
    *("annotation_id", "lead_time", "completion", "prompt", "metadata", "suggestions", "predictions", "meta"),
]


def read(*rows: Row) -> Table:
    return read_table(json.dumps(list(rows)).encode(), "export.json")


def answers(table: Table, question: str = "text") -> list[tuple[str | None, str | None]]:
    return list(zip(table.column(question), table.column("answer"), strict=True))


def doubts(table: Table) -> dict[str, int]:
    return {doubt.kind: doubt.rows for doubt in table.doubts}


def task(text: str, *choices: list[str] | None, data: Row | None = None) -> Row:
    """A Label Studio task. choices: of every annotator; None for one who skipped it."""
    made = [
        {
            "was_cancelled": chosen is None,
            "result": [{"type": "choices", "from_name": "sentiment", "value": {"choices": chosen or []}}],
        }
        for chosen in choices
    ]
    return {"id": 1, "data": data or {"text": text}, "annotations": made, "predictions": []}


def test_label_studio_takes_the_answer_of_most_annotators_and_leaves_ties_without_one() -> None:
    table = read(
        task("one", ["good"], ["bad"], ["good"]),
        task("two", ["good"], ["bad"]),
        task("three", ["good"], None),
        task("four"),
    )
    assert answers(table) == [("one", "good"), ("two", None), ("three", "good"), ("four", None)]
    assert doubts(table) == {"annotators_disagree": 1, "annotators_tied": 1}
    assert table.doubts[1].examples == ((2, "1 × good, 1 × bad"),)


def test_label_studio_refuses_several_labels_and_marked_passages_by_name() -> None:
    spans = task("five")
    spans["annotations"] = [{"result": [{"type": "labels", "value": {"start": 0, "end": 2, "labels": ["PER"]}}]}]
    table = read(*[task("good", ["good"])] * 8, task("both", ["good", "bad"]), spans)
    assert [(reject.row, reject.reason) for reject in table.rejected] == [
        (9, "The annotator chose several labels: good, bad."),
        (10, "The annotation marks passages of the text, which is no answer to a question."),
    ]


def test_label_studio_keeps_every_field_of_the_data() -> None:
    table = read(*[task("", ["good"], data={"title": f"t {i}", "body": "b", "answer": "data"}) for i in range(3)])
    assert (table.column("title"), table.column("body")) == (["t 0", "t 1", "t 2"], ["b"] * 3)
    assert table.column("answer") == ["good"] * 3


def test_the_structure_of_an_export_is_taken_for_nothing_else() -> None:
    rows = [task("", ["good"], data={"title": f"t {i}", "text": f"x {i}"}) for i in range(3)]
    assert read(*rows).columns == ["id", "title", "text", "answer"]
    waiting = read(*[task(f"t {i}") | {"predictions": [{"result": [{"value": {"choices": ["x"]}}]}]} for i in range(3)])
    assert answers(waiting) == [(f"t {i}", None) for i in range(3)]


def test_label_studio_min_has_the_choice_in_a_column_of_the_question() -> None:
    about = {"annotator": 1, "annotation_id": 5, "created_at": "x", "lead_time": 1.5}
    table = read(*({"id": i, "text": f"t {i}", "mood": ["good", "bad"][i % 2], **about} for i in range(6)))
    assert answers(table)[:2] == [("t 0", "good"), ("t 1", "bad")]
    several = read(
        *({"id": i, "text": f"t {i}", "mood": {"choices": ["good"]}, **about} for i in range(6)),
        {"id": 7, "text": "t", "mood": {"choices": ["good", "bad"]}, **about},
    )
    assert answers(several)[0] == ("t 0", "good")
    assert [reject.reason for reject in several.rejected] == ["The annotator chose several labels: good, bad."]


def test_rows_of_one_label_studio_task_are_one_record_and_a_question_with_one_answer_comes_last() -> None:
    about = {"annotator": 1, "annotation_id": 5, "created_at": "x", "lead_time": 1.5, "channel": {"choices": ["mail"]}}
    given = [(1, "good"), (1, "bad"), (1, "good"), (2, "good"), (2, "bad"), (3, "bad")]
    table = read(*({"id": i, "text": f"t {i}", "mood": {"choices": [mood]}, **about} for i, mood in given))
    assert answers(table) == [("t 1", "good"), ("t 2", None), ("t 3", "bad")]
    assert doubts(table) == {"annotators_disagree": 1, "annotators_tied": 1, "several_questions": 3}
    assert any("joined with its first: 3" in note for note in table.notes)
    other = read(*({"id": 1, "text": text, "mood": {"choices": ["good"]}, **about} for text in "abbcdefg"))
    assert [text for text, _ in answers(other)] == [*"abcdefg"], "another project's task may have the same id"


def test_rows_of_marked_passages_are_refused_by_name() -> None:
    about = {"annotator": 1, "annotation_id": 5, "lead_time": 1.5}
    spans = [{"start": 0, "end": 2, "text": "on", "labels": ["PER"]}]
    with pytest.raises(UserError, match="marks passages of the text"):
        read(*({"id": i, "text": f"one {i}", "ner": spans, **about} for i in range(3)))


def test_the_column_in_which_annotators_differ_is_the_answer() -> None:
    about = {"annotator": 1, "annotation_id": 5, "lead_time": 1.5}
    given = [(1, 5, "S0"), (1, 4, "S0"), (1, 5, "S0"), (2, 1, "S1"), (3, 1, "S1"), (4, 1, "S0")]
    table = read(*({"id": i, "text": f"t {i}", "shop": shop, "stars": stars, **about} for i, stars, shop in given))
    assert table.column("answer") == ["5", "1", "1", "1"]


def test_passages_beside_a_choice_are_left_out() -> None:
    marked = {"type": "labels", "from_name": "ner", "value": {"start": 0, "end": 2, "labels": ["PER"]}}
    rows = [task("one", ["good"]), task("two", ["bad"])]
    for row in rows:
        row["annotations"][0]["result"].insert(0, marked)
    table = read(*rows)
    assert answers(table) == [("one", "good"), ("two", "bad")]
    assert "Passages that annotators marked are no answers, and were left out: ner." in table.notes


def test_a_qualtrics_file_has_two_rows_that_are_no_records() -> None:
    raw = (
        "Progress,ResponseId,Q1,Q2\nProgress,Response ID,What was it like?,How bad was it?\n"
        + ",".join(f'"{{""ImportId"":""{name}""}}"' for name in ("progress", "_recordId", "QID1", "QID2"))
        + "".join(f"\n100,R_{i},It was like this {i},{'None' if i % 2 else 'Severe'}" for i in range(1, 7))
    )
    table = read_table(raw.encode(), "survey.csv")
    assert table.columns == ["ResponseId", "Q1", "Q2"]
    assert table.column("Q2") == ["None", "Severe"] * 3
    assert table.numbers[0] == 4
    assert suggest_mapping({"labeled": table}) == Mapping("Q1", "Q2", id="ResponseId")


NESTED = {"fields": {"text": "one"}, "responses": {"label": [{"value": "good", "status": "submitted", "user_id": "u"}]}}
FLAT = {"text": "one", "label.responses": ["bad", "good"], "label.responses.status": ["draft", "submitted"]}
FEEDBACK = {
    "text": "one",
    "label": [{"user_id": "u", "value": "good", "status": "submitted"}],
    "label-suggestion": "bad",
}
PARQUET = {"text": "one", "label": {"value": ["good"], "status": ["submitted"]}, "label-suggestion": "bad"}
OLD = {"inputs": {"text": "one"}, "annotation": "good", "prediction": [["bad", 0.9]], "status": "Validated"}
MINE = {"text": "one", "annotation": ["good"], "prediction": None, "status": "Validated", "annotation_agent": "me"}


@pytest.mark.parametrize("row", [NESTED, FLAT, FEEDBACK, PARQUET, OLD, MINE])
def test_argilla_takes_submitted_responses_in_every_shape(row: Row) -> None:
    assert answers(read(row)) == [("one", "good")]


def test_argilla_leaves_ties_and_unanswered_records_without_an_answer() -> None:
    tied = {"text": "t", "label.responses": ["bad", "good"], "label.responses.status": ["submitted", "submitted"]}
    pending = {"text": "p", "label.responses": None, "label.responses.status": None}
    both = {"text": "b", "label.responses": [["bad", "good"]], "label.responses.status": ["submitted"]}
    table = read(tied, pending, both)
    assert answers(table) == [("t", None), ("p", None)]
    assert doubts(table) == {"annotators_tied": 1}
    assert [reject.reason for reject in table.rejected] == ["The annotator chose several labels: bad, good."]


@pytest.mark.parametrize(("status", "answer"), [("completed", "good"), ("pending", None), (None, "good")])
def test_an_argilla_response_without_a_status_counts_as_its_record_does(status: str | None, answer: str | None) -> None:
    bare: Row = {"fields": {"text": "one"}, "responses": {"label": [{"value": "good", "user_id": "u"}]}}
    assert answers(read(bare | {"status": status})) == [("one", answer)]
    own = {"label": [{"value": "good", "status": "submitted", "user_id": "u"}]}
    assert answers(read(bare | {"status": status, "responses": own})) == [("one", "good")]


def test_an_argilla_record_that_nobody_validated_has_no_answer() -> None:
    assert answers(read(OLD | {"status": "Default"})) == [("one", None)]


def judged(text: str, verdict: str, **others: Any) -> Row:
    return {"text": text, "answer": verdict, "_input_hash": sum(map(ord, text)), "_task_hash": 2, **others}


def test_prodigy_takes_the_label_of_accepted_tasks_only() -> None:
    table = read(judged("a", "accept", label="X"), judged("b", "reject", label="X"), judged("c", "ignore", label="Y"))
    assert answers(table) == [("a", "X"), ("b", None), ("c", None)]
    assert table.column("verdict") == ["accept", "reject", "ignore"]
    assert doubts(table) == {"not_accepted": 2}


def test_verdicts_of_several_annotators_on_one_text_are_one_record() -> None:
    one = [judged("a", "accept", label=label, _session_id=label) for label in "XYX"]
    two = [judged("b", "accept", label=label) for label in "XY"]
    three = [judged("c", "reject", label="X"), judged("c", "accept", label="Y"), judged("d", "reject", label="X")]
    table = read(*one, *two, *three)
    assert answers(table) == [("a", "X"), ("b", None), ("c", "Y"), ("d", None)]
    assert doubts(table) == {"annotators_disagree": 1, "annotators_tied": 1, "not_accepted": 1}
    assert "joined with its first: 4." in table.notes[-1]


def test_prodigy_takes_the_chosen_option_by_its_name() -> None:
    named = [{"id": "pos", "text": "Positive"}, {"id": "neg", "text": "Negative"}]
    numbered = [{"id": 0, "text": "Positive"}, {"id": 1, "text": "Negative"}]
    assert answers(read(judged("a", "accept", accept=["pos"], options=named))) == [("a", "pos")]
    assert answers(read(judged("a", "accept", accept=[1], options=numbered))) == [("a", "Negative")]
    several = read(*[judged("a", "accept", accept=["pos"])] * 3, judged("b", "accept", accept=["pos", "neg"]))
    assert [reject.reason for reject in several.rejected] == ["Several options were chosen: pos, neg."]


def test_marked_passages_are_refused_by_name() -> None:
    spans = {"spans": [{"start": 0, "end": 1, "label": "PER"}]}
    with pytest.raises(UserError, match="marks passages of the text"):
        read(judged("a", "accept", **spans))
    with pytest.raises(UserError, match="mark passages of the text"):
        read({"id": 1, "text": "a", "label": [[0, 1, "PER"]]})


def test_doccano_takes_the_one_label_of_a_text() -> None:
    rows = [{"id": i, "text": f"t {i}", "label": ["A"], "Comments": []} for i in range(5)]
    table = read(*rows, {"id": 6, "text": "n", "label": []}, {"id": 7, "text": "m", "label": ["A", "B"]})
    assert answers(table)[-2:] == [("t 4", "A"), ("n", None)]
    assert [reject.reason for reject in table.rejected] == ["The text has several labels: A, B."]


@pytest.mark.parametrize(
    "cell",
    ["{'text': ['Rome'], 'answer_start': [3]}", "{'text': array(['Rome'], dtype=object), 'answer_start': array([3])}"],
)
def test_nested_cells_are_read_as_python_and_numpy_print_them(cell: str) -> None:
    table = read_table(csv_bytes([["question", "answers"], *[[f"q {i}?", cell] for i in range(4)]]), "a.csv")
    assert answers(table, "question")[0] == ("q 0?", "Rome")


@pytest.mark.parametrize("cell", ['["a"]', "['a']", "[ 'a' ]"])
def test_a_list_of_one_element_is_the_element(cell: str) -> None:
    table = read_table(
        f'text,tags\nx,{json.dumps(cell)[:0]}"{cell.replace(chr(34), chr(34) * 2)}"\ny,[]\n'.encode(), "a.csv"
    )
    assert table.column("tags") == ["a", None]


def test_lists_of_several_elements_and_other_texts_stay_as_they_are() -> None:
    assert read_table(b"text,tags\n[x],\"['a', 'b']\"\ny,\"['c', 'd']\"\n", "a.csv").rows[0] == ["[x]", "['a', 'b']"]


def test_openai_parts_are_joined_and_an_answer_by_a_tool_is_refused() -> None:
    def said(role: str, content: Any, **others: Any) -> Row:
        return {"role": role, "content": content, **others}

    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    call = said("assistant", None, tool_calls=[{"id": "c"}])
    good = {"messages": [said("user", parts), said("assistant", "yes")]}
    table = read(
        *[good] * 6,
        {"messages": [said("user", "q"), call]},
        {"messages": [said("user", [{"type": "image_url", "image_url": {}}]), said("assistant", "a")]},
        {"messages": [said("assistant", "Hi"), said("user", "q"), call, said("tool", "r"), said("assistant", "no")]},
    )
    assert answers(table, "question") == [("one\ntwo", "yes")] * 6 + [("q", "no")]
    assert [reject.reason for reject in table.rejected] == [
        "The answer is a tool call.",
        "A turn holds something that is not text (image_url).",
    ]
    assert doubts(table) == {"tool_turns": 2, "opening_left_out": 1}


def test_an_answer_of_weight_zero_is_refused_since_nobody_should_learn_it() -> None:
    def talk(weight: float) -> Row:
        return {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": weight}]}

    table = read(talk(1), talk(0), talk(1))
    assert answers(table, "question") == [("q", "a")] * 2
    assert [reject.reason for reject in table.rejected] == ["The answer has weight 0."]


def test_system_turns_that_differ_stay_with_their_conversation() -> None:
    def asked(system: str) -> Row:
        return {"messages": [{"role": r, "content": c} for r, c in (("system", system), ("user", "q"))]}

    table = read(asked("Be brief."), asked("Be kind."))
    assert table.instruction == ""
    assert [[turn.content for turn in earlier_turns(cell)] for cell in table.column("earlier turns")] == [
        ["Be brief."],
        ["Be kind."],
    ]


def test_alpaca_with_history_and_system() -> None:
    table = read(
        {"instruction": "And now?", "input": "", "output": "ok", "system": "Be.", "history": [["Hi", "Hello"]]}
    )
    assert table.instruction == "Be."
    assert [turn.content for turn in earlier_turns(table.column("earlier turns")[0])] == ["Hi", "Hello"]


def test_articles_of_squad_become_a_row_for_each_question() -> None:
    asked = [
        {"id": "a", "question": "Where?", "answers": [{"text": "Rome", "answer_start": 3}]},
        {"id": "b", "question": "When?", "answers": [], "is_impossible": True},
    ]
    article = {"title": "T", "paragraphs": [{"context": "In Rome.", "qas": asked}]}
    table = read_table(json.dumps({"version": "2", "data": [article]}).encode(), "squad.json")
    assert answers(table, "question") == [("Where?", "Rome"), ("When?", None)]
    assert table.column("context") == ["In Rome."] * 2


@pytest.mark.parametrize(
    "context",
    [
        {"title": ["T", "U"], "sentences": [["One.", " Two."], ["Three."]]},
        [["T", ["One.", " Two."]], ["U", ["Three."]]],
        [{"title": "T", "text": "One. Two."}, {"title": "U", "text": "Three."}],
    ],
)
def test_nested_passages_become_readable_text(context: Any) -> None:
    table = read({"question": "q", "answer": "a", "context": context})
    assert table.column("context") == ["T\nOne. Two.\n\nU\nThree."]


def test_passages_that_cannot_be_read_stay_as_they_are() -> None:
    assert read({"question": "q", "context": {"x": 1}}).column("context") == ['{"x": 1}']


scraps: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.sampled_from(["user", "assistant", "accept", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), scraps, min_size=1, max_size=6), min_size=1, max_size=4))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_whatever_stands_in_the_fields_of_a_tool_is_read_or_refused(rows: list[Row]) -> None:
    try:
        table = read(*rows)
    except UserError:
        return
    assert table.physical >= len(rows)
    assert len(set(table.columns)) == len(table.columns)


def test_a_manifest_of_ground_truth_holds_the_names_of_its_classes() -> None:
    def line(number: int | None, **metadata: Any) -> Row:
        made = {"source": "a text", "kind": number, "kind-metadata": {"type": "groundtruth/text-classification"}}
        return made | {"kind-metadata": {**made["kind-metadata"], **metadata}}  # type: ignore[dict-item]

    rows = [
        *(line(1, **{"class-name": "billing"}), line(0, **{"class-name": "account"}), line(None)),
        line(None, **{"class-map": {"0": "account", "1": "billing"}}),
    ]
    content = "\n".join(map(json.dumps, rows)).encode()
    table = read_table(content, "output.manifest")
    assert table.columns == ["question", "answer"]
    assert answers(table, "question") == [("a text", "billing"), ("a text", "account"), ("a text", None)]
    assert "several labels: account, billing" in table.rejected[0].reason


def test_the_category_of_spacy_that_holds_is_the_answer() -> None:
    cats: list[dict[str, object]] = [{"a": 1.0, "b": 0.0}, {"a": 0.2, "b": 0.7}, {"a": 0.5, "b": 0.6}, {"a": 0, "b": 0}]
    lines = [json.dumps({"text": f"text {i}", "cats": one}) for i, one in enumerate(cats)]
    table = read_table("\n".join(lines).encode(), "a.jsonl")
    assert (table.columns, table.column("answer")) == (["text", "answer"], ["a", "b", None, None])
