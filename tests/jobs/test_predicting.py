"""New records are answered with a project's model: every column comes back, and a failure leaves no file."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from semievol.config import VOTERS
from semievol.errors import UserError
from semievol.jobs.predicting import predict
from semievol.method import voters
from semievol.method.protocols import Plan
from semievol.records import Record
from semievol.store.data import records, versions
from semievol.store.runs.journal import StoreJournal
from tests.exported import World
from tests.fakes import FakeEngine

pytestmark = pytest.mark.usefixtures("read_here")

LINES = ["a hole in the road", "water runs down the hill", "=SUM(A1)", " ", "road " * 99]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "workspace")
    made.adapter()
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "new.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["nr", "question"], *([f"n{i}", text] for i, text in enumerate(LINES))])
    return path


def predicted(world: World, file: Path, out: Path, engine: FakeEngine | None = None, **options: Any) -> dict[str, Any]:
    fake = engine or FakeEngine()
    # The base is named by a folder of another machine, which only a real engine would read.
    return predict(world.store, world.project, file, out, start_engine=lambda *_: fake, **options)


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semievol.jobs.planning.check_model", lambda name: None)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a table, read by other programs than the one that wrote it."""
    if path.suffix == ".xlsx":
        head, *rows = openpyxl.load_workbook(path, read_only=True)["export"].iter_rows(values_only=True)
        return [dict(zip(head, row, strict=True)) for row in rows]
    if path.suffix == ".parquet":
        return list(pd.read_parquet(path).T.to_dict().values())
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if path.suffix == ".json":
        return list(json.loads(path.read_text("utf-8")))
    return list(pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",").T.to_dict().values())


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet", "xlsx"])
def test_every_record_comes_back_with_its_own_columns_and_the_answer(
    world: World, file: Path, tmp_path: Path, ending: str
) -> None:
    told = predicted(world, file, tmp_path / f"out.{ending}", FakeEngine(reads=300))
    assert (told["records"], told["answered"], told["round"], told["model"]) == (5, 3, 1, "evolved")
    rows = read(tmp_path / f"out.{ending}")
    assert list(rows[0]) == ["nr", "question", "answer", "probability", "entropy", "note"]
    assert [row["nr"] for row in rows] == ["n0", "n1", "n2", "n3", "n4"]
    assert {row["answer"] for row in rows[:3]} <= {"road", "water"}
    assert all(0.5 <= row["probability"] <= 1 and 0 <= row["entropy"] <= 1 for row in rows[:3])
    assert rows[2]["question"] == ("'=SUM(A1)" if ending in ("csv", "tsv", "xlsx") else "=SUM(A1)")
    assert [row["note"] for row in rows[3:]] == ["The question is empty.", "The record is too long for the model."]
    assert [(one["row"], one["reason"]) for one in told["not_answered"]] == [
        (5, "The question is empty."),
        (6, "The record is too long for the model."),
    ]


def test_demonstrations_are_shown_and_as_many_as_fit(world: World, file: Path, tmp_path: Path) -> None:
    plain, shown = FakeEngine(), FakeEngine()
    predicted(world, file, tmp_path / "plain.csv", plain, model="base")
    predicted(world, file, tmp_path / "shown.csv", shown, model="base", demonstrations=True)
    assert {len(ask.messages) for ask in plain.asked} == {2}
    assert {len(ask.messages) for ask in shown.asked} == {2 + 2 * 3}
    assert {ask.model for ask in shown.asked} == {"base"}
    tight = FakeEngine(reads=170)
    assert predicted(world, file, tmp_path / "tight.csv", tight, demonstrations=True)["shortened"] == 3


