"""Conversations to training rows: token ids with a weight for each, several conversations to a row.

Knows the chat format's tokens (checked against the chat template by a test) and nothing about where turns come from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy
import torch
from tokenizers import Tokenizer

from assets.starter_recipe import bpe
from semievol.records import Message

KINDS = ("prompt", "shown answer", "answer", "text")
PROMPT, SHOWN_ANSWER, ANSWER, TEXT = range(4)
SHARE = {PROMPT: 0.3, SHOWN_ANSWER: 0.8, ANSWER: 0.8, TEXT: 0.4}  # each kind's share of a step's loss


@dataclass(frozen=True)
class Encoded:
    """Token ids and, for every one of them, what it is (PROMPT, SHOWN_ANSWER, ANSWER)."""

    ids: numpy.ndarray
    kinds: numpy.ndarray


def encoded(conversations: Sequence[tuple[Message, ...]], tokenizer: Tokenizer) -> list[Encoded]:
    """The ids that the chat template gives for every conversation; the last turn is the answer."""
    turns = [turn for conversation in conversations for turn in conversation]
    contents = iter(tokenizer.encode_batch([turn.content for turn in turns], add_special_tokens=False))
    role = {name: bpe.id_of(tokenizer, f"<|{name}|>") for name in ("system", "user", "assistant")}
    end = bpe.id_of(tokenizer, bpe.END)
    result = []
    for conversation in conversations:
        ids: list[int] = []
        kinds: list[int] = []
        for place, turn in enumerate(conversation):
            answer = ANSWER if place == len(conversation) - 1 else SHOWN_ANSWER
            inner = [*next(contents).ids, end]
            ids += [role[turn.role], *inner]
            kinds += [PROMPT] + [answer if turn.role == "assistant" else PROMPT] * len(inner)
        result.append(Encoded(numpy.array(ids), numpy.array(kinds)))
    return result


def filled(waiting: list[Encoded], count: int, length: int, pad: int) -> tuple[torch.Tensor, ...]:
    """A micro-batch [count, length] filled first-fit from `waiting`, which loses what was taken.

    Returns tokens, places, documents, targets and the kind of every target (-1 where there is none).
    """
    shape = (count, length)
    tokens, places = numpy.full(shape, pad), numpy.zeros(shape, dtype=numpy.int64)
    documents, targets, kinds = (
        numpy.zeros(shape, dtype=numpy.int64),
        numpy.zeros(shape, dtype=numpy.int64),
        numpy.full(shape, -1),
    )
    used = [0] * count
    left = []
    for each in waiting:
        size = len(each.ids) - 1
        row = next((r for r in range(count) if used[r] + size <= length), None)
        if row is None:
            left.append(each)
            continue
        span = slice(used[row], used[row] + size)
        tokens[row, span], targets[row, span], kinds[row, span] = each.ids[:-1], each.ids[1:], each.kinds[1:]
        places[row, span], documents[row, span] = numpy.arange(size), used[row] + 1
        used[row] += size
    waiting[:] = left
    return tuple(torch.from_numpy(array) for array in (tokens, places, documents, targets, kinds))


def weighed(batches: list[tuple[torch.Tensor, ...]]) -> list[tuple[torch.Tensor, ...]]:
    """The micro-batches with kinds replaced by weights that sum to one over all of them."""
    present = {kind: sum(int((batch[4] == kind).sum()) for batch in batches) for kind in SHARE}
    whole = sum(share for kind, share in SHARE.items() if present[kind])
    result = []
    for batch in batches:
        weights = torch.zeros(batch[4].shape)
        for kind, share in SHARE.items():
            if present[kind]:
                weights[batch[4] == kind] = share / whole / present[kind]
        result.append((*batch[:4], weights))
    return result


class Shelves:
    """Conversations by length, in random order, from an endless source; gives rows of a wanted size."""

    LENGTHS = (256, 512, 1024)

    def __init__(self, source: Iterator[list[Encoded]], draw: numpy.random.Generator, least: int = 900) -> None:
        self.source, self.draw, self.least = source, draw, least
        self.shelf: dict[int, list[Encoded]] = {length: [] for length in self.LENGTHS}

    def rows(self, count: int, length: int) -> tuple[torch.Tensor, ...]:
        """A micro-batch [count, length] of conversations that need this length, filled up with shorter ones."""
        while len(self.shelf[256]) < self.least:
            for each in next(self.source):
                fitting = next((size for size in self.LENGTHS if len(each.ids) <= size), None)
                if fitting and len(self.shelf[fitting]) < 4 * self.least:
                    self.shelf[fitting].insert(int(self.draw.integers(len(self.shelf[fitting]) + 1)), each)
        own, short = self.shelf[length], self.shelf[256]
        taken = [own.pop() for _ in range(min(len(own), 3 * count))]
        taken += [short.pop() for _ in range(min(len(short), 2 * count))]
        batch = filled(taken, count, length, 0)
        for each in taken:
            self.shelf[256 if len(each.ids) <= 256 else length].append(each)
        return batch
