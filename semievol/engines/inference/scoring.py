"""Exact probabilities of every allowed answer, without generating.

Definition. Let s(a) be the tokens with which the chat template renders answer a after the prompt. If no s(a) is the
beginning of another one (letters, most label sets), p(a | prompt) is proportional to the probability that the reply
begins with s(a): exp(sum of log p over s(a)). If one is the beginning of another ("water", "water pipe"), these events
overlap. Then the end-of-turn token belongs to every allowed answer of this record, and p(a) is proportional to the
probability that the reply is exactly a. In both cases the events exclude each other, so `mass`, the sum before
renormalising, is the unrestricted probability of any allowed answer, at most 1. Letters need a single forward pass only
because the end token is left out where possible; after the warm-up p(end | a) is close to 1 anyway.

Method. The answers form a tree of tokens. Its inner nodes are put after the prompt, each at the position of its depth
and seeing only the prompt and its own ancestors. One forward pass then gives the distributions after the prompt and
after every inner node. One-token answers have no inner node, so the prompt alone is read. Prompts are packed, so that
a common beginning (instructions, demonstrations) is read once. Models that cannot be packed get a padded row for every
answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any

import torch

from semievol.engines.packing.attention import forward
from semievol.engines.packing.batching import pad_left
from semievol.engines.packing.layout import Beginning, Packing


@dataclass(frozen=True)
class Question:
    """One prompt with the token paths of its allowed answers; all differ, and none is the beginning of another."""

    prompt: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @cached_property
    def nodes(self) -> tuple[tuple[int, ...], ...]:
        """Proper non-empty beginnings of the paths: the inner nodes of the tree, shallow first, in order."""
        found = {path[:depth]: None for path in self.paths for depth in range(1, len(path))}
        return tuple(sorted(found, key=lambda node: (len(node), node)))


def question(prompt: tuple[int, ...], replies: Sequence[tuple[int, ...]]) -> Question:
    """Question from the full replies, all different. Their last token, the end of the turn, is left out if no path
    needs it."""
    bare = [reply[:-1] for reply in replies]
    ordered = sorted(bare)
    overlapping = any(after[: len(before)] == before for before, after in pairwise(ordered))
    return Question(prompt, tuple(replies if overlapping else bare))


def score(model: Any, questions: Sequence[Question], beginning: Beginning | None = None) -> list[list[float]]:
    """log p of every path of every question, float64, unnormalised, in one batch.

    model: a causal language model of transformers. beginning: what the prompts of all batches begin with.
    """
    packing = Packing([q.prompt for q in questions], [q.nodes for q in questions], beginning)
    asked = [[path[-1], *nodes] for path, nodes in zip(packing.paths, packing.nodes, strict=True)]
    logits = forward(model, packing, list(chain.from_iterable(asked)), beginning)
    of_each = logits.split([len(columns) for columns in asked])
    return [_path_sums(rows, q) for q, rows in zip(questions, of_each, strict=True)]


def _path_sums(logits: torch.Tensor, q: Question) -> list[float]:
    """log p of every path. logits: after the prompt and after every inner node, in order."""
    logp = logits.double().log_softmax(-1)
    place = {(): 0} | {node: i + 1 for i, node in enumerate(q.nodes)}
    steps = [torch.tensor([place[path[:depth]] for depth in range(len(path))]) for path in q.paths]
    return [float(logp[rows, torch.tensor(path)].sum()) for rows, path in zip(steps, q.paths, strict=True)]


def score_padded(model: Any, questions: Sequence[Question], pad: int) -> list[list[float]]:
    """The numbers of `score` with one padded row per path, for models that cannot be packed."""
    device = next(model.parameters()).device
    paths = [path for q in questions for path in q.paths]
    longest = max(map(len, paths))
    rows = [(*q.prompt, *path[:-1]) for q in questions for path in q.paths]
    distinct = list(dict.fromkeys(rows))
    place = {row: i for i, row in enumerate(distinct)}
    ids, mask, positions = pad_left(distinct, pad, device)
    logits = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=longest, use_cache=False
    ).logits
    found = []
    for row, path in zip(rows, paths, strict=True):
        wanted = logits[place[row], longest - len(path) :].double().log_softmax(-1)
        found.append(float(wanted[torch.arange(len(path)), torch.tensor(path)].sum()))
    sums = iter(found)
    return [[next(sums) for _ in q.paths] for q in questions]


def normalise(logs: Sequence[float]) -> tuple[tuple[float, ...], float]:
    """Probabilities over the answers, summing to 1, and their unrestricted mass, from unnormalised log p."""
    values = torch.tensor(logs, dtype=torch.float64)
    return tuple(values.softmax(0).tolist()), min(1.0, float(values.exp().sum()))
