"""Generated answers with the exact log-probability and entropy of every token.

An own loop instead of `generate`: it reduces the distribution of every step at once (a stack of full distributions
costs batch x tokens x vocabulary), draws every sequence from a generator of its own, and drops finished sequences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from semievol.engines.batching import pad_left


@dataclass(frozen=True)
class Draw:
    """One answer to generate: greedy at temperature 0, else drawn with a generator seeded by `key` alone."""

    prompt: tuple[int, ...]
    temperature: float
    key: int
    max_tokens: int


@dataclass
class Generated:
    """Ids of the answer without its stop token; log-probabilities and entropies (nats) with it.

    Both are of the model's own distribution, whatever the temperature.
    """

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)


def draw_key(seed: int, record_id: str) -> int:
    """Seed of one answer's generator, below 2**63."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{record_id}".encode()).digest()[:8], "big") >> 1


def generate(model: Any, draws: Sequence[Draw], stops: frozenset[int], pad: int) -> list[Generated]:
    """Answers to one batch of draws; equal prompts are read once.

    Each answer ends with a stop token or after its `max_tokens`. A draw depends on its own key only, not on the batch.
    """
    device = next(model.parameters()).device
    prompts = list(dict.fromkeys(draw.prompt for draw in draws))
    ids, mask, positions = pad_left(prompts, pad, device)
    output = model(input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1, use_cache=True)
    cache, logits = output.past_key_values, output.logits[:, -1]
    mask = torch.ones_like(ids) if mask is None else mask
    position = positions[:, -1:] + 1
    place = {prompt: i for i, prompt in enumerate(prompts)}
    rows = torch.tensor([place[draw.prompt] for draw in draws], device=device)
    if len(draws) != len(prompts):
        cache.batch_select_indices(rows)
        logits, mask, position = logits[rows], mask[rows], position[rows]

    found = [Generated() for _ in draws]
    generators = [torch.Generator().manual_seed(draw.key) if draw.temperature > 0 else None for draw in draws]
    active = list(range(len(draws)))
    while True:
        tokens, logprobs, entropies = _step(logits, [(draws[i].temperature, generators[i]) for i in active])
        kept = []
        for row, i in enumerate(active):
            found[i].logprobs.append(logprobs[row])
            found[i].entropies.append(entropies[row])
            if tokens[row] not in stops:
                found[i].ids.append(tokens[row])
                if len(found[i].ids) < draws[i].max_tokens:
                    kept.append(row)
        if not kept:
            return found
        if len(kept) < len(active):
            rows = torch.tensor(kept, device=device)
            cache.batch_select_indices(rows)
            mask, position = mask[rows], position[rows]
            active = [active[row] for row in kept]
        mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
        last = torch.tensor([[tokens[row]] for row in kept], device=device)
        output = model(
            input_ids=last, attention_mask=mask, position_ids=position, past_key_values=cache, use_cache=True
        )
        logits, position = output.logits[:, -1], position + 1


def _step(
    logits: torch.Tensor, how: Sequence[tuple[float, torch.Generator | None]]
) -> tuple[list[int], list[float], list[float]]:
    """Next tokens with their log-probability and the entropy of their distribution, in float64."""
    logp = logits.double().log_softmax(-1)
    entropies = torch.special.entr(logp.exp()).sum(-1)
    tokens = logp.argmax(-1)
    for row, (temperature, generator) in enumerate(how):
        if generator is not None:
            heights = (logp[row] / temperature).softmax(-1).cumsum(-1)
            level = torch.rand((), generator=generator, dtype=torch.float64).to(heights) * heights[-1]
            tokens[row] = torch.searchsorted(heights, level, right=True).clamp(max=len(heights) - 1)
    chosen = logp.gather(-1, tokens[:, None])[:, 0]
    return tokens.tolist(), chosen.tolist(), entropies.tolist()
