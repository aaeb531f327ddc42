"""Asking now: the answering process starts on demand, is shared, and comes back when it was lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from semievol.errors import UserError
from semievol.jobs import inference_client, inference_process, launch
from semievol.presets import load
from semievol.records import Demonstration, Record, Task
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.runs import rounds, runs

TASK = Task("classification", labels=("roads", "water"))
QUESTION = Record("q", "The tap drips all night")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "workspace")
    yield store
    address = store.home / "asking.json"
    if address.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(address.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def round_id(home: Store, tiny_model: Path) -> int:
    project = projects.create_project(home, "Small", TASK)
    records = [
        Record("a", "The road has a hole", (), "roads", "labeled", 2),
        Record("b", "Water drips from the tap", (), "water", "labeled", 3),
        Record("c", "Nothing in common", (), "roads", "labeled", 4),
    ]
    versions.store_version(home, project.id, records, {}, [], [], TASK)
    config = load("studio", None, [f"model={tiny_model}", "threads=1"])
    return rounds.open_round(home, project.id, config).id


def pid(store: Store) -> int:
    found: int = json.loads((store.home / "asking.json").read_text())["pid"]
    return found


def test_answers_come_with_probabilities_and_the_process_is_shared_and_replaced(home: Store, round_id: int) -> None:
    first = inference_client.ask(home, round_id, QUESTION)[0]
    assert first["answer"] in TASK.labels
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert 0 <= first["entropy"] <= 1
    started = pid(home)
    assert stat.S_IMODE((home.home / "asking.json").stat().st_mode) == 0o600

    shown = [Demonstration(Record("b", "Water drips from the tap", (), "water"), 0.9)]
    second = inference_client.ask(home, round_id, QUESTION, shown)[0]
    assert pid(home) == started
    assert second["probabilities"] != first["probabilities"], "demonstrations must reach the model"

    os.kill(started, signal.SIGKILL)  # the next question may still reach it while it dies
    assert inference_client.ask(home, round_id, QUESTION)[0]["probabilities"] == first["probabilities"]
    assert pid(home) != started

    near = inference_client.nearest(home, round_id, QUESTION, 2)
    assert near[0].record.id == "b"
    assert near[0].similarity >= near[1].similarity
    alike = inference_client.similarities(home, round_id, QUESTION, [near[1].record.id])
    assert alike == {near[1].record.id: near[1].similarity}
    voted = inference_client.vote(home, round_id, QUESTION)
    assert [one["model"] for one in voted] == ["neighbours", "regression"]
    assert {one["answer"] for one in voted} <= set(TASK.labels)
    assert [sum(one["probabilities"].values()) for one in voted] == pytest.approx([1, 1])
    evolved = first | {"model": "evolved"}
    (found,) = inference_client.ensembles(home, round_id, QUESTION, [first, evolved, *voted])
    mean = {label: sum(one["probabilities"][label] for one in (first, *voted)) / 3 for label in TASK.labels}
    assert found["model"] == "evolved_ensemble"
    assert found["probabilities"] == pytest.approx(mean)
    assert found["answer"] == max(mean, key=lambda label: mean[label])
    assert inference_client.ensembles(home, round_id, QUESTION, [evolved]) == [], "the voters were not asked"


def test_a_question_is_asked_as_the_rounds_data_had_it(
    home: Store, round_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(inference_process, "request", lambda store, config, request, watch: asked.append(request) or [])
    project = rounds.get_round(home, round_id).project_id
    newer = Task("classification", labels=("roads", "water", "parks"))
    versions.store_version(home, project, [Record("a", "A tree fell", (), "parks", "labeled", 2)], {}, [], [], newer)
    inference_client.ask(home, round_id, QUESTION)
    assert asked[0]["task"]["labels"] == TASK.labels


def test_what_the_round_holds_out_is_no_demonstration(home: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(inference_process, "request", lambda store, config, request, watch: asked.append(request) or [])
    project = projects.create_project(home, "Held", TASK)
    a, b = (Record(name, f"question {name}", (), "roads", "labeled", 2) for name in "ab")
    versions.store_version(home, project.id, [a, b], {}, [], [], TASK)
    inference_client.nearest(
        home, rounds.open_round(home, project.id, load("studio"), held=[a.content_hash]).id, QUESTION, 2
    )
    assert [record["id"] for record in asked[0]["labeled"]] == ["b"]


def test_a_model_that_is_not_trained_yet_is_named(home: Store, round_id: int) -> None:
    with pytest.raises(UserError, match="evolved"):
        inference_client.ask(home, round_id, QUESTION, models=("base", "evolved"))
    assert not (home.home / "asking.json").exists(), "nothing is started for a question that cannot be asked"


def test_two_questions_at_once_start_one_process_and_what_is_being_done_is_told(home: Store, round_id: int) -> None:
    said: list[str] = []
    seen: list[int] = []

    def ask() -> None:
        inference_client.ask(home, round_id, QUESTION, watch=said.append)
        seen.append(pid(home))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert len(set(seen)) == 1
    assert list(dict.fromkeys(said)) == ["Starting the model's process", "Loading the model", "Answering"]
    said.clear()
    inference_client.nearest(home, round_id, QUESTION, 1, said.append)
    assert said[-1] == "Looking for the nearest labeled records"
    inference_client.nearest(home, round_id, QUESTION, 1, said.append, "model")
    assert said[-2:] == ["Embedding the labeled records: 0 of 3 done", "Looking for the nearest labeled records"]
    assert list((home.home / "embeddings").iterdir()), "the next search need not embed them again"
    assert "Starting the model's process" not in said


def test_a_model_is_warmed_once_another_takes_its_place_and_a_run_takes_the_memory_back(
    home: Store, round_id: int, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = rounds.get_round(home, round_id).config
    assert inference_client.warm(home, config, TASK, round_id, ["base"])
    started, said = pid(home), list[str]()
    assert inference_client.warm(home, config, TASK, round_id, ["base"])
    inference_client.ask(home, round_id, QUESTION, watch=said.append)
    assert pid(home) == started
    assert "Starting the model's process" not in said
    other = shutil.copytree(tiny_model, tmp_path / "other")
    assert inference_client.warm(home, config.model_copy(update={"model": str(other)}), TASK)
    assert pid(home) != started
    assert not psutil.pid_exists(started) or psutil.Process(started).wait(20) is not None, "two models in memory"
    process = psutil.Process(pid(home))
    monkeypatch.setattr(launch, "start_process", lambda *_, **__: None)
    runs.enqueue(home, round_id, config)
    launch.ensure_worker(home)
    process.wait(20)


def test_nothing_is_warmed_where_a_run_or_other_programs_need_the_memory(
    home: Store, round_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = rounds.get_round(home, round_id).config
    run = runs.enqueue(home, round_id, config)
    assert not inference_client.warm(home, config, TASK, round_id, ["base"])
    runs.request_stop(home, run.id)
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1.2e9))
        assert not inference_client.warm(home, config, TASK, round_id, ["base"])
    assert not inference_client.warm(home, config.model_copy(update={"model": "nobody/nowhere"}), TASK)
    assert not (home.home / "asking.json").exists()
