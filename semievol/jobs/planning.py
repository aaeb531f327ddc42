"""What a run works on: which round it belongs to, whether its stages can begin, and which records they get.

Loads nothing that computes. This module decides which records a model may be trained on: a round, and any round before
it, is never trained on its calibration and test records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from semievol.config import VOTERS, Collaborator, Config
from semievol.endpoints import is_endpoint
from semievol.engines.models import packaged, suitability
from semievol.engines.models.resolve import HUB_ID, is_folder
from semievol.errors import UserError
from semievol.importing.splits import cut_calibration
from semievol.installed import MODELS, STARTER
from semievol.method import collaborators
from semievol.method import small_budget as small_budgets
from semievol.method.local_models import other_models
from semievol.method.protocols import Plan
from semievol.method.suited import suited, unfit
from semievol.records import STAGES, Record, Task
from semievol.selection.policy import Cut
from semievol.store.data import projects
from semievol.store.data import versions as data_versions
from semievol.store.data.records import load_records
from semievol.store.data.versions import save_calibration, task_of
from semievol.store.database import Store
from semievol.store.decisions import selections
from semievol.store.results import collaborators as collaborators_said
from semievol.store.results import outcomes, results
from semievol.store.runs import progress, rounds, runs

BY_HAND = 0.05
"""Largest share of the records left by a policy that people may add by hand. Above it, what is left is no longer
comparable with the calibration records that the policy leaves."""
_NEEDS = {
    "respond": ("retrieve", "Begin with retrieve or an earlier stage."),
    "justify": ("respond", "Begin with respond or an earlier stage."),
    "select": ("justify", "Propagate first."),
    "tune": ("justify", "Propagate first, or freeze a selection."),
    "evaluate": ("tune", "Fine-tune first."),
}


def open_round(
    store: Store, project: projects.Project, config: Config, first: str, parent_id: int | None = None
) -> rounds.Round:
    """The round of these settings, opened if there is none and `first` can begin one. Checks all before it writes."""
    if project.version_id is None:
        raise UserError("The project has no data yet.", project.name, "Import labeled and unlabeled records first.")
    check_model(config.model)
    suitability.check_precision(config)
    suitability.check_embedder(config.propagation.embedder)
    config = of_version(store, project.version_id, config, parent_id is not None)
    adapter = None
    if parent_id is not None:
        if rounds.get_round(store, parent_id).project_id != project.id:
            raise UserError(f"There is no round {parent_id} in this project.", "--parent", "Choose another round.")
        adapter = outcomes.evolved_adapter(store, parent_id)
        if adapter is None:
            raise UserError("The parent round has no evolved adapter.", f"round {parent_id}", "Fine-tune it first.")
        if config.four_bits and not is_endpoint(adapter) and not (Path(adapter) / "adapter_config.json").is_file():
            raise UserError(
                f"Round {parent_id} trained all weights, which a model in 4 bits cannot take.",
                "precision",
                "Set precision to auto, or begin from the base model.",
            )
        of_parent = rounds.get_round(store, parent_id).config.model
        if of_parent != config.model and (is_endpoint(of_parent) or config.is_far):
            raise UserError(
                f"Round {parent_id} fine-tuned the model {of_parent}, and these settings name {config.model}.",
                "model",
                f"Set the model to {of_parent}, or begin from a base model.",
            )
    found = rounds.find_round(store, project.id, config, parent_id, adapter)
    if found is not None:
        return found
    _check_collaborators(config, task_of(store, project.version_id))
    if first not in ("warm_up", *(("retrieve",) if adapter else ())):
        raise UserError(
            "There is no round with these settings that could be continued.",
            f"--from {first}",
            "Begin with warm_up, or name the round with --round.",
        )
    held = _held(store, project, config, parent_id)
    spent = frozenset() if parent_id is None else _spent(store, parent_id, project.version_id)
    return rounds.open_round(store, project.id, config, parent_id, held, adapter, spent)


def config_to_run(store: Store, project: projects.Project, config: Config, parent_id: int | None = None) -> Config:
    """The settings of a run from the first stage. If their round came finished with an archive, a run in it would have
    little left to do: then the same settings with the next seed, which open a round beside it."""
    adapter = None if parent_id is None else outcomes.evolved_adapter(store, parent_id)
    if project.version_id is None:
        return config
    config = of_version(store, project.version_id, config, parent_id is not None)
    found = rounds.find_round(store, project.id, config, parent_id, adapter)
    while found is not None and outcomes.came_finished(store, found.id):
        config = config.model_copy(update={"seed": (config.seed + 1) % 2**32})
        found = rounds.find_round(store, project.id, config, parent_id, adapter)
    return config


def for_later_round(config: Config, parent: rounds.Round) -> Config:
    """The settings as a round after `parent` can have them: its base model is that of the parent's adapter. That has
    seen every labeled record, so these cannot be cross-fitted, and weights are earned only where calibration records
    are held out."""
    propagation = config.propagation
    if config.cross_fit and propagation.weighting == "earned":
        propagation = propagation.model_copy(update={"weighting": "auto"})
    later = config.model_copy(update={"model": parent.config.model, "cross_fit": 0, "propagation": propagation})
    return later.fitting()


def begun(
    store: Store, project: projects.Project, config: Config, parent_id: int | None = None, unsuited: bool = False
) -> rounds.Round | None:
    """The round of these settings, if it was opened. config: as `config_to_run` gives it; unsuited: or as a person gave
    it."""
    if project.version_id is None:
        return None
    if unsuited:
        config = of_version(store, project.version_id, config, parent_id is not None)
    adapter = None if parent_id is None else outcomes.evolved_adapter(store, parent_id)
    return rounds.find_round(store, project.id, config, parent_id, adapter)


def propagated(
    store: Store, project: projects.Project, config: Config, parent_id: int | None = None
) -> rounds.Round | None:
    """The round of these settings if a run has finished its answers, so that another would find nothing to do. config:
    as `config_to_run` gives it."""
    found = begun(store, project, config, parent_id)
    if found is None:
        return None
    done = any(
        (run.round_id, run.status, run.config.cross_fit) == (found.id, "done", config.cross_fit)
        and run.covers("justify")
        for run in runs.list_runs(store, project.id)
    )
    if done and unanswered(store, found):
        return None
    return found if done else None


def unanswered(store: Store, round_: rounds.Round) -> dict[str, int]:
    """Collaborator on an endpoint -> pool records of the round that it was asked about and did not answer. Another run
    with the round's settings asks just these."""
    config = round_.config
    far = [one.name for one in config.propagation.collaborators if config.at_server(one.model)]
    return collaborators_said.unanswered(store, round_.id, far) if far else {}


