"""The real worker on a tiny real model: runs to the end, is killed and resumed, is stopped, repeats itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from semievol.config import Collaborator, Config
from semievol.errors import UserError
from semievol.jobs import launch, worker
from semievol.jobs.summary import summary
from semievol.method.comparison import ENSEMBLES, ROWS, TUNED_REGRESSION
from semievol.presets import load
from semievol.records import Record, Split, Task
from semievol.store.connecting import PATIENCE_SECONDS
from semievol.store.data import projects, versions
from semievol.store.database import Store, open_store
from semievol.store.results import outcomes, results
from semievol.store.runs import claims, liveness, progress, runs
from semievol.task.prompts import PROMPT_VERSION

TASK = Task("classification", labels=("roads", "water", "parks"))
WORDS = {"roads": ("pothole", "street", "kerb"), "water": ("leak", "pipe", "tap"), "parks": ("tree", "bench", "grass")}
PATIENCE = 120.0
UNLABELED = 160


def made(split: Split, count: int) -> list[Record]:
    found = []
    for i in range(count):
        label = TASK.labels[i % 3]
        question = f"the {WORDS[label][i // 3 % 3]} near number {i} needs care {split}"
        found.append(Record(f"{split}{i:03}", question, (), None if split == "unlabeled" else label, split, i + 2))
    return found


@pytest.fixture
def settings(tiny_model: Path) -> Config:
    small = ["calibration=0", "propagation.warm_up.minimum_steps=12", "propagation.warm_up.epochs=1"]
    small += ["propagation.warm_up.save_every=3", "tune.minimum_steps=12", "tune.epochs=1", "tune.save_every=3"]
    small += ["propagation.warm_up.lora.rank=2", "tune.lora.rank=2", "threads=1", f"model={tiny_model}"]
    return load("paper", None, small)


def workspace(folder: Path) -> tuple[Store, projects.Project]:
    store = open_store(folder)
    project = projects.create_project(store, "Small", TASK)
    records = [*made("labeled", 24), *made("unlabeled", UNLABELED), *made("test", 12)]
    gold = {r.id: TASK.labels[i % 3] for i, r in enumerate(made("unlabeled", UNLABELED))}
    versions.store_version(store, project.id, records, gold, [], [], TASK)
    return store, projects.find_project(store, project.id)


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def finished(store: Store, run_id: int) -> runs.Run:
    def ended() -> runs.Run | None:
        launch.ensure_worker(store)
        run = runs.get_run(store, run_id)
        return run if run.status not in ("queued", "running", "stopping") else None

    run: runs.Run = wait_for(ended, "the run to end")
    return run


def under_way(store: Store, run_id: int, stage: str) -> Callable[[], bool]:
    def some_done() -> bool:
        launch.ensure_worker(store)
        return any(
            p.stage == stage and p.status == "running" and 0 < p.done < p.total for p in progress.stages(store, run_id)
        )

    return some_done


def numbers(store: Store, run: runs.Run) -> dict[str, Any]:
    """Everything that a person or a later stage reads off a run, without times."""
    frame = results.candidate_frame(store, run.round_id).drop(columns=["decision", "decided_answer"])
    predictions = outcomes.predictions(store, run.id).sort_values(["model", "record_id"])
    curves = progress.metrics(store, run.id)
    losses = curves[curves["name"] == "loss"][["stage", "step", "value"]].sort_values(["stage", "step"])
    return {
        "candidates": frame.sort_index().to_csv(),
        "predictions": predictions[["model", "record_id", "answer", "confidence"]].to_csv(index=False),
        "evaluation": outcomes.evaluation(store, run.id),
        "losses": losses.to_csv(index=False),
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return {"folder": tmp_path_factory.mktemp("reference")}


@pytest.fixture
def uninterrupted(reference: dict[str, Any], settings: Config) -> dict[str, Any]:
    if "numbers" not in reference:
        store, project = workspace(reference["folder"])
        run = finished(store, launch.start(store, project, settings).id)
        assert run.status == "done", launch.log_path(store, run.id).read_text()
        reference |= {"numbers": numbers(store, run), "summary": summary(store, run.id)}
    return reference


def test_a_run_goes_through_all_stages_and_sums_up(uninterrupted: dict[str, Any]) -> None:
    told = uninterrupted["summary"]
    assert told["status"] == "done"
    assert told["candidates"] == UNLABELED
    assert 0 < told["accepted"] <= UNLABELED
    # No simple model is a collaborator here, and the embedder learns nothing.
    assert set(told["evaluate"]) == set(ROWS) - set(ENSEMBLES.values()) - {TUNED_REGRESSION}
    assert all(arm["low"] <= arm["accuracy"] <= arm["high"] for arm in told["evaluate"].values())
    assert 0 <= told["p_value"] <= 1
    assert set(told["pseudo_accuracy"]) == {"all", "accepted"}
    assert all(stage["seconds"] > 0 for stage in told["stages"].values())
    assert told["error"] is None


def test_stopped_in_one_stage_and_killed_in_another_it_goes_on_each_time_to_the_same_numbers(
    tmp_path: Path, settings: Config, uninterrupted: dict[str, Any]
) -> None:
    store, project = workspace(tmp_path)
    run = launch.start(store, project, settings)
    wait_for(under_way(store, run.id, "respond"), "respond to be under way")
    launch.stop(store, run.id)
    assert finished(store, run.id).status == "cancelled"
    launch.resume(store, run.id)
    wait_for(under_way(store, run.id, "tune"), "tune to be under way")
    kill(store, run.id)
    launch.resume(store, run.id)
    again = finished(store, run.id)
    assert again.status == "done"
    assert again.attempt == 3
    assert numbers(store, again) == uninterrupted["numbers"]


def kill(store: Store, run_id: int) -> None:
    """Kills the run's worker and waits until the store knows."""
    pid = runs.get_run(store, run_id).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: claims.settle(store) or runs.get_run(store, run_id).status == "interrupted", "the settlement")
    assert time.monotonic() - killed < 3 * liveness.HEARTBEAT_SECONDS


