"""A GGUF file as a folder of bf16 safetensors that transformers loads like any other.

transformers reads the file and undoes its quantisation, but cannot save a model that was read that way. So the weights
are put into a fresh model of the same shape, which is saved. Knows nothing of packages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, modeling_gguf_pytorch_utils
from transformers.utils import logging as transformers_logging

from semievol.errors import UserError

_OF_THE_FILE = ("quantization_config", "_name_or_path", "_model_name_or_path")


def convert(source: Path, folder: Path, report: Callable[[str, int, int], None]) -> None:
    """Writes model, tokenizer and settings of `source` into `folder`. report: as `packaged.Report`.

    Raises UserError for an architecture that transformers cannot read, and for a damaged file.
    """
    with _reported(report), _parsed_once():
        try:
            model = AutoModelForCausalLM.from_pretrained(
                source.parent, gguf_file=source.name, dtype=torch.float32, local_files_only=True
            )
            tokenizer: Any = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError, IndexError, TypeError, struct.error) as error:
            raise UserError(
                f"The GGUF file cannot be read ({type(error).__name__}: {str(error)[:200]}).",
                source.name,
                "Choose a complete GGUF file whose architecture transformers knows, or a folder of safetensors.",
            ) from None
        settings = {key: value for key, value in model.config.to_dict().items() if key not in _OF_THE_FILE}
        config = AutoConfig.for_model(**settings)
        with torch.device("meta"):  # these weights are replaced at once, so they need no memory and no random numbers
            fresh: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        weights = {key: tensor.to(torch.bfloat16) for key, tensor in model.state_dict().items()}
        missing, unexpected = fresh.load_state_dict(weights, strict=False, assign=True)
        tied = set(getattr(fresh, "_tied_weights_keys", None) or ())
        if odd := sorted((set(missing) - tied) | set(unexpected)):
            raise UserError(
                f"The GGUF file does not hold a whole model ({len(odd)} weights differ, such as {odd[0]}).",
                source.name,
                "Choose another file, or a folder of safetensors.",
            )
        fresh.tie_weights()
        fresh.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@contextmanager
def _parsed_once() -> Iterator[None]:
    """transformers parses the file's head three times (settings, weights, tokenizer), and makes the table of names anew
    for every tensor. That is half of the time, so both are kept while a file is converted."""
    kept: dict[str, Callable[..., Any]] = {
        "GGUFReader": gguf.GGUFReader,
        "get_tensor_name_map": gguf.get_tensor_name_map,
    }
    for name, made in kept.items():
        setattr(gguf, name, cache(made))
    try:
        yield
    finally:
        for name, made in kept.items():
            setattr(gguf, name, made)


@contextmanager
def _reported(report: Callable[[str, int, int], None]) -> Iterator[None]:
    """Replaces the progress bar on which transformers counts the tensors that it reads: the count goes to `report`."""

    def counted(tensors: Any, **_: Any) -> Iterator[Any]:
        for place, tensor in enumerate(tensors):
            report("Converting", place, len(tensors))
            yield tensor

    bar = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = counted
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = bar
        transformers_logging.enable_progress_bar()
