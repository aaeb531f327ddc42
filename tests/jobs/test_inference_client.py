"""Asking now: the answering process starts on demand, is shared, and comes back when it was lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semievol.config import load
from semievol.errors import UserError
from semievol.jobs import inference_client
from semievol.records import Demonstration, Record, Task
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.runs import rounds

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
    versions.store_version(home, project.id, versions.NewVersion(records, {}, [], [], TASK))
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


def test_two_questions_at_once_start_one_process(home: Store, round_id: int) -> None:
    seen: list[int] = []

    def ask() -> None:
        inference_client.ask(home, round_id, QUESTION)
        seen.append(pid(home))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 2
    assert len(set(seen)) == 1


def test_a_question_is_asked_as_the_rounds_data_had_it(
    home: Store, round_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(inference_client, "_request", lambda store, config, request: asked.append(request) or [])
    project = rounds.get_round(home, round_id).project_id
    newer = Task("classification", labels=("roads", "water", "parks"))
    versions.store_version(
        home, project, versions.NewVersion([Record("a", "A tree fell", (), "parks", "labeled", 2)], {}, [], [], newer)
    )
    inference_client.ask(home, round_id, QUESTION)
    assert asked[0]["task"]["labels"] == TASK.labels


def test_what_the_round_holds_out_is_no_demonstration(home: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(inference_client, "_request", lambda store, config, request: asked.append(request) or [])
    project = projects.create_project(home, "Held", TASK)
    a, b = (Record(name, f"question {name}", (), "roads", "labeled", 2) for name in "ab")
    versions.store_version(home, project.id, versions.NewVersion([a, b], {}, [], [], TASK))
    inference_client.nearest(
        home, rounds.open_round(home, project.id, load("studio"), held=[a.content_hash]).id, QUESTION, 2
    )
    assert [record["id"] for record in asked[0]["labeled"]] == ["b"]


def test_a_model_that_is_not_trained_yet_is_named(home: Store, round_id: int) -> None:
    with pytest.raises(UserError, match="evolved"):
        inference_client.ask(home, round_id, QUESTION, models=("base", "evolved"))
    assert not (home.home / "asking.json").exists(), "nothing is started for a question that cannot be asked"
