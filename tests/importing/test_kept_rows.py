"""Records of an earlier version in a new one: the same checks, and otherwise exactly what they were."""

from __future__ import annotations

from typing import Any

import pytest

from semievol.errors import UserError
from semievol.importing.accepted import kept_rows
from semievol.importing.build import check_tables
from semievol.importing.mapping import Mapping
from semievol.importing.readers.read import read_table
from semievol.records import Record, Split, Task

TASK = Task("classification", ("roads", "water"))
TEXTS = Mapping("text", "team")
LABELED = b"text,team\nA hole,roads\nA leak,water\nA crack,roads\n"


def old(split: Split, *records: tuple[str, str | None, str | None]) -> dict[Split, Any]:
    """(question, answer, hidden gold) of each record."""
    made = [
        (Record(f"id{i}", question, (), answer, split, i + 5, f"mine-{i}", f"g{i}"), gold)
        for i, (question, answer, gold) in enumerate(records)
    ]
    return {split: kept_rows("version 1", split, made)}


def labeled(text: bytes = LABELED) -> dict[Split, Any]:
    return {"labeled": read_table(text, "labeled.csv")}


def test_kept_records_come_back_exactly_with_their_hidden_gold() -> None:
    before = old("unlabeled", ("A lamp", None, "roads"), ("A drain\n\nby the door", None, None))
    found = check_tables(labeled(), TEXTS, TASK, kept=before).decided([])
    there = [record for record in found.records if record.split == "unlabeled"]
    assert [(r.question, r.row, r.source_id, r.group) for r in there] == [
        ("A lamp", 5, "mine-0", "g0"),
        ("A drain\n\nby the door", 6, "mine-1", "g1"),
    ]
    assert [r.content_hash[:16] for r in there] == [r.id for r in there]
    assert dict(found.gold()) == {there[0].id: "roads"}
    assert found.report["unlabeled"].as_dict()["file"] == "version 1"
    assert found.report["unlabeled"].accepted == 2


def test_kept_records_are_compared_with_new_ones() -> None:
    before = old("unlabeled", ("A hole", None, None), ("A hole", None, None), ("a LEAK!", None, None))
    found = check_tables(labeled(), TEXTS, TASK, kept=before)
    assert {"overlap_labeled_unlabeled", "duplicates", "near_overlap"} <= {one.kind for one in found.findings}
    left = found.decided(["overlap_labeled_unlabeled"])
    assert left.report["unlabeled"].as_dict()["removed"] == 2


def test_a_kept_answer_outside_the_label_set_rejects_its_record_and_leaves_hidden_gold_out() -> None:
    before = old("test", ("A tree", "parks", None), ("A pipe", "Water", None))
    before |= old("unlabeled", ("A bush", None, "parks"))
    found = check_tables(labeled(), TEXTS, TASK, kept=before).decided([])
    [(split, reject)] = list(found.rejected())
    assert (split, reject.row, reject.value) == ("test", 5, "parks")
    assert [record.answer for record in found.records if record.split == "test"] == ["water"]
    assert "unreadable_gold" in {one.kind for one in found.findings}
    assert dict(found.gold()) == {}


def test_new_rows_are_read_by_the_label_set_of_kept_labeled_records() -> None:
    before = old("labeled", ("A hole", "roads", None), ("A leak", "water", None))
    test: dict[Split, Any] = {"test": read_table(b"text,team\nA pipe,water\nA tree,parks\n", "test.csv")}
    found = check_tables(test, TEXTS, TASK, kept=before).decided([])
    assert [(record.split, record.answer) for record in found.records] == [
        ("labeled", "roads"),
        ("labeled", "water"),
        ("test", "water"),
    ]
    assert found.report["test"].rejected == 1


def test_letters_and_options_of_kept_records_stay_however_new_answers_are_written() -> None:
    task, mapping = Task("multiple_choice"), Mapping("q", "a", "o")
    before: dict[Split, Any] = {
        "test": kept_rows("version 1", "test", [(Record("x", "Which?", ("B", "A"), "A", "test", 2), None)])
    }
    new: dict[Split, Any] = {
        "labeled": read_table(b'q,a,o\n1?,yes,"[""yes"", ""no""]"\n2?,no,"[""yes"", ""no""]"\n', "l.csv")
    }
    found = check_tables(new, mapping, task, kept=before).decided([])
    assert [(r.options, r.answer) for r in found.records if r.split == "test"] == [(("B", "A"), "A")]


def test_where_nothing_is_left_the_remedies_that_took_it_are_named() -> None:
    before = old("unlabeled", ("A hole", None, None))
    found = check_tables(labeled(), TEXTS, TASK, kept=before)
    with pytest.raises(UserError) as caught:
        found.decided(["overlap_labeled_unlabeled"])
    assert 'do not apply "Leave out of unlabeled" (1)' in caught.value.remedy


def test_a_record_that_is_added_again_is_left_out_but_not_one_with_another_answer() -> None:
    before = old("labeled", ("A hole", "roads", None), ("A leak", "roads", None), ("A lamp", "roads", None))
    found = check_tables(labeled(), TEXTS, TASK, kept=before)
    again = next(one for one in found.findings if one.kind == "already_there")
    assert (again.count, again.taken) == (1, True)
    assert again.where == "labeled (labeled.csv)"
    kinds = {one.kind: one.count for one in found.findings}
    assert kinds["new_answers"] == 1
    assert "conflicting_labels" not in kinds
    assert kinds["duplicates"] == 1, "the one with another answer"
    left = found.decided(["already_there"])
    assert [(r.question, r.answer) for r in left.records] == [
        *(("A hole", "roads"), ("A leak", "roads"), ("A lamp", "roads")),
        *(("A leak", "water"), ("A crack", "roads")),
    ]
    assert left.report["labeled"].as_dict()["removed"] == 1
    corrected = found.decided(["already_there", "new_answers"])
    assert [(r.question, r.answer) for r in corrected.records] == [
        *(("A hole", "roads"), ("A lamp", "roads")),
        *(("A leak", "water"), ("A crack", "roads")),
    ]


def test_records_that_are_there_already_are_not_also_said_to_repeat_their_ids() -> None:
    before = old("labeled", ("A hole", "roads", None), ("A leak", "water", None))
    new = labeled(b"text,team,nr\nA hole,roads,mine-0\nA crack,roads,mine-1\n")
    found = check_tables(new, Mapping("text", "team", id="nr"), TASK, kept=before)
    assert {one.kind: one.count for one in found.findings}["already_there"] == 1
    twice = next(one for one in found.findings if one.kind == "duplicate_ids")
    assert (twice.count, twice.examples[0]["value"]) == (1, "mine-1")
