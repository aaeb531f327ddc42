"""Estimates the peak memory of a run from the model's files and the settings, before anything is loaded.

The terms of the formula are what training needs: weights, gradients, the two moments of Adam, and the activations kept
for the backward pass. The constants were fitted to measured peaks of two Llamas of 6 and 41 M parameters
(`python -m tests.benchmarks.scaling --parts memory` measures such peaks). Knows nothing of torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from semievol.config import FULL_UP_TO, Config, Tuning
from semievol.engines.models.files import shapes, text_settings, weight_files
from semievol.errors import UserError

PROCESS = 490e6
"""Bytes of a worker before its model: Python, torch, transformers."""
PREPARED = 350e6
"""Bytes that answering needs beside the model: weights prepared for products in bf16, and one batch."""
_LONG = 1_000_000
_LORA_KEEPS = 1.5  # every layer with LoRA keeps its input a second time


@dataclass(frozen=True)
class Shape:
    """The sizes that a model's memory depends on: all parameters, a layer's widths, the longest prompt (tokens)."""

    parameters: int
    hidden: int
    intermediate: int
    layers: int
    context: int

    @classmethod
    def of(cls, folder: Path) -> Shape:
        """Read from config.json and the headers of the weights. Raises UserError if the sizes cannot be read."""
        try:
            config = text_settings(folder)
            hidden = _size(config, "hidden_size", "n_embd", "d_model")
            return cls(
                parameters=sum(math.prod(shape) for file in weight_files(folder) for shape in shapes(file).values()),
                hidden=hidden,
                intermediate=_size(config, "intermediate_size", "n_inner", "ffn_dim", otherwise=4 * hidden),
                layers=_size(config, "num_hidden_layers", "n_layer", "n_layers"),
                context=_size(config, "max_position_embeddings", "n_positions", otherwise=_LONG),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            raise UserError(
                f"The sizes of the model cannot be read ({type(error).__name__}: {str(error)[:100]}).",
                f"model {folder.name}",
                "Nothing has to be done; only the estimate of memory is missing.",
            ) from None

    def activations(self, bf16: bool) -> float:
        """Bytes that all layers together keep for the backward pass of one token."""
        floats = (
            1000 + 6.6 * self.hidden + 3.3 * self.intermediate
            if bf16
            else (2400 + 9 * self.hidden + 5 * self.intermediate)
        )
        return 4.0 * floats * self.layers


def peak(shape: Shape, config: Config, warm_up: int, tune: int, bf16: bool) -> float:
    """Bytes at the peak of a run of all stages, on one device.

    warm_up, tune: tokens of the largest batch of these trainings.
    """
    trainings = (training(shape, config.propagation.warm_up, warm_up, bf16), training(shape, config.tune, tune, bf16))
    model = shape.parameters * (2 if bf16 else 4)
    return PROCESS + model + PREPARED + max(trainings)  # PREPARED is not freed before training


def training(shape: Shape, tuning: Tuning, tokens: int, bf16: bool) -> float:
    """Bytes that training needs beside the model that answers. tokens: of the largest batch in memory at once."""
    full = tuning.method == "full" or (tuning.method == "auto" and shape.parameters <= FULL_UP_TO)
    # Two factors of rank r at each of a layer's seven products, whose sides are about `hidden` and `intermediate` long.
    low_rank = tuning.lora.rank * shape.layers * (8 * shape.hidden + 3 * (shape.hidden + shape.intermediate))
    learnt = shape.parameters if full else low_rank
    return 16.0 * learnt + tokens * shape.activations(bf16) * (1 if full else _LORA_KEEPS)


@cache
def processor_has_bf16() -> bool:
    """Whether the processor has instructions for products in bf16. Measured forward passes were 3.7 times faster than
    in fp32 with AMX, 1.8 times with AVX512-BF16, and slower without either."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def _size(config: dict[str, Any], *names: str, otherwise: int | None = None) -> int:
    """The first of these settings that exists; architectures have different names for the same size."""
    found = next((config[name] for name in names if config.get(name) is not None), otherwise)
    if found is None:
        raise KeyError(names[0])
    return int(found)
