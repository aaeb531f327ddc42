"""Attention over the pieces of a packed row, with one call for all pieces of similar size.

A call for every piece alone would be slow where pieces are short. So the pieces of a call become rows of equal length,
filled up at their end; the filling is masked. Only the order of summation differs. Knows nothing of models or tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from semievol.engines.packing.layout import KEPT, Piece

_WASTE = 1.5
"""A call computes at most this many times the products that its pieces need, plus _FREE."""
_FREE = 4096
_FORWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


@dataclass(frozen=True)
class Call:
    """Pieces whose attention is computed together.

    queries: (P, Q) columns of the row. keys: (P, K) columns, counted from the first of the kept beginning.
    bias: (P, 1, Q, K), 0 where a key is seen, else minus infinity; None if every piece sees only itself, causally.
    filled: (P, Q), true where a query is filling; None without filling.
    ancestors: the pieces that some pieces of the call see beside themselves, each as (rows of the call that see it, its
    place in `keys`, its first column, its size).
    """

    queries: torch.Tensor
    keys: torch.Tensor
    bias: torch.Tensor | None
    filled: torch.Tensor | None
    ancestors: tuple[tuple[torch.Tensor, int, int, int], ...]


class Piecewise:
    """The calls that compute attention over these pieces; made once for a forward pass, used in every layer.

    kept: number of tokens of the kept beginning, whose keys and values come before those of the row. like: a tensor
    with the precision and the device of the scores.
    """

    def __init__(self, pieces: Sequence[Piece], kept: int, like: torch.Tensor) -> None:
        starts = [kept + start for start in accumulate((piece.size for piece in pieces), initial=0)]
        spans = {KEPT: range(kept)} | {
            place: range(start, start + piece.size)
            for place, (piece, start) in enumerate(zip(pieces, starts, strict=False))
        }
        seen = [sum(len(spans[one]) for one in piece.seen) for piece in pieces]
        self.kept = kept
        self.calls: list[Call] = []
        own_queries = torch.empty(starts[-1] - kept, dtype=torch.long)
        own_keys = torch.empty_like(own_queries)
        queries = keys = 0  # of the earlier calls, filling included
        alone = [len(piece.seen) == 1 and piece.mask is None for piece in pieces]
        for group in _groups([piece.size for piece in pieces], seen, alone):
            wide, deep = max(pieces[p].size for p in group), max(seen[p] for p in group)
            for row, place in enumerate(group):
                size = pieces[place].size
                where = torch.arange(size)
                columns = slice(starts[place] - kept, starts[place] - kept + size)
                own_queries[columns] = queries + row * wide + where
                own_keys[columns] = keys + row * deep + seen[place] - size + where
            self.calls.append(_call(pieces, spans, seen, group, wide, deep, like, causal=alone[group[0]]))
            queries, keys = queries + len(group) * wide, keys + len(group) * deep
        self.own_queries, self.own_keys = own_queries.to(like.device), own_keys.to(like.device)

    def attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float, dropout: float
    ) -> torch.Tensor:
        """(N, H, D) from queries (N, H, D) and keys and values (kept + N, G, D), G a divisor of H."""
        if queries.device.type == "cpu" and queries.requires_grad and not dropout and not self.kept:
            return _OneStepBack.apply(queries, keys, values, self, scale)
        times = queries.shape[1] // keys.shape[1]
        found = []
        for call in self.calls:
            attended = scaled_dot_product_attention(
                _gathered(queries, call.queries),
                _gathered(keys, call.keys, times),
                _gathered(values, call.keys, times),
                attn_mask=call.bias,
                is_causal=call.bias is None,
                dropout_p=dropout,
                scale=scale,
            )
            found.append(attended.transpose(1, 2).flatten(0, 1))
        return torch.cat(found).index_select(0, self.own_queries)


class _OneStepBack(torch.autograd.Function):
    """The same on a processor, with a backward pass in one step by the kernels that PyTorch uses there.

    PyTorch's own backward pass of the gathering would add the gradients of a column row by row, which is slow.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, how: Piecewise, scale: float
    ) -> torch.Tensor:
        times = queries.shape[1] // keys.shape[1]
        ctx.how, ctx.scale, ctx.times, ctx.saved = how, scale, times, []
        found = []
        for call in how.calls:
            given = _gathered(queries, call.queries), *(_gathered(one, call.keys, times) for one in (keys, values))
            attended, sums = _FORWARD(*given, 0.0, call.bias is None, attn_mask=call.bias, scale=scale)
            ctx.saved.append((given, attended, sums))
            found.append(attended.transpose(1, 2).flatten(0, 1))
        return torch.cat(found).index_select(0, how.own_queries)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        how: Piecewise = ctx.how
        to_queries: list[torch.Tensor] = []
        to_keys: list[torch.Tensor] = []
        to_values: list[torch.Tensor] = []
        for call, (given, attended, sums) in zip(how.calls, ctx.saved, strict=True):
            grad = _gathered(grads[0], call.queries)
            if call.filled is not None:
                grad.masked_fill_(call.filled[:, None, :, None], 0)
            causal = call.bias is None
            back = _BACKWARD(grad, *given, attended, sums, 0.0, causal, attn_mask=call.bias, scale=ctx.scale)
            to_queries.append(back[0].transpose(1, 2).flatten(0, 1))
            for states, found in ((to_keys, back[1]), (to_values, back[2])):
                states.append(found.unflatten(1, (-1, ctx.times)).sum(2).transpose(1, 2))  # (P, K, G, D)
        ctx.saved = []
        return (
            torch.cat(to_queries).index_select(0, how.own_queries),
            _summed(to_keys, how),
            _summed(to_values, how),
            *(None, None),
        )


