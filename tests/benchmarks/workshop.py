"""What the benchmarks share: models of three shapes, plans from the published data, side-by-side timing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from semievol import presets
from semievol.engines.local import LocalEngine
from semievol.engines.models.resolve import STARTER_FOLDER
from semievol.method.conversations import warm_up_examples
from semievol.method.protocols import Plan, TrainingSetup
from semievol.tuning import Tuning
from tests.benchmarks.method_study import load

MODELS = ("smollm2", "starter", "llama 40 M", "qwen2 shape")


def model_folder(name: str, folder: Path) -> str:
    """A model that comes with the Studio, or one with random weights in `folder`: numerics and cost are real there,
    labels are not."""
    if name in ("smollm2", "starter"):
        return name
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER)
    shape = {"vocab_size": 6144, "max_position_embeddings": 4096, "tie_word_embeddings": True, "bos_token_id": None}
    shape |= {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    model: Any
    if name == "llama 40 M":
        model = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=512, intermediate_size=1536, num_hidden_layers=12, num_attention_heads=8,
                num_key_value_heads=4, initializer_range=0.06, **shape,
            )
        )  # fmt: skip
    else:
        model = Qwen2ForCausalLM(
            Qwen2Config(
                hidden_size=448, intermediate_size=2432, num_hidden_layers=6, num_attention_heads=7,
                num_key_value_heads=1, initializer_range=0.06, **shape,
            )
        )  # fmt: skip
    place = folder / name.replace(" ", "-")
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return str(place)


def plan_of(data: str, preset: str, records: int, model: str, precision: str, threads: int) -> Plan:
    """The preset's plan over the first `records` unlabeled records of the published data, with k = 3."""
    task, everything, _ = load(data)
    config = presets.load(preset, None, [f"model={model}", f"precision={precision}", f"threads={threads}"])
    pool = [replace(r, answer=None) for r in everything if r.split == "unlabeled"][:records]
    return Plan(task=task, config=config, labeled=[r for r in everything if r.split == "labeled"], unlabeled=pool)


def warm_adapter(plan: Plan, engine: LocalEngine, folder: Path) -> str:
    """An adapter of a few updates by the preset's method: what it knows does not matter here, that it is one does."""
    how = Tuning(method=plan.config.propagation.warm_up.method, epochs=1, minimum_steps=2)
    examples = warm_up_examples(plan, engine)[:16]
    return engine.train(examples, TrainingSetup(how, folder, 0), lambda *_: None, lambda *_: None, lambda: False)


@dataclass(frozen=True)
class Timed:
    """Seconds of every repetition and what the last one returned."""

    seconds: list[float]
    result: Any

    @property
    def best(self) -> float:
        return min(self.seconds)


def side_by_side(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Timed]:
    """Each way once per repetition, in turn, so that a busy minute of the machine falls on all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    results: dict[str, Any] = {}
    for _ in range(repeats):
        for name, way in ways.items():
            began = time.perf_counter()
            results[name] = way()
            seconds[name].append(time.perf_counter() - began)
    return {name: Timed(seconds[name], results[name]) for name in ways}
