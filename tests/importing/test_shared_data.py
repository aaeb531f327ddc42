"""The three published datasets import with the counts that were counted by other means."""

from __future__ import annotations

from pathlib import Path

import pytest

from semievol.importing.build import build_records
from semievol.importing.imported import Imported
from semievol.importing.mapping import Mapping, parse_mapping
from semievol.importing.readers.read import read_table
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.importing.task_kind import infer_task
from semievol.records import Split, Task

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no published data in {FOLDER.name}/ beside the checkout")
SPLITS: tuple[Split, ...] = ("labeled", "unlabeled", "test")


def tables(name: str) -> dict[Split, Table]:
    return {split: read_table(FOLDER / name / f"{split}.csv") for split in SPLITS}


def imported(name: str, mapping: str = "") -> tuple[Task, Mapping, Imported]:
    given = tables(name)
    columns = parse_mapping(mapping, given) if mapping else suggest_mapping(given)
    task = infer_task(given, columns)
    return task, columns, build_records(given, columns, task, hide_gold=True)


def counts(result: Imported) -> list[tuple[int, int, int, int]]:
    return [(r.physical, r.accepted, r.rejected, r.removed) for r in (result.report[split] for split in SPLITS)]


def findings(result: Imported) -> dict[str, int]:
    return {finding.kind: finding.count for finding in result.findings}


@pytest.mark.parametrize("answer", ["answer", "gt"])
def test_fpb_is_a_classification_whichever_answer_column_is_taken(answer: str) -> None:
    task, _, result = imported("fpb", f"question=question,answer={answer},options=options")
    assert task == Task("classification", ("negative", "neutral", "positive"))
    assert counts(result) == [(452, 451, 0, 1), (1359, 1359, 0, 0), (453, 453, 0, 0)]
    assert len(dict(result.gold())) == 1359
    assert sum(gold == "neutral" for gold in dict(result.gold()).values()) == 845
    found = findings(result)
    assert found.pop("edited_overlap") > 0  # the same report about another quarter
    assert found == {"overlap_labeled_test": 1, "overlap_labeled_unlabeled": 2, "duplicates": 2}


def test_arc_keeps_the_letter_e_and_reads_digits_as_positions_from_one() -> None:
    task, columns, result = imported("arc")
    assert task.kind == "multiple_choice"
    assert columns == Mapping("question", "answer", "options", "id")
    assert counts(result) == [(518, 518, 0, 0), (1554, 1554, 0, 0), (518, 518, 0, 0)]
    assert findings(result)["digit_answers"] == 26
    assert sum(record.answer == "E" for record in result.records) == 1
    unlabeled = {record.id: record for record in result.records if record.split == "unlabeled"}
    row_43 = next(record for record in unlabeled.values() if record.row == 43)
    assert dict(result.gold())[row_43.id] == "B"


def test_mmlu_overlaps_are_found_and_rows_with_repeated_options_are_listed() -> None:
    task, _, result = imported("mmlu")
    assert task.kind == "multiple_choice"
    assert counts(result) == [(2808, 2798, 1, 9), (8425, 8398, 7, 20), (2809, 2808, 1, 0)]
    found = findings(result)
    assert found["overlap_labeled_test"] == 9
    assert found["overlap_unlabeled_test"] == 20
    assert found["overlap_labeled_unlabeled"] == 23
    test = {record.content_hash for record in result.records if record.split == "test"}
    assert not any(record.content_hash in test for record in result.records if record.split != "test")
    assert {r.column for report in result.report.values() for r in report.rejects} == {"options"}
