"""The embedder `model`: a language model's own hidden states as vectors of texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from semievol.engines.adapters import AdaptedModel
from semievol.engines.packing.batching import Batcher, OutOfMemory, pad_left, too_large
from semievol.engines.packing.shares import Padded
from semievol.engines.vectors import Vectors

_LONGEST = 4096
"""Tokens that are read of a text where the model does not say how many it can read."""


def of(base: AdaptedModel, batcher: Batcher, texts: Sequence[str]) -> Vectors:
    """The base's last hidden states, averaged over the tokens of each text (cut at the model's context):
    float32[texts, hidden size]. Raises UserError where the memory is too small for a single text."""
    limit = base.chat.context or _LONGEST
    ids_of: list[list[int]] = base.chat.tokenizer(list(texts))["input_ids"]
    rows = [ids[:limit] or [base.pad] for ids in ids_of]

    def pooled(batch: list[list[int]]) -> list[Vectors]:
        ids, mask, positions = pad_left(batch, base.pad, base.device)
        with base.using(None) as model:
            hidden = model.base_model(
                input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
            ).last_hidden_state.float()
        mask = torch.ones_like(ids) if mask is None else mask
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return list(mean.cpu().numpy())

    try:
        found = batcher.run(rows, Padded([len(row) for row in rows], base.turning), pooled)
    except OutOfMemory:
        raise too_large("embedder", "Choose the embedder char-tfidf.") from None
    return np.stack(found)
