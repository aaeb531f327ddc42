"""A fine-tuned model together with the simple models that are collaborators: the neighbours' vote, a regression.

Their probabilities are averaged, with the weights that they have as collaborators (a linear pool, as for candidates).
The simple models err on other records than a language model does, and cost nothing beside it. They learn from what the
model learned from: beside the evolved one also from the answers that were accepted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from semievol.config import VOTERS, Config
from semievol.method import confidence
from semievol.records import Record, Response, Task
from semievol.selection.summary import Selection
from semievol.task.answers import allowed_answers

MODEL = "model"


def weights(task: Task, config: Config, fitted: Mapping[str, Any] | None) -> dict[str, float]:
    """Weight of MODEL, which takes the place of the warm-up's collaborators (or of the base's, where there are none of
    the warm-up), and of every voter. Empty where `obstacle` finds one.

    fitted: the round's weights as `earned_weights.fit` saves them; without any, all count equally.
    """
    return {} if obstacle(task, config, fitted) else _weights(config, fitted)


def obstacle(task: Task, config: Config, fitted: Mapping[str, Any] | None) -> str:
    """One sentence saying why there is no ensemble; empty if there is one."""
    if not task.closed:
        return "Free answers have no probabilities that could be averaged."
    found = _weights(config, fitted)
    if not any(one.model in VOTERS for one in config.propagation.collaborators):
        return "Neither the neighbours' vote nor a regression is a collaborator."
    if MODEL not in found:
        return "The fine-tuned model has no weight among the collaborators."
    return "" if len(found) > 1 else "The neighbours' vote and the regression have no weight among the collaborators."


def _weights(config: Config, fitted: Mapping[str, Any] | None) -> dict[str, float]:
    earned = (fitted or {}).get("everybody")
    everybody = config.propagation.collaborators
    own = next((which for which in ("warm_up", "base") if any(one.model == which for one in everybody)), None)
    found: dict[str, float] = {}
    for one in everybody:
        name = MODEL if one.model == own else one.model
        if name == MODEL or name in VOTERS:
            found[name] = 1.0 if earned is None else found.get(name, 0.0) + earned.get(one.name, 0.0)
    return {name: weight for name, weight in found.items() if weight > 0}


def learned(labeled: Sequence[Record], pool: Sequence[Record], frozen: Selection | None) -> list[Record]:
    """What the simple models beside a model learn from: labeled records, and those of the pool whose answers are in
    `frozen`, the selection that the model was fine-tuned on; None: it was on labeled ones alone."""
    answers = {} if frozen is None else frozen.answers
    return [*labeled, *(replace(record, answer=answers[record.id]) for record in pool if record.id in answers)]


def together(
    task: Task, record: Record, given: Mapping[str, Response], name: str, weighted: Mapping[str, float]
) -> Response:
    """The answer of the largest averaged probability, as a response called `name`.

    A voter that found nothing to vote for does not count. The answer is the model's own where it gives no
    probabilities. given: MODEL and voters -> their responses to the record. weighted: as `weights` gives them.
    """
    counted = [replace(given[one], collaborator=one) for one in weighted if one == MODEL or given[one].answer]
    told = [[one.collaborator, weighted[one.collaborator], one.input_hash] for one in counted]
    digest = hashlib.sha256(json.dumps(sorted(told)).encode()).hexdigest()[:32]
    spread = confidence.averaged(allowed_answers(task, record), counted, earned=weighted)
    if not spread:
        return replace(given[MODEL], collaborator=name, input_hash=digest)
    answer = max(spread, key=lambda one: spread[one])  # of equals the first
    return Response(record.id, name, answer, answer, tuple(spread.values()), input_hash=digest)
