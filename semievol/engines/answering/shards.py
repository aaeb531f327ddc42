"""Which questions go to which device, and how questions and answers go from process to process: as JSON, whose numbers
come back to the last bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from semievol.errors import UserError
from semievol.method.protocols import Ask, Engine, Reply
from semievol.records import Cost, Message

_PER_TOKEN = 4
"""Letters that a generated token counts for, as if it were read. It takes longer, but what is dealt is mostly alike."""


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


def asked(asks: Sequence[Ask]) -> str:
    """The questions as one line of JSON."""
    return json.dumps([asdict(ask) for ask in asks])


def answered(engine: Engine, line: str) -> str:
    """Answers the questions of such a line; what `replies` reads."""
    asks = []
    for values in json.loads(line):
        turns = tuple(Message(**turn) for turn in values["messages"])
        asks.append(Ask(**values | {"messages": turns, "allowed": tuple(values["allowed"])}))
    try:
        return json.dumps({"replies": [asdict(reply) for reply in engine.answer(asks)]})
    except UserError as problem:
        return json.dumps({"error": problem.as_dict()})


def replies(line: str) -> list[Reply]:
    """The answers in a line that `answered` wrote. Raises the UserError that it tells, ValueError if the line is not
    whole."""
    found = json.loads(line)
    if "error" in found:
        raise UserError(**found["error"])
    return [_reply(values) for values in found["replies"]]


def _reply(values: dict[str, Any]) -> Reply:
    lists = {name: tuple(values[name]) for name in ("probabilities", "token_logprobs", "token_entropies")}
    cost = None if values["cost"] is None else Cost(**values["cost"])
    return Reply(**values | lists | {"cost": cost})
