"""How cost grows: with records, collaborators and demonstrations; memory, share of the machine's rate, first result.

    python -m tests.benchmarks.scaling [--parts records rate start ...] [--json]

records           the respond stage on 1,000, 4,000 and 16,000 records (financial phrases, each made unique), each size
                  in a process of its own: seconds, cost of a record against the smallest size, peak memory
collaborators     the same 200 records with 1, 2, 4 and 8 collaborators that differ in their demonstrations
demonstrations    the same 200 records with 0, 1, 2, 4 and 8 demonstrations; seconds a prompt token
rate              floating-point operations a second of reading prompts, against this machine's measured rate for
                  matrix products of the same width and type: all models, fp32, and bf16 where the processor has it
neighbours        exact and approximate search at 100,000 labeled records: seconds, recall of the 8 nearest
memory            the peak of a training in a process of its own, plain and with checkpointing, against what was
                  estimated before its start
budget            tokens a second of reading prompts in batches of 512 to 8,192 tokens
start             a worker process from its start to its first stored number: in warm-up, and in a resumed respond

Ratios are of costs per unit: 1 is a straight line. Published data in ../shared/data is needed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from semievol.jobs.environment import for_models
from semievol.store.runs import progress

os.environ.update(for_models())  # before torch loads, as in the worker

import numpy as np
import torch

from semievol import presets
from semievol.config import Collaborator
from semievol.engines import retrieval
from semievol.engines.local import LocalEngine
from semievol.engines.models import footprint
from semievol.engines.training import loop
from semievol.jobs import intake, launch
from semievol.method import evolve
from semievol.method.protocols import Ask, Plan, TrainingSetup
from semievol.method.spending import Spent
from semievol.records import Cost, Example, Message, Response
from semievol.store.database import Store, open_store
from semievol.store.runs import claims, runs
from semievol.tuning import Tuning
from tests.benchmarks.method_study import load
from tests.benchmarks.printed import finish, table
from tests.benchmarks.respond_closed import asks_of
from tests.benchmarks.workshop import MODELS, model_folder, plan_of
from tests.fakes import MemoryJournal

SIZES = (1_000, 4_000, 16_000)
COUNTS = (1, 2, 4, 8)
SHOWN = (0, 1, 2, 4, 8)
FEW = 200
BUDGETS = (512, 1024, 2048, 4096, 8192)


class CountingJournal(MemoryJournal):
    """Keeps no response, so that what grows is the engine's."""

    def save_responses(
        self,
        stage: str,
        responses: Sequence[Response],
        costs: Mapping[str, Cost] | None = None,
        spent: Mapping[str, Spent] | None = None,
    ) -> None:
        self.steps.append((stage, len(responses), 0))


def respond(plan: Plan, engine: LocalEngine) -> float:
    """Seconds that the respond stage takes, with the base in the warm-up's place, after one chunk to warm up."""
    journal = CountingJournal()
    journal.adapters["warm_up"] = "base"
    evolve.retrieve(plan, engine, journal)
    evolve.respond(replace(plan, unlabeled=plan.unlabeled[:32]), engine, journal)
    began = time.perf_counter()
    evolve.respond(plan, engine, journal)
    return time.perf_counter() - began


def many(plan: Plan, count: int) -> Plan:
    """`count` records: those of the plan again and again, each with its number, so that all differ."""
    pool = plan.unlabeled
    made = [
        replace(pool[i % len(pool)], id=f"{i:06}", question=f"{pool[i % len(pool)].question} ({i})")
        for i in range(count)
    ]
    return replace(plan, unlabeled=made)


def one_size(count: int, threads: int) -> None:
    """Run in a process of its own; prints seconds and the peak of memory beyond the model's, in MB."""
    engine = LocalEngine("starter", "fp32", threads)
    plan = many(plan_of("fpb", "authors_code", 10_000, "starter", "fp32", threads), count)
    seconds = respond(plan, engine)
    print(json.dumps([seconds, _peak()]))


