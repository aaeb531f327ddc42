"""What several annotators say together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Vote = TypeVar("Vote")


def leading(votes: Mapping[Vote, int]) -> Vote | None:
    """The most frequent vote; None on a tie or without votes. votes: vote -> count."""
    most = max(votes.values(), default=0)
    leaders = [vote for vote, count in votes.items() if count == most]
    return leaders[0] if len(leaders) == 1 else None
