"""What annotators say becomes decisions: counted, compared with what was decided here, and told where it is not."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from semievol.annotation import argilla, label_studio
from semievol.annotation.decisions import ImportedDecisions, compared, imported_decisions
from semievol.annotation.exchange import Annotation, AnnotationKind, Returned, Suggestion
from semievol.annotation.tools import read
from semievol.errors import UserError
from semievol.records import Action, Decision, Record, Task, content_hash

TASK = Task("classification", ("roads", "water", "waste"))
RECORD = Record("u1", "A hole in the road")


def returned(*annotations: Annotation, record: Record = RECORD, suggested: str | None = "roads") -> Returned:
    return Returned(record.id, record.content_hash, record.content_hash, record.question, suggested, annotations)


def says(annotator: str, answer: str) -> Annotation:
    return Annotation(annotator, "answer", answer)


def told(
    *annotations: Annotation, task: Task = TASK, suggested: str | None = "roads"
) -> tuple[Action, str | None, int, int] | str:
    """The decision that the annotations come to, or the reason why there is none."""
    imported = imported_decisions(task, {RECORD.id: RECORD}, [returned(*annotations, suggested=suggested)])
    if imported.decisions:
        (consensus,) = imported.decisions
        return consensus.action, consensus.answer, consensus.votes, consensus.annotators
    return next(iter(imported.not_stored))


def test_most_annotators_decide() -> None:
    assert told(says("a", "water"), says("b", "roads"), says("c", "water")) == ("edit", "water", 2, 3)
    assert told(says("a", "roads"), Annotation("b", "reject"), says("c", "roads")) == ("accept", "roads", 2, 3)
    assert told(Annotation("a", "reject"), Annotation("b", "reject"), says("c", "roads")) == ("reject", None, 2, 3)
    assert told(Annotation("a", "ambiguous"), Annotation("b", "skip")) == ("ambiguous", None, 1, 1)


def test_a_tie_is_no_decision() -> None:
    assert told(says("a", "water"), says("b", "roads")) == "tied"
    assert told(Annotation("a", "reject"), says("b", "roads")) == "tied"


def test_the_last_word_of_an_annotator_counts() -> None:
    assert told(says("a", "water"), says("b", "roads"), says("a", "roads")) == ("accept", "roads", 2, 2)


def test_who_skips_has_no_vote() -> None:
    assert told(Annotation("a", "skip"), says("b", "water")) == ("edit", "water", 1, 1)
    assert told(Annotation("a", "skip"), Annotation("b", "skip")) == "skipped"
    assert told() == "unanswered"


def test_an_answer_that_the_task_does_not_allow_is_not_taken() -> None:
    assert told(says("a", "parks")) == "unreadable"
    assert told(says("a", "parks"), says("b", "Water!")) == ("edit", "water", 1, 2)


@pytest.mark.parametrize(
    ("task", "suggested", "answers", "expected"),
    [
        (Task("numeric"), "0.05", ("5 %",), ("accept", "0.05", 1, 1)),
        (Task("numeric"), "5", ("1,000", "1000.0", "3"), ("edit", "1000", 2, 3)),
        (Task("text"), "rome", ("Rome",), ("edit", "Rome", 1, 1)),
        (Task("text"), "Paris", ("Rome.", "rome", "rome", "Paris"), ("edit", "rome", 3, 4)),
    ],
)
def test_answers_that_count_as_the_same_are_counted_together(
    task: Task, suggested: str, answers: tuple[str, ...], expected: tuple[str, str, int, int]
) -> None:
    annotations = [says(str(number), answer) for number, answer in enumerate(answers)]
    assert told(*annotations, task=task, suggested=suggested) == expected


def test_records_are_known_by_id_and_content_and_never_by_their_place() -> None:
    records = {f"u{i}": Record(f"u{i}", f"question {i}") for i in range(4)}
    sent = [returned(says("a", "water"), record=record) for record in records.values()]
    edited = replace(sent[1], now=content_hash("question 1!", ()), question="question 1!")
    other_hash = replace(sent[2], content_hash=edited.now, now=edited.now)
    unmarked = replace(sent[3], record_id="", content_hash="")
    foreign = returned(says("a", "water"), record=Record("u9", "who knows"))
    imported = imported_decisions(TASK, records, [foreign, unmarked, other_hash, edited, sent[0]])
    assert [consensus.record.id for consensus in imported.decisions] == ["u0"]
    assert imported.not_stored == {
        "unknown": ["u9 (who knows)"],
        "unmarked": ["question 3"],
        "changed": ["u2 (question 2)", "u1 (question 1!)"],
    }


def decided(action: Action, answer: str | None, shown: str | None = "roads") -> Decision:
    return Decision(1, 1, 1, RECORD.id, RECORD.content_hash, action, shown, answer, "", "Ada", 0.0, None)


@pytest.mark.parametrize(
    ("before", "annotation", "expected"),
    [
        (decided("accept", "roads"), ("answer", "roads"), "known"),
        (decided("edit", "water"), ("answer", "water"), "known"),
        (decided("edit", "water"), ("answer", "roads"), "contrary"),
        (decided("accept", "roads"), ("reject", None), "contrary"),
        (decided("reject", None), ("reject", None), "known"),
        (decided("reject", None, shown="waste"), ("answer", "roads"), "stored"),
        (decided("ambiguous", None), ("answer", "roads"), "contrary"),
        (decided("skip", None), ("answer", "roads"), "stored"),
    ],
)
def test_a_decision_made_here_is_not_overruled_silently(
    before: Decision, annotation: tuple[AnnotationKind, str | None], expected: str
) -> None:
    def left(replace: bool) -> ImportedDecisions:
        imported = imported_decisions(TASK, {RECORD.id: RECORD}, [returned(Annotation("a", *annotation))])
        return compared(TASK, imported, {RECORD.content_hash: [before]}, replace=replace)

    kept = left(replace=False)
    assert (next(iter(kept.not_stored)) if kept.not_stored else "stored") == expected
    assert len(kept.decisions) == (expected == "stored")
    overruled = left(replace=True)
    assert len(overruled.decisions) == (expected != "known")
    assert overruled.replaced == (expected == "contrary")


def test_records_of_an_open_random_review_are_left_to_it() -> None:
    imported = imported_decisions(TASK, {RECORD.id: RECORD}, [returned(says("a", "roads"))])
    assert compared(TASK, imported, {}, reserved={"u1"}).not_stored == {"reserved": ["u1 (A hole in the road)"]}


def test_a_file_of_no_known_tool_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="Label Studio, Argilla, Prodigy"):
        read([json.dumps({"question": "q", "answer": "a"})], "plain.jsonl")


def test_label_studio_says_who_by_number_address_or_object() -> None:
    task = {"record_id": RECORD.id, "content_hash": RECORD.content_hash, "question": RECORD.question}
    task["suggested_answer"] = "roads"
    result = [{"from_name": "answer", "value": {"choices": ["water"]}}]
    by = [7, {"id": 7}, {"id": 8, "email": "bo@example.org"}, "bo@example.org"]
    annotations = [{"completed_by": who, "result": result, "was_cancelled": False} for who in by]
    (one,) = read([json.dumps({"id": 3, "data": task, "annotations": annotations})], "export.json").returned
    assert [annotation.annotator for annotation in one.annotations] == ["7", "7", "bo@example.org", "bo@example.org"]


def test_several_choices_are_no_answer() -> None:
    marked = {"record_id": RECORD.id, "content_hash": RECORD.content_hash, "question": RECORD.question}
    result = [{"from_name": "answer", "value": {"choices": ["roads", "water"]}}]
    found = [
        {"data": marked, "annotations": [{"completed_by": 1, "result": result}]},
        {**marked, "annotator": 1, "annotation_id": 9, "answer": {"choices": ["roads", "water"]}},
        {**marked, "answer.responses": [["roads", "water"]], "answer.responses.users": ["a"]}
        | {"answer.responses.status": ["submitted"]},
        {**marked, "text": RECORD.question, "options": [], "accept": ["roads", "water"], "answer": "accept"},
    ]
    for one in found:
        returned = read([json.dumps(one)], "export.json").returned
        assert list(imported_decisions(TASK, {RECORD.id: RECORD}, returned).not_stored) == ["unreadable"]


def test_a_number_of_many_digits_breaks_nothing() -> None:
    found = f'{{"data": {{"record_id": "u1"}}, "annotations": [], "id": {"9" * 5_000}}}'
    assert [one.record_id for one in read([found], "export.json").returned] == ["u1"]


def test_label_studio_finds_no_name_of_a_field_in_our_texts() -> None:
    """It replaces `$name` in the configuration and in choices, as was seen with version 1.23."""
    task = Task("classification", ("5 $", "$5"), "Pay $5 or <more>.")
    files = label_studio.files(task, [Suggestion(RECORD, "$5")])
    assert not re.search(r"\$(?!question)\w", files["labeling_config.xml"].decode())
    assert "or &lt;more&gt;." in files["labeling_config.xml"].decode()
    (sent,) = json.loads(files["tasks.json"])
    back = sent | {"annotations": [{"completed_by": 1, "result": sent["predictions"][0]["result"]}]}
    (consensus,) = imported_decisions(
        task, {RECORD.id: RECORD}, read([json.dumps(back)], "export.json").returned
    ).decisions
    assert (consensus.action, consensus.answer) == ("accept", "$5")


def test_labels_that_no_choice_of_argilla_can_hold_are_written() -> None:
    for labels, kind in ((("a", "b"), "label_selection"), (("a", "b" * 201), "text"), (("a",), "text")):
        settings = json.loads(argilla.files(Task("classification", labels), [])[".argilla/settings.json"])
        assert settings["questions"][0]["settings"]["type"] == kind


def test_drafts_in_argilla_say_nothing_yet() -> None:
    found = {"id": "u1", "question": RECORD.question, "record_id": "u1", "content_hash": RECORD.content_hash}
    found |= {"answer.responses": ["water", "waste"], "answer.responses.users": ["a", "b"]}  # type: ignore[dict-item]
    found |= {"answer.responses.status": ["draft", "submitted"]}  # type: ignore[dict-item]
    (one,) = read([json.dumps(found)], "export.json").returned
    assert [(annotation.annotator, annotation.answer) for annotation in one.annotations] == [("b", "waste")]
