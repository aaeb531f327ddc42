"""What is watched while a training runs: its numbers, the wish to stop, and a loss that is no number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from semievol.engines.chat import Turn
from semievol.engines.packing.batching import Batcher
from semievol.engines.packing.shares import Padded
from semievol.engines.training import batches, together
from semievol.engines.training.fused import Group
from semievol.engines.training.noise import EmbeddingNoise
from semievol.errors import UserError


class Watcher(TrainerCallback):
    """Reports numbers, stops when asked, and ends a training whose loss is not a number before anything is saved."""

    def __init__(
        self,
        model: Any,
        loss: Callable[[Any, Sequence[Turn]], torch.Tensor],
        device: torch.device,
        held_out: Sequence[Turn],
        budget: int,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._model, self._loss, self._device, self._held_out = model, loss, device, held_out
        self._batcher = Batcher(budget)
        self._metric, self._progress, self._stopping = metric, progress, stopping
        self._started = 0.0
        self.every = batches.HELD_OUT_EVERY
        self.groups: Sequence[Group] = ()
        self.noise = EmbeddingNoise(0.0, 0)
        self.tokens = 0
        self.stopped = False

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for group in self.groups:
            group.refresh()

    on_train_begin = on_optimizer_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started, self.tokens = time.monotonic(), 0
        self.noise.begin(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step, last = state.global_step, state.global_step >= state.max_steps
        tokens = together.total(self.tokens, self._device)
        self._metric("tokens_per_second", step, tokens / max(time.monotonic() - self._started, 1e-9))
        if self._held_out and (step % self.every == 0 or last):
            self._metric("held_out_loss", step, self._held_out_loss())
        self._progress(step, state.max_steps)
        if together.any_of(self._stopping(), self._device):
            self.stopped = True
            control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        for name in ("loss", "learning_rate", "grad_norm"):
            if name in logs:
                self._metric(name, state.global_step, float(logs[name]))
        # Again, before a checkpoint is published: a journal that has stored the step then has its loss, too.
        self._progress(state.global_step, state.max_steps)
        if not all(math.isfinite(logs[name]) for name in ("loss", "grad_norm") if name in logs):
            raise UserError(
                f"The loss or its gradient is no longer a number at step {state.global_step} (loss {logs['loss']:.4g}, "
                f"learning rate {logs['learning_rate']:.2g}): the learning rate is most likely too high.",
                "learning_rate",
                "Set learning_rate to a third of that and start again; checkpoints before this step are kept.",
            )

    def _held_out_loss(self) -> float:
        """Mean negative log-likelihood (nats per token) of the held-out examples; each process reads its part."""
        mine = self._held_out[together.place() :: together.count()]

        def losses(turns: list[Turn]) -> list[float]:
            return [float(self._loss(self._model, turns))] + [0.0] * (len(turns) - 1)

        self._model.eval()
        with torch.no_grad():
            found = self._batcher.run(mine, Padded([turn.length for turn in mine]), losses)
        self._model.train()
        return together.total(sum(found), self._device) / sum(len(turn.reply) for turn in self._held_out)
