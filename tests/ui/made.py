"""Workspaces made through the store's own functions, with results from a fake engine that is right most of the time."""

from __future__ import annotations

import atexit
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

from semievol.jobs.planning import make_plan, open_round
from semievol.method.evolve import evolve
from semievol.method.protocols import Ask, Reply, TrainingSetup
from semievol.presets import STUDIO_READERS
from semievol.records import Example, Record, Split, Task
from semievol.store.data import projects, records, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store, open_store
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.runs import Run
from semievol.ui.shell import state
from tests.fakes import FakeEngine

LABELS = ("roads", "waste", "water", "parking")
HOSTILE = (
    '<img src="http://127.0.0.1:9/beacon.png" onerror="alert(1)"><script>alert(2)</script> '
    "![x](http://127.0.0.1:9/markdown.png) [click](javascript:alert(3)) $x_1^2$ :material/home: {{7*7}}"
)
SKILL = {"base": 0.8, "warm_up": 2.0, "evolved": 2.6}


class KnowingEngine(FakeEngine):
    """Knows the true answers and gives them a probability that depends on the model and on chance keyed by record."""

    def __init__(self, truth: dict[str, str]) -> None:
        super().__init__()
        self.truth = truth

    def _reply(self, ask: Ask) -> Reply:
        if not ask.allowed:
            return super()._reply(ask)
        scores = []
        for answer in ask.allowed:
            luck = hashlib.sha256(f"{ask.identity}/{ask.record_id}/{answer}".encode()).digest()[0] / 255
            right = SKILL.get(ask.identity, 1.5) if self.truth.get(ask.record_id) == answer else 0.0
            scores.append(math.exp(2.2 * (right + 1.3 * luck)))
        probabilities = tuple(score / sum(scores) for score in scores)
        return Reply(text=ask.allowed[scores.index(max(scores))], probabilities=probabilities, mass=0.97)

    def train(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
        held_out: Sequence[Example] = (),
    ) -> str:
        for step in range(1, 41):
            metric("loss", step, 0.3 + 1.6 * math.exp(-step / 12))
            if step % 10 == 0:
                metric("held_out_loss", step, 0.42 + 1.5 * math.exp(-step / 13))
                progress(step, 40)  # every one is a write of its own
        folder = setup.folder / "adapter"
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)


def some_records(labeled: int = 40, unlabeled: int = 60, test: int = 40, hostile: bool = False) -> list[Record]:
    """Records of a four-class task."""
    made: list[Record] = []
    sizes: dict[Split, int] = {"labeled": labeled, "unlabeled": unlabeled, "test": test}
    for split, size in sizes.items():
        for number in range(size):
            label = LABELS[number % len(LABELS)]
            text = f"Caller {split} {number} asks about {label} near house {number * 7 % 31}"
            if hostile and number < 3:
                text = f"{HOSTILE} {split} {number}"
            answer = label if split != "unlabeled" else None
            made.append(Record(f"{split}-{number:04d}", text, (), answer, split, number + 1))
    return made


READ = {
    "collaborators": [collaborator.model_dump(mode="json") for collaborator in STUDIO_READERS],
    "justify": True,
    "verdict_confidence": "everyone",
}
"""Two who read, and a judge: disputes and self-justifications to look at."""


def with_data(store: Store, name: str = "Calls", hostile: bool = False) -> Project:
    """A project with one dataset version and hidden gold, nothing propagated; named anew where the name is taken."""
    task = Task("classification", LABELS)
    others = projects.list_projects(store)
    name = f"{name} {len(others) + 1}" if name in {other.name for other in others} else name
    project = projects.create_project(
        store, name, task, {"calibration_minimum": 8, "evaluate_demonstrations": True, "propagation": READ}
    )
    found = some_records(hostile=hostile)
    gold = {r.id: LABELS[(r.row - 1) % len(LABELS)] for r in found if r.split == "unlabeled"}
    versions.store_version(store, project.id, found, gold, [{"split": "labeled", "name": "calls.csv"}], [], task)
    return projects.find_project(store, project.id)


