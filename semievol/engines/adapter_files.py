"""Adapters on disk: what their files are called, how they are written, and whether they fit a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from peft import LoraConfig
from safetensors.torch import save_file

from semievol.engines.models.files import read_json, shapes
from semievol.engines.training import checkpoints
from semievol.errors import UserError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
BASE = "base.json"
Method = Literal["lora", "full"]


def is_adapter(folder: Path) -> bool:
    """Whether a folder contains an adapter made here. A complete set of weights without our marker is a model."""
    return (folder / CONFIG).is_file() or all((folder / file).is_file() for file in (BASE, checkpoints.MARKER))


def method_of(folder: Path) -> Method:
    """How the adapter in this folder was trained."""
    return "lora" if (folder / CONFIG).is_file() else "full"


def key(folder: Path) -> tuple[str, str]:
    """Identifies a loaded adapter: another one may be written to the same place later."""
    marker = folder / checkpoints.MARKER
    return str(folder.resolve()), marker.read_text(encoding="utf-8") if marker.is_file() else ""


def save_weights(weights: Mapping[str, torch.Tensor], file: Path, dtype: torch.dtype | None) -> None:
    on_cpu = {key: t.detach().to("cpu", dtype or t.dtype).contiguous() for key, t in sorted(weights.items())}
    save_file(on_cpu, file, metadata={"format": "pt"})


def check_shapes(
    own: Mapping[str, torch.Tensor], folder: Path, file: str, beside: Mapping[str, torch.Tensor] | None = None
) -> None:
    """beside: what may also be in the file."""
    expected, found = {key: tuple(tensor.shape) for key, tensor in own.items()}, shapes(folder / file)
    found = {key: shape for key, shape in found.items() if key not in (beside or {})}
    if found == expected:
        return
    odd = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    raise UserError(
        f"The adapter does not fit the model: {len(odd)} of {len(expected)} tensors differ "
        f"({odd[0]}: expected {expected.get(odd[0])}, found {found.get(odd[0])}).",
        f"adapter {folder.name}",
        "Choose the model and the rank that it was trained with.",
    )


def read_config(folder: Path) -> LoraConfig:
    values = read_json(folder / CONFIG)
    if values.get("peft_type") != "LORA":
        found = values.get("peft_type")
        raise UserError(f"Expected a LoRA adapter, found {found}.", f"adapter {folder.name}", "Choose another one.")
    known = set(LoraConfig.__dataclass_fields__)
    return LoraConfig(**{key: value for key, value in values.items() if key in known})
