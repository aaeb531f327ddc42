"""Exact probabilities of every allowed answer, without generating.

Definition. Let s(a) be the tokens with which the chat template renders answer a after the prompt. Where no allowed
answer's s begins another's (letters, most label sets), p(a | prompt) is proportional to the probability that the
reply begins with s(a): exp(sum of log p over s(a)). Where one begins another ("water", "water pipe"), these events
overlap, so every allowed answer of that record is closed by the end-of-turn token, and p(a) is proportional to the
probability that the reply is exactly a. Either way the events exclude each other, so that `mass`, the sum before
renormalising, is the unrestricted probability of getting any allowed answer, at most 1. Leaving the end token out
where it decides nothing is what makes letters cost a single forward; after the warm-up p(end | a) is close to 1 anyway.

Method. The answers form a tree of tokens. A row is the prompt followed by the tree's inner nodes, each seeing the
prompt and its own ancestors only, at its own depth's position: one forward gives the distribution after the prompt
and after every inner node. One-token answers have no inner node, and the row is the prompt alone. What all prompts of
a call begin with (a long instruction, say) is read once: its keys and values serve every row.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch

from semievol.engines.batching import pad_left
from semievol.engines.chat import common_length
from semievol.errors import UserError

_WORTH_IT = 0.15  # share of all tokens that must be saved; a cache costs a mask and a copy


@dataclass(frozen=True)
class Question:
    """One prompt with the token paths of its allowed answers, all different and none of them another's beginning."""

    prompt: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]

    @cached_property
    def nodes(self) -> tuple[tuple[int, ...], ...]:
        """Proper non-empty beginnings of the paths: the inner nodes of the tree, shallow first, in order."""
        found = {path[:depth]: None for path in self.paths for depth in range(1, len(path))}
        return tuple(sorted(found, key=lambda node: (len(node), node)))

    @property
    def size(self) -> int:
        """Tokens that the packed row needs."""
        return len(self.prompt) + len(self.nodes)


def question(
    prompt: tuple[int, ...], replies: Sequence[tuple[int, ...]], answers: Sequence[str], record_id: str
) -> Question:
    """Question from the full replies (closed by the end-of-turn token), which is dropped where it decides nothing."""
    if len(set(replies)) < len(replies):
        raise UserError(
            f"Two of the allowed answers look the same to the model: {', '.join(map(repr, answers))[:200]}.",
            f"record {record_id}",
            "Give every label or option a text of its own.",
        )
    bare = [reply[:-1] for reply in replies]
    ordered = sorted(bare)
    overlapping = any(after[: len(before)] == before for before, after in pairwise(ordered))
    return Question(prompt, tuple(replies if overlapping else bare))


class Beginning:
    """The tokens that all prompts of a call begin with; read by the first batch that needs them, then kept.

    ids: none of the prompts may consist of them alone, since its last token is asked for a distribution.
    """

    def __init__(self, ids: tuple[int, ...]) -> None:
        self.ids = ids
        self._cache: Any = None

    @classmethod
    def of(cls, prompts: Sequence[tuple[int, ...]]) -> Beginning:
        """What the prompts have in common, or nothing where reading it once would save little."""
        if len(prompts) < 2:
            return cls(())
        least, most = min(prompts), max(prompts)  # whatever these two share, all between them share as well
        common = min(common_length(least, most), min(map(len, prompts)) - 1)
        worth_it = common * (len(prompts) - 1) >= _WORTH_IT * sum(map(len, prompts))
        return cls(least[:common] if worth_it else ())

    def rows(self, model: Any, count: int) -> Any:
        """Its keys and values for `count` rows, to be continued."""
        if self._cache is None:
            ids = torch.tensor([self.ids], device=next(model.parameters()).device)
            self._cache = model(input_ids=ids, logits_to_keep=1, use_cache=True).past_key_values
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(count)
        return cache


NOTHING = Beginning(())


