"""Settings that suit a task and its records: which collaborators can answer, and whether their weights are earned."""

from __future__ import annotations

from collections.abc import Sequence

from semievol.config import STUDIO_COLLABORATORS, STUDIO_READERS, VOTERS, Config
from semievol.errors import UserError
from semievol.method import earned_weights
from semievol.method.voters import obstacle
from semievol.records import Record, Task


def suited(
    config: Config, task: Task, labeled: Sequence[Record], pool: Sequence[Record], later_round: bool = False
) -> Config:
    """The settings with collaborators that suit the task, and with `weighting: auto` decided.

    Of the preset `studio`, collaborators without a language model are left out if they do not fit the task; if none of
    them fits, one that reads demonstrations takes their place. One that a person chose raises UserError instead.
    later_round: as in `earned_weights.settled`.
    """
    mine = config.propagation.collaborators
    voters = {c: voter for c in mine for voter in VOTERS if c.model == voter}
    reasons = {c: reason for c, how in voters.items() if (reason := obstacle(task, labeled, pool, how))}
    if reasons and mine != STUDIO_COLLABORATORS:
        chosen, reason = next(iter(reasons.items()))
        raise UserError(
            reason, f"collaborator {chosen.name}", "Give this collaborator a language model, or leave it out."
        )
    if reasons:
        suitable = tuple(c for c in mine if c not in reasons) if len(reasons) < len(voters) else STUDIO_READERS
        propagation = config.propagation.model_copy(update={"collaborators": suitable})
        config = config.model_copy(update={"propagation": propagation})
    return earned_weights.settled(config, task, labeled, later_round)
