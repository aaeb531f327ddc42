"""Runs a packed row through a model of transformers: only attention is computed differently, piece by piece.

All other parts of a transformer treat every token alone, so they need not know how the tokens are laid out. In the last
layer the feed-forward part is computed only for the tokens whose distribution is wanted, since no other token uses it.
On a processor this was measured 1.3 to 1.7 times faster than padded rows with masks, in scoring and in training; in
fp32 the numbers are equal to 1e-5.

transformers calls `_attend` by its registered name. A model whose attention is more than softmax over keys and values
is refused by `understood`; its rows are then padded. One thread at a time. No gradient checkpointing, which would
compute a layer again after `forward` has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface

from semievol.engines.packing.batching import pad_left
from semievol.engines.packing.layout import Beginning, Packing
from semievol.engines.packing.piecewise import Piecewise
from semievol.engines.packing.shares import LEAST_SHARED

WANTED_MULTIPLE = 8
"""The number of wanted columns is rounded up to a multiple of this, for the reason of `layout.WIDTH_MULTIPLE`."""
Attention = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor, float, float], torch.Tensor]
"""(layer, queries (1, H, N, D), keys and values (1, G, N, D), scale, dropout) -> (1, N, H, D)."""
_NAME = "semievol-packed"
_MORE_THAN_SOFTMAX = ("softcap", "s_aux", "sliding_window", "position_bias", "cache")
_CLOSE = 1e-3  # largest root-mean-square difference, as a share of the logits' spread; a wrong mask gives about half
_ROUNDING = 3.0  # or this many times the difference that padding makes by rounding alone
_log = logging.getLogger(__name__)
_now: ContextVar[Attention] = ContextVar("attention of the forward pass under way")


def forward(
    model: Any,
    packing: Packing,
    wanted: Sequence[int],
    beginning: Beginning | None = None,
    keys_and_values: dict[int, tuple[torch.Tensor, torch.Tensor]] | None = None,
) -> torch.Tensor:
    """Logits (W, V) at the wanted columns.

    model: a causal language model of transformers, or a wrapper around one (peft, several processes).
    keys_and_values: if given, filled with those of every layer, each (1, G, N, D).
    """
    beginning = beginning or Beginning()
    device = next(model.parameters()).device
    if torch.is_grad_enabled() and getattr(_unwrapped(model), "is_activation_checkpointing", False):
        raise NotImplementedError("packed rows and gradient checkpointing do not go together")
    how: list[Piecewise] = []

    def attention(
        layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float, dropout: float
    ) -> torch.Tensor:
        dtype = values.dtype
        queries, keys, values = in_one_precision(queries, keys, values)
        if keys_and_values is not None:
            keys_and_values[layer] = keys, values
        queries, keys, values = (states[0].transpose(0, 1) for states in (queries, keys, values))  # (N, H, D)
        if not how:
            how.append(Piecewise(packing.pieces, len(beginning.ids) if beginning.ready else 0, queries))
        if beginning.ready:
            kept = beginning.kept[layer]
            keys, values = torch.cat([kept[0], keys]), torch.cat([kept[1], values])
        elif beginning.ids:
            own = slice(len(beginning.ids))
            beginning.kept[layer] = keys[own].clone(), values[own].clone()
        with torch.autocast(device.type, enabled=False):
            return how[0].attend(queries, keys, values, scale, dropout)[None].to(dtype)

    asked = torch.tensor([*wanted, *[wanted[-1]] * (-len(wanted) % WANTED_MULTIPLE)], device=device)
    with attending(model, attention), _last_mlp_at(model, _rounded(wanted, packing.ids.shape[1]).to(device)):
        output = model(
            input_ids=packing.ids.to(device),
            position_ids=packing.positions.to(device),
            logits_to_keep=asked,
            use_cache=False,
        )
    beginning.ready = bool(beginning.ids)
    return output.logits[0, : len(wanted)]


def _rounded(wanted: Sequence[int], width: int) -> torch.Tensor:
    """These columns once each, and others, up to a multiple of WANTED_MULTIPLE."""
    needed = set(wanted)
    others = (column for column in range(width) if column not in needed)
    return torch.tensor([*sorted(needed), *islice(others, -len(needed) % WANTED_MULTIPLE)])


def in_one_precision(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All three in the precision of attention: that of the values, but fp32 instead of bf16 on a processor.

    A processor compiles products in bf16 anew for every length, which takes 2.5 ms, and pieces differ in length.
    """
    slow = values.device.type == "cpu" and values.dtype == torch.bfloat16
    dtype = torch.float32 if slow else values.dtype
    return queries.to(dtype), keys.to(dtype), values.to(dtype)


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers calls for attention. It makes no mask, since none is registered under this name."""
    strange = [name for name in _MORE_THAN_SOFTMAX if others.get(name) is not None]
    if strange:
        raise NotImplementedError(f"attention with {', '.join(strange)} cannot be packed")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer: Any = module.layer_idx
    return _now.get()(layer, query, key, value, scale, dropout), None


AttentionInterface.register(_NAME, _attend)


@contextmanager
def attending(model: Any, attention: Attention) -> Iterator[None]:
    """Inside this context every layer of the model computes attention with this function."""
    plain = _unwrapped(model)
    token = _now.set(attention)
    before = plain.config._attn_implementation
    try:
        if before != _NAME:
            plain.set_attn_implementation(_NAME)
        yield
    finally:
        _now.reset(token)
        if before != _NAME:
            plain.set_attn_implementation(before)


@contextmanager
def _last_mlp_at(model: Any, columns: torch.Tensor) -> Iterator[None]:
    """Inside this context the last layer's feed-forward part is computed for these columns only; elsewhere it is 0."""
    plain = _unwrapped(model)
    count = plain.config.get_text_config().num_hidden_layers
    within = plain.get_decoder() or plain
    stacks = [m for m in within.modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    part = getattr(stacks[0][-1], "mlp", None) if stacks else None
    shape: list[torch.Size] = []

    def narrow(_: nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        shape.append(given[0].shape)
        return (given[0][:, columns],)

    def widen(_: nn.Module, given: Any, found: torch.Tensor) -> torch.Tensor:
        return found.new_zeros(shape.pop()).index_copy(1, columns, found)

    with ExitStack() as hooks:
        if isinstance(part, nn.Module):
            hooks.enter_context(part.register_forward_pre_hook(narrow))
            hooks.enter_context(part.register_forward_hook(widen))
        yield


def _unwrapped(model: Any) -> Any:
    """The transformers model inside the wrappers of several processes and of peft."""
    model = getattr(model, "module", model)
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def understood(model: Any) -> bool:
    """Whether this model may be packed. A trial must show that every layer calls `_attend`, and that two short
    sequences and a tree get the same distributions packed as alone."""
    if not model._can_set_attn_implementation():
        return False
    config, device = model.config.get_text_config(), next(model.parameters()).device
    size = config.vocab_size
    shared = tuple((7 * i + 3) % size for i in range(LEAST_SHARED + 2))
    one, other = (*shared, 5 % size, 11 % size), (*shared, 13 % size, 2 % size, 4 % size)
    tree = ((6 % size,), (6 % size, 9 % size))
    alone = [one, other, *((*other, *node) for node in tree)]
    asking: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            packing = Packing([one, other], [(), tree])
            wanted = [path[-1] for path in packing.paths] + packing.nodes[1]
            together = forward(model, packing, wanted, keys_and_values=asking)
            apart = torch.stack(
                [model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits[0, -1] for ids in alone]
            )
            padded, mask, positions = pad_left(alone, alone[0][0], device)
            again = model(input_ids=padded, attention_mask=mask, position_ids=positions, use_cache=False).logits[:, -1]
    except Exception as error:  # noqa: BLE001  whatever an unknown model raises, padded rows are left
        _log.info("sequences are not packed for this model: %s: %s", type(error).__name__, error)
        return False
    finally:
        model.train(training)
    distance, rounding = (_spread(found - apart) / _spread(apart - apart.mean()) for found in (together, again))
    _log.info("sequences packed and alone differ by %.1e of the logits' spread, padded by %.1e", distance, rounding)
    everywhere = sorted(asking) == list(range(config.num_hidden_layers))
    return everywhere and distance <= max(_CLOSE, _ROUNDING * rounding)


def _spread(values: torch.Tensor) -> float:
    return float(values.float().square().mean().sqrt())
