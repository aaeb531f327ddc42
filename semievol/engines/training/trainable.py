"""The weights that a training changes: the LoRA weights of an adapter, or a copy of all weights of the base.

Two classes with the same methods. Knows nothing of examples, losses or steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from semievol.engines.adapter_files import Method, method_of
from semievol.engines.adapters import AdaptedModel
from semievol.errors import UserError
from semievol.tuning import Tuning


def method(settings: Tuning, adapted: AdaptedModel, start: Path | None) -> Method:
    """The method of a training. `auto`: that of the adapter `start`; without one, `full` up to 100 M parameters, but
    `lora` if they are held in 4 bits.

    Raises UserError if the settings name another method than that of the adapter to start from.
    """
    begun = method_of(start) if start is not None else None
    if settings.method == "auto":
        return begun or ("full" if settings.trains_all(adapted.size, adapted.few_bits) else "lora")
    if settings.method == "full" and adapted.few_bits:
        raise UserError(
            "Weights in few bits are never trained.", "method", "Set method to auto or lora, or choose other weights."
        )
    if begun not in (None, settings.method):
        raise UserError(
            f"The training would start from an adapter of method {begun} and continue with {settings.method}.",
            "method",
            f"Set method to auto or {begun}, or start from the base.",
        )
    return settings.method


class TrainableAdapter:
    """A LoRA adapter on the base in memory."""

    method: Method = "lora"

    def __init__(self, adapted: AdaptedModel, settings: Tuning, seed: int, start: Path | None) -> None:
        self._adapted, self._start = adapted, None if start is None else str(start)
        self._name = adapted.add(settings.lora, seed, start)
        self.model: Any = adapted.peft

    @contextmanager
    def start(self) -> Iterator[Any]:
        """The model as it was when the training began, without gradients, dropout and noise."""
        training = self.model.training
        self.model.eval()
        try:
            with self._adapted.using(self._start) as model:
                yield model
        finally:
            self.model.set_adapter(self._name)
            self.model.train(training)

    def save(self, folder: Path, dtype: torch.dtype | None = None) -> None:
        """dtype: what the weights are rounded to; None leaves them unchanged."""
        self._adapted.save(self._name, folder, dtype)

    def restore(self, folder: Path) -> None:
        self._adapted.restore(self._name, folder)

    def close(self) -> None:
        """Removes the adapter from memory."""
        self._adapted.remove(self._name)
        self._adapted.model.eval()


class TrainableCopy:
    """A copy of the base in fp32, all weights trainable."""

    method: Method = "full"

    def __init__(self, adapted: AdaptedModel, start: Path | None) -> None:
        self._adapted, self._start = adapted, None if start is None else str(start)
        self.model: Any = adapted.fresh(torch.float32).requires_grad_(True)
        if start is not None:
            self.restore(start)

    @contextmanager
    def start(self) -> Iterator[Any]:
        """As for LoRA; it is the base in memory, which the training does not change."""
        with self._adapted.using(self._start) as model:
            yield model

    def save(self, folder: Path, dtype: torch.dtype | None = None) -> None:
        """As for LoRA."""
        self._adapted.save_full(dict(self.model.named_parameters()), folder, dtype)

    def restore(self, folder: Path) -> None:
        found = self._adapted.full_weights(folder)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(found[name])

    def close(self) -> None:
        """Removes the copy from memory."""
        self.model = None


Trainable = TrainableAdapter | TrainableCopy


def prepared(adapted: AdaptedModel, settings: Tuning, seed: int, start: Path | None) -> Trainable:
    """The weights to train: fresh ones, or those of the adapter in `start`."""
    if method(settings, adapted, start) == "full":
        return TrainableCopy(adapted, start)
    return TrainableAdapter(adapted, settings, seed, start)