def check_model(name: str) -> None:
    """Raises UserError for a model that is not there or cannot be used. The worker looks up hub ids, since it may
    download them, and prepares packages; an endpoint is looked up where it is asked."""
    if is_endpoint(name):
        return
    if name in MODELS or packaged.is_gguf(name):
        packaged.check(name)
    elif name == STARTER or is_folder(name) or not HUB_ID.fullmatch(name):
        suitability.suitable(name)


def _check_collaborators(config: Config, task: Task) -> None:
    """Raises UserError if two would answer alike, and for another model that is not there or cannot be used."""
    settings = config.propagation
    collaborators.checked(settings.collaborators, collaborators.Around.of(config, task.instruction))
    check_others(config)


def check_others(config: Config) -> None:
    """Raises UserError for a further model of a collaborator or the judge that is not there or cannot be used."""
    for name in other_models(config):
        check_model(name)


def obstacles(store: Store, version_id: int) -> dict[str, str]:
    """Voter -> why it cannot answer the records of a dataset version, in a sentence; without those that can."""
    labeled, pool = load_records(store, version_id, "labeled"), load_records(store, version_id, "unlabeled")
    voters = [Collaborator(name=how, model=how) for how in VOTERS]
    return unfit(voters, task_of(store, version_id), labeled, pool)


def of_version(store: Store, version_id: int, config: Config, later_round: bool) -> Config:
    """`suited` to the records of a dataset version. These are read only if the settings depend on them."""
    propagation = config.propagation
    if propagation.weighting != "auto" and not any(c.model in VOTERS for c in propagation.collaborators):
        return config
    labeled, pool = load_records(store, version_id, "labeled"), load_records(store, version_id, "unlabeled")
    return suited(config, task_of(store, version_id), labeled, pool, later_round)


def small_budget(store: Store, project: projects.Project, config: Config) -> small_budgets.Advice | None:
    """What to do with few labeled records before a first round with these settings; None where there are enough."""
    if project.version_id is None:
        return None
    task, labeled = task_of(store, project.version_id), load_records(store, project.version_id, "labeled")
    counts = project.counts
    return small_budgets.advice(config, task, labeled, counts.get("unlabeled", 0), counts.get("test", 0))


def check_ready(store: Store, round_: rounds.Round, first: str, selection: int | None, awaited: bool = True) -> None:
    """Raises UserError if the first stage needs results of an earlier one that are not there. awaited: those that an
    active or waiting run is going to make count as there."""
    if selection is not None and selection not in [
        frozen["number"] for frozen in selections.selections(store, round_.id)
    ]:
        raise UserError(
            f"There is no selection {selection} in this round.", "--selection", "Freeze one, or choose another."
        )
    there = _finished(store, round_)
    coming = _coming(store, round_.id) if awaited else set()
    uses_warm_up = round_.config.propagation.uses_warm_up
    if first in ("respond", "justify") and uses_warm_up and "warm_up" not in there | coming:
        raise UserError("This round has no warm-up adapter yet.", f"--from {first}", "Begin with warm_up.")
    if (
        first == "tune"
        and round_.config.tune_from == "warm_up"
        and "warm_up" not in outcomes.adapters(store, round_.id)
    ):
        raise UserError("This round has no warm-up adapter to tune from.", "tune_from", "Set it to base.")
    needed, remedy = _NEEDS.get(first, ("", ""))
    frozen = first == "tune" and bool(selections.selections(store, round_.id))
    if needed and needed not in there | coming and not frozen:
        raise UserError(f"{needed} has not been run in this round.", f"--from {first}", remedy)


