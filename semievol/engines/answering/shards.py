"""Which questions go to which device, and how questions and answers go from process to process: as JSON, whose numbers
come back to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from semievol.method.protocols import Ask, Reply
from semievol.records import Cost, Message

_PER_TOKEN = 4
"""Letters of text that take as long to read as a token takes to be generated; to balance work, roughly is enough."""


def dealt(asks: Sequence[Ask], count: int) -> list[list[int]]:
    """Places of the questions for each of `count` devices, about the same work for each, in ascending order.

    Equal prompts to one model stay together, since they are computed once.
    """
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, ask in enumerate(asks):
        groups.setdefault((ask.model, ask.messages, ask.allowed), []).append(place)
    hands: list[list[int]] = [[] for _ in range(count)]
    work = [0] * count
    for size, places in sorted(((_work(asks, places), places) for places in groups.values()), reverse=True):
        least = work.index(min(work))
        hands[least] += places
        work[least] += size
    return [sorted(hand) for hand in hands]


def _work(asks: Sequence[Ask], places: Sequence[int]) -> int:
    first = asks[places[0]]
    reading = sum(len(message.content) for message in first.messages) + sum(map(len, first.allowed))
    generated = 0 if first.allowed else sum(asks[place].max_tokens for place in places)
    return reading + _PER_TOKEN * generated


def written(message: Ask | Reply) -> dict[str, Any]:
    """A question or an answer as JSON holds it."""
    return asdict(message)


def ask(values: dict[str, Any]) -> Ask:
    """The question that was `written`."""
    turns = tuple(Message(**turn) for turn in values["messages"])
    return Ask(**values | {"messages": turns, "allowed": tuple(values["allowed"])})


def reply(values: dict[str, Any]) -> Reply:
    """The answer that was `written`."""
    lists = {name: tuple(values[name]) for name in ("probabilities", "token_logprobs", "token_entropies")}
    cost = None if values["cost"] is None else Cost(**values["cost"])
    return Reply(**values | lists | {"cost": cost})