def one_training(name: str, method: str, tokens: int, precision: str, checkpointed: bool, threads: int) -> None:
    """Run in a process of its own; prints the estimated and the measured peak of its memory, in MB."""

    def wanted(_: object, tuning: Tuning, *others: object) -> footprint.Fit:
        return footprint.Fit(tuning.micro_batch_size, checkpointed)

    setattr(loop, "fitted", wanted)  # noqa: B010  a function that mypy would not let another one replace
    with tempfile.TemporaryDirectory() as scratch:
        engine = LocalEngine(model_folder(name, Path(scratch)), precision, threads)
        text = "water " * tokens
        while len(engine.base.chat.prompts([(Message("user", text),)])[0]) > tokens:
            text = text[:-6]
        examples = [Example(str(i), (Message("user", f"{i} {text}"),), "yes", "gold") for i in range(32)]
        tuning = Tuning(method=method, epochs=1, minimum_steps=0)
        setup = TrainingSetup(tuning, Path(scratch) / "training", 0)
        engine.train(examples, setup, lambda *_: None, lambda *_: None, lambda: False)
        shape, bf16 = footprint.Shape.of(engine.base.folder), engine.dtype == torch.bfloat16
        beside = footprint.PROCESS + footprint.PREPARED + shape.weights(bf16)
        batch = tokens * tuning.micro_batch_size
        needed = footprint.training(shape, tuning, batch, bf16, 2 * tuning.micro_batch_size, checkpointed)
        print(json.dumps([(beside + needed) / 1e6, _peak()]))


def _peak() -> float:
    """Largest memory of this process so far, MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


def _alone(*arguments: object) -> Any:
    """What this script prints last in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.scaling", *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def memory(threads: int) -> dict[str, float]:
    rows = []
    for name, method, tokens, how in itertools.product(MODELS, ("full", "lora"), (64, 400), ("plain", "checkpointed")):
        given = (name, method, tokens, "auto", int(how == "checkpointed"))
        estimated, measured = _alone("--one-training", *given, "--threads", threads)
        rows.append((name, method, tokens, how, estimated, measured, estimated / measured))
    table(rows, ("model", "method", "tokens", "layers", "estimated MB", "measured MB", "ratio"))
    return {
        f"memory, estimated against measured, {row[0]}, {row[1]}, {row[2]} tokens, {row[3]}": row[-1] for row in rows
    }


def budget(threads: int) -> dict[str, float]:
    rows, ratios = [], {}
    for precision in ("fp32", "auto"):
        engine = LocalEngine("starter", precision, threads)
        asks = asks_of(plan_of("fpb", "studio", 64, "starter", precision, threads), engine, "base")
        tokens = sum(map(len, engine.base.chat.prompts([ask.messages for ask in asks])))
        standard, rates = engine.batcher.budget, dict[int, float]()
        for size in BUDGETS:
            engine.batcher.budget = size
            engine.answer(asks[:8])
            rates[size] = tokens / min(_seconds(engine, asks) for _ in range(2))
        dtype = str(engine.dtype).removeprefix("torch.")
        ratios[f"tokens a second, batches of {standard} against the best size, {dtype}"] = rates[standard] / max(
            rates.values()
        )
        rows += [(dtype, size, rate) for size, rate in rates.items()]
    table(rows, ("type", "tokens a batch", "tokens/s"))
    return ratios


def _seconds(engine: LocalEngine, asks: Sequence[Ask]) -> float:
    began = time.perf_counter()
    engine.answer(asks)
    return time.perf_counter() - began


def records(threads: int) -> dict[str, float]:
    rows, ratios = [], {}
    base = 0.0
    for count in SIZES:
        seconds, peak = _alone("--one-size", count, "--threads", threads)
        base = base or seconds / count
        ratios[f"seconds a record, {count} against {SIZES[0]}"] = seconds / count / base
        rows.append((count, seconds, count / seconds, seconds / count / base, peak))
    table(rows, ("records", "seconds", "records/s", "cost a record", "peak MB"))
    ratios["peak memory, largest against smallest"] = rows[-1][-1] / rows[0][-1]
    return ratios


