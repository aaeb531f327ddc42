"""Estimates how long the stages of a run take, before it is started.

The operations follow from the model's size and the tokens that it reads (`jobs.token_counts`). Their pace is that of
the newest runs of the same model in this workspace; before there are any, that of products of matrices on this
machine's processor, which is rough.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import numpy as np

from semievol import config as settings
from semievol.config import Collaborator, Config
from semievol.engines.models import footprint, tokenizer
from semievol.importing.splits import holds_out
from semievol.jobs import token_counts
from semievol.jobs.token_counts import Reading, read
from semievol.method import earned_weights, voters
from semievol.method.suited import with_embedder
from semievol.records import CROSS_FIT, Record, Task
from semievol.store.data import records, versions
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import outcomes
from semievol.store.runs import progress, rounds, runs

START_SECONDS = 8.0
"""Until the process has started and the model is loaded."""
EMBEDDER_PARAMETERS = 22e6
DISPUTED = 0.3
"""Share of the records about which collaborators are assumed to disagree."""
_EFFICIENCY = 0.55  # share of the rate of bare products that a run of the sample reached, all stages together
_BF16_GAIN = 2.0
_VOTE = 2e8  # operations of a voter for a record, as a run of the sample took them; its time is within that of justify
_MODELS = 3  # base, warm-up and evolved answer the test set
_TRIED_SECONDS = 0.2
_LOOKED_AT = 12  # newest runs whose pace is looked at


@dataclass(frozen=True)
class Amount:
    """How many records of each split, and how many candidates are trained on (None: those that the policy keeps, all of
    them if that is not a share). tunes_embedder: whether the evaluation has an embedder fine-tuned."""

    labeled: int
    pool: int
    test: int
    kept: int | None = None
    tunes_embedder: bool = False


@dataclass(frozen=True)
class Estimate:
    """Stage, or cross-fitting, -> seconds. measured: whether earlier runs of the model gave the pace. tokens: what it
    rests on. answers: whether the warm-up answers, judges, or is tuned from; else only the evaluation needs it."""

    seconds: Mapping[str, float]
    measured: bool
    tokens: Reading
    answers: bool = True

    def of(self, first: str, until: str) -> float:
        """Seconds of a run of these stages, with its start."""
        skipped = {"warm_up"} if not self.answers and first != until != "evaluate" else set()
        covered = (stage for stage in progress.steps(first, until) if stage not in skipped)
        return START_SECONDS + sum(self.seconds.get(stage, 0.0) for stage in covered)


@dataclass(frozen=True)
class Answering:
    """How long each collaborator alone would take for `records` records. each: name -> seconds, without those whose
    model is not on this machine. judge: seconds for the disputed ones, None without a judge or its model."""

    records: int
    each: Mapping[str, float]
    judge: float | None


def operations(shape: footprint.Shape, config: Config, amount: Amount, tokens: Reading) -> dict[str, float]:
    """Stage -> operations: two per weight and token to read, six (all weights) or four (LoRA) to train."""
    propagation = config.propagation
    holds = holds_out(amount.labeled, config.calibration, config.calibration_minimum)
    held = round(config.calibration * amount.labeled) if holds else 0
    learnt = amount.labeled - held
    answered = 2.0 * (shape.parameters * tokens.respond + tokens.others)
    some = propagation.warm_up_demonstrations == "some" and propagation.k > 0
    four_bits = config.four_bits
    warm_up = _training(shape, propagation.warm_up, learnt * (2 if some else 1), tokens.warm_up, four_bits)
    asked = amount.pool + held
    judged = 2.0 * (shape.parameters * tokens.justify + tokens.other_judge) * DISPUTED if propagation.justify else 0.0
    judged += _VOTE * sum(one.model in settings.VOTERS for one in propagation.collaborators)
    folds = config.cross_fit if not held else 0
    rule = config.policy.rule
    kept = amount.kept
    if kept is None:
        kept = round(rule.value * amount.pool) if rule.kind == "fraction" else amount.pool
    learning = 6.0 * EMBEDDER_PARAMETERS * tokens.question * voters.updates(learnt) * voters.TUNED_AT_ONCE
    at_once = propagation.tune_embedder  # the evaluation then finds the embedder as it needs it
    return {
        "warm_up": warm_up,
        "retrieve": 2.0 * EMBEDDER_PARAMETERS * tokens.question * (amount.pool + amount.labeled) + at_once * learning,
        "respond": answered * asked,
        CROSS_FIT: folds * (warm_up + at_once * learning) + (folds > 0) * (answered + judged) * amount.labeled,
        "justify": judged * asked,
        "tune": _training(
            shape, config.tune, kept + (learnt if config.tune_on == "gold_and_pseudo" else 0), tokens.tune, four_bits
        ),
        "evaluate": 2.0 * shape.parameters * _MODELS * tokens.evaluate * amount.test
        + (amount.tunes_embedder and not at_once) * learning,
    }


def _training(
    shape: footprint.Shape, tuning: settings.Tuning, examples: float, tokens: float, four_bits: bool
) -> float:
    full = tuning.trains_all(shape.parameters, four_bits)
    forward = 2.0 if tuning.kl else 0.0  # of the model that the training starts from
    return (
        (forward + (6.0 if full else 4.0))
        * shape.parameters
        * tuning.batch_size
        * tokens
        * tuning.steps(round(examples))
    )


def by_processor(config: Config) -> float:
    """Seconds per operation on this machine's processor."""
    bf16 = config.precision != "fp32" and footprint.processor_has_bf16()
    return 1.0 / (_rate() * (_BF16_GAIN if bf16 else 1.0) * _EFFICIENCY)


