"""Which weights of a model get LoRA: all linear layers that read text, and the experts. Knows nothing of training."""

from __future__ import annotations

import re
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

_STATE_SPACE = ("falcon_h1", "mamba", "mamba2", "falcon_mamba", "nemotron_h")
_FUSED_OUT = ("out_proj",)  # peft refuses it in these models, since their kernels read its weight past the adapter


def excluded(model: Any) -> str | None:
    """A regular expression, for peft, of the names of the parts that read pictures or sound; None if there are none."""
    beside = _beside_text(model)
    return rf"({'|'.join(map(re.escape, beside))}).*" if beside else None


def linear_names(model: Any) -> list[str]:
    """Last parts of the names of all linear layers that read text, except the output layer: these get LoRA
    ("all-linear")."""
    output, elsewhere = model.get_output_embeddings(), _beside_text(model)
    kinds = (nn.Linear, Conv1D)  # Conv1D is GPT-2's linear layer with a transposed weight
    linear = [
        name
        for name, part in model.named_modules()
        if isinstance(part, kinds)
        and part is not output
        and not name.startswith(elsewhere)
        and not type(part).__module__.startswith("transformers.models.")  # routers, which give more than a product
    ]
    spared = _FUSED_OUT if model.config.model_type in _STATE_SPACE else ()
    return sorted({name.rpartition(".")[2] for name in linear}.difference(spared))


def _beside_text(model: Any) -> tuple[str, ...]:
    """Beginnings of the names of the parts that read pictures or sound; none in a model of text."""
    if model.config.get_text_config() is model.config:
        return ()
    text = next(name for name, part in model.named_modules() if part is model.get_decoder())
    above = {text[: place + 1] for place, letter in enumerate(text) if letter == "."}
    beside = [name for name, _ in model.named_modules() if f"{name.rpartition('.')[0]}." in above and name != text]
    return tuple(f"{name}." for name in beside if f"{name}." not in above)


def expert_names(model: Any) -> list[str]:
    """Last two parts of the names of weights that contain all experts of a layer (experts, out, in)."""
    found = set()
    for name, part in model.named_modules():
        if not type(part).__module__.startswith("torch.nn"):  # torch's own three-dimensional weights are convolutions
            owner = name.rpartition(".")[2]
            found |= {f"{owner}.{key}" for key, weight in part.named_parameters(recurse=False) if weight.dim() == 3}
    return sorted(found)
