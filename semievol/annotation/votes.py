"""What several annotators say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Vote = TypeVar("Vote")


def leading(votes: Mapping[Vote, int]) -> Vote | None:
    """What most annotators say, of what is said -> how many say so; None where two lead, or nobody says anything."""
    most = max(votes.values(), default=0)
    leaders = [said for said, number in votes.items() if number == most]
    return leaders[0] if len(leaders) == 1 else None
