"""Token cleaning: which tokens of accepted pseudo-labels are not trained on.

A token's score is how much the reference model raised its log-probability over the base, log p_reference - log p_base.
Over all answers together, the tokens with the lowest scores are left out (Pang et al. 2025, arXiv 2502.01968, cleaning
with a fixed model; there the share that is kept is set). Here the reference is the warm-up: a token that the labeled
records did not make likelier is not learned from a pseudo-label. The end-of-turn token always stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from semievol.engines.adapters import AdaptedModel
from semievol.engines.chat import Turn
from semievol.engines.packing.batching import Batcher
from semievol.engines.packing.shares import Padded
from semievol.engines.training import batches
from semievol.method.protocols import TokenCleaning


def cleaned(adapted: AdaptedModel, turns: Sequence[Turn], cleaning: TokenCleaning, batcher: Batcher) -> list[Turn]:
    """The turns with the places of their replies that are to be left out. Of equal scores the earlier token goes."""
    if not turns:
        return []
    after, before = (_logprobs(adapted, turns, adapter, batcher) for adapter in (cleaning.reference, None))
    scores = [np.subtract(a, b)[:-1] for a, b in zip(after, before, strict=True)]
    ranked = np.argsort(np.concatenate(scores), kind="stable")
    lowest = np.zeros(len(ranked), dtype=bool)
    lowest[ranked[: int(cleaning.share * len(ranked))]] = True
    mine = np.split(lowest, np.cumsum([len(one) for one in scores])[:-1])
    return [
        replace(turn, left_out=frozenset(np.flatnonzero(out).tolist())) for turn, out in zip(turns, mine, strict=True)
    ]


def _logprobs(
    adapted: AdaptedModel, turns: Sequence[Turn], adapter: str | None, batcher: Batcher
) -> list[tuple[float, ...]]:
    """log p of every token of each reply, by the base with this adapter."""

    def of(some: Sequence[Turn]) -> list[tuple[float, ...]]:
        batch = batches.collated(some, adapted.packs, adapted.pad)
        logits = batches.answer_logits(model, batch)
        labels = batch["labels"].to(logits.device)
        found = torch.log_softmax(logits, dim=-1).gather(1, labels[:, None])[:, 0]
        return [tuple(part.tolist()) for part in found.split([len(turn.reply) for turn in some])]

    with adapted.using(adapter) as model:
        lengths = [turn.length for turn in turns]
        return batcher.run(turns, Padded(lengths, adapted.turning, [length - 1 for length in lengths]), of)
