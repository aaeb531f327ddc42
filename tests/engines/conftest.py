"""Engines on tiny models with one thread, which makes every number repeatable on a busy machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from semievol.engines.local import LocalEngine
from semievol.method.protocols import Ask, TrainingSetup
from semievol.records import Example, Message
from semievol.tuning import Lora, Tuning
from tests.tiny_model import make_gemma, make_llama, make_qwen

LABELS = ("water", "waste", "roads")


@pytest.fixture(autouse=True, scope="module")
def _threads() -> None:
    """Tests before these may have left torch with more; two threads give other last digits than one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def llama(tiny_model: Path) -> Path:
    return tiny_model


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_qwen(tmp_path_factory.mktemp("models") / "qwen")


@pytest.fixture(scope="session")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gemma(tmp_path_factory.mktemp("models") / "gemma")


@pytest.fixture(scope="session")
def other_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shape as `llama`, other weights."""
    return make_llama(tmp_path_factory.mktemp("models") / "llama", seed=7)


@pytest.fixture(scope="session")
def engine(llama: Path) -> LocalEngine:
    return LocalEngine(str(llama), threads=1)


def turns(text: str) -> tuple[Message, ...]:
    return (Message("system", "Sort it."), Message("user", text))


def examples(count: int = 24) -> list[Example]:
    return [Example(str(i), turns("The water pipe " + "leaks " * (i % 7)), LABELS[i % 3], "gold") for i in range(count)]


def training(folder: Path, start: Path | None = None, **settings: object) -> TrainingSetup:
    """20 steps of LoRA, a checkpoint every 7, dropout and two micro-batches per update."""
    values = {
        "method": "lora",
        "minimum_steps": 20,
        "save_every": 7,
        "lora": Lora(rank=4, dropout=0.1),
        "micro_batch_size": 4,
    }
    return TrainingSetup(Tuning.model_validate(values | settings), folder, seed=3, start=str(start) if start else None)


def train(
    engine: LocalEngine,
    setup: TrainingSetup,
    stop_after: int | None = None,
    taught: Sequence[Example] | None = None,
    held_out: Sequence[Example] = (),
) -> tuple[Path, dict[str, dict[int, float]]]:
    """The finished adapter and all metrics as name -> step -> value; `stop_after` asks to stop at that step.

    taught: 24 examples if it is missing.
    """
    seen: dict[str, dict[int, float]] = {}
    steps = 0

    def progress(step: int, total: int) -> None:
        nonlocal steps
        steps = step

    folder = engine.train(
        examples() if taught is None else taught,
        setup,
        lambda name, step, value: seen.setdefault(name, {}).update({step: value}),
        progress,
        lambda: stop_after is not None and steps >= stop_after,
        held_out,
    )
    return Path(folder), seen


# Killed while the second checkpoint is being sealed, after update 14 of 20; the first, after update 7, is complete.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from semievol.engines.training import checkpoints
from semievol.engines.local import LocalEngine
from tests.engines.conftest import train, training
seal = checkpoints.seal
def dying(folder, about):
    if about["step"] == 14:
        os.kill(os.getpid(), signal.SIGKILL)
    seal(folder, about)
checkpoints.seal = dying
train(LocalEngine(sys.argv[1], threads=1), training(Path(sys.argv[2]), **json.loads(sys.argv[3])))
"""


def kill_while_training(llama: Path, folder: Path, **settings: object) -> None:
    command = [sys.executable, "-c", KILLED, str(llama), str(folder), json.dumps(settings)]
    killed = subprocess.run(command, env=dict(os.environ), cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL


def ask(model: str | Path) -> list[Ask]:
    """Three closed questions to a model or an adapter."""
    return [Ask(str(i), "c", str(model), example.messages, LABELS) for i, example in enumerate(examples(3))]


@pytest.fixture(scope="session")
def trained(engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter trained without interruption."""
    return train(engine, training(tmp_path_factory.mktemp("uninterrupted")))[0]
