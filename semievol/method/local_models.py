"""Which local models a run needs: what nobody would use is neither trained nor loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from semievol.config import VOTERS, Collaborator, Config
from semievol.endpoints import is_endpoint
from semievol.installed import MODEL_STATES
from semievol.method.protocols import Plan
from semievol.records import STAGES

SKIPPED = (
    "No warm-up was trained: no collaborator and no judge uses it. A run to the end trains it, as the evaluation "
    "compares with it; so does a run of this stage alone."
)


def warm_up_is_used(plan: Plan, first: str, until: str) -> bool:
    """Whether the stages from `first` to `until` use the warm-up, or are the warm-up alone."""
    covered, config = _covered(first, until), plan.config
    cleaned = bool(config.token_cleaning) and not plan.task.closed
    return (
        plan.parent is not None  # its evolved adapter takes the place of the warm-up, and costs nothing
        or covered == ("warm_up",)
        or config.propagation.uses_warm_up
        or ("evaluate" in covered and bool(plan.test))
        or ("tune" in covered and (config.tune_from == "warm_up" or cleaned))
    )


def base_is_used(plan: Plan, first: str, until: str) -> bool:
    """Whether the stages from `first` to `until` need the base model, or an adapter on it, in memory."""
    if plan.config.is_far:
        return False
    covered, settings = _covered(first, until), plan.config.propagation
    trains = "tune" in covered or ("warm_up" in covered and plan.parent is None and warm_up_is_used(plan, first, until))
    local = [not is_endpoint(one.model) and one.model not in VOTERS for one in settings.answering]
    answers = ("respond" in covered or "justify" in covered) and any(local)
    return trains or answers or ("evaluate" in covered and bool(plan.test)) or settings.embedder == MODEL_STATES


def other_models(config: Config) -> list[str]:
    """Names of the local models beside the base that collaborators or the judge name, each once."""
    names = dict.fromkeys(one.model for one in config.propagation.answering)
    known = ("base", "warm_up", config.model, *VOTERS)
    return [name for name in names if name not in known and not is_endpoint(name)]


def loaded_together(collaborators: Sequence[Collaborator], models: Mapping[str, str]) -> list[list[Collaborator]]:
    """The collaborators of the base and its adapters (`models`), then those of every other model: an engine has one
    other model in memory, so these answer one after the other."""
    on_base = [one for one in collaborators if one.model in models]
    others = dict.fromkeys(one.model for one in collaborators if one.model not in models)
    groups = [on_base, *([one for one in collaborators if one.model == name] for name in others)]
    return [group for group in groups if group]


def _covered(first: str, until: str) -> tuple[str, ...]:
    return STAGES[STAGES.index(first) : STAGES.index(until) + 1]
