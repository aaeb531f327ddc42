"""What each demonstration does to a model's answer: asked once with all of them, and once without each in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Influence:
    """What leaving one demonstration out does.

    without: the answer then. changed: whether it is another one. effect: probability of the answer that is given with
    all demonstrations, with this one minus without it, in [-1, 1]; above 0 it speaks for that answer. None for free
    answers, which have no such probability.
    """

    without: str | None
    changed: bool
    effect: float | None


def influences(with_all: Mapping[str, Any], without_each: Sequence[Mapping[str, Any]]) -> list[Influence]:
    """with_all, without_each: answers as `inference_client.ask` gives them; one line for each of `without_each`."""
    answer, spread = with_all["answer"], with_all["probabilities"]
    found = []
    for said in without_each:
        effect = spread[answer] - said["probabilities"][answer] if answer in spread else None
        found.append(Influence(said["answer"], said["answer"] != answer, effect))
    return found
