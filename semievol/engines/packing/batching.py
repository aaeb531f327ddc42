"""Cuts work into batches under a token budget, and makes them smaller when memory runs out.

Knows nothing of what is computed for a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol, TypeVar

import torch

from semievol.engines.chat import common_length
from semievol.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

CPU_BUDGET = 2048
CPU_GENERATING = 8192
"""Larger, for batches whose answers are generated: every step reads all weights, so more rows cost little more."""
GPU_BUDGET = 32768
_log = logging.getLogger(__name__)


class OutOfMemory(MemoryError):
    """Even the smallest batch did not fit."""


class Layout(Protocol):
    """The order in which items are cut into batches, and the number of tokens of a batch."""

    order: Sequence[int]

    def fill(self, start: int, budget: int) -> int:
        """Number of items, from place `start` of the order on, that fit in `budget` tokens together."""

    def tokens(self, start: int, stop: int) -> int:
        """Tokens of a batch of the items from `start` to before `stop` of the order."""


class Padded:
    """Rows padded to the longest of their batch; ordered from the longest to the shortest, then as given."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.order: Sequence[int] = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
        self._lengths = [lengths[i] for i in self.order]

    def fill(self, start: int, budget: int) -> int:
        return budget // max(1, self._lengths[start])

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


class Continued:
    """Prompts with answers to be generated: longest first, equal prompts next to each other; every prompt takes as many
    tokens as the longest of its batch.

    answers: most tokens of each answer. shared: whether equal prompts are kept once.
    """

    def __init__(self, prompts: Sequence[tuple[int, ...]], answers: Sequence[int], shared: bool) -> None:
        self.order: Sequence[int] = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), prompts[i], i))
        self._prompts = [prompts[i] for i in self.order]
        self._answers = [answers[i] for i in self.order]
        self._shared = shared

    def fill(self, start: int, budget: int) -> int:
        prompts, longest, count = 0, 0, 0
        for place in range(start, len(self._prompts)):
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


class Batcher:
    """Runs work in batches of at most `budget` tokens; the budget is halved when memory runs out.

    A processor is fastest with small batches (2,000 to 4,000 tokens were measured best), a GPU with large ones.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def run(
        self, items: Sequence[Item], layout: Layout, work: Callable[[list[Item]], Sequence[Result]]
    ) -> list[Result]:
        """`work`'s results for all `items`, in their order. The same list always gives the same batches.

        Raises OutOfMemory if a single item does not fit.
        """
        results: dict[int, Result] = {}
        start, most = 0, len(items)
        while start < len(items):
            count = max(1, min(len(items) - start, most, layout.fill(start, self.budget)))
            batch = layout.order[start : start + count]
            try:
                done = work([items[i] for i in batch])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                done = None
            if done is None:  # not inside the except block: there the traceback still holds the tensors
                torch.cuda.empty_cache()
                if count == 1:
                    raise OutOfMemory
                most = count // 2
                self.budget = layout.tokens(start, start + most)
                _log.warning("out of memory: batches are now at most %d tokens", self.budget)
                continue
            results.update(zip(batch, done, strict=True))
            start += count
        return [results[i] for i in range(len(items))]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that memory ran out, on a GPU or a processor."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def too_large(where: str, remedy: str) -> UserError:
    """The error for a single item that does not fit in memory."""
    return UserError("There is not enough memory even for a single item.", where, remedy)


def pad_left(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Rows of ids as one batch, padded on the left.

    Returns ids (B, T), mask (B, T; None if all rows are of equal length), and positions (B, T) from 0 in each row.
    """
    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=device)
    starts = torch.tensor([[width - len(row)] for row in rows], device=device)
    columns = torch.arange(width, device=device)[None, :]
    mask = (columns >= starts).long() if any(len(row) < width for row in rows) else None
    return ids, mask, (columns - starts).clamp(min=0)
