"""Studies of a project: what they draw from, starting one, carrying it out, and what it says.

A study waits in the queue like any run. What it has finished is stored by seed and arm, so that a stopped or killed one
goes on there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from semievol.config import Config
from semievol.engines.cluster import joining
from semievol.engines.models import suitability
from semievol.errors import UserError
from semievol.jobs import duration, launch, planning, remote_models
from semievol.method.protocols import Engine, Stopped
from semievol.records import CROSS_FIT, Split
from semievol.store.data import projects, records, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.runs import runs, studies
from semievol.store.runs.runs import Run
from semievol.store.runs.studies import Spec
from semievol.store.schema import NOT_ENDED
from semievol.study import figures
from semievol.study.arms import EVOLVED, IN_ENSEMBLE, titles
from semievol.study.redraw import Material
from semievol.study.seed import Result, Seed
from semievol.task.prompts import PROMPT_VERSION
from semievol.wording import ENSEMBLE, SIMPLER_WORDS

SEEDS = 10
"""Seeds of a study where nobody says how many."""
MOST_SEEDS = 100
POOL_KEPT = (
    "The true answers of the unlabeled records are not known here. Labeled and test records were therefore drawn anew "
    "among each other only, and the unlabeled records stayed the same."
)
_GLANCE_SECONDS = 0.5
_OF_NO_EFFECT = {"seed", "evaluate_demonstrations", "threads", "devices", "cluster", "budget"}
_ADDED_LATER = {"kl", "token_cleaning"}
"""Settings that came when there were studies already. They do not count where they are off, so that these are found."""


def material(store: Store, version_id: int) -> Material:
    """What a study of this dataset version draws from: all records, if the unlabeled ones have hidden gold; else the
    labeled and the test records. Raises UserError where there is nothing to test on."""
    gold = records.hidden_gold(store, version_id)
    found = records.load_records(store, version_id)
    pool = [record for record in found if record.split == "unlabeled"]
    known = [record for record in found if record.answer is not None and record.split != "unlabeled"]
    if not any(record.split == "test" for record in known):
        raise UserError(
            "A study needs test records, and the project has none.", "study", "Add a test set on the Data page."
        )
    if _all_known(store, version_id):
        known += [replace(record, answer=gold[record.id]) for record in pool]
        pool = []
    splits: tuple[Split, ...] = ("labeled", *(() if pool else ("unlabeled",)), "test")
    sizes = {split: sum(record.split == split for record in known) for split in splits}
    return Material(versions.task_of(store, version_id), known, sizes, pool)


def _all_known(store: Store, version_id: int) -> bool:
    """Whether every unlabeled record has hidden gold."""
    pool = versions.get_version(store, version_id).counts.get("unlabeled", 0)
    return records.hidden_gold_count(store, version_id) >= pool


def start(store: Store, project: Project, config: Config, arms: Sequence[str], seeds: int) -> Run:
    """The study with these settings, arms and seeds: queued, or resumed, or the one that is under way or done."""
    wanted = spec(project, config, arms, seeds)
    remote_models.check_studied(store, config)
    remote_models.check(store, config)
    planning.check_model(config.model)
    suitability.check_precision(config)
    suitability.check_embedder(config.propagation.embedder)
    if config.cluster:
        joining.check(config.cluster)
    material(store, wanted.version_id)
    for run in runs.list_studies(store, project.id):
        if Spec.of(run) == wanted:
            if run.status in runs.RESUMABLE:
                resumed = runs.resume(store, run.id, config=config)  # on as many threads or devices as is asked now
                launch.ensure_worker(store)
                return resumed
            if run.status in NOT_ENDED or not _missing(store, wanted):
                return run
    run = studies.enqueue(store, project.id, config, wanted)
    launch.ensure_worker(store)
    return run


def spec(project: Project, config: Config, arms: Sequence[str], seeds: int) -> Spec:
    """What a study with these settings compares; those that cannot change its numbers do not count."""
    if project.version_id is None:
        raise UserError("The project has no data yet.", project.name, "Import labeled, unlabeled and test records.")
    if not 1 <= seeds <= MOST_SEEDS:
        raise UserError(f"{seeds} seeds are not possible.", "--seeds", f"Choose a number from 1 to {MOST_SEEDS}.")
    settled = config.model_dump(mode="json", exclude=_OF_NO_EFFECT)
    for group in (settled, settled["tune"], settled["propagation"]["warm_up"]):
        for name in _ADDED_LATER & group.keys():
            if not group[name]:
                del group[name]
    parts = json.dumps([settled, PROMPT_VERSION], sort_keys=True)
    return Spec(project.version_id, hashlib.sha256(parts.encode()).hexdigest()[:32], tuple(arms), seeds)


def _missing(store: Store, wanted: Spec) -> dict[int, list[str]]:
    """Seed -> its arms that have no result yet, of the seeds that have such arms."""
    there = studies.finished(store, wanted)
    left = {seed: [arm for arm in wanted.arms if (seed, arm) not in there] for seed in range(wanted.seeds)}
    return {seed: arms for seed, arms in left.items() if arms}


def carry_out(store: Store, run: Run, engine: Engine, watcher: StudyWatcher) -> None:
    """Carries out what is missing of a claimed study, and stores every result as it comes.

    What a seed has trained lies in the run's folder until all of its arms are done.
    """
    wanted = Spec.of(run)
    drawn_from = material(store, wanted.version_id)
    folder = projects.run_folder(store, run.project_id, run.id) / "study"
    names = titles_of(run.config)
    for number, arms in _missing(store, wanted).items():
        seed = Seed(drawn_from, run.config, number, engine, folder / f"seed-{number}", watcher)
        for arm in arms:
            watcher.begin(f"Seed {number + 1} of {wanted.seeds}, {names[arm]}")
            studies.save_result(store, run, number, arm, asdict(seed.result(arm)))
        shutil.rmtree(folder / f"seed-{number}", ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


class StudyWatcher:
    """Tells the store which arm of which seed is at which stage, and whether the study is to stop."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store, self._run = store, run
        self._arm = ""
        self._said: set[tuple[str, str]] = set()
        self._looked, self._stopping = 0.0, False

    def begin(self, arm: str) -> None:
        """From now on it is this arm that reports progress."""
        self._arm = arm
        if self.stopping():
            raise Stopped("asked to stop between two arms")
        self.event(studies.ARM, arm)

    def progress(self, stage: str, done: int, total: int) -> None:
        if self._arm:
            self.event(studies.ARM, f"{self._arm}: {stage}")

    def event(self, stage: str, text: str) -> None:
        """Stores the sentence, unless this attempt has said it before."""
        if (stage, text) not in self._said:
            self._said.add((stage, text))
            studies.say(self._store, self._run, stage, text)

    def stopping(self) -> bool:
        if not self._stopping and time.monotonic() - self._looked > _GLANCE_SECONDS:
            self._looked = time.monotonic()
            run = runs.get_run(self._store, self._run.id)
            self._stopping = run.status != "running" or run.attempt != self._run.attempt
        return self._stopping