def test_runs_wait_in_the_queue_and_a_mistake_ends_only_its_own_with_one_sentence(
    tmp_path: Path, settings: Config
) -> None:
    store, project = workspace(tmp_path)
    lost = settings.model_copy(update={"model": "nobody/nothing"})  # a hub id is looked up by the worker only
    failing = launch.start(store, project, lost)
    first = launch.start(store, project, settings, until="warm_up")
    second = launch.start(store, project, settings, first="retrieve", until="retrieve")
    assert runs.get_run(store, second.id).status == "queued"
    failed = finished(store, failing.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert failed.error["what"]
    assert failed.error["remedy"]
    assert "Traceback" not in failed.error["what"]
    assert finished(store, first.id).status == "done"
    done = finished(store, second.id)
    assert done.status == "done"
    assert done.environment["prompt_version"] == str(PROMPT_VERSION), "its answers may differ under another wording"


def test_a_worker_waits_longer_for_its_turn_to_write_than_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many decisions at once may hold a run up; they must not fail it."""
    monkeypatch.setattr(worker.claims, "claim_next", lambda store, _: patience.append(store.patience))
    patience: list[float] = []
    assert worker.main(["--workspace", str(tmp_path)]) == 0
    assert patience[0] >= 10 * PATIENCE_SECONDS


def test_where_no_worker_can_start_the_run_fails_with_what_it_said(
    tmp_path: Path, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, project = workspace(tmp_path)
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "nowhere"))
    run = finished(store, launch.start(store, project, settings).id)
    assert run.status == "failed"
    assert run.error is not None
    assert "cannot start. It said:" in run.error["what"]
    assert "encodings" in run.error["what"]  # the module that Python misses first
    assert run.error["where"] == "logs/workers.log"
    monkeypatch.delenv("PYTHONHOME")
    started: list[str] = []
    monkeypatch.setattr(launch, "start_process", lambda module, *_, **__: started.append(module))
    launch.resume(store, run.id)
    assert started == ["semievol.jobs.worker"], "the fruitless tries do not count any more"
    claimed = claims.claim_next(store, os.getpid())
    assert claimed is not None
    assert claimed.id == run.id


def test_a_further_model_that_is_gone_is_told_when_the_run_starts_and_a_missing_one_before_it_is_queued(
    settings: Config, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "ensure_worker", lambda store: None)
    store, project = workspace(tmp_path / "home")
    other = Path(shutil.copytree(tiny_model, tmp_path / "other"))
    propagation = settings.propagation
    everybody = (*propagation.collaborators, Collaborator(name="other", model=str(other)))
    config = settings.model_copy(update={"propagation": propagation.model_copy(update={"collaborators": everybody})})
    run = launch.start(store, project, config)
    (other / "model.safetensors").unlink()
    claimed = claims.claim_next(store, os.getpid())
    assert claimed is not None
    assert claimed.id == run.id
    with pytest.raises(UserError, match="found no weights"):
        worker._work(store, claimed)
    assert len(progress.metrics(store, run.id)) == 0, "before anything is trained"
    for again in ({"config": config.model_copy(update={"seed": 7})}, {"config": config, "round_id": run.round_id}):
        with pytest.raises(UserError, match="found no weights"):
            launch.start(store, project, **again)


def test_what_a_run_uses_includes_the_processes_that_it_started() -> None:
    alone = worker._with_children([psutil.Process()])
    fat = "import sys; kept = bytes(range(256)) * 2**18; print(len(kept), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", fat], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert int(child.stdout.readline()) == 2**26
        together = worker._with_children(alone)
        assert worker._used(together)["memory_bytes"] > worker._used(alone)["memory_bytes"] + 2**26
        again = worker._with_children(together)
        assert all(one is other for one, other in zip(together, again, strict=True)), "so that use is measured"
        child.kill()
    assert worker._used(together)["memory_bytes"] > 0, "one that ended counts as nothing"
