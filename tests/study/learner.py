"""A stand-in for an engine whose models differ by what they were trained on, and small projects to draw from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from semievol.config import Config
from semievol.method.protocols import Ask, Reply, TrainingSetup
from semievol.presets import load
from semievol.records import Example, Record, Task
from semievol.study.redraw import Material
from tests.fakes import FakeEngine

TASK = Task("classification", ("road", "water", "waste"))


class Learner(FakeEngine):
    """An adapter's name is a digest of what it was trained on and how, and its taste follows from its name."""

    def _reply(self, ask: Ask) -> Reply:
        model = Path(ask.model).name
        weights = []
        for answer in ask.allowed:
            text = f"{model}/{ask.record_id}/{answer}/{ask.messages[-1].content}"
            weights.append(0.05 + hashlib.sha256(text.encode()).digest()[0] / 255)
        probabilities = tuple(weight / sum(weights) for weight in weights)
        return Reply(ask.allowed[probabilities.index(max(probabilities))], probabilities, mass=0.9)

    def train(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
        held_out: Sequence[Example] = (),
    ) -> str:
        self.trained.append((examples, setup))
        start = Path(setup.start).name if setup.start else ""
        digest = hashlib.sha256(f"{list(examples)} {setup.settings} {setup.seed} {start}".encode()).hexdigest()
        folder = setup.folder / digest[:12]
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)


def known(count: int) -> list[Record]:
    """Records with true answers, all of different content."""
    return [
        Record(f"r{i:03}", f"note {i} about {TASK.labels[i % 3]} {i % 7}", (), TASK.labels[i % 3]) for i in range(count)
    ]


def material() -> Material:
    return Material(TASK, known(80), {"labeled": 20, "unlabeled": 40, "test": 20})


def config(preset: str, **changes: object) -> Config:
    small = ["calibration=0", "propagation.embedder=char-tfidf", "propagation.weighting=equal"]
    return load(preset, None, [*small, *(f"{key}={value}" for key, value in changes.items())])