def make_plan(store: Store, run: runs.Run) -> tuple[Plan, list[str]]:
    """The records of the run's round by split, and sentences about records that are left out for a fair evaluation."""
    round_ = rounds.get_round(store, run.round_id)
    held = rounds.held(store, round_.id)
    records = load_records(store, round_.version_id)
    labeled = [record for record in records if record.split == "labeled"]
    pool, repeated = _apart([r for r in records if r.split == "unlabeled"], held)
    test, seen = _apart([r for r in records if r.split == "test"], _trained_on_before(store, round_))
    remarks = []
    if repeated:
        count = "1 unlabeled record is" if repeated == 1 else f"{repeated:,} unlabeled records are"
        remarks.append(f"{count} left out: the same text is in the calibration split.")
    if seen:
        count = "1 test record is" if seen == 1 else f"{seen:,} test records are"
        remarks.append(f"{count} left out: an earlier round was trained on the same text.")
    plan = Plan(
        task=task_of(store, round_.version_id),
        config=rounds.with_settings_of(round_, run.config),
        labeled=[record for record in labeled if record.content_hash not in held],
        unlabeled=pool,
        calibration=[record for record in labeled if record.content_hash in held],
        test=test,
        round_number=round_.number,
        parent=outcomes.adapters(store, round_.id).get("warm_up") if round_.parent_id is not None else None,
        spent=rounds.spent(store, round_.id),
    )
    return plan, remarks


def _held(store: Store, project: projects.Project, config: Config, parent_id: int | None) -> frozenset[str]:
    """Calibration records of a new round: the project's one cut, less what a round before it was trained on."""
    if not config.calibration or project.version_id is None:
        return frozenset()
    held = data_versions.calibration(store, project.id)
    if held is None:
        labeled = load_records(store, project.version_id, "labeled")
        cut = cut_calibration(labeled, config.calibration, config.calibration_minimum, config.seed)
        held = save_calibration(store, project.id, cut) if cut else frozenset()
    return held if parent_id is None else held & rounds.held(store, parent_id)


def _spent(store: Store, parent_id: int, version_id: int) -> frozenset[str]:
    """What the evidence of a parent's next round does not count: see `rounds.spent`.

    Pool records: those in the selection that the parent's evolved adapter was trained on, and those that its policy
    accepts among the parent's candidates. Calibration records: those that the policy accepts; all of them if there is
    no policy, or if people added more than `BY_HAND` of the records that it left, since the rest then is no random
    part. Labeled records of earlier rounds on other data are included: they may be pool records of this version.
    """
    pool, calibration = results.candidate_frame(store, parent_id), results.calibration_frame(store, parent_id)
    frozen = outcomes.trained_on(store, parent_id)
    found = set(rounds.spent(store, parent_id))
    trained = pool.index.isin(list(frozen.answers) if frozen else [])
    like_it, known = np.zeros(len(pool), dtype=bool), np.ones(len(calibration), dtype=bool)
    if frozen is not None and frozen.policy is not None:
        cut = Cut(frozen.policy, pool, calibration)
        like_it = cut.mask
        known = cut.known | ((trained & ~like_it).sum() > BY_HAND * (~like_it).sum())
    found |= set(pool["content_hash"][trained | like_it]) | set(calibration["content_hash"][known])
    parent = rounds.get_round(store, parent_id)
    for before in (parent, *_ancestors(store, parent)):
        if before.version_id != version_id:
            labeled = load_records(store, before.version_id, "labeled")
            found |= {record.content_hash for record in labeled} - rounds.held(store, before.id)
    return frozenset(found)


def _finished(store: Store, round_: rounds.Round) -> set[str]:
    """Stages whose results the round holds."""
    there = {
        stage
        for run in runs.list_runs(store, round_.project_id)
        if run.round_id == round_.id
        for stage in (p.stage for p in progress.stages(store, run.id) if p.status == "done")
    }
    return there | set(outcomes.adapters(store, round_.id))


def _coming(store: Store, round_id: int) -> set[str]:
    """Stages that a run of this round, active or waiting, is going to do."""
    waiting = [*runs.queue(store), *([active] if (active := runs.active_run(store)) else [])]
    return {stage for stage in STAGES for run in waiting if run.round_id == round_id and run.covers(stage)}


def _ancestors(store: Store, round_: rounds.Round) -> Iterator[rounds.Round]:
    while round_.parent_id is not None:
        round_ = rounds.get_round(store, round_.parent_id)
        yield round_


def _trained_on_before(store: Store, round_: rounds.Round) -> set[str]:
    """Content hashes of what earlier rounds on other data could train on."""
    versions = {ancestor.version_id for ancestor in _ancestors(store, round_)} - {round_.version_id}
    records = [record for version in versions for record in load_records(store, version)]
    return {record.content_hash for record in records if record.split in ("labeled", "unlabeled")}


def _apart(records: Sequence[Record], hashes: Collection[str]) -> tuple[list[Record], int]:
    """Records whose content is not among `hashes`, and how many were left out."""
    kept = [record for record in records if record.content_hash not in hashes]
    return kept, len(records) - len(kept)
