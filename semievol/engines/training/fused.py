"""Faster linear layers for training: layers that read the same input are computed in one product, in one precision.

peft runs a layer with LoRA as four products with a cast before each, and transformers runs queries, keys and values (or
gate and up) one after the other. A small model spends more time on these many small products and casts than on its
large ones. Here the layers that read the same tensor form a `Group`: its input is cast once, its weights are one
matrix, and its low-rank factors are applied in one product each. Only the order of summation differs.

Inside the context `fused` the layers of a model compute this way; their parameters stay the same objects, which the
optimizer, peft and files use. Layers that this cannot compute (dropout, DoRA, quantised or convolutional layers) stay
unchanged. Knows nothing of losses, batches or optimizers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft.tuners.lora.layer import Linear as LoraLinear
from peft.tuners.lora.layer import LoraLayer
from torch import nn


@dataclass
class Group:
    """Layers that read the same input, in the order in which they are called.

    weight: all layers' weights as one matrix (O, I), in the precision of the products. rows: of each layer in it.
    copied: whether `weight` is a copy of the layers' own weights; else these are views of it.
    found: the input of the last computation and the results of all layers, until the last layer has taken its own.
    """

    layers: list[nn.Module]
    linears: list[nn.Linear]
    weight: torch.Tensor
    rows: list[int]
    trained: bool
    copied: bool
    found: tuple[torch.Tensor, tuple[torch.Tensor, ...]] | None = None

    def refresh(self) -> None:
        """Copies the layers' own weights into `weight`, if they are trained and `weight` is a copy."""
        if self.trained and self.copied:
            with torch.no_grad():
                for part, linear in zip(self.weight.split(self.rows), self.linears, strict=True):
                    part.copy_(linear.weight)


class _LowRank(torch.autograd.Function):
    """x W' + (x A') (s B)' (tokens, O) for a group: W frozen, A (r, I) and B (O, r) of each layer trained."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, group: Group, scales: Sequence[float], *factors: torch.Tensor
    ) -> torch.Tensor:
        weight = group.weight
        down, up = factors[: len(factors) // 2], factors[len(factors) // 2 :]
        given = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        first = torch.cat([a.to(weight.dtype) for a in down])
        second = weight.new_zeros(weight.shape[0], first.shape[0])
        ranks = [a.shape[0] for a in down]
        for block, b, scale in zip(_blocks(second, group.rows, ranks), up, scales, strict=True):
            torch.mul(b, scale, out=block) if b.dtype == block.dtype else block.copy_(b * scale)
        low = given @ first.t()
        out = (given @ weight.t()).addmm_(low, second.t())
        ctx.save_for_backward(given, low, first, second)
        ctx.group, ctx.scales, ctx.ranks, ctx.like = group, scales, ranks, (x.shape, x.dtype, down[0].dtype)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        given, low, first, second = ctx.saved_tensors
        shape, dtype, factor_dtype = ctx.like
        grad = grads[0].reshape(-1, second.shape[0]).to(second.dtype)
        low_grad = grad @ second
        back = (grad @ ctx.group.weight).addmm_(low_grad, first) if ctx.needs_input_grad[0] else None
        down = (low_grad.t() @ given).to(factor_dtype).split(ctx.ranks)
        blocks = _blocks(grad.t() @ low, ctx.group.rows, ctx.ranks)
        up = [block.to(factor_dtype) * scale for block, scale in zip(blocks, ctx.scales, strict=True)]
        return (None if back is None else back.reshape(shape).to(dtype), None, None, *down, *up)


class _Whole(torch.autograd.Function):
    """x W' (tokens, O) for a group whose weights are trained; they are arguments, so that they get gradients."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, group: Group, *weights: torch.Tensor) -> torch.Tensor:
        weight = group.weight
        given = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        ctx.save_for_backward(given)
        ctx.group, ctx.like = group, (x.shape, x.dtype, weights[0].dtype)
        return given @ weight.t()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        (given,) = ctx.saved_tensors
        shape, dtype, weight_dtype = ctx.like
        grad = grads[0].reshape(-1, ctx.group.weight.shape[0]).to(given.dtype)
        back = (grad @ ctx.group.weight).reshape(shape).to(dtype) if ctx.needs_input_grad[0] else None
        return (back, None, *(grad.t() @ given).to(weight_dtype).split(ctx.group.rows))


