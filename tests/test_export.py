"""What leaves the Studio is whole, exact, safe to open, and says where it came from."""

from __future__ import annotations

import csv
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from semievol.config import Policy
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.export import FORMS, export, report
from semievol.export.files import safe_cell, table, whole
from semievol.export.tables import pairs
from semievol.importing.build import build_records
from semievol.importing.readers.read import read_table
from semievol.importing.suggestions import suggest_mapping
from semievol.importing.table import Table
from semievol.importing.task_kind import infer_task
from semievol.presets import load
from semievol.records import Candidate, Record, Split, Task
from semievol.store.data import projects, versions
from semievol.store.database import open_store
from semievol.store.decisions import decisions
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from tests.exported import NASTY, TASK, World, lines
from tests.store.world import freeze


@pytest.mark.parametrize("place", ["file.csv/out.csv", f"{'a' * 300}/out.csv", f"{'a' * 300}.csv"])
def test_a_place_where_nothing_can_be_written_is_one_sentence(tmp_path: Path, place: str) -> None:
    (tmp_path / "file.csv").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be written"):
        table(tmp_path / place, [{"a": 1}])


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    assert table(tmp_path / f"{'a' * 251}.csv", [{"a": 1}]).read_bytes().splitlines() == [b"a", b"1"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "workspace")


@pytest.mark.parametrize("ending", [".jsonl", ".parquet", ".json"])
def test_questions_leave_letter_by_letter(world: World, tmp_path: Path, ending: str) -> None:
    read = read_table(world.export("candidates", tmp_path / f"c{ending}"))
    assert read.column("question") == list(NASTY)


def test_candidates_carry_measures_collaborators_answers_and_decisions_but_no_gold(
    world: World, tmp_path: Path
) -> None:
    rows = lines(world.export("candidates", tmp_path / "c.jsonl"))
    assert len(rows) == len(NASTY)
    assert rows[1]["decision"] == "edit"
    assert rows[1]["decided_answer"] == "water"
    assert rows[2]["answer_nll"] == pytest.approx(0.2)
    assert rows[2]["vote_entropy"] is None
    assert rows[0]["answer of warm-up alone"] == "road"
    assert not any("gold" in name for name in rows[0])


def test_a_selection_carries_its_passport(world: World, tmp_path: Path) -> None:
    rows = lines(world.export("selection", tmp_path / "s.jsonl"))
    assert [(row["record_id"], row["answer"], row["origin"]) for row in rows][:2] == [
        ("u0", "road", "pseudo"),
        ("u1", "water", "expert"),
    ]
    assert rows[1]["reviewer"] == "Ada"
    assert rows[0]["reviewer"] is None
    assert rows[0]["selection"] == 1
    assert rows[0]["policy"]["measure"] == "answer_nll"
    assert rows[0]["votes"]["warm-up alone"] == "road"
    assert rows[0]["content_hash"]


def test_every_training_example_carries_its_passport(world: World, tmp_path: Path) -> None:
    rows = lines(world.export("training", tmp_path / "t.jsonl"))
    passports = [json.loads(row["passport"]) for row in rows]
    by_origin = {passport["origin"]: passport for passport in passports}
    assert set(by_origin) == {"gold", "pseudo", "expert"}
    assert by_origin["expert"]["reviewer"] == "Ada"
    assert by_origin["pseudo"]["votes"]
    assert by_origin["pseudo"]["answer_nll"] is not None
    for passport in by_origin.values():
        assert (passport["round"], passport["selection"]) == (1, 1)
        assert passport["content_hash"]


def test_formula_cells_are_harmless_in_spreadsheets(world: World, tmp_path: Path) -> None:
    with world.export("candidates", tmp_path / "c.csv").open(encoding="utf-8", newline="") as stream:
        questions = [row["question"] for row in csv.DictReader(stream)]
    assert questions == ["'" + NASTY[0], *NASTY[1:4], "'" + NASTY[4], NASTY[5]]
    sheet = openpyxl.load_workbook(world.export("candidates", tmp_path / "c.xlsx")).active
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert any(cell.value == "'" + NASTY[0] for cell in cells)
    assert {cell.data_type for cell in cells} <= {"s", "n", "b", "inlineStr"}


@pytest.mark.parametrize("value", ["=1", "+a", "-a", "@x", "\tx", "\rx", "-1+1|x"])
def test_cells_that_could_be_formulas_are_prefixed(value: str) -> None:
    assert safe_cell(value) == f"'{value}"


@pytest.mark.parametrize("value", ["-3", "+4.5", "a=b", "", 3, None])
def test_other_cells_stay(value: object) -> None:
    assert safe_cell(value) == value


def test_training_data_as_chat_turns_with_gold_and_accepted_answers(world: World, tmp_path: Path) -> None:
    rows = lines(world.export("training", tmp_path / "t.jsonl"))
    assert [row["origin"] for row in rows] == ["gold"] * 4 + ["pseudo", "expert", "pseudo", "pseudo", "pseudo"]
    assert [turn["role"] for turn in rows[0]["messages"]] == ["system", "user", "assistant"]
    assert rows[0]["messages"][1]["content"] == "labeled 0\nAnswer with one of: road, water."
    assert "<|im_end|>" not in json.dumps([row["messages"] for row in rows])
    assert not any("test" in turn["content"] for row in rows for turn in row["messages"])