def with_options(store: Store) -> Project:
    """A multiple-choice project up to the candidates: long questions and options, two models that often disagree. Made
    once, and copied into an empty workspace."""
    if projects.list_projects(store):
        return _options(store)
    shutil.copytree(_options_template(), store.home, dirs_exist_ok=True)
    return projects.list_projects(store)[0]


@cache
def _options_template() -> Path:
    home = _new_home()
    _options(open_store(home))
    return home


def _options(store: Store) -> Project:
    asked = "In a field study, students recorded how plants near a river grew over several months of a dry summer. "
    long = "because the roots of the plants reach water that is stored deep in the soil, which is so in case"
    made, sizes = [], {"labeled": 12, "unlabeled": 8}
    for split, size in sizes.items():
        for number in range(size):
            options = tuple(f"{long} {number}{letter}" for letter in "abcd")
            question = f"{asked * 2} Which explanation do the records support in trial {split} {number}?"
            answer = "ABCD"[number % 4]
            made.append(Record(f"{split}-{number}", question, options, answer, cast(Split, split), number + 1))
    pool = {one.id: one.answer or "" for one in made if one.split == "unlabeled"}
    made = [replace(one, answer=None) if one.id in pool else one for one in made]
    task = Task("multiple_choice")
    voices = [{"name": "base", "model": "base"}, {"name": "warm-up alone", "demonstrations": False}]
    propagation = READ | {"collaborators": voices}
    project = projects.create_project(
        store, "Options", task, {"calibration": 0, "evaluate_demonstrations": False, "propagation": propagation}
    )
    versions.store_version(store, project.id, made, pool, [], [], task)
    project = projects.find_project(store, project.id)
    evolved(store, project, until="justify")
    return projects.find_project(store, project.id)


def evolved(
    store: Store, project: Project, first: str = "warm_up", until: str = "evaluate", parent_id: int | None = None
) -> Run:
    """Runs the stages here and now with the fake engine, as a worker would. parent_id: of a later round."""
    config = state.config_of(project)
    round_ = open_round(store, project, config, first, parent_id)
    run = claims.claim(store, runs.enqueue(store, round_.id, config, first, until).id, os.getpid())
    assert project.version_id is not None
    truth = {r.id: r.answer for r in records.load_records(store, project.version_id) if r.answer}
    truth |= records.hidden_gold(store, project.version_id)
    evolve(make_plan(store, run)[0], KnowingEngine(truth), StoreJournal(store, run), first, until)
    claims.finish(store, run.id, run.attempt, "done")
    return runs.get_run(store, run.id)


def with_results(store: Store, name: str = "Calls", hostile: bool = False, until: str = "evaluate") -> Project:
    """A project whose seven stages (or those up to `until`) have run; made once, and copied into an empty workspace."""
    if projects.list_projects(store):
        return _results(store, name, hostile, until)
    shutil.copytree(_template(name, hostile, until), store.home, dirs_exist_ok=True)
    return projects.list_projects(store)[0]


@cache
def _template(name: str, hostile: bool, until: str) -> Path:
    """A workspace with such a project, as files that nobody has open."""
    home = _new_home()
    _results(open_store(home), name, hostile, until)
    return home


def _new_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="semievol-made-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return home


def round_of(store: Store, project: Project) -> int:
    """Id of the project's newest round."""
    return rounds.list_rounds(store, project.id)[-1].id


def _results(store: Store, name: str, hostile: bool, until: str) -> Project:
    project = with_data(store, name, hostile)
    evolved(store, project, until=until)
    return projects.find_project(store, project.id)


__all__ = ["HOSTILE", "LABELS", "KnowingEngine", "evolved", "round_of", "some_records"]
__all__ += ["with_data", "with_options", "with_results"]
