"""Batches of similar length under a token budget, padded on the left, and what happens when memory runs out.

Knows nothing of what is computed for a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from semievol.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

CPU_BUDGET = 2048
CPU_GENERATING = 8192
"""Tokens of a batch whose answers are generated: every step reads all weights, so that more rows cost little more."""
GPU_BUDGET = 32768
_log = logging.getLogger(__name__)


class OutOfMemory(MemoryError):
    """Even the smallest batch did not fit."""


class Batcher:
    """Runs work in batches whose padded size stays under `budget` tokens; the budget is halved when memory runs out.

    A processor is fastest with small batches (2,000 to 4,000 tokens were measured best), a GPU with large ones.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget

    def run(
        self, items: Sequence[Item], length: Callable[[Item], int], work: Callable[[list[Item]], list[Result]]
    ) -> list[Result]:
        """`work`'s results for all `items`, in their order.

        length: tokens that an item needs. Items are cut into batches from the longest to the shortest, equals in the
        order given, so that the same list always gives the same batches.
        Raises OutOfMemory where a single item does not fit.
        """
        results: dict[int, Result] = {}
        lengths = [length(item) for item in items]
        waiting = sorted(range(len(items)), key=lambda i: (-lengths[i], i))
        while waiting:
            count = max(1, min(len(waiting), self.budget // max(1, lengths[waiting[0]])))
            batch = waiting[:count]
            try:
                done = work([items[i] for i in batch])
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                done = None
            if done is None:  # outside the except block, where the traceback would keep the tensors alive
                _free_memory()
                if count == 1:
                    raise OutOfMemory
                self.budget = lengths[waiting[0]] * (count // 2)
                _log.warning("out of memory: batches are now at most %d tokens", self.budget)
                continue
            results.update(zip(batch, done, strict=True))
            waiting = waiting[count:]
        return [results[i] for i in range(len(items))]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is torch's or Python's way of saying that memory ran out, on a GPU or a processor."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def too_large(where: str, remedy: str) -> UserError:
    """The error for work that does not fit in memory even alone."""
    return UserError("There is not enough memory even for a single item.", where, remedy)


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def pad_left(
    rows: Sequence[Sequence[int]], pad: int, device: torch.device, multiple: int = 1
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Rows of ids as one batch whose last column is every row's last id; its width is rounded up to a `multiple`.

    Returns ids (B, T), mask (B, T; None where no row is shorter than another), and positions (B, T) from 0 per row.
    """
    width = -(-max(len(row) for row in rows) // multiple) * multiple
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=device)
    starts = torch.tensor([[width - len(row)] for row in rows], device=device)
    columns = torch.arange(width, device=device)[None, :]
    mask = (columns >= starts).long() if any(len(row) < width for row in rows) else None
    return ids, mask, (columns - starts).clamp(min=0)
