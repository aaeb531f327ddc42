"""Training: ours against transformers.Trainer and TRL's SFTTrainer as they come, tokens per second.

    python -m tests.benchmarks.train [--examples 160] [--threads 1] [--precision fp32] [--json]

All of them do one epoch of LoRA from the same adapter, on the same examples, in batches of 8, with the same optimizer
settings and in the same precision; whatever else they do is their default. Ours is timed whole (tokenising, training,
saving), the peers only in `trainer.train()`. Padding is no token. TRL is measured where it is installed
(`pip install trl==1.16.0`): with its defaults (gradient checkpointing, bf16), and without the first, in our precision.

Same losses: transformers.Trainer once more, fed with our batches in our order; the largest difference of a step's loss.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from semievol.jobs.environment import for_models

os.environ.update(for_models())  # before torch loads, as in the worker

import torch
from peft import PeftModel
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, DataCollatorForSeq2Seq, PrinterCallback, Trainer, TrainingArguments
from transformers.utils import logging as transformers_logging

from semievol.engines.adapters import AdaptedModel
from semievol.engines.local import LocalEngine
from semievol.engines.training import batches
from semievol.engines.training.loop import peak_rate
from semievol.method.conversations import warm_up_examples
from semievol.method.protocols import TrainingSetup
from semievol.records import Example
from semievol.tuning import Tuning
from tests.benchmarks.printed import finish, table
from tests.benchmarks.workshop import MODELS, model_folder, plan_of, side_by_side, warm_adapter

TUNING = Tuning(method="lora", epochs=1, minimum_steps=0, save_every=10_000)
IGNORED = -100
QUIET: dict[str, Any] = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1}


def ours(engine: LocalEngine, examples: Sequence[Example], adapter: str | None, scratch: Path) -> list[float]:
    """The losses of one training, from the tokeniser to the finished adapter; adapter: None trains all weights."""
    losses: list[float] = []

    def metric(name: str, step: int, value: float) -> None:
        if name == "loss":
            losses.append(value)

    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        setup = TrainingSetup(tuning(adapter), Path(folder), 0, start=adapter)
        engine.train(examples, setup, metric, lambda *_: None, lambda: False)
    return losses


def tuning(adapter: str | None) -> Tuning:
    return TUNING if adapter else TUNING.model_copy(update={"method": "full"})


def student(base: AdaptedModel, adapter: str | None) -> Any:
    """The same base and the same adapter, ready to be trained, as peft gives them; without one, all of the base."""
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    if adapter is None:
        return model.train()
    return PeftModel.from_pretrained(model, adapter, is_trainable=True)


def arguments(
    base: AdaptedModel, folder: str, kind: type[TrainingArguments], steps: int, adapter: str | None, **more: Any
) -> Any:
    """What both sides have in common: rate, schedule, batch, clipping."""
    return kind(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=TUNING.batch_size,
        learning_rate=peak_rate(TUNING, base.model.config.hidden_size, "lora" if adapter else "full"),
        lr_scheduler_type=TUNING.schedule,
        warmup_steps=round(TUNING.warmup_ratio * steps),
        weight_decay=TUNING.weight_decay,
        max_grad_norm=TUNING.max_grad_norm,
        use_cpu=True,
        **QUIET,
        **more,
    )


def in_bf16(engine: LocalEngine) -> bool:
    return engine.dtype == torch.bfloat16


def rows_of(engine: LocalEngine, examples: Sequence[Example]) -> list[dict[str, list[int]]]:
    """Examples as the ordinary collator wants them: ids, mask, and labels on the answer only."""
    rows = []
    for turn in engine.base.chat.turns(examples):
        ids = [*turn.prompt, *turn.reply]
        labels = [IGNORED] * len(turn.prompt) + list(turn.reply)
        rows.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    return rows


def losses_of(trainer: Trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def as_it_comes(
    engine: LocalEngine, examples: Sequence[Example], adapter: str | None, scratch: Path
) -> Callable[[], Any]:
    """transformers.Trainer with its own sampler and the usual collator; returns what is to be timed."""
    rows = rows_of(engine, examples)

    def run() -> list[float]:
        steps = len(rows) // TUNING.batch_size
        trainer = Trainer(
            model=student(engine.base, adapter),
            args=arguments(engine.base, str(scratch / "hf"), TrainingArguments, steps, adapter, bf16=in_bf16(engine)),
            train_dataset=rows,
            data_collator=DataCollatorForSeq2Seq(engine.base.chat.tokenizer),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return losses_of(trainer)

    return run


def by_trl(
    engine: LocalEngine, examples: Sequence[Example], adapter: str | None, scratch: Path, **changed: Any
) -> Callable[[], Any]:
    """TRL's SFTTrainer on prompt and completion, the loss on the completion, as it does by default."""
    from datasets import Dataset  # comes with TRL, which is optional here
    from trl import SFTConfig, SFTTrainer

    pairs = [
        {
            "prompt": [{"role": turn.role, "content": turn.content} for turn in example.messages],
            "completion": [{"role": "assistant", "content": example.answer}],
        }
        for example in examples
    ]

    def run() -> list[float]:
        trainer = SFTTrainer(
            model=student(engine.base, adapter),
            args=arguments(
                engine.base, str(scratch / "trl"), SFTConfig, len(pairs) // TUNING.batch_size, adapter, **changed
            ),
            train_dataset=Dataset.from_list(pairs),
            processing_class=engine.base.chat.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return losses_of(trainer)

    return run


class _InOurOrder(Trainer):
    """Trainer that takes the rows as they lie."""

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def on_our_batches(engine: LocalEngine, examples: Sequence[Example], adapter: str | None, scratch: Path) -> list[float]:
    """Losses of transformers.Trainer on our batches in our order."""
    rows = rows_of(engine, examples)
    steps = len(rows) // TUNING.batch_size
    order = batches.order([len(row["input_ids"]) for row in rows], TUNING.batch_size, steps, 0)
    trainer = _InOurOrder(
        model=student(engine.base, adapter),
        args=arguments(
            engine.base,
            str(scratch / "same"),
            TrainingArguments,
            steps,
            adapter,
            bf16=in_bf16(engine),
        ),
        train_dataset=[rows[place] for place in order],
        data_collator=DataCollatorForSeq2Seq(engine.base.chat.tokenizer),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return losses_of(trainer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=160, help="a multiple of 8")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("fp32", "auto"), default="fp32")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    chosen = parser.parse_args()
    lora = chosen.method == "lora"
    transformers_logging.set_verbosity_error()
    peers = ["Trainer"]
    if importlib.util.find_spec("trl"):
        peers += ["SFTTrainer", "SFTTrainer, no checkpointing"]
    else:
        print("TRL is not installed (pip install trl==1.16.0): its columns are left out")
    ratios: dict[str, float] = {}
    lines: list[tuple[object, ...]] = []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for name in chosen.models:
            engine = LocalEngine(model_folder(name, place), chosen.precision, chosen.threads)
            plan = plan_of("fpb", "paper", 0, engine.base.name, chosen.precision, chosen.threads)
            examples = warm_up_examples(plan, engine)[: chosen.examples]
            adapter = warm_adapter(plan, engine, place / f"{engine.base.name}-start") if lora else None
            tokens = sum(len(row["input_ids"]) for row in rows_of(engine, examples))
            common = (engine, examples, adapter, place)
            ways: dict[str, Callable[[], Any]] = {
                "ours": lambda c=common: ours(*c),  # type: ignore[misc]
                "Trainer": as_it_comes(*common),
            }
            if len(peers) > 1:
                ways[peers[1]] = by_trl(*common)
                ways[peers[2]] = by_trl(*common, gradient_checkpointing=False, bf16=in_bf16(engine))
            timed = side_by_side(ways, chosen.repeats)
            best = timed["ours"].best
            same = on_our_batches(*common)
            apart = max(abs(a - b) for a, b in zip(timed["ours"].result, same, strict=True))
            found = {peer: timed[peer].best / best for peer in peers}
            ratios |= {f"{name}, {peer}": ratio for peer, ratio in found.items()}
            lines.append((name, tokens / best, *found.values(), f"{apart:.0e}"))
            print(f"{name}: {tokens / best:.0f} tokens/s", flush=True)
    print()
    table(lines, ("model", "tokens/s", *(f"x {peer}" for peer in peers), "loss apart, at most"))
    finish(ratios, chosen.json)


if __name__ == "__main__":
    main()