# --- what a study takes and says ------------------------------------------------------------------------------------


def seconds_needed(store: Store, project: Project, config: Config, arms: Sequence[str], seeds: int) -> float | None:
    """Estimated seconds for what is missing of a study; None where nothing is known of the model's size."""
    wanted = spec(project, config, arms, seeds)
    found = duration.estimate(store, wanted.version_id, config)
    if found is None:
        return None
    missing = _missing(store, wanted)
    return sum(_of_seed(found.seconds, arms) for arms in missing.values()) + duration.START_SECONDS * bool(missing)


def _of_seed(stage: Mapping[str, float], arms: Iterable[str]) -> float:
    """Seconds of these arms of one seed. stage: seconds of each stage of a run, whose evaluation asks three models."""
    alone = {row: row.removesuffix(ENSEMBLE) for row in IN_ENSEMBLE}
    asked = list(dict.fromkeys(alone.get(arm, arm) for arm in arms if arm not in SIMPLER_WORDS))
    judged, warm_up = stage["evaluate"] / 3, stage["warm_up"]
    found = judged * len(asked)
    whole = sum(stage[name] for name in ("warm_up", "retrieve", "respond", CROSS_FIT, "justify"))
    if alone.keys() & set(arms) or any(arm not in ("base", "base_demonstrations", "warm_up") for arm in asked):
        found += whole
    elif "warm_up" in asked:
        found += warm_up
    for arm in asked:
        if arm not in ("base", "base_demonstrations", "warm_up"):
            found += stage["tune"]
        if arm in EVOLVED and arm != "evolved":
            found += whole - warm_up - stage[CROSS_FIT]
    return found


def titles_of(config: Config) -> dict[str, str]:
    """Arm -> its name, of the arms that these settings have."""
    return titles([one.name for one in config.propagation.collaborators])


def summary(store: Store, run: Run) -> dict[str, Any]:
    """What the study has found so far, for `study --json` and the page; None where there is nothing yet."""
    wanted = Spec.of(run)
    found: dict[str, dict[int, Mapping[str, bool]]] = {}
    pseudo: dict[str, list[Mapping[str, float]]] = {}
    skipped: dict[str, str] = {}
    stored = studies.results(store, wanted)
    for (seed, arm), document in stored.items():
        one = Result(**document)
        if one.skipped:
            skipped[arm] = one.skipped
            continue
        found.setdefault(arm, {})[seed] = one.right
        if one.pseudo:
            pseudo.setdefault(arm, []).append(one.pseudo)
    names = titles_of(run.config)
    project = projects.find_project(store, run.project_id)
    worked = runs.worked(store, run)
    return {
        "project": project.name,
        "project_id": project.id,
        "run": run.id,
        "status": run.status,
        "seconds": None if worked is None else round(worked, 2),
        "seeds": wanted.seeds,
        "done": len(stored),
        "total": wanted.seeds * len(wanted.arms),
        **figures.as_dict(found, pseudo),
        "titles": {arm: names[arm] for arm in wanted.arms},
        "skipped": skipped,
        "sentence": figures.sentence(figures.differences(found), names),
        "notes": [] if _all_known(store, wanted.version_id) else [POOL_KEPT],
        "error": run.error,
    }
