"""Answering closed tasks: our respond stage against what one would put together from transformers.

    python -m tests.benchmarks.respond_closed [--records 48] [--threads 1] [--precision fp32] [--json]

Peers, each in the same dtype and with the same adapters, in the same run:
  n passes      transformers' `generate`, left-padded batches of 8 in the order given, one pass for every collaborator
  hand-tuned    the same, sorted by length under a token budget of 2,048: the best static batching without sharing
Both generate as many tokens as the longest allowed answer has, and its end. Answers are checked where a ratio could
hide a difference: in fp32 our answers must be those of the same scoring with every ask alone, word for word.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semievol.jobs.environment import for_models

os.environ.update(for_models())  # before torch loads, as in the worker

import numpy as np
import torch

from semievol.config import VOTERS
from semievol.engines.local import LocalEngine
from semievol.engines.packing.batching import pad_left
from semievol.method import evolve
from semievol.method.conversations import ask_of
from semievol.method.protocols import Ask, Plan
from semievol.study.journal import MemoryJournal
from tests.benchmarks.printed import finish, table
from tests.benchmarks.workshop import MODELS, model_folder, plan_of, side_by_side, warm_adapter

PRESETS = ("authors_code", "paper", "studio")
BUDGET, FIXED = 2048, 8


@dataclass(frozen=True)
class Row:
    """Records per second, how many times faster than each peer, and the share of answers that scoring alone gives."""

    rate: float
    ratios: dict[str, float]
    identical: float


def ours(plan: Plan, engine: LocalEngine, adapter: str, near: dict[str, Any], folder: Path) -> dict[str, str | None]:
    """The stage as it runs, asks and chunks included; answers by record and collaborator."""
    journal = MemoryJournal(plan, folder)
    journal.adapters["warm_up"] = adapter
    journal.near = near
    evolve.respond(plan, engine, journal)
    return {f"{r.record_id} {r.collaborator}": r.answer for r in journal.responses("respond")}


def asks_of(plan: Plan, engine: LocalEngine, adapter: str) -> list[Ask]:
    """Every question of the stage to a language model, collaborator by collaborator."""
    k = plan.config.propagation.k
    found = engine.neighbours(plan.labeled, plan.unlabeled, max(k, 1), "char-tfidf")
    near = {r.id: n[:k] for r, n in zip(plan.unlabeled, found, strict=True)}
    models = {"warm_up": adapter, "base": "base"}
    collaborators = [c for c in plan.config.propagation.collaborators if c.model not in VOTERS]
    return [ask_of(plan, engine, "respond", r, c, models, near) for c in collaborators for r in plan.unlabeled]


def passes(
    engine: LocalEngine, asks: Sequence[Ask], batches: Callable[[list[list[int]]], list[list[int]]]
) -> list[str]:
    """One pass of `generate` for every collaborator, in the batches that `batches` makes of the prompts."""
    chat, pad = engine.base.chat, engine.base.pad
    texts = [""] * len(asks)
    for collaborator in dict.fromkeys(ask.collaborator for ask in asks):
        mine = [i for i, ask in enumerate(asks) if ask.collaborator == collaborator]
        prompts = [list(ids) for ids in chat.prompts([asks[i].messages for i in mine])]
        first = asks[mine[0]]
        longest = max(len(chat.turn(first.messages, tuple(prompts[0]), answer).reply) for answer in first.allowed)
        adapter = None if asks[mine[0]].model == "base" else asks[mine[0]].model
        hot = asks[mine[0]].temperature > 0
        with engine.base.using(adapter) as model:
            for batch in batches(prompts):
                ids, mask, _ = pad_left([prompts[i] for i in batch], pad, torch.device("cpu"))
                size = {"attention_mask": torch.ones_like(ids) if mask is None else mask, "max_new_tokens": longest}
                out = model.generate(input_ids=ids, do_sample=hot, **size)
                for i, row in zip(batch, out[:, ids.shape[1] :], strict=True):
                    texts[mine[i]] = chat.text(row.tolist())
    return texts


def in_order(prompts: list[list[int]]) -> list[list[int]]:
    return [list(range(start, min(start + FIXED, len(prompts)))) for start in range(0, len(prompts), FIXED)]


def by_length(prompts: list[list[int]]) -> list[list[int]]:
    waiting = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    batches = []
    while waiting:
        count = max(1, BUDGET // len(prompts[waiting[0]]))
        batches.append(waiting[:count])
        waiting = waiting[count:]
    return batches


def identical(plan: Plan, engine: LocalEngine, asks: Sequence[Ask], given: dict[str, str | None]) -> float:
    """Share of asks whose answer is that of the same ask scored alone; of drawn answers, whose probabilities are."""
    some = [ask for ask in asks if ask.temperature == 0][:64] or list(asks[:64])
    alone = [engine.answer([ask])[0] for ask in some]
    if some[0].temperature == 0:
        same = [given[f"{a.record_id} {a.collaborator}"] == reply.text for a, reply in zip(some, alone, strict=True)]
    else:
        pairs = zip(engine.answer(some), alone, strict=True)
        same = [np.allclose(together.probabilities, reply.probabilities, atol=1e-4) for together, reply in pairs]
    return sum(same) / len(same)


def measure(chosen: argparse.Namespace, engine: LocalEngine, model: str, data: str, preset: str, scratch: Path) -> Row:
    plan = plan_of(data, preset, chosen.records, model, chosen.precision, chosen.threads)
    adapter = warm_adapter(plan, engine, scratch / f"{engine.base.name}-{data}-{preset}")
    asks = asks_of(plan, engine, adapter)
    found = engine.neighbours(plan.labeled, plan.unlabeled, max(plan.config.propagation.k, 1), "char-tfidf")
    near = {r.id: [(d.record.id, d.similarity) for d in n] for r, n in zip(plan.unlabeled, found, strict=True)}
    timed = side_by_side(
        {
            "ours": lambda: ours(plan, engine, adapter, near, scratch),
            "n passes": lambda: passes(engine, asks, in_order),
            "hand-tuned": lambda: passes(engine, asks, by_length),
        },
        chosen.repeats,
    )
    best = timed["ours"].best
    ratios = {peer: timed[peer].best / best for peer in ("n passes", "hand-tuned")}
    return Row(chosen.records / best, ratios, identical(plan, engine, asks, timed["ours"].result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("fp32", "auto"), default="fp32")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--data", nargs="+", choices=("fpb", "mmlu"), default=("fpb", "mmlu"))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows: dict[str, Row] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.models:
            model = model_folder(name, Path(scratch))
            engine = LocalEngine(model, chosen.precision, chosen.threads)
            for data, preset in itertools.product(chosen.data, PRESETS):
                row = measure(chosen, engine, model, data, preset, Path(scratch))
                rows[f"{name}, {data}, {preset}"] = row
                print(f"{name}, {data}, {preset}: {row.rate:.1f} records/s", flush=True)
    print()
    lines = [(what, row.rate, *row.ratios.values(), f"{row.identical:.0%}") for what, row in rows.items()]
    table(lines, ("model, data, preset", "records/s", "x n passes", "x hand-tuned", "as alone"))
    finish({f"{what}, {peer}": x for what, row in rows.items() for peer, x in row.ratios.items()}, chosen.json)


if __name__ == "__main__":
    main()