def test_in_the_ensemble_the_simple_models_count_with_their_weights(file: Path, tmp_path: Path) -> None:
    mine = [{"name": "alone", "demonstrations": False}]
    mine += [{"name": how, "model": how, "demonstrations": False} for how in ("neighbours", "regression")]
    world = World(tmp_path / "workspace", f"propagation.collaborators={json.dumps(mine)}")
    world.adapter()
    frozen = StoreJournal(world.store, world.run).selection()
    assert frozen is not None
    alone, voted = FakeEngine(), FakeEngine()
    assert not predicted(world, file, tmp_path / "alone.csv", alone)["ensemble"]
    assert predicted(world, file, tmp_path / "ensemble.csv", voted, ensembled=True)["ensemble"]
    assert [ask.messages for ask in voted.asked] == [ask.messages for ask in alone.asked]
    version = versions.get_version(world.store, world.round.version_id)
    labeled = records.load_records(world.store, version.id, "labeled")
    pool = records.load_records(world.store, version.id, "unlabeled")
    learned = [*labeled, *(replace(r, answer=frozen.answers[r.id]) for r in pool if r.id in frozen.answers)]
    assert len(learned) == len(labeled) + 5
    plan = Plan(version.task, world.round.config, learned, ())
    questions = [Record(f"row {i}", text) for i, text in enumerate(LINES[:3])]
    simple = [voters.poll(plan, FakeEngine(), how, how, questions) for how in VOTERS]
    rows = zip(read(tmp_path / "alone.csv"), read(tmp_path / "ensemble.csv"), *simple, strict=False)
    for own, found, *others in rows:
        p = own["probability"] if own["answer"] == "road" else 1 - own["probability"]
        road = (p + sum(other.probabilities[0] for other in others)) / 3
        assert found["answer"] == ("road" if road >= 0.5 else "water")
        assert found["probability"] == pytest.approx(max(road, 1 - road))


def test_without_simple_models_there_is_no_ensemble(world: World, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no ensemble"):
        predicted(world, file, tmp_path / "out.csv", ensembled=True)
    assert not (tmp_path / "out.csv").exists()


def test_a_base_answers_in_no_ensemble(world: World, file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Only a fine-tuned model"):
        predicted(world, file, tmp_path / "out.csv", model="base", ensembled=True)


def test_a_column_of_the_file_is_never_overwritten(world: World, tmp_path: Path) -> None:
    file = tmp_path / "new.jsonl"
    file.write_text('{"question": "a hole", "answer": "mine"}\n{"question": "rain", "answer": ""}\n', "utf-8")
    predicted(world, file, tmp_path / "out.jsonl")
    first = read(tmp_path / "out.jsonl")[0]
    assert first["answer"] == "mine"
    assert first["predicted_answer"] in ("road", "water")


def test_a_failure_leaves_nothing_and_nothing_is_overwritten(world: World, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    with pytest.raises(ConnectionError):
        predicted(world, file, folder / "out.csv", FakeEngine(break_after=0))
    assert list(folder.iterdir()) == []
    predicted(world, file, folder / "out.csv")
    with pytest.raises(UserError, match="already a file"):
        predicted(world, file, folder / "out.csv")


@pytest.mark.parametrize("out", ["out.xlsx", "new.csv/out.csv"])
def test_what_cannot_be_written_is_said_before_a_question_is_asked(world: World, tmp_path: Path, out: str) -> None:
    (tmp_path / "new.csv").write_text(f"nr,question\nn0,a hole in the road\nn1,{'x' * 33_000}\n", encoding="utf-8")

    def engine(*_: object) -> FakeEngine:
        raise AssertionError("the model was loaded")

    with pytest.raises(UserError, match=r"a workbook holds 32,767|cannot be written"):
        predict(world.store, world.project, tmp_path / "new.csv", tmp_path / out, start_engine=engine)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["new.csv"]


def test_a_mistake_is_said_before_a_model_is_loaded(world: World, file: Path, tmp_path: Path) -> None:
    def fails(*_: object) -> FakeEngine:
        raise AssertionError("the model was loaded")

    other = tmp_path / "other.csv"
    other.write_text("nr,weight\n1,2\n2,3\n", "utf-8")
    for read_from, out, model, said in (
        (file, "out.doc", "evolved", "no format"),
        (file, "out.csv", "warm_up", "no warm_up model yet"),
        (other, "out.csv", "evolved", 'no column "question"'),
    ):
        with pytest.raises(UserError, match=said):
            predict(world.store, world.project, read_from, tmp_path / out, model, start_engine=fails)
