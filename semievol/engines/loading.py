"""A base model read into memory: all of its weights or none, plain or in 4 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import logging as transformers_logging

from semievol.engines.models import suitability
from semievol.engines.models.files import read_json
from semievol.errors import UserError


def few_bits(folder: Path) -> bool:
    """Whether the model's files hold its weights in few bits."""
    return bool(read_json(folder / "config.json").get("quantization_config"))


def loaded(folder: Path, name: str, device: torch.device, dtype: torch.dtype, four_bits: bool) -> Any:
    """The causal language model in this folder, on the device.

    name: what errors call it. four_bits: its linear layers are held in 4 bits, unless its files hold few bits already.
    Raises UserError for a model that cannot be loaded, or whose files lack weights.
    """
    transformers_logging.disable_progress_bar()  # only now: the bar of the download should be seen
    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # refused below with their names, like those that are missing
            output_loading_info=True,
            **(_in_four_bits(device, dtype) if four_bits and not few_bits(folder) else {}),
        )
        model = model.to(device)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise UserError(
            f"The model cannot be loaded ({type(error).__name__}: {str(error)[:300]}).",
            f"model {name}",
            "Choose a causal language model whose architecture this version of transformers knows.",
        ) from None
    finally:
        transformers_logging.enable_progress_bar()
    for layer in model.modules():
        # On processors with AVX512-BF16 the layers would repack their weights for answering, and a training after
        # that would get no gradients through them (bitsandbytes 0.50.2, `matmul_4bit`).
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    odd = [key for key, *_ in found["mismatched_keys"]]
    suitability.refuse_incomplete(found["missing_keys"], odd, f"model {name}")
    return model


def _in_four_bits(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """How transformers is told to hold the linear layers in 4 bits."""
    suitability.check_four_bits()
    how = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": how, "device_map": {"": str(device)}}
