"""Estimates the peak memory of a run from the model's files and the settings, before anything is loaded.

The terms of the formula are what training needs: weights, gradients, the two moments of Adam, the activations kept for
the backward pass, and the logits. The constants were fitted to measured peaks of two Llamas of 6 and 41 M parameters
(`python -m tests.benchmarks.scaling --parts memory` measures such peaks). `fit` chooses by it how a training is cut.
docs/large.md has the formulas with an example. Knows nothing of torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from semievol.config import Config
from semievol.engines.models.files import read_json, shapes, text_settings, weight_files
from semievol.engines.packing.shares import GPU_BUDGET
from semievol.errors import UserError
from semievol.tuning import Tuning

PROCESS = 490e6
"""Bytes of a worker before its model: Python, torch, transformers."""
PREPARED = 350e6
"""Bytes that answering needs beside the model: weights prepared for products in bf16, and one batch."""
_LONG = 1_000_000
_LORA_KEEPS = 1.5  # every layer with LoRA keeps its input a second time
_LOGITS = 12.0  # bytes for a label and a token of the vocabulary: logits in fp32, their softmax, its gradient
_ENOUGH = 1024  # tokens of a micro-batch with which products are still large; below that, a layer is rather read twice
_FOUR_BITS = 0.52  # bytes of a weight in 4 bits: half a byte, and its share of the scales of 64 weights
USABLE = 0.92
"""Share of a device's memory that a training may fill: the rest is fragmented, or other programs'."""


@dataclass(frozen=True)
class Shape:
    """The sizes that a model's memory depends on: all parameters, a layer's widths, the longest prompt (tokens), the
    vocabulary, and the numbers of keys and values that a layer keeps of a token while an answer is generated. whole:
    parameters that stay as they are where the others are held in 4 bits: of embedding, output layer and experts."""

    parameters: int
    hidden: int
    intermediate: int
    layers: int
    context: int
    vocabulary: int = 0
    keys_and_values: int = 0
    whole: int = 0

    @classmethod
    def of(cls, folder: Path) -> Shape:
        """Read from config.json and the headers of the weights. Raises UserError if the sizes cannot be read."""
        try:
            config = text_settings(folder)
            hidden = _size(config, "hidden_size", "n_embd", "d_model")
            heads = _size(config, "num_attention_heads", "n_head", "n_heads", otherwise=1)
            groups = _size(config, "num_key_value_heads", otherwise=heads)
            vocabulary = _size(config, "vocab_size", otherwise=0)
            weights = {name: shape for file in weight_files(folder) for name, shape in shapes(file).items()}
            stay = [
                s for name, s in weights.items() if s[:1] == (vocabulary,) or "experts" in name or _few_bits(folder)
            ]
            return cls(
                parameters=sum(map(math.prod, weights.values())),
                hidden=hidden,
                intermediate=_size(config, "intermediate_size", "n_inner", "ffn_dim", otherwise=4 * hidden),
                layers=_size(config, "num_hidden_layers", "n_layer", "n_layers"),
                context=_size(config, "max_position_embeddings", "n_positions", otherwise=_LONG),
                vocabulary=vocabulary,
                whole=sum(map(math.prod, stay)),
                keys_and_values=2 * groups * _size(config, "head_dim", otherwise=hidden // max(1, heads)),
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

    def weights(self, bf16: bool, four_bits: bool = False) -> float:
        """Bytes of the model that answers. four_bits: all but `whole` are held in 4 bits."""
        each = 2.0 if bf16 else 4.0
        return (self.parameters - self.whole) * (_FOUR_BITS if four_bits else each) + self.whole * each

    def answering(self, tokens: int, bf16: bool) -> float:
        """Bytes for a batch of so many tokens: the keys and values of all layers, and one layer's activations."""
        cache = self.keys_and_values * self.layers * (2.0 if bf16 else 4.0)
        return tokens * (cache + self.activations(bf16) / max(1, self.layers))