def score(
    model: Any, questions: Sequence[Question], pad: int, packed: bool = True, beginning: Beginning = NOTHING
) -> list[list[float]]:
    """log p of every path of every question, float64, unnormalised, in one batch.

    model: a causal language model, called as transformers models are. packed: off for models whose attention does not
    take a mask of our own; then every path is a row of its own. beginning: what the questions' prompts leave out.
    """
    if not packed and any(q.nodes for q in questions):
        return [_score_rows(model, q, pad) for q in questions]
    device = next(model.parameters()).device
    trees = [q.nodes for q in questions]
    rows = [(*q.prompt, *(node[-1] for node in tree)) for q, tree in zip(questions, trees, strict=True)]
    ids, mask, positions = pad_left(rows, pad, device)
    keep = 1 + max(len(tree) for tree in trees)
    if keep > 1:
        mask, positions = _tree_masks(questions, trees, ids.shape[1], device)
    given: dict[str, Any] = {"use_cache": False}
    before = len(beginning.ids)
    if before:
        seen = torch.ones_like(ids) if mask is None else mask
        mask = torch.cat([seen.new_ones(*seen.shape[:-1], before), seen], dim=-1)
        positions = positions + before
        given = {"use_cache": True, "past_key_values": beginning.rows(model, len(questions))}
    logits = model(input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=keep, **given).logits
    found = []
    for row, (q, tree) in enumerate(zip(questions, trees, strict=True)):
        wanted = logits[row, keep - 1 - len(tree) :].double().log_softmax(-1)
        place = {(): 0} | {node: i + 1 for i, node in enumerate(tree)}
        found.append([_path_sum(wanted, place, path) for path in q.paths])
    return found


def _path_sum(logp: torch.Tensor, place: dict[tuple[int, ...], int], path: tuple[int, ...]) -> float:
    steps = torch.tensor([place[path[:depth]] for depth in range(len(path))])
    return float(logp[steps, torch.tensor(path)].sum())


def _tree_masks(
    questions: Sequence[Question], trees: Sequence[tuple[tuple[int, ...], ...]], width: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Who sees whom (B, 1, T, T; True where seen) and the positions (B, T) of rows padded on the left.

    Padding sees itself, since a row of attention without any target is not a number.
    """
    seen = torch.eye(width, dtype=torch.bool).repeat(len(questions), 1, 1)
    positions = torch.zeros(len(questions), width, dtype=torch.long)
    for row, (q, tree) in enumerate(zip(questions, trees, strict=True)):
        first = width - len(q.prompt) - len(tree)
        split = first + len(q.prompt)
        seen[row, first:split, first:split] = torch.ones(len(q.prompt), len(q.prompt), dtype=torch.bool).tril()
        seen[row, split:, first:split] = True
        positions[row, first:split] = torch.arange(len(q.prompt))
        place = {node: split + i for i, node in enumerate(tree)}
        for node, column in place.items():
            positions[row, column] = len(q.prompt) + len(node) - 1
            for depth in range(1, len(node)):
                seen[row, column, place[node[:depth]]] = True
    return seen[:, None].to(device), positions.to(device)


def _score_rows(model: Any, q: Question, pad: int) -> list[float]:
    """The same numbers with one row per path, for models that cannot be packed."""
    device = next(model.parameters()).device
    longest = max(len(path) for path in q.paths)
    ids, mask, positions = pad_left([(*q.prompt, *path[:-1]) for path in q.paths], pad, device)
    logits = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=longest, use_cache=False
    ).logits
    found = []
    for row, path in enumerate(q.paths):
        wanted = logits[row, longest - len(path) :].double().log_softmax(-1)
        found.append(float(wanted[torch.arange(len(path)), torch.tensor(path)].sum()))
    return found


def normalise(logs: Sequence[float]) -> tuple[tuple[float, ...], float]:
    """Probabilities over the answers, summing to 1, and their unrestricted mass, from unnormalised log p."""
    values = torch.tensor(logs, dtype=torch.float64)
    return tuple(values.softmax(0).tolist()), min(1.0, float(values.exp().sum()))