def _summed(parts: Sequence[torch.Tensor], how: Piecewise) -> torch.Tensor:
    """Gradients (N, G, D) of all columns: from a column's own piece and from the pieces that have it as an ancestor."""
    whole = torch.cat([part.flatten(0, 1) for part in parts]).index_select(0, how.own_keys)
    for call, part in zip(how.calls, parts, strict=True):
        for rows, place, column, size in call.ancestors:
            whole[column : column + size] += part[rows, place : place + size].sum(0)
    return whole


def _gathered(states: torch.Tensor, columns: torch.Tensor, times: int = 1) -> torch.Tensor:
    """States (N, G, D) at columns (P, L) as (P, times G, L, D): each of the G heads is repeated `times` times."""
    heads = states[:, :, None].expand(-1, -1, times, -1) if times > 1 else states
    return heads.index_select(0, columns.flatten()).reshape(*columns.shape, -1, states.shape[-1]).transpose(1, 2)


def _groups(sizes: Sequence[int], seen: Sequence[int], alone: Sequence[bool]) -> list[list[int]]:
    """The pieces of every call, from those that see most to those that see least. Pieces that see only themselves get
    calls of their own: these are causal and need no mask, which would be large for a long text."""
    groups: list[list[int]] = []
    needed = 0
    for place in sorted(range(len(sizes)), key=lambda p: (alone[p], -seen[p], -sizes[p])):
        own = sizes[place] * seen[place]
        if groups and alone[groups[-1][0]] == alone[place]:
            group = [*groups[-1], place]
            taken = len(group) * max(sizes[p] for p in group) * seen[group[0]]
            if taken <= _WASTE * (needed + own) + _FREE:
                groups[-1].append(place)
                needed += own
                continue
        groups.append([place])
        needed = own
    return groups


def _call(
    pieces: Sequence[Piece],
    spans: dict[int, range],
    seen: Sequence[int],
    group: Sequence[int],
    wide: int,
    deep: int,
    like: torch.Tensor,
    causal: bool,
) -> Call:
    queries = torch.zeros(len(group), wide, dtype=torch.long)
    keys = torch.zeros(len(group), deep, dtype=torch.long)
    sees = None if causal else torch.zeros(len(group), wide, deep, dtype=torch.bool)
    filled = torch.ones(len(group), wide, dtype=torch.bool)
    ancestors: dict[tuple[int, int], list[int]] = {}
    kept = len(spans[KEPT])
    for row, place in enumerate(group):
        piece, above = pieces[place], seen[place] - pieces[place].size
        queries[row, : piece.size] = torch.tensor(spans[place]) - kept
        filled[row, : piece.size] = False
        keys[row, : seen[place]] = torch.tensor([column for one in piece.seen for column in spans[one]])
        if sees is not None:
            causal_mask = torch.ones(piece.size, seen[place], dtype=torch.bool).tril(above)
            sees[row, : piece.size, : seen[place]] = causal_mask if piece.mask is None else piece.mask
            sees[row, piece.size :, 0] = True  # a query that sees no key would give NaN
        before = 0
        for one in piece.seen[:-1]:
            ancestors.setdefault((one, before), []).append(row)
            before += len(spans[one])
    device = like.device
    found = tuple(
        (torch.tensor(rows, device=device), before, spans[one].start - kept, len(spans[one]))
        for (one, before), rows in ancestors.items()
        if one != KEPT
    )
    bias = None if sees is None else like.new_zeros(sees.shape).masked_fill_(~sees.to(device), float("-inf"))[:, None]
    return Call(queries.to(device), keys.to(device), bias, filled.to(device) if bool(filled.any()) else None, found)
