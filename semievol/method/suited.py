"""Settings that suit a task and its records: which collaborators can answer, and whether their weights are earned."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from semievol.config import VOTERS, Collaborator, Config
from semievol.errors import UserError
from semievol.installed import CHAR_TFIDF, MODEL_STATES
from semievol.method import earned_weights
from semievol.method.voters import obstacle
from semievol.presets import STUDIO_COLLABORATORS, STUDIO_READERS
from semievol.records import Record, Task


def suited(
    config: Config, task: Task, labeled: Sequence[Record], pool: Sequence[Record], later_round: bool = False
) -> Config:
    """The settings with collaborators that suit the task, with `weighting: auto` decided, and with `tune_embedder` off
    where nothing would use it.

    Of the preset `studio`, collaborators without a language model are left out if they do not fit the task; if none of
    them fits, one that reads demonstrations takes their place. One that a person chose raises UserError instead.
    later_round: as in `earned_weights.settled`.
    """
    mine = config.propagation.collaborators
    reasons = unfit(mine, task, labeled, pool)
    if reasons and mine != STUDIO_COLLABORATORS:
        chosen, reason = next(iter(reasons.items()))
        raise UserError(reason, f"collaborator {chosen}", "Give this collaborator a language model, or leave it out.")
    if reasons:
        propagation = config.propagation.model_copy(update={"collaborators": without(config, reasons)})
        config = config.model_copy(update={"propagation": propagation})
    return earned_weights.settled(with_embedder(config, task), task, labeled, later_round)


def with_embedder(config: Config, task: Task) -> Config:
    """The settings with `tune_embedder` off, unless a voter can use an embedder that tells the task's labels apart."""
    propagation = config.propagation
    voting = any(one.model in VOTERS for one in propagation.collaborators)
    if voting and task.kind == "classification" and propagation.embedder not in (CHAR_TFIDF, MODEL_STATES):
        return config
    return config.model_copy(update={"propagation": propagation.model_copy(update={"tune_embedder": False})})


def unfit(
    mine: Sequence[Collaborator], task: Task, labeled: Sequence[Record], pool: Sequence[Record]
) -> dict[str, str]:
    """Name of a collaborator that cannot answer these records -> why, in a sentence."""
    voters = {one.name: voter for one in mine for voter in VOTERS if one.model == voter}
    return {name: reason for name, how in voters.items() if (reason := obstacle(task, labeled, pool, how))}


def without(config: Config, unfit_ones: Collection[str]) -> tuple[Collaborator, ...]:
    """The preset's collaborators without those that do not fit; where no voter is left, some that read instead."""
    propagation = config.propagation
    left = tuple(one for one in propagation.collaborators if one.name not in unfit_ones)
    if any(one.model in VOTERS for one in left):
        return left
    return tuple(one for one in STUDIO_READERS if propagation.k or not one.demonstrations)
