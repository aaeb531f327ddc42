"""Cuts a training to the memory of its device: by the estimate before it starts, then by what really runs out.

The updates stay those of the settings: fewer examples at once are made up for by accumulating their gradients, and with
gradient checkpointing a layer is computed a second time. Only the last digits of sums differ.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from semievol.engines.adapters import AdaptedModel
from semievol.engines.chat import Turn
from semievol.engines.models import footprint, hardware
from semievol.engines.models.footprint import Fit
from semievol.engines.packing.batching import is_out_of_memory, too_large
from semievol.errors import UserError
from semievol.tuning import Tuning

_log = logging.getLogger(__name__)


def fitted(
    adapted: AdaptedModel, settings: Tuning, rows: Sequence[Turn], memory: float | None = None, processes: int = 1
) -> Fit:
    """How to train on these rows, which are in the order of training.

    settings: of one process. memory: bytes of the device; None asks it. processes: how many train; they have a GPU
    each, or share this machine's memory with the one that started them.
    """
    micro = min(settings.micro_batch_size, settings.batch_size)
    try:
        shape = footprint.Shape.of(adapted.folder)
    except UserError:
        return Fit(micro)
    if memory is None:
        on_gpu = adapted.device.type == "cuda"
        if on_gpu:
            memory = min(map(_gpu_memory, [torch.device("cuda", i) for i in range(processes)]))
        else:
            memory = hardware.machine_memory() / (1 if processes == 1 else processes + 1)
    parts = [rows[i : i + micro] for i in range(0, len(rows), micro)]
    tokens = max(sum(turn.length for turn in part) for part in parts)
    labels = max(sum(len(turn.reply) for turn in part) for part in parts)
    bf16 = adapted.model.dtype == torch.bfloat16
    left = footprint.room(shape, bf16, memory, adapted.four_bits)
    more = (labels, can_checkpoint(adapted), adapted.four_bits)
    found = footprint.fit(shape, settings, tokens, bf16, left, *more)
    if found != Fit(micro, False, found.bytes):
        how = "with checkpointing" if found.checkpointed else "without checkpointing"
        _log.info("trained %d examples at once instead of %d, %s, to fit", found.micro_batch_size, micro, how)
    return found


def until_it_fits(adapted: AdaptedModel, settings: Tuning, first: Fit, attempt: Callable[[Fit], str]) -> str:
    """`attempt`'s result. When memory runs out, it is called again with a smaller fit; without one: UserError."""
    now: Fit | None = first
    while now is not None:
        try:
            return attempt(now)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Not inside the except block: there the traceback still holds the tensors.
        gc.collect()
        torch.cuda.empty_cache()
        now = now.smaller(settings, can_checkpoint(adapted))
        if now is not None:
            how = ", with checkpointing" if now.checkpointed else ""
            _log.warning("out of memory: training goes on with %d examples at once%s", now.micro_batch_size, how)
    raise too_large("training", "Choose a smaller model or rank, or leave out the longest records.")


def can_checkpoint(adapted: AdaptedModel) -> bool:
    """Whether the layers of the model can be computed a second time."""
    return bool(getattr(adapted.model, "supports_gradient_checkpointing", False))


@contextmanager
def checkpointing(model: Any, wanted: bool) -> Iterator[None]:
    """Inside this context the layers keep their inputs only, if wanted. model: of transformers, or peft around one."""
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    if wanted:
        plain.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    try:
        yield
    finally:
        if wanted:
            plain.activation_checkpointing_disable()


def _gpu_memory(device: torch.device) -> float:
    return float(torch.cuda.get_device_properties(device).total_memory)
