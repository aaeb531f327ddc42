"""What a run will need, before it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from semievol.engines.models.footprint import Shape, peak
from semievol.engines.models.resolve import STARTER_FOLDER
from semievol.errors import UserError
from semievol.jobs import estimate
from semievol.presets import load
from semievol.records import Record, Task
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


def version(store: Store, name: str, task: Task, question: str = "Who mends the tap?") -> int:
    project = projects.create_project(store, name, task)
    records = [Record(f"l{i}", f"{i} {question}", (), task.labels[0], "labeled") for i in range(8)]
    records.append(Record("u0", "short", (), None, "unlabeled"))
    return versions.store_version(store, project.id, records, {}, [], [], task)


def test_all_that_a_prompt_holds_is_counted(store: Store) -> None:
    plain = Task("classification", ("road", "water"))
    few = estimate.memory(store, version(store, "few", plain), load("studio"))
    assert few is not None
    labels = Task("classification", tuple(f"a rather long label number {i}" for i in range(77)))
    instructed = Task("classification", plain.labels, instruction="Sort the message with care. " * 30)
    for name, task, question in (
        ("labels", labels, "Who mends the tap?"),
        ("long", plain, "Who mends the tap? " * 60),
        ("other script", plain, "水漏れ " * 200),
    ):
        needed = estimate.memory(store, version(store, name, task, question), load("studio"))
        assert needed is not None
        assert needed > 1.2 * few, name
    needed = estimate.memory(store, version(store, "instruction", instructed), load("studio"))
    assert needed is not None
    assert few < needed < 1.1 * few, "a batch holds the instruction once"


def test_one_endless_record_does_not_ask_for_a_hundred_gigabytes(store: Store) -> None:
    task = Task("classification", ("road", "water"))
    needed = estimate.memory(store, version(store, "endless", task, "tap " * 100_000), load("studio"))
    assert needed is not None
    assert needed < 6e9


def test_another_model_of_a_collaborator_takes_memory_of_its_own_while_nothing_is_trained(
    store: Store, tmp_path: Path
) -> None:
    known = version(store, "others", Task("classification", ("road", "water")))
    other = tmp_path / "other"
    shutil.copytree(STARTER_FOLDER, other)
    alone = "propagation.collaborators=[{name: a}]"
    both = f"propagation.collaborators=[{{name: a}}, {{name: b, model: {other}}}]"
    one, two = (estimate.memory(store, known, load("studio", None, [mine])) for mine in (alone, both))
    assert one is not None
    assert two is not None
    assert two == one, "the training of the starter takes more"
    bare, beside = (peak(Shape.of(STARTER_FOLDER), load("studio"), 8, 8, False, other=n) for n in (0, 10**9))
    assert beside > bare + 3.5e9


def test_processes_on_a_processor_share_its_memory(store: Store) -> None:
    known = version(store, "shared", Task("classification", ("road", "water")))
    one, two = (estimate.memory(store, known, load("studio", None, [f"devices={count}"])) for count in (1, 2))
    assert one is not None
    assert two == 2 * one


def test_of_a_model_elsewhere_nothing_is_said_and_of_a_wrong_name_neither(store: Store) -> None:
    known = version(store, "any", Task("classification", ("road", "water")))
    for name in ("someone/model", "~nosuchuser/x", "x" * 300):
        assert estimate.memory(store, known, load("studio", None, [f"model={name}"])) is None


def test_a_folder_that_is_no_model_is_a_clear_error(store: Store, tmp_path: Path) -> None:
    known = version(store, "any", Task("classification", ("road", "water")))
    with pytest.raises(UserError):
        estimate.memory(store, known, load("studio", None, [f"model={tmp_path}"]))