@contextmanager
def fused(model: Any, dtype: torch.dtype, probe: torch.Tensor) -> Iterator[list[Group]]:
    """Inside this context the model's linear layers compute in groups, with products in `dtype`.

    model: of transformers, or peft around one, ready to be trained. probe: ids (1, N) of the forward pass that finds
    the groups.
    """
    groups = _groups(model, dtype, probe)
    try:
        for group in groups:
            for place, layer in enumerate(group.layers):
                layer.forward = _forward_of(group, place)
        yield groups
    finally:
        for group in groups:
            group.found = None
            for layer in group.layers:
                layer.__dict__.pop("forward", None)


def _forward_of(group: Group, place: int) -> Any:
    """The `forward` of a layer of the group: the first layer computes the results of all."""

    def forward(x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        if group.found is None or group.found[0] is not x:
            group.found = (x, _computed(group, x))
        result = group.found[1][place]
        if place == len(group.layers) - 1:
            group.found = None
        return result

    return forward


def _computed(group: Group, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    if group.trained:
        out = _Whole.apply(x, group, *(linear.weight for linear in group.linears))
    else:
        layers: list[Any] = group.layers
        if layers[0].disable_adapters:
            return _parts(group, nn.functional.linear(x.to(group.weight.dtype), group.weight))
        (name,) = layers[0].active_adapters
        factors = [*(layer.lora_A[name].weight for layer in layers), *(layer.lora_B[name].weight for layer in layers)]
        out = _LowRank.apply(x, group, [layer.scaling[name] for layer in layers], *factors)
    return _parts(group, out.reshape(*x.shape[:-1], -1))


def _parts(group: Group, out: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The result of every layer, with its bias."""
    # Of a layer alone there is one view only, so that a model may add to it in place.
    parts: tuple[torch.Tensor, ...] = out.split(group.rows, dim=-1) if len(group.rows) > 1 else (out,)
    return tuple(
        part if linear.bias is None else part + linear.bias.to(part.dtype)
        for part, linear in zip(parts, group.linears, strict=True)
    )


def _groups(model: Any, dtype: torch.dtype, probe: torch.Tensor) -> list[Group]:
    """The layers grouped by the tensor that they read, as seen in one forward pass."""
    inner = {part for module in model.modules() if isinstance(module, LoraLayer) for part in module.modules()}
    inner -= {module for module in model.modules() if isinstance(module, LoraLayer)}
    outer = (module for module in model.modules() if module not in inner)
    suitable = {module: linear for module in outer if (linear := _linear(module)) is not None}
    called: list[tuple[nn.Module, torch.Tensor]] = []
    with ExitStack() as hooks, torch.no_grad():
        for module in suitable:
            hook = module.register_forward_pre_hook(lambda layer, given: called.append((layer, given[0])))
            hooks.enter_context(hook)
        model(input_ids=probe, use_cache=False, logits_to_keep=1)
    times = Counter(layer for layer, _ in called)
    together: list[list[nn.Module]] = []
    last: torch.Tensor | None = None
    for layer, given in called:
        if times[layer] > 1:  # a layer that is used in several places belongs to no group
            last = None
        elif given is last and isinstance(layer, LoraLinear) == isinstance(together[-1][0], LoraLinear):
            together[-1].append(layer)
        else:
            together.append([layer])
            last = given
    return [_group(layers, [suitable[layer] for layer in layers], dtype) for layers in together]


def _linear(module: nn.Module) -> nn.Linear | None:
    """The linear layer of a module that can be computed here; None if the module does anything else."""
    if type(module) is LoraLinear:
        (name, *others) = module.active_adapters or [""]
        plain = not others and not module.merged and name in module.lora_A and not module.use_dora.get(name, False)
        undisturbed = plain and isinstance(module.lora_dropout[name], nn.Identity) and not module.disable_adapters
        biased = plain and module.lora_B[name].bias is not None
        base = module.get_base_layer()
        return base if undisturbed and not biased and type(base) is nn.Linear else None
    return module if type(module) is nn.Linear and module.weight.requires_grad else None


def _group(layers: list[nn.Module], linears: list[nn.Linear], dtype: torch.dtype) -> Group:
    weights = [linear.weight for linear in linears]
    trained = not isinstance(layers[0], LoraLinear)
    joined = torch.cat([weight.detach().to(dtype) for weight in weights])
    rows = [weight.shape[0] for weight in weights]
    copied = weights[0].dtype != dtype
    if not copied:
        for part, weight in zip(joined.split(rows), weights, strict=True):
            weight.data = part
    return Group(layers, linears, joined, rows, trained, copied)


def _blocks(matrix: torch.Tensor, rows: Sequence[int], columns: Sequence[int]) -> list[torch.Tensor]:
    """The blocks on the diagonal."""
    return [band.split(columns, dim=1)[place] for place, band in enumerate(matrix.split(list(rows), dim=0))]