def collaborators(threads: int) -> dict[str, float]:
    engine = LocalEngine("starter", "fp32", threads)
    rows, seconds = [], []
    for count in COUNTS:
        plan = plan_of("fpb", "studio", FEW, "starter", "fp32", threads)
        asked = tuple(Collaborator(name=str(i), order="shuffled", seed=i) for i in range(count))
        seconds.append(respond(_propagating(plan, collaborators=asked), engine))
        rows.append((count, seconds[-1], seconds[-1] / count / seconds[0]))
    table(rows, ("collaborators", "seconds", "cost of each"))
    return {f"seconds a collaborator, {row[0]} against 1": row[2] for row in rows[1:]}


def demonstrations(threads: int) -> dict[str, float]:
    engine = LocalEngine("starter", "fp32", threads)
    rows = []
    for k in SHOWN:
        plan = plan_of("fpb", "studio", FEW, "starter", "fp32", threads)
        plan = _propagating(plan, collaborators=(Collaborator(name="one"),), k=k)
        tokens = sum(map(len, engine.base.chat.prompts([ask.messages for ask in asks_of(plan, engine, "base")])))
        seconds = respond(plan, engine)
        rows.append((k, tokens / FEW, seconds, 1e6 * seconds / tokens))
    table(rows, ("demonstrations", "tokens a prompt", "seconds", "microseconds a token"))
    return {f"seconds a token, k = {row[0]} against 0": row[3] / rows[0][3] for row in rows[1:]}


def _propagating(plan: Plan, **changes: Any) -> Plan:
    propagation = plan.config.propagation.model_copy(update=changes)
    return replace(plan, config=plan.config.model_copy(update={"propagation": propagation}))


def rate(threads: int) -> dict[str, float]:
    """Prompts of the studio preset on fpb, as many as fill a few batches."""
    rows, ratios = [], {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in MODELS:
            model = model_folder(name, Path(scratch))
            for precision in ("fp32", "auto"):
                engine = LocalEngine(model, precision, threads)
                if precision == "auto" and engine.dtype == torch.float32:
                    continue
                asks = asks_of(plan_of("fpb", "studio", 32, model, precision, threads), engine, "base")
                engine.answer(asks)
                read: list[int] = []
                counting = engine.base.model.register_forward_pre_hook(
                    lambda _, __, given, read=read: read.append(given["input_ids"].numel()), with_kwargs=True
                )
                began = time.perf_counter()
                engine.answer(asks)
                seconds = time.perf_counter() - began
                counting.remove()
                prompts = engine.base.chat.prompts([ask.messages for ask in asks])
                done = _operations(list(map(len, dict.fromkeys(prompts))), sum(read), engine)
                reached, possible = done / seconds, _product_rate(engine)
                dtype = str(engine.dtype).removeprefix("torch.")
                ratios[f"share of the product rate, {name}, {dtype}"] = reached / possible
                rows.append((name, dtype, reached / 1e9, possible / 1e9, f"{reached / possible:.0%}"))
    table(rows, ("model", "type", "GFLOP/s reached", "GFLOP/s of products", "share"))
    return ratios


def _operations(lengths: Sequence[int], read: int, engine: LocalEngine) -> float:
    """Multiplications and additions that were done, not those that were saved.

    Two for every weight and token that was read, but in the last layer's feed-forward part and in the output layer for
    every prompt only, and causal attention (queries with keys, weights with values), less where beginnings are shared.
    """
    config = engine.base.model.config
    weights = dict(engine.base.model.named_parameters())
    layers = sum(p.numel() for name, p in weights.items() if ".layers." in name)
    last = sum(p.numel() for name, p in weights.items() if f".layers.{config.num_hidden_layers - 1}.mlp." in name)
    attention = 2 * config.num_hidden_layers * config.hidden_size * sum(n * n for n in lengths)  # half of 4: causal
    once = last + config.vocab_size * config.hidden_size
    return 2 * (layers - last) * read + 2 * once * len(lengths) + attention * min(1.0, read / sum(lengths))


def _product_rate(engine: LocalEngine) -> float:
    """Operations a second of a matrix product as large as a full batch through the feed-forward layer; best of 20."""
    config = engine.base.model.config
    left = torch.randn(engine.batcher.budget, config.hidden_size, dtype=engine.dtype)
    right = torch.randn(config.hidden_size, config.intermediate_size, dtype=engine.dtype)
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - began)
    return 2.0 * left.shape[0] * left.shape[1] * right.shape[1] / best


