"""Generated answers with the exact log-probability and entropy of every token.

An own loop instead of transformers' `generate`. It stores only two numbers of each step's distribution (all of them
would need batch x tokens x vocabulary), draws every answer with a random generator of its own, removes finished
answers, and keeps a prompt once for all its answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from semievol.engines.inference.decoding import OwnRows, SharedPrompts

_KEEP_ALL_ABOVE = 7 / 8  # share of unfinished rows; removing rows copies the keys and values of all others
_LOWEST = -1e4  # a lower log p is a probability of 0 in float64; 0 times minus infinity would be NaN


@dataclass(frozen=True)
class Draw:
    """One answer to generate: greedy at temperature 0, else drawn with a random generator whose seed is `key`."""

    prompt: tuple[int, ...]
    temperature: float
    key: int
    max_tokens: int


@dataclass
class Generated:
    """Ids of the answer without its stop token; log-probabilities and entropies (nats) of its tokens, this included.

    Both are of the model's untempered distribution.
    """

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)


def draw_key(seed: int, record_id: str) -> int:
    """Seed of one answer's generator, below 2**63."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{record_id}".encode()).digest()[:8], "big") >> 1


def generate(
    model: Any,
    draws: Sequence[Draw],
    stops: frozenset[int],
    pad: int,
    packed: bool = True,
    turning: int | None = None,
) -> list[Generated]:
    """Answers to one batch of draws; equal prompts are read once.

    Each answer ends with a stop token or after its `max_tokens`. A draw depends on its own key, not on the batch.
    packed: False for models that cannot be packed (`AdaptedModel.packs`). turning: see `AdaptedModel.turning`.
    """
    prompts = list(dict.fromkeys(draw.prompt for draw in draws))
    place = {prompt: i for i, prompt in enumerate(prompts)}
    of = [place[draw.prompt] for draw in draws]
    decoder = SharedPrompts(model, prompts, of) if packed else OwnRows(model, prompts, of, pad, turning)

    found = [Generated() for _ in draws]
    temperatures = torch.tensor([draw.temperature for draw in draws], dtype=torch.float64)
    generators = [torch.Generator().manual_seed(draw.key) if draw.temperature > 0 else None for draw in draws]
    rows = list(range(len(draws)))  # the draw of every row of the decoder
    alive = set(rows)
    while True:
        tokens, logprobs, entropies = _step(decoder.logits, temperatures[rows], [generators[i] for i in rows])
        for row, i in enumerate(rows):
            if i not in alive:
                continue
            found[i].logprobs.append(logprobs[row])
            found[i].entropies.append(entropies[row])
            if tokens[row] not in stops:
                found[i].ids.append(tokens[row])
            if tokens[row] in stops or len(found[i].ids) >= draws[i].max_tokens:
                alive.remove(i)
        if not alive:
            return found
        if len(alive) <= _KEEP_ALL_ABOVE * len(rows):
            kept = [row for row, i in enumerate(rows) if i in alive]
            decoder.keep(kept)
            rows, tokens = [rows[row] for row in kept], [tokens[row] for row in kept]
        decoder.step(tokens)


def _step(
    logits: torch.Tensor, temperatures: torch.Tensor, generators: Sequence[torch.Generator | None]
) -> tuple[list[int], list[float], list[float]]:
    """Next tokens, their log-probabilities, and the entropies of their distributions, in float64.

    temperatures: (R,), on the processor. generators: None for the rows that take the most probable token.
    """
    logp = logits.double().log_softmax(-1)
    entropies = -(logp.exp() * logp.clamp(min=_LOWEST)).sum(-1)
    tokens = logp.argmax(-1)
    hot = [row for row, generator in enumerate(generators) if generator is not None]
    if hot:
        levels = torch.stack([torch.rand((), generator=generators[row], dtype=torch.float64) for row in hot])
        heights = (logp[hot] / temperatures[hot, None].to(logp)).softmax(-1).cumsum(-1)
        wanted = levels.to(logp)[:, None] * heights[:, -1:]
        tokens[hot] = torch.searchsorted(heights, wanted, right=True)[:, 0].clamp(max=heights.shape[-1] - 1)
    chosen = logp.gather(-1, tokens[:, None])[:, 0]
    return tokens.tolist(), chosen.tolist(), entropies.tolist()