def peak(
    shape: Shape,
    config: Config,
    warm_up: int,
    tune: int,
    bf16: bool,
    memory: float | None = None,
    other: int = 0,
    on_gpu: bool = False,
) -> float:
    """Bytes at the peak of a run of all stages, on one device.

    warm_up, tune: tokens of the largest batch of these trainings. memory: bytes of the device, to which trainings are
    fitted; None: they are taken as the settings say. other: parameters of the largest model that answers beside the
    base; it leaves before a training. on_gpu: whether the batches are those of a GPU; the small ones of a processor are
    within PREPARED.
    """
    four_bits = config.four_bits
    left = math.inf if memory is None else room(shape, bf16, memory, four_bits)
    pairs = ((config.propagation.warm_up, warm_up), (config.tune, tune))
    trainings = [fit(shape, tuning, tokens, bf16, left, four_bits=four_bits).bytes for tuning, tokens in pairs]
    of_other = _FOUR_BITS if four_bits else 2.0 if bf16 else 4.0
    answers = other * of_other + shape.answering(GPU_BUDGET if on_gpu else 0, bf16)
    return PROCESS + shape.weights(bf16, four_bits) + PREPARED + max([*trainings, answers])


def room(shape: Shape, bf16: bool, memory: float, four_bits: bool = False) -> float:
    """Bytes for a training on a device of so much memory, beside the model that answers. PREPARED is not freed before
    training."""
    return USABLE * memory - PROCESS - PREPARED - shape.weights(bf16, four_bits)


def training(
    shape: Shape,
    tuning: Tuning,
    tokens: float,
    bf16: bool,
    labels: float = 0,
    checkpointed: bool = False,
    four_bits: bool = False,
) -> float:
    """Bytes that training needs beside the model that answers.

    tokens, labels: of the largest batch in memory at once. checkpointed: every layer keeps its input only, and is
    computed again in the backward pass, one at a time (gradient checkpointing, Chen et al. 2016, arXiv 1604.06174).
    """
    full = tuning.trains_all(shape.parameters, four_bits)
    # Two factors of rank r at each of a layer's seven products, whose sides are about `hidden` and `intermediate` long.
    low_rank = tuning.lora.rank * shape.layers * (8 * shape.hidden + 3 * (shape.hidden + shape.intermediate))
    learnt = shape.parameters if full else low_rank
    kept = shape.activations(bf16) * (1 if full else _LORA_KEEPS)
    if checkpointed:
        kept = kept / max(1, shape.layers) + 4.0 * shape.hidden * shape.layers
    return 16.0 * learnt + tokens * kept + _LOGITS * labels * shape.vocabulary


@dataclass(frozen=True)
class Fit:
    """How a training is cut to fit: examples in memory at once, whether layers are checkpointed, estimated bytes."""

    micro_batch_size: int
    checkpointed: bool = False
    bytes: float = 0.0

    def smaller(self, tuning: Tuning, checkpoints: bool = True) -> Fit | None:
        """The next one that needs less memory, for the same updates: half of the examples at once, at last with
        checkpointing. None after that. checkpoints: whether the model allows it."""
        if self.micro_batch_size > 1:
            return Fit(_half(tuning.batch_size, self.micro_batch_size), self.checkpointed)
        return Fit(1, True) if checkpoints and not self.checkpointed else None


def fit(
    shape: Shape,
    tuning: Tuning,
    tokens: float,
    bf16: bool,
    left: float,
    labels: float = 0,
    checkpoints: bool = True,
    four_bits: bool = False,
) -> Fit:
    """The fastest way of training with the updates of these settings that needs at most `left` bytes; if none does, the
    one that needs least.

    tokens, labels: of the largest batch of `micro_batch_size` examples. Fewer examples at once cost nothing while they
    have _ENOUGH tokens; then checkpointing, which computes every layer a second time; then fewer examples with it.
    """
    most = min(tuning.micro_batch_size, tuning.batch_size)
    sizes = [most]
    while sizes[-1] > 1:
        sizes.append(_half(tuning.batch_size, sizes[-1]))
    ways = [(size, False) for size in sizes if size == most or tokens * size / most >= _ENOUGH]
    ways += [(size, True) for size in sizes] if checkpoints else [(s, False) for s in sizes if (s, False) not in ways]
    found = [
        Fit(size, often, training(shape, tuning, tokens * size / most, bf16, labels * size / most, often, four_bits))
        for size, often in ways
    ]
    return next((way for way in found if way.bytes <= left), found[-1])


def _half(batch: int, micro: int) -> int:
    """The largest divisor of `batch` that is at most half of `micro`."""
    return next(size for size in range(micro // 2, 0, -1) if batch % size == 0)


def _few_bits(folder: Path) -> bool:
    """Whether the files hold the weights in few bits already."""
    return bool(read_json(folder / "config.json").get("quantization_config"))


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