def neighbours(threads: int) -> dict[str, float]:
    """Unit vectors around 2,000 centres, 384 wide: as clustered as sentence embeddings are."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2_000, 384))
    around = centres[rng.integers(0, 2_000, 100_000)] + rng.normal(scale=0.7, size=(100_000, 384))
    vectors = np.ascontiguousarray(around / np.linalg.norm(around, axis=1, keepdims=True), dtype=np.float32)
    queries = vectors[rng.permutation(100_000)[:2_000]]
    rows, found = [], []
    for name, flat_up_to in (("exact", 100_000), ("inverted file", 0)):
        began = time.perf_counter()
        index = retrieval.index(vectors, flat_up_to)
        built = time.perf_counter() - began
        began = time.perf_counter()
        found.append(index.search(queries, 8)[1])
        rows.append((name, built, 1e3 * (time.perf_counter() - began) / len(queries)))
    recall = float(np.mean([len(set(a) & set(b)) / 8 for a, b in zip(*found, strict=True)]))
    table(rows, ("index of 100,000", "seconds to build", "ms a query"))
    print(f"recall of the 8 nearest: {recall:.3f}")
    return {"search, exact against inverted file": rows[0][2] / rows[1][2], "recall of the 8 nearest": recall}


def start(threads: int) -> dict[str, float]:
    """Seconds from starting a worker to its first metric (warm-up), and, killed and resumed, to its next answers."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        config = presets.load("studio", None, [f"threads={threads}"])
        project = intake.open_sample(store)
        began = time.perf_counter()
        run = launch.start(store, project, config)
        step = _seconds_until(began, lambda: len(progress.metrics(store, run.id)) > 0)
        _seconds_until(began, lambda: _answered(store, run.id) > 0)
        os.kill(runs.get_run(store, run.id).pid or 0, signal.SIGKILL)
        _seconds_until(began, lambda: claims.settle(store) or runs.get_run(store, run.id).status == "interrupted")
        before = _answered(store, run.id)
        began = time.perf_counter()
        launch.resume(store, run.id)
        answers = _seconds_until(began, lambda: launch.ensure_worker(store) or _answered(store, run.id) > before)
        launch.stop(store, run.id)
        _seconds_until(began, lambda: runs.get_run(store, run.id).status == "cancelled")
    rows = [("warm-up: first step", step), ("resumed in respond: next answers", answers)]
    table(rows, ("worker start to first result", "seconds"))
    return {f"{what}, against 4 s": seconds / 4 for what, seconds in rows}


def _answered(store: Store, run_id: int) -> int:
    return next((p.done for p in progress.stages(store, run_id) if p.stage == "respond"), 0)


def _seconds_until(began: float, true: Callable[[], Any]) -> float:
    while not true():
        time.sleep(0.01)
    return time.perf_counter() - began


PARTS = {
    part.__name__: part for part in (records, collaborators, demonstrations, rate, budget, memory, neighbours, start)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one-size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--one-training", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if chosen.one_training:
        name, method, tokens, precision, checkpointed = chosen.one_training
        one_training(name, method, int(tokens), precision, checkpointed == "1", chosen.threads)
        return
    if chosen.one_size:
        one_size(chosen.one_size, chosen.threads)
        return
    load("fpb")  # a clear error first where the published data is absent
    ratios: dict[str, float] = {}
    for part in chosen.parts:
        ratios |= PARTS[part](chosen.threads)
        print(flush=True)
    finish(ratios, chosen.json)


if __name__ == "__main__":
    main()
