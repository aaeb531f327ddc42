"""How long each answer of a batch took: its share of the batch's time, in proportion to its tokens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def timed(
    work: Callable[[list[Item]], Sequence[Result]], tokens: Callable[[Item, Result], int]
) -> Callable[[list[Item]], list[tuple[Result, float]]]:
    """`work` on a batch, each result with its seconds. tokens: how many an item and its result have together.

    What the items of a batch begin with is read once, and an answer that is complete waits for the longest one: of what
    they share, the share by tokens is a convention, not a measurement. The sum over a batch is measured.
    """

    def on_batch(batch: list[Item]) -> list[tuple[Result, float]]:
        began = time.perf_counter()
        results = work(batch)
        took = time.perf_counter() - began
        sizes = [tokens(item, result) for item, result in zip(batch, results, strict=True)]
        return [(result, took * size / max(1, sum(sizes))) for result, size in zip(results, sizes, strict=True)]

    return on_batch
