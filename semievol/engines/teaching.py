"""Examples as training batches: tokenised, ordered, collated, and the loss on them.

The answer is never cut, and the loss is on the answer and its end-of-turn token only. Knows nothing of adapters,
optimizers or checkpoints.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from semievol.engines.batching import pad_left
from semievol.engines.chat import Chat, Turn
from semievol.records import Example

IGNORED = -100
_GROUPED_BATCHES = 8
_WIDTHS = 16
_log = logging.getLogger(__name__)


def tokenised(chat: Chat, examples: Sequence[Example]) -> list[Turn]:
    """Examples as turns; one that exceeds the model's context is left out whole, which is logged."""
    prompts = chat.prompts([example.messages for example in examples])
    turns = [chat.turn(e.messages, prompt, e.answer) for e, prompt in zip(examples, prompts, strict=True)]
    fitting = [turn for turn in turns if chat.context is None or length(turn) <= chat.context]
    if len(fitting) < len(turns):
        _log.warning(
            "%d of %d examples are left out: they exceed the model's %d tokens",
            len(turns) - len(fitting),
            len(turns),
            chat.context,
        )
    return fitting


def length(turn: Turn) -> int:
    """Tokens of a turn."""
    return len(turn.prompt) + len(turn.reply)


def order(lengths: Sequence[int], batch: int, steps: int, seed: int) -> list[int]:
    """Places of the examples in the order of training, `steps` x `batch` of them, for any number of passes.

    Every pass is a permutation of its own; inside of it, groups of eight batches are sorted by length before they are
    cut, so that little is padded, and the batches are shuffled. What does not fill a batch opens the next pass.
    The order is fixed in advance, since a sampler that draws while training would not resume where it stopped.
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


@dataclass(frozen=True)
class Collate:
    """Turns to a batch padded on the left, so that all labels stand at the end.

    The width is a multiple of 16: a processor keeps compiled products and memory for every width that it meets, which
    for widths of all sizes took a third more memory.
    """

    pad: int

    def __call__(self, turns: Sequence[Turn]) -> dict[str, torch.Tensor]:
        rows = [(*turn.prompt, *turn.reply) for turn in turns]
        ids, mask, positions = pad_left(rows, self.pad, torch.device("cpu"), multiple=_WIDTHS)
        labels = torch.full_like(ids, IGNORED)
        for row, turn in enumerate(turns):
            labels[row, -len(turn.reply) :] = torch.tensor(turn.reply)
        mask = torch.ones_like(ids) if mask is None else mask
        return {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "labels": labels}


def answer_loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Summed negative log-likelihood (nats) of the labeled tokens; logits are computed for the columns with labels."""
    labels = batch["labels"]
    longest = int((labels != IGNORED).sum(1).max())
    logits = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        position_ids=batch["position_ids"],
        logits_to_keep=longest + 1,
        use_cache=False,
    ).logits
    wanted = labels[:, -longest:].reshape(-1)
    given = logits[:, -longest - 1 : -1].reshape(len(wanted), -1).float()
    return cross_entropy(given, wanted, ignore_index=IGNORED, reduction="sum")
