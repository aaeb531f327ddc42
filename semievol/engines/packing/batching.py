"""Cuts work into batches under a token budget, and makes them smaller when memory runs out.

Knows nothing of what is computed for a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from semievol.engines.packing.shares import Layout
from semievol.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)


class OutOfMemory(MemoryError):
    """Even the smallest batch did not fit."""


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
