"""Settings of one fine-tuning: how long, how fast, which weights.

Knows nothing of what a round does with the model.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FULL_UP_TO = 100_000_000
"""Largest model, in parameters, of which the training method `auto` trains all weights."""


class Settings(BaseModel):
    """Base of every settings model: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Lora(Settings):
    """Low-rank adaptation (Hu et al. 2021)."""

    rank: int = Field(16, ge=1, le=512, description="Rank r of the low-rank update; a higher rank trains more weights.")
    alpha: int = Field(32, ge=1, description="Scale of the update: alpha / r.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout probability on the adapter's input.")
    use_rslora: bool = Field(False, description="Scale by alpha / sqrt(r) instead (Kalajdzievski 2023).")
    use_dora: bool = Field(False, description="Train magnitude and direction separately (Liu et al. 2024).")


class Tuning(Settings):
    """One fine-tuning: how long, how fast, with which adapter."""

    method: Literal["auto", "lora", "full"] = Field(
        "auto",
        description="`lora` trains an adapter, `full` all weights. `auto`: full up to 100 M parameters that are not "
        "held in few bits, else LoRA.",
    )
    lora: Lora = Lora()
    learning_rate: Literal["auto"] | Annotated[float, Field(gt=0, le=1)] = Field(
        "auto",
        description="Peak learning rate of AdamW. `auto`: 3.5e-4 (LoRA) or 6.25e-5 (full) x 4096 / hidden size, at "
        "most 4e-3.",
    )
    epochs: float = Field(2, gt=0, le=100, description="Passes over the training examples.")
    minimum_steps: int = Field(150, ge=0, description="Examples are repeated until there are this many updates.")
    batch_size: int = Field(8, ge=1, le=4096, description="Examples per update (effective batch size).")
    micro_batch_size: int = Field(8, ge=1, le=4096, description="Examples in memory at once; fewer need less.")
    schedule: Literal["cosine", "linear", "constant"] = Field("cosine", description="Learning rate after its warm-up.")
    warmup_ratio: float = Field(0.1, ge=0, lt=1, description="Share of the updates in which the rate rises.")
    weight_decay: float = Field(0.0, ge=0, le=1, description="Decoupled weight decay of AdamW.")
    max_grad_norm: float = Field(1.0, gt=0, description="Gradients are clipped to this norm.")
    neftune_noise_alpha: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Noise on the token embeddings while training (NEFTune, Jain et al. 2023), so that few examples "
        "are not learned by heart: uniform in ± alpha / sqrt(tokens x hidden size). 0: none.",
    )
    kl: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Holds the model near the one that the training starts from: weight of the KL divergence between "
        "the two next-token distributions, KL(trained || start) in nats, at every token of the answers. It costs a "
        "second forward pass. 0: none.",
    )
    save_every: int = Field(50, ge=1, description="Updates between two checkpoints.")
    store_dtype: Literal["fp32", "bf16"] = Field(
        "fp32", description="Number format of the stored adapter. `bf16` takes half the space and rounds the weights."
    )

    def trains_all(self, parameters: int, four_bits: bool = False) -> bool:
        """Whether all weights of a model of this size are trained, where the training starts from the base. four_bits:
        its linear layers are held in 4 bits."""
        return self.method == "full" or (self.method == "auto" and parameters <= FULL_UP_TO and not four_bits)

    def steps(self, examples: int) -> int:
        """Updates of a training on this number of examples: the batches of all epochs, but at least `minimum_steps`."""
        return max(math.ceil(self.epochs * math.ceil(examples / self.batch_size)), self.minimum_steps, 1)

    @model_validator(mode="after")
    def _micro_divides(self) -> Tuning:
        if self.batch_size % min(self.micro_batch_size, self.batch_size):
            raise ValueError("micro_batch_size must divide batch_size")
        return self
