"""A model together with the simple models that are the round's collaborators: the neighbours' vote, a regression.

Their probabilities are averaged, with the weights that they have as collaborators (a linear pool, as for candidates).
The simple models err on other records than a language model does, and cost nothing beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from semievol.config import VOTERS, Config
from semievol.method import confidence
from semievol.records import Record, Response, Task
from semievol.task.answers import allowed_answers

MODEL = "model"


def weights(config: Config, fitted: Mapping[str, Any] | None) -> dict[str, float]:
    """Weight of MODEL, which takes the place of all collaborators that are language models, and of every voter.

    fitted: the round's weights as `earned_weights.fit` saves them; without any, all collaborators count equally. Empty
    where the round has no voters, or where only they or only models count.
    """
    earned = (fitted or {}).get("everybody")
    found: dict[str, float] = {}
    for one in config.propagation.collaborators:
        name = one.model if one.model in VOTERS else MODEL
        found[name] = found.get(name, 0.0) + (1.0 if earned is None else earned.get(one.name, 0.0))
    found = {name: weight for name, weight in found.items() if weight > 0}
    return found if MODEL in found and len(found) > 1 else {}


def together(
    task: Task, record: Record, given: Mapping[str, Response], name: str, weighted: Mapping[str, float]
) -> Response:
    """The answer of the largest averaged probability, as a response called `name`; the model's own where one of them
    gives no probabilities.

    given: MODEL and voters -> their responses to the record. weighted: as `weights` gives them.
    """
    counted = [replace(given[one], collaborator=one) for one in weighted]
    digest = hashlib.sha256("/".join(response.input_hash for response in counted).encode()).hexdigest()[:32]
    spread = confidence.averaged(allowed_answers(task, record), counted, earned=weighted)
    if not spread:
        return replace(given[MODEL], collaborator=name, input_hash=digest)
    answer = max(spread, key=lambda one: spread[one])  # of equals the first
    return Response(record.id, name, answer, answer, tuple(spread.values()), input_hash=digest)
