"""What the processes of one training do together: sums over all of them, and the mean of their gradients.

A training in one process never waits here. Gradients are averaged by hand and not by DistributedDataParallel, which
sees nothing of a loss that is not computed by the model's own `forward` (see `batches.answer_logits`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

_AT_ONCE = 2**24
"""Numbers that are sent together: enough to fill a connection, few enough to be no weight in memory."""


def count() -> int:
    """Processes of this training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def place() -> int:
    """This process's number, from 0."""
    return int(os.environ.get("RANK", "0"))


def first() -> bool:
    """Whether this process is the one that writes and tells."""
    return place() == 0


def total(value: float, device: torch.device) -> float:
    """The sum of all processes' values. Each must call it at the same point, or the others wait for ever."""
    if count() == 1:
        return value
    shared = torch.tensor([value], device=device, dtype=torch.float64)
    torch.distributed.all_reduce(shared)
    return float(shared.item())


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether any process says so, to all of them at the same point."""
    return total(float(flag), device) > 0


def average_gradients(weights: Sequence[torch.nn.Parameter]) -> None:
    """Gives every process the mean of all processes' gradients, the same bits to each.

    A weight without a gradient counts as zero, and stays without one if no process has one.
    """
    if count() == 1:
        return
    device = weights[0].device
    have = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.int32, device=device)
    torch.distributed.all_reduce(have)
    waiting: list[torch.Tensor] = []
    for weight, there in zip(weights, have.tolist(), strict=True):
        if not there:
            continue
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        if waiting and (
            waiting[0].dtype != weight.grad.dtype or sum(one.numel() for one in waiting) + weight.numel() > _AT_ONCE
        ):
            _average(waiting)
            waiting = []
        waiting.append(weight.grad)
    if waiting:
        _average(waiting)


def _average(gradients: Sequence[torch.Tensor]) -> None:
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= count()
    for gradient, part in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