def estimate(store: Store, version_id: int, config: Config, round_id: int | None = None) -> Estimate | None:
    """How long a run with this config on these records would take; None for a hub model that is not on this machine.

    round_id: the round whose newest frozen selection is trained on. Raises UserError where the model cannot be used.
    """
    folder = tokenizer.folder_of(config.model)
    if folder is None:
        return None
    shape = footprint.Shape.of(folder)
    frozen = selections.selections(store, round_id) if round_id is not None else []
    kept = frozen[-1]["size"] if frozen else None
    task, labeled = versions.task_of(store, version_id), records.load_records(store, version_id, "labeled")
    final = settled(config, task, labeled)
    tokens = read(store, version_id, final, folder, shape.context)
    found = operations(shape, final, _amount(store, version_id, kept), tokens)
    paces = _paces(store, config.model, folder, shape)
    otherwise = median(paces.values()) if paces else by_processor(config)
    seconds = {stage: work * paces.get(stage, otherwise) for stage, work in found.items()}
    answers = config.propagation.uses_warm_up or config.tune_from == "warm_up"
    return Estimate(seconds, bool(paces), tokens, answers)


def answering(store: Store, version_id: int, config: Config) -> Answering | None:
    """The time of every collaborator and of the judge, estimated as in `estimate`; None for a hub model that is not on
    this machine. Another model is as fast, in operations, as its own runs here; before there are any, as the round's.

    Raises UserError where the round's model cannot be used.
    """
    folder = tokenizer.folder_of(config.model)
    if folder is None:
        return None
    amount, propagation = _amount(store, version_id, None), config.propagation
    holds = holds_out(amount.labeled, config.calibration, config.calibration_minimum)
    records_ = amount.pool + (round(config.calibration * amount.labeled) if holds else 0)
    shape = footprint.Shape.of(folder)
    paces = _paces(store, config.model, folder, shape)
    otherwise = median(paces.values()) if paces else by_processor(config)
    there = token_counts.models(config, folder)

    def seconds(one: Collaborator, judge: bool = False) -> float | None:
        if one.model in settings.VOTERS:
            return _VOTE * records_ * paces.get("justify", otherwise)
        if (model := there.get(one.model)) is None:
            return None
        stage = "justify" if judge else "respond"
        pace = paces.get(stage, otherwise)
        if model.folder != folder:
            its = _paces(store, one.model, model.folder, footprint.Shape.of(model.folder))
            pace = its.get(stage, median(its.values()) if its else pace)
        read_ = token_counts.work_of(store, version_id, config, one, model, judge)
        return 2.0 * read_ * records_ * (DISPUTED if judge else 1.0) * pace

    each = {one.name: found for one in propagation.collaborators if (found := seconds(one)) is not None}
    return Answering(records_, each, seconds(propagation.judge, judge=True) if propagation.justify else None)


def settled(config: Config, task: Task, labeled: Sequence[Record]) -> Config:
    """The config with the folds that `weighting: auto` needs, and `tune_embedder` off where nothing would use it."""
    config = with_embedder(config, task)
    if holds_out(len(labeled), config.calibration, config.calibration_minimum):
        return config
    return earned_weights.settled(config, task, labeled, later_round=False)


def _amount(store: Store, version_id: int, kept: int | None) -> Amount:
    version = versions.get_version(store, version_id)
    counts, tunes_embedder = version.counts, version.task.kind == "classification"
    return Amount(counts.get("labeled", 0), counts.get("unlabeled", 0), counts.get("test", 0), kept, tunes_embedder)


def _paces(store: Store, model: str, folder: Path, shape: footprint.Shape) -> dict[str, float]:
    """Stage -> seconds per operation in the newest round of this model that did it on this machine.

    In a round only the first run of a stage counts: later ones find its results and have little left to do.
    """
    found: dict[str, float] = {}
    seen: set[tuple[int, str]] = set()
    mine = [run for run in runs.list_runs(store) if run.config.model == model]
    for run in reversed(mine[:_LOOKED_AT]):
        if outcomes.came_finished(store, run.round_id):
            continue
        round_ = rounds.get_round(store, run.round_id)
        kept = next(
            (one["size"] for one in selections.selections(store, round_.id) if one["number"] == run.selection_used),
            None,
        )
        tokens = read(store, round_.version_id, run.config, folder, shape.context)
        work = operations(shape, run.config, _amount(store, round_.version_id, kept), tokens)
        for stage in progress.stages(store, run.id):
            if stage.status != "done" or (run.round_id, stage.stage) in seen:
                continue
            seen.add((run.round_id, stage.stage))
            inherited = stage.stage == "warm_up" and round_.parent_id is not None
            if stage.seconds and work.get(stage.stage) and not inherited:
                found[stage.stage] = stage.seconds / work[stage.stage]
    return found


@cache
def _rate() -> float:
    """Operations a second of this machine in fp32 products: the best of some short trials.

    Others may be busy for a while, so only the time counts in which this thread had a processor.
    """
    a = np.ones((512, 1024), np.float32)
    b = np.ones((1024, 1024), np.float32)
    seconds: list[float] = []
    end = time.perf_counter() + _TRIED_SECONDS
    while len(seconds) < 8 or time.perf_counter() < end:
        began = time.thread_time()
        a @ b
        seconds.append(time.thread_time() - began)
    return 2 * a.shape[0] * a.shape[1] * b.shape[1] / min(seconds)
