"""Free answers of 64 tokens, four samples of every prompt: our generation against n passes of `generate`.

    python -m tests.benchmarks.respond_free [--records 12] [--threads 1] [--precision fp32] [--json]

The peer makes one pass for every sample, in left-padded batches of 8. End tokens are ignored on both sides, so that
both generate all 64 tokens. In fp32, greedy answers of both must be the same, token for token.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from semievol.jobs.environment import for_models

os.environ.update(for_models())  # before torch loads, as in the worker

import torch

from semievol.engines.inference import generation
from semievol.engines.local import LocalEngine
from semievol.engines.packing.batching import pad_left
from semievol.engines.packing.shares import Padded
from semievol.records import Task
from semievol.task.prompts import render
from tests.benchmarks.method_study import load
from tests.benchmarks.printed import finish, table
from tests.benchmarks.workshop import MODELS, model_folder, side_by_side

SAMPLES, TOKENS, FIXED = 4, 64, 8
NOTHING: frozenset[int] = frozenset()


def ours(engine: LocalEngine, prompts: Sequence[tuple[int, ...]], samples: int, hot: float) -> list[list[int]]:
    draws = [
        generation.Draw(prompt, hot, generation.draw_key(sample, str(place)), TOKENS)
        for place, prompt in enumerate(prompts)
        for sample in range(samples)
    ]
    with engine.base.using(None) as model:
        found = engine.generating.run(
            draws,
            Padded([len(draw.prompt) // samples + draw.max_tokens for draw in draws]),
            lambda batch: generation.generate(model, batch, NOTHING, engine.base.pad, engine.base.packs),
        )
    return [each.ids for each in found]


def passes(engine: LocalEngine, prompts: Sequence[tuple[int, ...]], samples: int, hot: float) -> list[list[int]]:
    pad, found = engine.base.pad, list[list[int]]()
    with engine.base.using(None) as model:
        for _ in range(samples):
            for start in range(0, len(prompts), FIXED):
                batch = prompts[start : start + FIXED]
                ids, mask, _ = pad_left(batch, pad, torch.device("cpu"))
                size = {"max_new_tokens": TOKENS, "min_new_tokens": TOKENS, "eos_token_id": None}
                mask = torch.ones_like(ids) if mask is None else mask
                out = model.generate(input_ids=ids, attention_mask=mask, do_sample=hot > 0, **size)
                found += out[:, ids.shape[1] :].tolist()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("fp32", "auto"), default="fp32")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    _, everything, _ = load("mmlu")
    records = [record for record in everything if record.split == "unlabeled"][: chosen.records]
    rows, ratios = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.models:
            engine = LocalEngine(model_folder(name, Path(scratch)), chosen.precision, chosen.threads)
            prompts = engine.base.chat.prompts([render(Task("text"), record) for record in records])
            timed = side_by_side(
                {
                    "ours": lambda e=engine, p=prompts: ours(e, p, SAMPLES, 1.0),  # type: ignore[misc]
                    "passes": lambda e=engine, p=prompts: passes(e, p, SAMPLES, 1.0),  # type: ignore[misc]
                },
                chosen.repeats,
            )
            greedy, plain = ours(engine, prompts, 1, 0.0), passes(engine, prompts, 1, 0.0)
            same = sum(left == right for left, right in zip(greedy, plain, strict=True)) / len(prompts)
            ratios[name] = timed["passes"].best / timed["ours"].best
            rate = SAMPLES * TOKENS * len(prompts) / timed["ours"].best
            rows.append((name, rate, ratios[name], f"{same:.0%}"))
    table(rows, ("model", "tokens/s", "x n passes", "greedy alike"))
    finish(ratios, chosen.json)


if __name__ == "__main__":
    main()