@pytest.mark.parametrize(("name", "form"), [("t.alpaca.json", None), ("t.json", "alpaca")])
def test_training_data_in_the_form_of_alpaca(world: World, tmp_path: Path, name: str, form: str | None) -> None:
    [first, *_] = json.loads(world.export("training", tmp_path / name, form=form).read_text(encoding="utf-8"))
    assert {key: first[key] for key in ("instruction", "input", "output", "system")} == {
        "instruction": "labeled 0\nAnswer with one of: road, water.",
        "input": "",
        "output": "road",
        "system": "Sort the message.",
    }


def test_training_data_in_the_form_of_sharegpt(world: World, tmp_path: Path) -> None:
    [first, *_] = lines(world.export("training", tmp_path / "t.sharegpt.jsonl"))
    assert [turn["from"] for turn in first["conversations"]] == ["human", "gpt"]


def test_training_data_for_openai_has_the_messages_alone(world: World, tmp_path: Path) -> None:
    rows = lines(world.export("training", tmp_path / "t.openai.jsonl"))
    assert {tuple(row) for row in rows} == {("messages",)}
    assert rows == [{"messages": row["messages"]} for row in lines(world.export("training", tmp_path / "t.jsonl"))]


@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet"])
def test_training_data_as_a_table_keeps_its_passports(world: World, tmp_path: Path, ending: str) -> None:
    told = lines(world.export("training", tmp_path / "t.jsonl"))
    path = world.export("training", tmp_path / f"t.{ending}")
    readers: dict[str, Any] = {"csv": pd.read_csv, "xlsx": pd.read_excel, "parquet": pd.read_parquet}
    frame = readers[ending](path)
    assert frame["passport"].tolist() == [row["passport"] for row in told]
    assert frame["answer"].tolist() == [row["answer"] for row in told]


def test_training_data_says_which_examples_were_too_long_to_be_trained_on(world: World, tmp_path: Path) -> None:
    assert "trained_on" not in lines(world.export("training", tmp_path / "before.jsonl"))[0]
    StoreJournal(world.store, world.run).selection()  # the run tunes on it
    checkpoints.seal(world.adapter(), {checkpoints.TOO_LONG: ["l1", "u2"]})
    rows = lines(world.export("training", tmp_path / "t.jsonl"))
    assert [row["record_id"] for row in rows if not row["trained_on"]] == ["l1", "u2"]


@pytest.mark.parametrize("name", ["t.jsonl", "t.alpaca.json", "t.sharegpt.jsonl", "t.csv", "t.parquet", "t.xlsx"])
def test_training_data_comes_back_through_our_own_import(world: World, tmp_path: Path, name: str) -> None:
    tables: dict[Split, Table] = {"labeled": read_table(world.export("training", tmp_path / name))}
    mapping = suggest_mapping(tables)
    imported = build_records(tables, mapping, infer_task(tables, mapping))
    told = [(r.question.removeprefix("'"), r.answer) for r in imported.records]
    # What a spreadsheet would take for a formula leaves with an apostrophe, in the formats that spreadsheets open, and
    # a workbook cannot hold control characters.
    escape = "\ufffd" if name.endswith("xlsx") else "\x1b"
    known = pairs(world.store, world.project, world.round, 1)
    assert told == [(record.question.replace("\x1b", escape), example.answer) for record, example in known]
    assert imported.task.kind == "classification"


def test_calibration_records_train_nothing(world: World, tmp_path: Path) -> None:
    held = Record("", "labeled 0", ()).content_hash
    settings = load("studio", assignments=["calibration=0.2"])
    opened = rounds.open_round(world.store, world.project.id, settings, held=[held])
    freeze(world.store, opened.id, Policy(), {"u5": "road"}, {})
    kept = lines(world.export("training", tmp_path / "paper.jsonl", round_id=world.round.id))
    assert sum(row["origin"] == "gold" for row in kept) == 4
    rows = lines(world.export("training", tmp_path / "studio.jsonl"))
    assert [row["record_id"] for row in rows] == ["l1", "l2", "l3", "u5"]


