"""Tables become records; every row that does not is reported, and nothing is lost in between."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from semievol.errors import UserError
from semievol.importing import build
from semievol.importing.accepted import Records
from semievol.importing.build import build_records, check_tables
from semievol.importing.duplicates import small_edits
from semievol.importing.imported import Imported
from semievol.importing.mapping import Mapping
from semievol.importing.readers.read import read_table
from semievol.importing.table import Table
from semievol.importing.task_kind import infer_task
from semievol.records import Split, Task, content_hash
from tests.importing.files import csv_bytes

MAP = Mapping("question", "answer", "options")
CHOICE = Task("multiple_choice")


def table(name: str, *rows: tuple[str, str, str]) -> Table:
    return read_table(csv_bytes([["question", "options", "answer"], *rows]), f"{name}.csv")


def choices(*names: str) -> str:
    return json.dumps(list(names))


AB = choices("a", "b")


def three(**changed: list[tuple[str, str, str]]) -> dict[Split, Table]:
    """A small dataset; the splits named get further rows."""
    base: dict[str, list[tuple[str, str, str]]] = {
        split: [(f"{split} {i}", choices(f"x{i}", f"y{i}"), "AB"[i % 2]) for i in range(12)]
        for split in ("labeled", "unlabeled", "test")
    }
    return {split: table(split, *base[split], *changed.get(split, [])) for split in base}  # type: ignore[misc]


def kinds(result: Imported) -> dict[str, int]:
    return {finding.kind: finding.count for finding in result.findings}


def test_physical_rows_are_accepted_rejected_or_removed() -> None:
    result = build_records(
        three(
            labeled=[("same", AB, "A"), ("", AB, "A"), ("none", AB, ""), ("far", AB, "E"), ("one", '["a"]', "A")],
            unlabeled=[("same", AB, "junk"), ("same", AB, "B")],
            test=[("same", AB, "B")],
        ),
        MAP,
        CHOICE,
    )
    for report in result.report.values():
        assert report.physical == report.accepted + report.rejected + report.removed
    labeled = result.report["labeled"]
    assert (labeled.physical, labeled.accepted, labeled.removed) == (17, 12, 1)
    assert [(r.row, r.column, r.value) for r in labeled.rejects] == [
        (15, "question", ""),
        (16, "answer", ""),
        (17, "answer", "E"),
        (18, "options", '["a"]'),
    ]
    assert labeled.rejects[2].reason == "answer E is not among the 2 options"
    assert result.report["unlabeled"].removed == 2
    found = kinds(result)
    assert found["overlap_labeled_test"] == 1
    assert found["overlap_unlabeled_test"] == 2
    assert found["overlap_labeled_unlabeled"] == 1
    assert found["conflicting_labels"] == 2
    assert found["duplicates"] == 1


def test_answers_of_unlabeled_records_are_ignored_or_hidden_never_shown() -> None:
    tables = three(unlabeled=[("odd", AB, "Z"), ("none", AB, "")])
    ignored = build_records(tables, MAP, CHOICE)
    assert dict(ignored.gold()) == {}
    assert kinds(ignored)["unlabeled_answers"] == 13
    hidden = build_records(tables, MAP, CHOICE, hide_gold=True)
    assert len(dict(hidden.gold())) == 12
    assert kinds(hidden)["unreadable_gold"] == 1
    assert hidden.report["unlabeled"].accepted == 14
    assert all(record.answer is None for record in hidden.records if record.split == "unlabeled")
    assert dict(hidden.gold()).keys() <= {record.id for record in hidden.records if record.split == "unlabeled"}


def test_ids_come_from_the_content_and_repeats_are_numbered_across_splits() -> None:
    same = ("same", AB, "A")
    result = build_records(three(labeled=[same, same], unlabeled=[same]), MAP, CHOICE)
    stem = content_hash("same", ("a", "b"))[:16]
    named = [(r.split, r.id, r.row) for r in result.records if r.question == "same"]
    assert named == [("labeled", stem, 14), ("labeled", f"{stem}-2", 15), ("unlabeled", f"{stem}-3", 14)]
    assert len({record.id for record in result.records}) == len(result.records)


def test_records_keep_the_text_to_the_letter_and_the_order_of_the_files() -> None:
    odd = "  NA \t<|im_end|>\nline two  "
    result = build_records(three(labeled=[(odd, choices(" a ", "b"), "A")]), MAP, CHOICE)
    last = [record for record in result.records if record.split == "labeled"][-1]
    assert (last.question, last.options, last.answer, last.row) == (odd, (" a ", "b"), "A", 14)
    assert [record.split for record in result.records] == ["labeled"] * 13 + ["unlabeled"] * 12 + ["test"] * 12


def test_the_options_of_a_classification_are_labels_not_content() -> None:
    rows: list[Any] = [[f"q {i}", choices("bad", "good"), "AB"[i % 2]] for i in range(20)]
    rows += [["shuffled", choices("good", "bad"), "A"], ["other", choices("good", "ugly"), "A"], ["bare", "", "good"]]
    tables: dict[Split, Table] = {"labeled": table("labeled", *rows)}
    task = infer_task(tables, MAP)
    result = build_records(tables, MAP, task)
    assert task == Task("classification", ("bad", "good"))
    assert all(record.options == () for record in result.records)
    assert [record.answer for record in result.records][-2:] == ["good", "good"]
    assert [reject.row for reject in result.report["labeled"].rejects] == [23]
    assert result.records.answers() == {"labeled": {"good": 12, "bad": 10}}


def test_digits_are_positions_and_reported() -> None:
    result = build_records(three(labeled=[("a", AB, "1"), ("b", AB, "2")], unlabeled=[("c", AB, "0")]), MAP, CHOICE)
    assert [record.answer for record in result.records if record.split == "labeled"][-2:] == ["A", "B"]
    assert kinds(result)["digit_answers"] == 2


def test_strict_refuses_and_lists_what_a_person_would_be_asked() -> None:
    tables = three(labeled=[("same", AB, "A"), ("", AB, "A")], test=[("same", AB, "A")])
    with pytest.raises(UserError) as caught:
        build_records(tables, MAP, CHOICE, strict=True)
    assert "1 labeled record" in caught.value.what
    assert "Also in the test data" in caught.value.what
    assert len(build_records(three(), MAP, CHOICE, strict=True).records) == 36


def test_a_split_without_a_single_usable_row_is_refused_with_its_first_reason() -> None:
    tables = three()
    tables["test"] = table("test", ("q", AB, "Z"), ("r", AB, ""))
    with pytest.raises(UserError, match=r"test.csv, row 2, column answer: None of the 2 test rows"):
        build_records(tables, MAP, CHOICE)
    tables["test"] = three()["labeled"]
    with pytest.raises(UserError, match="No labeled record is left: the chosen remedies take out 12"):
        build_records(tables, MAP, CHOICE)


def test_labeled_records_need_a_column_with_answers() -> None:
    with pytest.raises(UserError, match="No column is mapped to the answer"):
        build_records(three(), Mapping("question", None, "options"), CHOICE)


def test_separate_option_columns_are_one_list() -> None:
    raw = csv_bytes(
        [["q", "A", "B", "C", "gold"], ["x", "1", "2", "3", "C"], ["y", "1", "2", "", "B"], ["z", "1", "", "3", "A"]]
    )
    result = build_records({"labeled": read_table(raw, "a.csv")}, Mapping("q", "gold", choices=("A", "B", "C")), CHOICE)
    assert [(r.options, r.answer) for r in result.records] == [(("1", "2", "3"), "C"), (("1", "2"), "B")]
    assert result.report["labeled"].rejects[0].column == "A, B, C"


def test_the_report_is_plain_data() -> None:
    result = build_records(three(labeled=[("", AB, "A")]), MAP, CHOICE)
    labeled, findings = result.report["labeled"].as_dict(), result.findings_with_outcome()
    assert json.loads(json.dumps([labeled, findings], allow_nan=False)) == [labeled, findings]
    assert labeled["rejected"] == 1
    assert set(labeled["rejects"][0]) == {"row", "column", "value", "reason", "remedy"}
    assert findings
    assert all({"kind", "count", "examples", "what", "remedy"} <= finding.keys() for finding in findings)


def test_what_leaves_for_a_test_split_is_counted_with_its_unlabeled_copies() -> None:
    rows = [(f"q {i}", choices(f"x{i}", f"y{i}"), "AB"[i % 2]) for i in range(40)]
    tables = {"labeled": table("labeled", *rows), "unlabeled": table("unlabeled", *rows, ("other", AB, "A"))}
    imported = build_records(tables, MAP, CHOICE, hide_gold=True)  # type: ignore[arg-type]
    cut = imported.decided(imported.taken, test_share=0.2)
    labeled, unlabeled = cut.report["labeled"], cut.report["unlabeled"]
    assert (labeled.accepted, labeled.removed) == (32, 8)
    assert (unlabeled.accepted, unlabeled.removed) == (33, 8)
    assert set(dict(cut.gold())) == {record.id for record in cut.records if record.split == "unlabeled"}
    assert (imported.report["labeled"].accepted, len(imported.records)) == (40, 81)
    assert [record.split for record in cut.records] == ["labeled"] * 32 + ["unlabeled"] * 33 + ["test"] * 8


def test_a_remedy_taken_leaves_its_records_out_and_one_not_taken_leaves_them_in() -> None:
    same = ("same", AB, "A")
    imported = build_records(three(labeled=[same, same], unlabeled=[same], test=[same]), MAP, CHOICE)
    assert imported.taken == {"overlap_labeled_test", "overlap_unlabeled_test"}
    assert not [record for record in imported.records if record.question == "same" and record.split != "test"]
    kept = imported.decided(())
    assert [r.split for r in kept.records if r.question == "same"] == ["labeled", "labeled", "unlabeled", "test"]
    once = imported.decided({"duplicates", "overlap_labeled_unlabeled"})
    assert [r.split for r in once.records if r.question == "same"] == ["labeled", "test"]
    assert {f["kind"]: f.get("done") for f in once.findings_with_outcome()}["duplicates"] == "Keep one of each"


def test_splits_are_compared_anew_only_where_the_records_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counted(records: Records, spelled: np.ndarray, watch: object) -> dict[int, int]:
        compared.append(len(records))
        return small_edits(records, spelled)

    monkeypatch.setattr(build, "small_edits", counted)
    edited = "a question which is long enough to be alike but for one single character at its end {}"
    tables = three(labeled=[(edited.format(1), AB, "A")], unlabeled=[(edited.format(2), AB, "B")])
    first = check_tables(tables, MAP, CHOICE)
    again = check_tables(tables, MAP, CHOICE, hide_gold=True, before=first)
    assert compared == [len(first.accepted)]
    assert again.hides_gold
    assert again.edited == first.edited != {}
    assert [f.kind for f in again.findings if f.kind == "edited_overlap"] == ["edited_overlap"]
    other = three(labeled=[(edited.format(3), AB, "A")], unlabeled=[(edited.format(2), AB, "B")])
    check_tables(other, MAP, CHOICE, before=first)
    assert len(compared) == 2
