"""Tokenised examples as training batches: ordered and collated; and the loss on a batch.

The loss is on the answer and its end-of-turn token only. Knows nothing of adapters, optimizers or checkpoints.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import torch
from torch.nn.functional import cross_entropy, log_softmax

from semievol.engines.chat import Turn
from semievol.engines.packing.attention import forward
from semievol.engines.packing.batching import pad_left
from semievol.engines.packing.layout import Packing

_GROUPED_BATCHES = 8
HELD_OUT_EVERY = 20
HELD_OUT_SHARE = 1 / 8
"""Largest share of a training's operations that measuring the held-out loss may take."""
LEFT_OUT = -100
"""The label of a token that is not trained on, as torch and transformers know it."""


def order(lengths: Sequence[int], batch: int, steps: int, seed: int) -> list[int]:
    """Indices of the examples in the order of training, `steps` x `batch` of them, for any number of passes.

    Every pass is a new permutation. In it, groups of eight batches are sorted by length and then cut, so that there is
    little padding, and the batches are shuffled. Examples that do not fill a batch come first in the next pass.
    The order is fixed before training, since a sampler that draws during training could not be resumed exactly.
    """
    places: list[int] = []
    left: list[int] = []
    number = 0
    while len(places) < steps * batch:
        draw = random.Random(f"{seed}:{number}")
        number += 1
        one_pass = list(range(len(lengths)))
        draw.shuffle(one_pass)
        pool = left + one_pass
        full = len(pool) - len(pool) % batch
        left = pool[full:]
        batches = []
        for start in range(0, full, batch * _GROUPED_BATCHES):
            group = sorted(pool[start : min(start + batch * _GROUPED_BATCHES, full)], key=lambda i: (-lengths[i], i))
            batches += [group[i : i + batch] for i in range(0, len(group), batch)]
        draw.shuffle(batches)
        places += [place for one in batches for place in one]
    return places[: steps * batch]


def held_out_every(held_out: Sequence[Turn], update: float, full: bool) -> int:
    """Steps between two measurements of the loss of held-out examples, a multiple of HELD_OUT_EVERY.

    update: tokens of an update. Reading a token takes two operations a weight, training on it four, or six if all
    weights are trained (`full`).
    """
    read, learnt = 2.0 * sum(turn.length for turn in held_out), (6.0 if full else 4.0) * max(update, 1.0)
    return HELD_OUT_EVERY * max(1, math.ceil(read / (HELD_OUT_SHARE * learnt * HELD_OUT_EVERY)))


class Batch(TypedDict):
    """Examples as input of a model: packed in one row (packing, wanted), or padded (the last three fields).

    labels: (W,) ids of all replies, one after the other; LEFT_OUT where a token is not trained on. tokens: number of
    the examples' own tokens, without padding, shared ones counted every time. wanted: the columns that predict the
    labels. predicting: the same as a mask (B, longest reply) of the last columns. apart: the batch in two parts that
    the model reads one after the other, in the order of the labels; then only `labels` and `tokens` count beside it.
    """

    labels: torch.Tensor
    tokens: int
    input_ids: torch.Tensor
    packing: NotRequired[Packing]
    wanted: NotRequired[list[int]]
    attention_mask: NotRequired[torch.Tensor]
    position_ids: NotRequired[torch.Tensor]
    predicting: NotRequired[torch.Tensor]
    apart: NotRequired[list[Batch]]


def packed(turns: Sequence[Turn]) -> Batch:
    """The batch without padding; a beginning that several examples share is there once."""
    packing = Packing([_given(turn) for turn in turns])
    wanted = [
        column for path, turn in zip(packing.paths, turns, strict=True) for column in path[len(turn.prompt) - 1 :]
    ]
    return {
        "labels": _labels(turns),
        "tokens": sum(turn.length for turn in turns),
        "input_ids": packing.ids,
        "packing": packing,
        "wanted": wanted,
    }


def padded(turns: Sequence[Turn], pad: int) -> Batch:
    """The batch padded on the left, so that the columns that predict the labels are the last ones."""
    ids, mask, positions = pad_left([_given(turn) for turn in turns], pad, torch.device("cpu"))
    replies = torch.tensor([len(turn.reply) for turn in turns])
    columns = torch.arange(int(replies.max())).flip(0)
    return {
        "labels": _labels(turns),
        "tokens": sum(turn.length for turn in turns),
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids) if mask is None else mask,
        "position_ids": positions,
        "predicting": columns[None] < replies[:, None],
    }


def collated(turns: Sequence[Turn], packs: bool, pad: int, turning: int | None = None) -> Batch:
    """The batch, packed if the model allows it. turning: see `AdaptedModel.turning`."""
    if packs:
        return packed(turns)
    sides = [[turn for turn in turns if (turn.length - 1 > (turning or 0)) == beyond] for beyond in (False, True)]
    if turning is None or not all(sides):
        return padded(turns, pad)
    parts = [padded(side, pad) for side in sides]
    whole = padded(turns, pad)
    whole["labels"], whole["apart"] = torch.cat([part["labels"] for part in parts]), parts
    return whole


def _given(turn: Turn) -> tuple[int, ...]:
    """The turn without its last token, which predicts nothing."""
    return (*turn.prompt, *turn.reply[:-1])


def _labels(turns: Sequence[Turn]) -> torch.Tensor:
    return torch.tensor(
        [LEFT_OUT if place in turn.left_out else token for turn in turns for place, token in enumerate(turn.reply)]
    )


def answer_loss(model: Any, batch: Batch, kl: float = 0.0, start: torch.Tensor | None = None) -> torch.Tensor:
    """Summed negative log-likelihood (nats) of the labels; with `start` plus `kl` times the divergence from it.

    start: logits (W, V) of another model at the labels, see `answer_logits`.
    """
    logits = answer_logits(model, batch)
    labels = batch["labels"].to(logits.device)
    loss = cross_entropy(logits, labels, ignore_index=LEFT_OUT, reduction="sum")
    trained = labels != LEFT_OUT
    return loss if start is None else loss + kl * divergence(logits[trained], start[trained])


def answer_logits(model: Any, batch: Batch) -> torch.Tensor:
    """Logits (W, V) in fp32, only of the positions where a label is predicted."""
    if "apart" in batch:
        return torch.cat([answer_logits(model, part) for part in batch["apart"]])
    if "packing" in batch:
        return forward(model, batch["packing"], batch["wanted"]).float()
    device, predicting = next(model.parameters()).device, batch["predicting"]
    output = model(
        input_ids=batch["input_ids"].to(device),
        attention_mask=batch["attention_mask"].to(device),
        position_ids=batch["position_ids"].to(device),
        logits_to_keep=predicting.shape[1],
        use_cache=False,
    )
    found: torch.Tensor = output.logits[predicting.to(device)].float()
    return found


def divergence(logits: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """sum_t KL(p_t || q_t) = sum_t sum_v p_tv (log p_tv - log q_tv), nats: exact over the vocabulary.

    p of `logits`, q of `start`, both (W, V). Jaques et al. 2017 (KL control, arXiv 1611.02796).
    """
    own, theirs = log_softmax(logits, dim=-1), log_softmax(start, dim=-1)
    return (own.exp() * (own - theirs)).sum()