class Page(HTMLParser):
    """Collects the tags and the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "onerror")]


def test_the_report_is_one_page_without_scripts_links_or_paths(world: World, tmp_path: Path) -> None:
    text = world.export("report", tmp_path / "r.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    page = Page()
    page.feed(text)
    assert not page.tags & {"script", "img", "b", "i", "link", "iframe"}
    assert page.links == []
    assert "/home/" not in text
    assert "default-src 'none'" in text
    assert text.count("<svg") == text.count('role="img"') == 3
    assert 'aria-label="Right answers: Base 50.0 % (10.0 % to 90.0 %);' in text, "a figure is told in words, too"
    assert "&lt;script&gt;" in text


def test_the_settings_in_a_report_name_no_folder_and_no_machine(world: World) -> None:
    mine = world.round.config.propagation
    judge = mine.judge.model_copy(update={"model": "/home/alice/secret client/judge-7b"})
    config = world.round.config.model_copy(
        update={"cluster": "10.1.2.3:6379", "propagation": mine.model_copy(update={"judge": judge})}
    )
    shown = "".join(report._repeat(replace(world.round, config=config), None))
    assert "judge-7b" in shown
    assert not re.search("alice|secret|10.1.2.3", shown)


def test_the_report_says_what_can_be_claimed(world: World, tmp_path: Path) -> None:
    text = world.export("report", tmp_path / "r.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert (
        '<p class="lead">50.0 % right, and plain fine-tuning is right on the very same' in text[: text.index("<h2>")]
    ), "the result leads"
    words = re.sub(r"<[^>]+>|&nbsp;", " ", text)
    assert "Evolved: right on 50.0 % of the 2 test records" in words
    assert "The evolved model is right on the same test records as plain fine-tuning (mid-p McNemar" in words
    assert "The test set has only 2 records" in words
    assert "Selection 1 holds 5 of 6 candidates: 4 by the policy, 1 by decisions of experts" in words
    assert "80.0 % of those kept" in words


def test_the_report_counts_one_decision_for_a_record(world: World, tmp_path: Path) -> None:
    def told(name: str) -> str:
        text = world.export("report", tmp_path / f"{name}.html").read_text(encoding="utf-8").replace("\u00a0", " ")
        return text.partition("Decisions that count in this project: ")[2].partition("<")[0]

    about = (world.store, world.project.id, world.round.id, "u2")
    assert told("before") == "1 corrected."
    decisions.decide(*about, "accept", "water", reviewer="Ada")
    assert told("accepted") == "1 accepted, 1 corrected."
    decisions.decide(*about, "reject", "water", reviewer="Bob")
    assert told("rejected") == "1 corrected, 1 rejected."


def test_an_old_round_leaves_with_the_task_of_its_data(world: World, tmp_path: Path) -> None:
    newer = Task("classification", ("fire", "police"), instruction="Another question.")
    versions.store_version(world.store, world.project.id, [Record("x", "x", (), "fire", "labeled")], {}, [], [], newer)
    world.project = projects.find_project(world.store, world.project.id)
    rows = lines(world.export("training", tmp_path / "t.jsonl"))
    assert rows[0]["messages"][0]["content"] == "Sort the message."
    assert rows[0]["messages"][1]["content"].endswith("Answer with one of: road, water.")
    text = world.export("report", tmp_path / "r.html").read_text(encoding="utf-8")
    assert "road, water" in text
    assert "police" not in text


@pytest.mark.parametrize("kind", ["numeric", "text"])
def test_a_report_counts_an_unreadable_answer_as_wrong(tmp_path: Path, kind: str) -> None:
    store, task = open_store(tmp_path / "workspace"), Task(kind)  # type: ignore[arg-type]
    project = projects.create_project(store, "Sums", task)
    pool = [Record(f"u{i}", f"{i} + {i}?", (), None, "unlabeled", i) for i in range(2)]
    versions.store_version(store, project.id, pool, {"u0": "0", "u1": "2"}, [], [], task)
    round_ = rounds.open_round(store, project.id, load("studio"))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    StoreJournal(store, run).save_candidates([Candidate("u0", "0", True), Candidate("u1", None, False)])
    freeze(store, round_.id, Policy(), {"u0": "0"}, {})
    text = export(store, project, "report", tmp_path / "r.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "50.0 % of all candidates are right, and 100.0 % of those kept" in text
    rows = lines(export(store, project, "candidates", tmp_path / "c.jsonl"))
    assert [row["answer"] for row in rows] == ["0", None]


def test_an_existing_file_is_kept_unless_told_otherwise(world: World, tmp_path: Path) -> None:
    out = tmp_path / "c.csv"
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="already"):
        world.export("candidates", out)
    assert out.read_text(encoding="utf-8") == "mine"
    with whole(out, overwrite=True) as path:
        path.write_text("theirs", encoding="utf-8")
    assert out.read_text(encoding="utf-8") == "theirs"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"), whole(tmp_path / "x.csv") as path:
        (path / "no folder").write_text("half", encoding="utf-8")
    with pytest.raises(ValueError, match="JSON compliant"):
        table(tmp_path / "x.jsonl", [{"a": 1.0}, {"a": float("nan")}])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_gets_a_file_of_a_fitting_name(world: World, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert world.export("report", tmp_path / "out").name == "report.html"


def test_what_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    store = open_store(tmp_path / "workspace")
    project = projects.create_project(store, "Empty", TASK)
    for what in FORMS:
        with pytest.raises(UserError) as caught:
            export(store, project, what, tmp_path / "x.csv")
        assert caught.value.remedy
    assert not (tmp_path / "x.csv").exists()


def test_an_unknown_ending_names_the_known_ones(world: World, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no format"):
        world.export("candidates", tmp_path / "c.pickle")
