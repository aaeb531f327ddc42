"""Whole runs whose collaborators are endpoints, against a real server: the bundled starter behind HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from semievol.config import Config, overlaid
from semievol.engines.local import LocalEngine
from semievol.jobs import launch, worker
from semievol.method.protocols import Ask
from semievol.records import Record, Split, Task
from semievol.store import settings
from semievol.store.data import projects, records, versions
from semievol.store.database import Store, open_store
from semievol.store.results import results
from semievol.store.runs import claims, progress, runs
from semievol.store.runs.journal import StoreJournal
from semievol.task.prompts import render
from tests.endpoint_servers import Served, Starter

TASK = Task("multiple_choice")
OPTIONS = ("a loose dog", "a water leak", "a fallen tree", "loud music")
POOL = 24


def made(split: Split, count: int) -> list[Record]:
    found = []
    for i in range(count):
        right = i % 4
        shown = OPTIONS[i % 3 :] + OPTIONS[: i % 3]
        question = f"Report {i} of {split}: neighbours complain about {OPTIONS[right]} in street {i // 4}. What is it?"
        answer = None if split == "unlabeled" else "ABCD"[shown.index(OPTIONS[right])]
        found.append(Record(f"{split}{i:03}", question, shown, answer, split, i + 2))
    return found


@pytest.fixture(scope="module")
def starter() -> Starter:
    return Starter()


@pytest.fixture
def served(starter: Starter) -> Iterator[Served]:
    server = Served(starter)
    yield server
    server.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


@pytest.fixture
def project(store: Store) -> projects.Project:
    project = projects.create_project(store, "Far", TASK)
    versions.store_version(store, project.id, [*made("labeled", 16), *made("unlabeled", POOL)], {}, [], [], TASK)
    return projects.find_project(store, project.id)


def config(*assignments: str) -> Config:
    far = {"name": "far", "model": "endpoint:far", "demonstrations": False}
    vote = {"name": "vote", "model": "neighbours", "demonstrations": False}
    overlay = {"preset": "studio", "calibration": 0.0, "propagation": {"collaborators": [far, vote], "k": 1}}
    return overlaid(overlay, assignments)


def carried_out(store: Store, run: runs.Run) -> runs.Run:
    """The run, carried out in this process: a worker of its own would only load torch again."""
    worker.carry_out(store, claims.claim(store, run.id, 1))
    return runs.get_run(store, run.id)


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "ensure_worker", lambda store: None)
    monkeypatch.setattr(worker, "_log_into", lambda path, secrets: None)


def test_an_endpoint_answers_from_respond_to_select_and_no_local_model_is_loaded_or_trained(
    store: Store, project: projects.Project, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.save_endpoint(store, served.endpoint())
    monkeypatch.setattr(LocalEngine, "base", property(lambda self: pytest.fail("the base model was loaded")))
    run = carried_out(store, launch.start(store, project, config(), until="select"))
    assert run.status == "done", run.error
    frame = results.candidate_frame(store, run.round_id)
    assert len(frame) == POOL
    assert set(frame["exactness"]) == {"bound"}
    assert frame["answer_nll"].notna().all()
    assert len(served.asked) == POOL
    assert any("No warm-up was trained" in event.text for event in progress.events(store, run.id))


def test_its_answers_are_those_of_the_local_engine_and_its_probabilities_bounds_of_their_own(
    store: Store, project: projects.Project, served: Served
) -> None:
    settings.save_endpoint(store, served.endpoint())
    run = carried_out(store, launch.start(store, project, config(), until="select"))
    responses = {r.record_id: r for r in StoreJournal(store, run).responses("respond") if r.collaborator == "far"}
    pool = [record for record in records.load_records(store, project.version_id or 0) if record.split == "unlabeled"]
    asks = [Ask(r.id, "base", "base", render(TASK, r), tuple("ABCD")) for r in pool]
    local = dict(zip([r.id for r in pool], LocalEngine("starter").answer(asks), strict=True))
    assert len(responses) == POOL
    for record_id, far in responses.items():
        near = local[record_id]
        assert far.answer == near.text
        place = "ABCD".index(near.text)
        assert far.probabilities[place] <= near.probabilities[place] + 1e-3
        # What the list leaves open is all that the two may differ by.
        assert far.mass is not None
        assert near.probabilities[place] - far.probabilities[place] <= 1 - far.mass + 1e-3
