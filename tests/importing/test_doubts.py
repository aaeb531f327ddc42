"""What an import takes for granted and changes what records mean is said, and refused by --strict unless confirmed."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from semievol.errors import UserError
from semievol.importing import import_report
from semievol.importing.findings import Correction
from semievol.importing.imported import Imported
from semievol.importing.mapping import Mapping
from semievol.importing.readers.overrides import ReadAs
from semievol.importing.readers.read import read_table
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.importing.task_kind import infer_task
from semievol.jobs.intake import prepare
from semievol.records import Split
from tests.importing.files import csv_bytes, parquet_bytes

TEXTS = [f"some text of some words, number {i}" for i in range(24)]


def tables(**columns: list[str]) -> dict[Split, Table]:
    rows = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    pool = [[name for name in columns if name not in ("label", "answer")]]
    pool += [[f"{cell} more" for name, cell in zip(columns, row, strict=True) if name in pool[0]] for row in rows[1:]]
    return {"labeled": read_table(csv_bytes(rows), "a.csv"), "unlabeled": read_table(csv_bytes(pool), "b.csv")}


def asked(found: Imported) -> list[str]:
    return [one.kind for one in found.findings if one.asks]


def of(**columns: list[str]) -> Imported:
    return prepare(tables(**columns))


def test_labels_that_are_numbers_are_a_doubt_until_they_have_names() -> None:
    given = tables(text=TEXTS, label=[*"0012"] * 6)
    assert asked(prepare(given)) == ["number_labels"]
    with pytest.raises(UserError, match="number_labels"):
        prepare(given, strict=True)
    assert prepare(given, strict=True, confirmed=["number_labels"]).task.labels == ("0", "1", "2")
    found = prepare(given, strict=True, labels="bad, so so, good")
    assert found.task.labels == ("bad", "so so", "good")
    assert [record.answer for record in found.records[:4]] == ["bad", "bad", "so so", "good"]


@pytest.mark.parametrize(
    ("labels", "says"), [("a,b", "numbers from 0 to 2"), ("a,a,b", "different"), ("a", "different")]
)
def test_names_that_do_not_fit_the_numbers_are_refused(labels: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        prepare(tables(text=TEXTS, label=[*"0012"] * 6), labels=labels)


def test_names_of_labels_count_from_one_where_none_is_zero() -> None:
    found = prepare(tables(text=TEXTS, label=[*"1123"] * 6), labels="a,b,c")
    assert [record.answer for record in found.records[:4]] == ["a", "a", "b", "c"]


def test_labels_that_are_given_are_the_label_set() -> None:
    found = prepare(tables(text=TEXTS, label=["x", "y", "z", "y"] * 6), labels="y,x")
    assert found.task.labels == ("y", "x")
    assert found.report["labeled"].rejected == 6


def test_numbers_that_do_not_count_need_a_name_each() -> None:
    given = tables(text=TEXTS, label=["-1", "0", "1.0", "-1"] * 6)
    assert asked(prepare(given)) == ["number_labels"]
    found = prepare(given, labels="bad,so so,good")
    assert [record.answer for record in found.records[:4]] == ["bad", "so so", "good", "bad"]


def test_signs_as_labels_are_a_doubt() -> None:
    assert asked(of(text=TEXTS, label=["x", "y", "-", "x"] * 6)) == ["sign_labels"]


def test_answers_that_are_nearly_all_numbers_are_a_doubt() -> None:
    numbers = [str(3 * i) for i in range(23)]
    found = of(text=TEXTS, answer=[*numbers, "about ten"])
    assert (found.task.kind, asked(found)) == ("text", ["nearly_numbers"])
    assert asked(of(text=TEXTS, answer=[f"{i} {'kg' if i % 2 else 'g'}" for i in range(24)])) == ["nearly_numbers"]
    assert of(text=TEXTS, answer=[f"{i} kg" for i in range(24)]).task.kind == "numeric"


def test_files_without_names_find_each_other_whatever_the_order_of_their_columns() -> None:
    labeled = "".join(f"{'xy'[i % 2]}\tTitle {i} of it\t{text}\n" for i, text in enumerate(TEXTS))
    pool = "".join(f"some other text of number {i}\n" for i in range(24))
    given: dict[Split, Table] = {
        "labeled": read_table(labeled.encode(), "a.tsv"),
        "unlabeled": read_table(pool.encode(), "b.tsv"),
    }
    found = prepare(given)
    assert found.mapping == Mapping("column 3", "column 1")
    assert [(record.question, record.answer) for record in found.records[:1]] == [(TEXTS[0], "x")]
    assert found.report["unlabeled"].accepted == 24
    assert asked(found) == ["no_header", "no_header", "columns_matched", "left_out_text"]


@pytest.mark.parametrize("header", [None, "no"])
def test_a_pool_without_names_beside_a_labeled_file_without_names_keeps_its_first_record(header: str | None) -> None:
    """The pool lacks the class, the first column; its titles are no hidden gold."""
    pairs = [[f"Title {i} of {i % 5}", f"{text}, which was told at length."] for i, text in enumerate(TEXTS)]
    labeled = csv_bytes([[str(i % 4 + 1), *pair] for i, pair in enumerate(pairs[:12])])
    pool = csv_bytes([["Bank raises outlook", "Lending to small firms grew faster than in spring."], *pairs[12:]])
    read_as = ReadAs(header=header)
    given: dict[Split, Table] = {
        "labeled": read_table(labeled, "a.csv", read_as),
        "unlabeled": read_table(pool, "b.csv", read_as),
    }
    found = prepare(given)
    assert (found.mapping, found.report["unlabeled"].accepted) == (Mapping("column 3", "column 1"), 13)
    first = next(record for record in found.records if record.split == "unlabeled")
    assert (first.row, first.question) == (1, "Lending to small firms grew faster than in spring.")
    told = {one.kind: one for one in found.findings if one.counts.keys() == {"unlabeled"}}
    assert told["columns_matched"].what.endswith("taken for: column 2, column 3.")
    assert ("no_header" in told, "unlabeled_answers" in told) == (header is None, False)


def test_names_of_a_pool_stay_names_beside_a_labeled_file_without_names() -> None:
    labeled = csv_bytes([[str(i % 4 + 1), text] for i, text in enumerate(TEXTS)])
    for name in ("text", "Satz"):
        pool = csv_bytes([[name], *([f"{text} again"] for text in TEXTS)])
        given: dict[Split, Table] = {"labeled": read_table(labeled, "a.csv"), "unlabeled": read_table(pool, "b.csv")}
        assert prepare(given).report["unlabeled"].accepted == 24


def test_many_classes_are_labels_where_they_repeat_and_else_a_doubt() -> None:
    texts = [f"text {i} has words" for i in range(231)]
    labels = prepare(tables(text=texts, label=[f"class {i % 77}" for i in range(231)]))
    assert len(labels.task.labels) == 77
    assert asked(labels) == []
    given = tables(text=texts, label=[f"class {i % 120}" for i in range(231)])
    found = prepare(given)
    assert (found.task.kind, asked(found)) == ("text", ["many_classes"])
    assert [one.correction for one in found.findings if one.asks] == [
        Correction("task", "classification", "They are labels")
    ]
    assert prepare(given, kind="text", strict=True).task.kind == "text"
    assert of(text=texts, answer=[f"it is answer number {i}" for i in range(231)]).task.kind == "text"


@pytest.mark.parametrize(
    ("names", "mapping"),
    [
        (("sentence1", "sentence2"), Mapping("sentence2", "label", context="sentence1")),
        (("sentence_A", "sentence_B"), Mapping("sentence_B", "label", context="sentence_A")),
        (("question1", "question2"), Mapping("question2", "label", context="question1")),
        (("text_a", "text_b"), Mapping("text_b", "label", context="text_a")),
        (("question", "sentence"), Mapping("question", "label", context="sentence")),
        (("premise", "hypothesis"), Mapping("hypothesis", "label", context="premise")),
        (("#1 String", "#2 String"), Mapping("#2 String", "label", context="#1 String")),
    ],
)
def test_both_sentences_of_a_pair_belong_to_the_question(names: tuple[str, str], mapping: Mapping) -> None:
    given = tables(**dict(zip(names, (TEXTS, [f"{text} again" for text in TEXTS]), strict=True)), label=[*"xyz"] * 8)
    assert suggest_mapping(given) == mapping
    found = prepare(given, strict=True)
    assert found.records[0].question == f"{TEXTS[0]}\n\n{TEXTS[0]} again" or mapping.question == "question"
    assert asked(found) == []


def test_a_text_that_no_model_reads_is_a_doubt() -> None:
    found = of(title=[f"{text}?" for text in TEXTS], text=TEXTS, label=[*"xyz"] * 8)
    assert asked(found) == ["left_out_text"]
    assert [one.correction for one in found.findings if one.asks] == [
        Correction("context", "title", 'Put "title" before the question')
    ]
    assert prepare(
        tables(title=TEXTS, text=TEXTS, label=[*"xyz"] * 8), mapping="question=text,answer=label", strict=True
    )


def test_an_answer_that_no_name_tells_is_a_doubt_where_others_look_alike() -> None:
    guessed = of(text=TEXTS, source=[*"xyz"] * 8, queue=[*"ab"] * 12)
    assert asked(guessed) == ["answer_guessed"]
    assert 'guessed to be "source"; it could also be: "queue"' in guessed.findings[0].what
    assert guessed.findings[0].correction == Correction("answer", "queue", 'Take "queue"')
    assert asked(of(text=TEXTS, source=[*"xyz"] * 8, label=[*"ab"] * 12)) == []
    assert asked(of(text=TEXTS, queue=[*"ab"] * 12)) == []


def test_a_score_that_only_the_labeled_file_has_is_the_answer_without_a_doubt() -> None:
    given = tables(text=TEXTS, score=["low", "high"] * 12, kind=["a", "b"] * 12)
    assert "answer_guessed" in asked(prepare(given))
    pool = csv_bytes([["text", "kind"], *([f"{text} more", "a"] for text in TEXTS)])
    assert "answer_guessed" not in asked(prepare({**given, "unlabeled": read_table(pool, "b.csv")}))


def test_a_label_without_a_letter_is_a_doubt() -> None:
    assert asked(of(text=TEXTS, label=["yes", "no", "-"] * 8)) == ["sign_labels"]
    assert asked(of(text=TEXTS, label=["+", "-"] * 12)) == []


def test_a_nested_column_as_a_question_is_a_doubt() -> None:
    nested = [json.dumps({"body": {"words": text}}) for text in TEXTS]
    assert asked(of(text=nested, label=[*"xyz"] * 8)) == ["nested_text"]


def test_nested_cells_that_cannot_be_read_are_a_doubt_too() -> None:
    printed = [f"{{'body': <Words {text}>}}" for text in TEXTS]
    assert asked(of(text=printed, label=[*"xyz"] * 8)) == ["nested_text"]


def test_several_labels_in_one_cell_are_a_doubt() -> None:
    assert asked(of(text=TEXTS, label=["red", "blue", "red, blue", "red"] * 6)) == ["joined_labels"]
    assert asked(of(text=TEXTS, label=["red", "blue", "red#urgent", "red"] * 6)) == ["joined_labels"]
    assert asked(of(text=TEXTS, label=["red, dark", "blue, dark", "red, light"] * 8)) == []


def test_a_first_record_without_an_id_may_be_a_second_row_of_names() -> None:
    ids = [str(i) for i in range(24)]
    assert asked(of(id=["", *ids[1:]], text=TEXTS, label=[*"ab"] * 12)) == ["second_header"]
    assert asked(of(id=["", *ids[2:], ""], text=TEXTS, label=[*"ab"] * 12)) == []


def test_lists_of_answers_to_open_questions_are_a_doubt() -> None:
    answers = [json.dumps([f"first answer {i}", f"other answer {i}"]) for i in range(24)]
    assert "answer_lists" in asked(of(text=TEXTS, answer=answers))


def test_rejected_rows_can_be_confirmed() -> None:
    given = tables(text=TEXTS, label=["x", "y", "", "y"] * 6)
    with pytest.raises(UserError, match=r"6 labeled records \(rejected\)"):
        prepare(given, strict=True)
    assert prepare(given, strict=True, confirmed=["rejected"]).report["labeled"].accepted == 18


def parquet(features: object, labels: list[int | None]) -> Table:
    table = pa.table({"text": TEXTS, "label": labels})
    about = {"huggingface": json.dumps({"info": {"features": features}})}
    out = parquet_bytes(table.replace_schema_metadata(about))
    return read_table(out, "a.parquet")


NAMED = {"text": {"dtype": "string", "_type": "Value"}, "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}


def test_class_labels_of_a_parquet_file_have_the_names_that_its_schema_holds() -> None:
    table = parquet(NAMED, [0, 1, -1, None, *[1] * 20])
    assert table.column("label")[:5] == ["neg", "pos", None, None, "pos"]
    assert any("label" in note and "names" in note for note in table.notes)
    assert infer_task({"labeled": table}, Mapping("text", "label")).labels == ("neg", "pos")
    rare = parquet({"label": {"names": ["a", "b", "c"], "_type": "ClassLabel"}}, [0, 1] * 12)
    assert infer_task({"labeled": rare}, Mapping("text", "label")).labels == ("a", "b", "c")


@pytest.mark.parametrize("features", [{"label": {"dtype": "int64", "_type": "Value"}}, [], {"label": 3}, None])
def test_other_numbers_of_a_parquet_file_stay_numbers(features: object) -> None:
    assert parquet(features, [0, 1] * 12).column("label")[:2] == ["0", "1"]


def test_what_was_understood_is_told() -> None:
    found = of(text=TEXTS, label=[*"xyz"] * 8)
    as_dict = import_report.as_dict(found)
    assert {split: part["mapping"] for split, part in as_dict["splits"].items()} == {
        "labeled": {"question": "text", "answer": "label"},
        "unlabeled": {"question": "text"},
    }
    turns = [{"role": "user", "content": f"{TEXTS[0]}\nAnswer with one of: x, y, z."}]
    assert as_dict["record"] == {"split": "labeled", "row": 2, "turns": turns, "answer": "x"}
    lines = "\n".join(import_report.sentences(found))
    assert "labeled columns: question=text, answer=label" in lines
    assert f"[user] {TEXTS[0]}\n      Answer with one of: x, y, z.\n    [answer] x" in lines


def test_a_pool_without_the_instruction_of_the_labeled_records_is_a_doubt() -> None:
    labeled = [{"instruction": "Rate it.", "input": text, "output": "xyz"[i % 3]} for i, text in enumerate(TEXTS)]
    pool = [{"input": f"{text} more"} for text in TEXTS]
    given: dict[Split, Table] = {
        "labeled": read_table(json.dumps(labeled).encode(), "a.json"),
        "unlabeled": read_table(json.dumps(pool).encode(), "b.json"),
    }
    found = prepare(given)
    assert found.records[0].question == f"Rate it.\n\n{TEXTS[0]}"
    assert asked(found) == ["no_instruction"]


def test_a_question_that_no_name_tells_is_a_doubt_where_other_columns_hold_texts() -> None:
    found = of(part=TEXTS, note=[f"{text} {text}" for text in TEXTS], label=["a", "b"] * 12)
    (one,) = [finding for finding in found.findings if finding.kind == "question_guessed"]
    assert (found.mapping.question, one.correction) == ("part", Correction("question", "note", 'Take "note"'))
    assert one.option == "--map question=note,answer=label"
    assert "question_guessed" not in asked(of(text=TEXTS, note=TEXTS[::-1], label=["a", "b"] * 12))


def test_labels_with_commas_are_told() -> None:
    found = of(text=TEXTS, label=["bills, money", "other"] * 12)
    assert ("comma_labels", 12, False) in [(one.kind, one.count, one.asks) for one in found.findings]
