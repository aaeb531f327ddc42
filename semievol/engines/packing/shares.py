"""How many tokens a batch has: rows padded to the longest, or packed, where a shared beginning counts once.

Knows nothing of tensors, so that an estimate made in the dashboard counts as the engine does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

CPU_BUDGET = 2048
CPU_GENERATING = 8192
"""Larger, for batches whose answers are generated: every step reads all weights, so more rows cost little more."""
GPU_BUDGET = 32768
LEAST_SHARED = 16
"""Least shared tokens that become a piece of their own; a piece costs extra calls in every layer."""


def common_length(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of leading ids that both sequences share."""
    for i, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return i
    return min(len(left), len(right))


def beginning(sequences: Sequence[tuple[int, ...]]) -> int:
    """Number of tokens that all sequences begin with, but not a whole one; 0 if fewer than LEAST_SHARED."""
    if len(sequences) < 2:
        return 0
    least, most = min(sequences), max(sequences)  # what the first and last in order share, all share
    common = min(common_length(least, most), min(map(len, sequences)) - 1)
    return common if common >= LEAST_SHARED else 0


class Layout(Protocol):
    """The order in which items are cut into batches, and the number of tokens of a batch."""

    order: Sequence[int]

    def fill(self, start: int, budget: int) -> int:
        """Number of items, from place `start` of the order on, that fit in `budget` tokens together."""

    def tokens(self, start: int, stop: int) -> int:
        """Tokens of a batch of the items from `start` to before `stop` of the order."""


class Padded:
    """Rows padded to the longest of their batch; ordered from the longest to the shortest, then as given.

    turning: if given, rows with more tokens are never in a batch with others (see `AdaptedModel.turning`). deep: tokens
    of each row where `lengths` counts several rows for an item.
    """

    def __init__(self, lengths: Sequence[int], turning: int | None = None, deep: Sequence[int] | None = None) -> None:
        rows = lengths if deep is None else deep
        beyond = [turning is not None and row > turning for row in rows]
        self.order: Sequence[int] = sorted(range(len(lengths)), key=lambda i: (not beyond[i], -lengths[i], i))
        self._lengths = [lengths[i] for i in self.order]
        self._beyond = sum(beyond)

    def fill(self, start: int, budget: int) -> int:
        count = budget // max(1, self._lengths[start])
        return min(count, self._beyond - start) if start < self._beyond else count

    def tokens(self, start: int, stop: int) -> int:
        return self._lengths[start] * (stop - start)


class Shared:
    """Packed sequences: those with the same beginning are next to each other, and shared tokens count once.

    more: additional tokens of each sequence.
    """

    def __init__(self, sequences: Sequence[tuple[int, ...]], more: Sequence[int]) -> None:
        self.order: Sequence[int] = sorted(range(len(sequences)), key=lambda i: (sequences[i], i))
        self._whole = [len(sequences[i]) + more[i] for i in self.order]
        neighbours = pairwise([(), *(sequences[i] for i in self.order)])
        self._new = [max(1, size - common_length(*pair)) for size, pair in zip(self._whole, neighbours, strict=True)]

    def fill(self, start: int, budget: int) -> int:
        taken, stop = self._whole[start], start + 1
        while stop < len(self._new) and taken + self._new[stop] <= budget:
            taken += self._new[stop]
            stop += 1
        return stop - start

    def tokens(self, start: int, stop: int) -> int:
        return self._whole[start] + sum(self._new[start + 1 : stop])


def passed(sequences: Sequence[tuple[int, ...]], more: Sequence[int], budget: int) -> int:
    """Tokens that a model computes for these sequences: in batches of at most `budget` tokens, what all of them begin
    with in the first batch only. more: additional tokens of each sequence."""
    kept = beginning(sequences)
    layout = Shared([sequence[kept:] for sequence in sequences], more)
    total, start = kept, 0
    while start < len(sequences):
        stop = start + max(1, layout.fill(start, budget))
        total, start = total + layout.tokens(start, stop), stop
    return total


class Continued:
    """Prompts with answers to be generated: longest first, equal prompts next to each other; every prompt takes as many
    tokens as the longest of its batch.

    answers: most tokens of each answer. shared: whether equal prompts are kept once. turning: if given, longer prompts
    are never in a batch with others, and those that may grow beyond it are alone (see `AdaptedModel.turning`).
    """

    def __init__(
        self,
        prompts: Sequence[tuple[int, ...]],
        answers: Sequence[int],
        shared: bool,
        turning: int | None = None,
    ) -> None:
        self.order: Sequence[int] = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), prompts[i], i))
        self._prompts = [prompts[i] for i in self.order]
        self._answers = [answers[i] for i in self.order]
        self._shared = shared
        self._sides = [self._side(place, turning) for place in range(len(self._prompts))]

    def _side(self, place: int, turning: int | None) -> int:
        """-1 and -2 for prompts that stay on one side of `turning`; its own place for one that does not."""
        if turning is None or len(self._prompts[place]) > turning:
            return -2
        return -1 if len(self._prompts[place]) + self._answers[place] <= turning else place

    def fill(self, start: int, budget: int) -> int:
        prompts, longest, count = 0, 0, 0
        for place in range(start, len(self._prompts)):
            if self._sides[place] != self._sides[start]:
                break
            first = place == start or self._prompts[place] != self._prompts[place - 1]
            prompts += first or not self._shared
            longest = max(longest, self._answers[place])
            if prompts * len(self._prompts[start]) + (count + 1) * longest > budget:
                break
            count += 1
        return count

    def tokens(self, start: int, stop: int) -> int:
        prompts = len(set(self._prompts[start:stop])) if self._shared else stop - start
        return prompts * len(self._prompts[start]) + (stop - start) * max(self._answers[start:stop])
