"""Decoders, which continue prompts token by token, one row per answer.

Every decoder has `logits` (R, V) after the last token of every row, `step` (each row gets one more token) and `keep`
(only these rows remain, in this order). `SharedPrompts` keeps the keys and values of every prompt once for all its
answers. `OwnRows`, for models that cannot be packed, uses the model's own cache. Knows nothing of how a token is
chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from semievol.engines.packing.attention import attending, forward, in_one_precision
from semievol.engines.packing.batching import pad_left
from semievol.engines.packing.layout import Packing

_ROOM = 64  # tokens by which the buffer for the answers' keys and values grows


class OwnRows:
    """Rows padded on the left, with the model's own cache; equal prompts are read once. A model without a cache of keys
    and values (Mamba) reads its rows again at every step.

    prompts: all different. of: for every row the index of its prompt. turning: a row that grows beyond so many tokens
    is read again, since the model turns all its positions otherwise (see `AdaptedModel.turning`).
    """

    def __init__(
        self,
        model: Any,
        prompts: Sequence[tuple[int, ...]],
        of: Sequence[int],
        pad: int,
        turning: int | None = None,
    ) -> None:
        self._model, self._pad, self._turning = model, pad, turning
        self._device = next(model.parameters()).device
        self._read(prompts)
        if list(of) != list(range(len(prompts))):
            self.keep(of)

    def _read(self, rows: Sequence[tuple[int, ...]]) -> None:
        self._rows = list(rows)
        ids, mask, positions = pad_left(rows, self._pad, self._device)
        output = self._model(
            input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1, use_cache=True
        )
        self.logits = output.logits[:, -1]
        self._cache = getattr(output, "past_key_values", None)  # a state-space model has none
        self._mask = torch.ones_like(ids) if mask is None else mask
        self._position = positions[:, -1:] + 1

    def step(self, tokens: Sequence[int]) -> None:
        if self._cache is None or self._turning is not None:
            self._rows = [(*row, token) for row, token in zip(self._rows, tokens, strict=True)]
            if self._cache is None or max(map(len, self._rows)) - 1 == self._turning:
                self._read(self._rows)
                return
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        self.logits = self._model(
            input_ids=torch.tensor(tokens, device=self._device)[:, None],
            attention_mask=self._mask,
            position_ids=self._position,
            past_key_values=self._cache,
            use_cache=True,
        ).logits[:, -1]
        self._position = self._position + 1

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, device=self._device)
        if self._cache is not None:
            self._cache.batch_select_indices(index)
        self.logits, self._mask, self._position = self.logits[index], self._mask[index], self._position[index]
        self._rows = [self._rows[row] for row in rows]


class SharedPrompts:
    """All rows in one sequence, one token each; attention in two parts, to the prompt's keys and to the answer's own.

    The queries of all answers to a prompt are multiplied with its keys together, so that these are read from memory
    once per prompt and step.
    """

    def __init__(self, model: Any, prompts: Sequence[tuple[int, ...]], of: Sequence[int]) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        packing = Packing(prompts)
        read: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        logits = forward(model, packing, [path[-1] for path in packing.paths], keys_and_values=read)
        columns, empty = _rectangle(packing.paths, self._device)
        self._prompts = {  # keys and values (B, G, P, D)
            layer: (_by_prompt(keys, columns), _by_prompt(values, columns)) for layer, (keys, values) in read.items()
        }
        self._empty = empty[:, None, None]
        self._own: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # keys and values (R, G, room, D)
        self._taken = 0
        index = torch.tensor(of, device=self._device)
        self.logits = logits[index]
        self._position = torch.tensor([len(prompt) for prompt in prompts], device=self._device)[index]
        self._arrange(of)

    def _arrange(self, of: Sequence[int]) -> None:
        """Arranges the rows as a table (B, S), one line per prompt, or several for a prompt with many more rows.

        of: for every row the line that its prompt's keys have now.
        """
        rows_of: dict[int, list[int]] = {}
        for row, line in enumerate(of):
            rows_of.setdefault(line, []).append(row)
        self._width = math.ceil(len(of) / len(rows_of))
        lines: list[int] = []
        cells = [0] * len(of)
        for line, rows in rows_of.items():
            for i, row in enumerate(rows):
                if i % self._width == 0:
                    lines.append(line)
                cells[row] = (len(lines) - 1) * self._width + i % self._width
        if lines != list(range(len(self._empty))):
            chosen = torch.tensor(lines, device=self._device)
            self._prompts = {layer: (keys[chosen], values[chosen]) for layer, (keys, values) in self._prompts.items()}
            self._empty = self._empty[chosen]
        self._of = [cell // self._width for cell in cells]
        self._cell = torch.tensor(cells, device=self._device)

    def step(self, tokens: Sequence[int]) -> None:
        with attending(self._model, self._attend):
            self.logits = self._model(
                input_ids=torch.tensor([tokens], device=self._device),
                position_ids=self._position[None],
                use_cache=False,
            ).logits[0]
        self._taken += 1
        self._position = self._position + 1

    def _attend(
        self, layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float, _: float
    ) -> torch.Tensor:
        dtype = values.dtype
        queries, keys, values = in_one_precision(queries, keys, values)
        heads, rows, size = queries.shape[1:]
        groups = keys.shape[1]
        asked = (queries[0] * scale).view(groups, heads // groups, rows, size).permute(2, 0, 1, 3)  # (R, G, h, D)
        own_keys, own_values = self._written(layer, keys[0], values[0])
        prompt_keys, prompt_values = self._prompts[layer]

        scores = self._by_row(self._by_line(asked) @ prompt_keys.transpose(2, 3) + self._empty)  # (R, G, h, P)
        scores_own = asked @ own_keys.transpose(2, 3)
        precise = torch.promote_types(values.dtype, torch.float32)
        weights = torch.cat([scores, scores_own], dim=-1).softmax(-1, dtype=precise).to(values.dtype)
        to_prompt, to_own = weights.split([scores.shape[-1], self._taken + 1], dim=-1)

        found = self._by_row(self._by_line(to_prompt) @ prompt_values) + to_own @ own_values
        return found.reshape(1, rows, heads, size).to(dtype)

    def _by_line(self, states: torch.Tensor) -> torch.Tensor:
        """States (R, G, h, X) of the rows as (B, G, S h, X) of the table's lines; empty cells are 0."""
        table = states.new_zeros(len(self._empty) * self._width, *states.shape[1:])
        table[self._cell] = states
        return table.unflatten(0, (-1, self._width)).transpose(1, 2).flatten(2, 3)

    def _by_row(self, states: torch.Tensor) -> torch.Tensor:
        """The inverse of `_by_line`."""
        return states.unflatten(2, (self._width, -1)).transpose(1, 2).flatten(0, 1)[self._cell]

    def _written(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Stores this step's keys and values (G, R, D); returns those of all steps of the answers (R, G, t, D)."""
        groups, rows, size = keys.shape
        if layer not in self._own:
            none = keys.new_empty(rows, groups, 0, size)
            self._own[layer] = none, none
        old_keys, old_values = self._own[layer]
        if old_keys.shape[2] == self._taken:
            room = keys.new_empty(rows, groups, max(_ROOM, self._taken), size)
            old_keys, old_values = torch.cat([old_keys, room], dim=2), torch.cat([old_values, room], dim=2)
            self._own[layer] = old_keys, old_values
        old_keys[:, :, self._taken] = keys.transpose(0, 1)
        old_values[:, :, self._taken] = values.transpose(0, 1)
        return old_keys[:, :, : self._taken + 1], old_values[:, :, : self._taken + 1]

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows, device=self._device)
        self.logits, self._position = self.logits[index], self._position[index]
        self._own = {layer: (keys[index], values[index]) for layer, (keys, values) in self._own.items()}
        self._arrange([self._of[row] for row in rows])


def _by_prompt(states: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Keys or values (1, G, N, D) of a packed row as (B, G, P, D)."""
    return states[0][:, columns].transpose(0, 1).contiguous()


def _rectangle(paths: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The paths as columns (B, P), filled up on the right with any column; and a bias for the scores (B, P): 0, or
    minus infinity at the filling."""
    width = max(map(len, paths))
    columns = torch.tensor([[*path, *[path[-1]] * (width - len(path))] for path in paths], device=device)
    lengths = torch.tensor([len(path) for path in paths], device=device)
    beyond = torch.arange(width, device=device)[None] >= lengths[:, None]
    return columns, torch.zeros(len(paths), width, device=device).masked_fill(beyond, float("-inf"))
