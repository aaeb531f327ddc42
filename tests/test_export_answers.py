"""The answers as a table for people: what is kept, who decided, and what became of every other record."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest

from semievol.config import Policy
from semievol.errors import UserError
from semievol.export import export
from semievol.importing.readers.read import read_table
from semievol.presets import load
from semievol.records import Candidate, Record, Task
from semievol.store.data import projects, versions
from semievol.store.database import open_store
from semievol.store.decisions import decisions
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from tests.exported import NASTY, World, lines
from tests.store.world import freeze


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "workspace")


def test_every_kept_record_has_its_answer_its_confidence_and_who_decided(world: World, tmp_path: Path) -> None:
    rows = lines(world.export("answers", tmp_path / "a.jsonl"))
    assert [row["record_id"] for row in rows] == ["u0", "u1", "u2", "u3", "u4"]
    assert [row["question"] for row in rows] == list(NASTY[:5])
    first, second = rows[:2]
    assert (first["answer"], first["confidence"]) == ("road", 1.0)
    assert (first["decided_by"], first["decided_at"]) == ("policy", None)
    assert (second["answer"], second["confidence"], second["decided_by"]) == ("water", None, "Ada")
    assert datetime.fromisoformat(second["decided_at"]).tzinfo is not None
    assert rows[2]["confidence"] == pytest.approx(0.8187)
    assert "gold" not in first


def test_what_became_of_every_record_is_said(world: World, tmp_path: Path) -> None:
    decisions.decide(world.store, world.project.id, world.round.id, "u5", "reject", "road", note="no", reviewer="Bo")
    rows = lines(world.export("all_answers", tmp_path / "a.jsonl"))
    assert [row["status"] for row in rows] == ["kept"] * 5 + ["set aside: rejected"]
    assert (rows[5]["answer"], rows[5]["confidence"]) == (None, None)
    assert (rows[5]["decided_by"], rows[5]["note"]) == ("Bo", "no")
    decisions.decide(world.store, world.project.id, world.round.id, "u5", "ambiguous", None, reviewer="Bo")
    last = lines(world.export("all_answers", tmp_path / "b.jsonl"))[5]
    assert (last["answer"], last["status"], last["decided_by"]) == (None, "set aside: none fits", "Bo")


def test_without_a_selection_nothing_is_kept_yet(tmp_path: Path) -> None:
    store, task = open_store(tmp_path / "workspace"), Task("multiple_choice")
    project = projects.create_project(store, "Open", task)
    pool = [Record(f"u{i}", f"Which {i}?", ("this", "that"), None, "unlabeled", i, f"mine-{i}") for i in range(2)]
    versions.store_version(store, project.id, pool, {}, [], [], task)
    round_ = rounds.open_round(store, project.id, load("studio"))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, 1)
    journal = StoreJournal(store, run)
    journal.save_candidates([Candidate("u0", "B", True, {"answer_nll": 0.1}), Candidate("u1", None, False)])
    rows = lines(export(store, project, "all_answers", tmp_path / "a.jsonl"))
    assert [(r["id"], r["answer"], r["answer_text"], r["status"]) for r in rows] == [
        ("mine-0", "B", "that", "not selected yet"),
        ("mine-1", None, None, "undecided"),
    ]
    with pytest.raises(UserError, match="a frozen selection"):
        export(store, project, "answers", tmp_path / "b.jsonl")
    freeze(store, round_.id, Policy(), {"u0": "B"}, {})
    assert len(lines(export(store, project, "answers", tmp_path / "b.jsonl"))) == 1


def test_excel_reads_the_csv_as_utf_8_and_runs_no_formula(world: World, tmp_path: Path) -> None:
    path = world.export("answers", tmp_path / "a.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        first = next(csv.DictReader(stream))
    assert list(first)[:3] == ["id", "question", "answer"]
    assert first["question"] == "'" + NASTY[0]
    assert read_table(path).column("answer") == ["road", "water", "road", "road", "road"]
    assert not world.export("candidates", tmp_path / "c.csv").read_bytes().startswith(b"\xef")


def test_a_folder_gets_a_workbook(world: World, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    path = world.export("answers", tmp_path / "out")
    assert path.name == "answers.xlsx"
    sheet = openpyxl.load_workbook(path).active
    assert sheet.freeze_panes == "A2"
    assert sheet.column_dimensions["B"].width > sheet.column_dimensions["C"].width >= 6
    assert [cell.value for cell in sheet[2]][1:3] == ["'" + NASTY[0], "road"]
