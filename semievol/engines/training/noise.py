"""Noise on the token embeddings while training, which keeps a small training set from being learned by heart.

NEFTune: Jain et al. 2023, arXiv 2310.05914. The switch that transformers has takes the width of the whole input for the
length of an example, so that packed rows would get far less noise than padded ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from semievol.engines.training import together


class EmbeddingNoise:
    """Adds uniform noise in ±alpha / sqrt(L d) to every embedding: L tokens in an example, d the hidden size.

    The noise of an update depends on the seed, the update's number and the process only, so that a resumed training
    repeats it.
    """

    def __init__(self, alpha: float, seed: int) -> None:
        self._alpha, self._seed = alpha, seed
        self._generator = torch.Generator()
        self.length = 1.0
        """L: tokens of an example, the mean over those that are read now."""

    def begin(self, step: int) -> None:
        """Call before the update with this number."""
        process = "" if together.first() else f":{together.place()}"
        digest = hashlib.sha256(f"{self._seed}:{step}{process}".encode()).digest()
        self._generator.manual_seed(int.from_bytes(digest[:8]) % 2**63)

    def __call__(self, embedding: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        """A forward hook of the embedding layer; changes nothing while the model is in evaluation mode."""
        if not embedding.training:
            return output
        noise = torch.empty(output.shape).uniform_(-1, 1, generator=self._generator)
        size = self._alpha / math.sqrt(self.length * output.shape[-1])
        return output + (size * noise).to(output.device, output.dtype)


@contextmanager
def embedding_noise(model: Any, alpha: float, seed: int) -> Iterator[EmbeddingNoise]:
    """The model reads its tokens with noise inside the block; alpha 0: without."""
    noise = EmbeddingNoise(alpha, seed)
    hook = model.get_input_embeddings().register_forward_hook(noise) if alpha else None
    try:
        yield noise
    finally:
        if hook is not None:
            hook.remove()
