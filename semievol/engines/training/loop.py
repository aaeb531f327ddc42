"""Fine-tuning on tokenised examples: train, checkpoint, resume, stop, save.

transformers.Trainer does the loop. Added here are a fixed order of the examples, checkpoints that are complete or not
there, and the ways in which a training ends. A resumed training gives bitwise the same adapter as an uninterrupted one
(with the same number of threads).
"""

from __future__ import annotations

import errno
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from semievol.config import Tuning
from semievol.engines.adapters import AdaptedModel, Method
from semievol.engines.chat import Turn
from semievol.engines.models.footprint import Fit
from semievol.engines.packing.batching import Batcher
from semievol.engines.packing.shares import Padded
from semievol.engines.training import batches, checkpoints
from semievol.engines.training.fitting import checkpointing, fitted, until_it_fits
from semievol.engines.training.fused import Group, fused
from semievol.engines.training.noise import EmbeddingNoise, embedding_noise
from semievol.engines.training.trainable import Trainable, prepared
from semievol.errors import UserError
from semievol.method.protocols import Stopped, TrainingSetup

_KEPT_CHECKPOINTS = 2
_HIGHEST_RATE = 4e-3
_STORED = {"fp32": None, "bf16": torch.bfloat16}


def train(
    adapted: AdaptedModel,
    rows: Sequence[Turn],
    held_out: Sequence[Turn],
    setup: TrainingSetup,
    fingerprint: str,
    metric: Callable[[str, int, float], None],
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
    budget: int = 2048,
    too_long: Sequence[str] = (),
) -> str:
    """Folder of the finished adapter, `setup.folder`/adapter.

    Continues from the newest complete checkpoint with this fingerprint, or starts anew. Every checkpoint can be used as
    an adapter. The training is cut to the memory of the device (see `fitting`).
    rows: tokenised examples. held_out: those whose loss is measured only. fingerprint: of everything that the adapter
    depends on. too_long: ids of records that are too long for the model; they are noted with the adapter.
    metric: called with loss, learning_rate, grad_norm and tokens_per_second after every step, and with
    held_out_loss as `batches.held_out_every` says. When `stopping()` is true, saves a checkpoint and raises Stopped.
    """
    if not rows:
        raise UserError("There is no example to train on.", "training", "Add labeled records or accept candidates.")
    first = os.environ.get("RANK", "0") == "0"  # under torchrun only the first process writes
    if first:
        checkpoints.sweep(setup.folder)
        checkpoints.sweep(setup.folder / checkpoints.CHECKPOINTS)
    settings = setup.settings
    order = batches.order([row.length for row in rows], settings.batch_size, settings.steps(len(rows)), setup.seed)
    in_order = [rows[place] for place in order]

    def attempt(fit: Fit) -> str:
        return _train(
            adapted, in_order, held_out, setup, fingerprint, fit, metric, progress, stopping, budget, too_long
        )

    return until_it_fits(adapted, settings, fitted(adapted, settings, in_order), attempt)


def _train(
    adapted: AdaptedModel,
    rows: list[Turn],
    held_out: Sequence[Turn],
    setup: TrainingSetup,
    fingerprint: str,
    fit: Fit,
    metric: Callable[[str, int, float], None],
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
    budget: int,
    too_long: Sequence[str],
) -> str:
    """As `train`, on the rows of all updates in their order, with so many of them at once as `fit` says."""
    first = os.environ.get("RANK", "0") == "0"
    resume = checkpoints.newest(setup.folder, fingerprint)
    trainable = prepared(adapted, setup.settings, setup.seed, Path(setup.start) if setup.start else None)
    try:
        loss = _Loss(adapted, trainable, setup.settings.kl, fit.checkpointed)
        watcher = _Watcher(trainable.model, loss, held_out, Batcher(budget), metric, progress, stopping)
        arguments = _arguments(adapted, setup, trainable.method, len(rows), fit.micro_batch_size)
        update = sum(row.length for row in rows) / arguments.max_steps
        watcher.every = batches.held_out_every(held_out, update, trainable.method == "full")
        trainer = _Trainer(trainable, loss, setup.folder, fingerprint, arguments, rows, watcher)
        probe = torch.tensor([rows[0].prompt[:8]], device=adapted.device)
        alpha = setup.settings.neftune_noise_alpha
        with (
            fused(trainable.model, adapted.model.dtype, probe) as watcher.groups,
            embedding_noise(trainable.model, alpha, setup.seed) as watcher.noise,
            checkpointing(trainable.model, fit.checkpointed),
        ):
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if watcher.stopped and trainer.state.global_step < arguments.max_steps:
            raise Stopped(f"training stopped after step {trainer.state.global_step}")
        about = {checkpoints.FINGERPRINT: fingerprint, "step": trainer.state.global_step}
        about |= {checkpoints.TOO_LONG: list(too_long)} if too_long else {}
        finished = setup.folder / checkpoints.ADAPTER
        if first:
            with checkpoints.written_whole(finished, about) as folder:
                trainable.save(folder, _STORED[setup.settings.store_dtype])
        trainer.accelerator.wait_for_everyone()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                "The disk is full; the newest complete checkpoint is kept.", "training", "Free space, then resume."
            ) from None
        raise
    finally:
        trainable.close()
    if first:
        shutil.rmtree(setup.folder / checkpoints.CHECKPOINTS, ignore_errors=True)
    return str(finished)


def peak_rate(settings: Tuning, hidden_size: int, how: Method) -> float:
    """The peak learning rate. "auto": 3.5e-4 (LoRA) or 6.25e-5 (all weights) x 4096 / hidden size, at most 4e-3."""
    if settings.learning_rate == "auto":
        return min(_HIGHEST_RATE, (3.5e-4 if how == "lora" else 6.25e-5) * 4096 / hidden_size)
    return settings.learning_rate


def _arguments(adapted: AdaptedModel, setup: TrainingSetup, how: Method, rows: int, micro: int) -> TrainingArguments:
    """rows: of all updates. micro: examples in memory at once."""
    settings = setup.settings
    steps = rows // settings.batch_size
    workers = int(os.environ.get("WORLD_SIZE", "1"))
    schedule = {"constant": "constant_with_warmup"}.get(settings.schedule, settings.schedule)
    arguments = TrainingArguments(
        output_dir=str(setup.folder / checkpoints.CHECKPOINTS),
        max_steps=steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=max(1, settings.batch_size // micro // workers),
        learning_rate=peak_rate(settings, adapted.model.config.get_text_config().hidden_size, how),
        lr_scheduler_type=schedule,
        warmup_steps=round(settings.warmup_ratio * steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch_fused",
        seed=setup.seed % 2**32,
        train_sampling_strategy="sequential",  # the rows are in the order of training
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_every,
        label_names=["labels"],
        remove_unused_columns=False,
        dataloader_pin_memory=adapted.device.type == "cuda",
        use_cpu=adapted.device.type == "cpu",
        disable_tqdm=True,
        report_to="none",
    )
    if workers == 1 and arguments.n_gpu > 1:
        arguments._n_gpu = 1  # else the Trainer would wrap the model in DataParallel
    return arguments


class _Loss:
    """The loss of a batch, packed if the model allows it and its layers are not checkpointed. kl: see `Tuning`.

    If the base is in bf16, autocast computes products in bf16; the trained weights stay fp32.
    """

    def __init__(self, adapted: AdaptedModel, trainable: Trainable, kl: float, checkpointed: bool) -> None:
        self.device, self._pad, self._turning = adapted.device, adapted.pad, adapted.turning
        self._packs = adapted.packs and not checkpointed
        self._trainable, self._kl = trainable, kl
        self._bf16 = adapted.model.dtype == torch.bfloat16

    def collate(self, turns: Sequence[Turn]) -> batches.Batch:
        return batches.collated(turns, self._packs, self._pad, self._turning)

    def of(self, model: Any, batch: batches.Batch) -> torch.Tensor:
        """Summed negative log-likelihood (nats) of the batch's labeled tokens."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            return batches.answer_loss(model, batch)

    def near_start(self, model: Any, batch: batches.Batch) -> torch.Tensor:
        """As `of`, plus `kl` times the divergence from the model that the training starts from."""
        if not self._kl:
            return self.of(model, batch)
        # Not one autocast for both: what it casts without gradients is cached without them.
        with self._trainable.start() as start, torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            expected = batches.answer_logits(start, batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            return batches.answer_loss(model, batch, self._kl, expected)


class _Trainer(Trainer):
    """Trainer that saves the trained weights in checkpoints that are complete or not there."""

    def __init__(
        self,
        trainable: Trainable,
        loss: _Loss,
        folder: Path,
        fingerprint: str,
        arguments: TrainingArguments,
        rows: list[Turn],
        watcher: _Watcher,
    ) -> None:
        super().__init__(
            model=trainable.model,
            args=arguments,
            train_dataset=rows,
            data_collator=loss.collate,
            callbacks=[watcher],
        )
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = True  # `compute_loss` divides by the labeled tokens of the whole update
        self.loss_is_scaled_for_ga = True
        self._loss_shifts_labels = False  # every label is predicted; else the Trainer would not count the first
        self._trainable, self._loss, self._fingerprint, self._watcher = trainable, loss, fingerprint, watcher
        self._checkpoints = folder / checkpoints.CHECKPOINTS

    def compute_loss(
        self, model: Any, inputs: batches.Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        self._watcher.tokens += inputs["tokens"]
        self._watcher.noise.length = inputs["tokens"] / self.args.per_device_train_batch_size
        return self._loss.near_start(model, inputs) / num_items_in_batch * self.accelerator.num_processes

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        staging = self._checkpoints / ".partial-checkpoint"
        self.args.output_dir = str(staging)
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            step = self.state.global_step
            written, final = staging / f"checkpoint-{step}", self._checkpoints / f"checkpoint-{step}"
            checkpoints.publish(written, final, {checkpoints.FINGERPRINT: self._fingerprint, "step": step})
            staging.rmdir()
            checkpoints.keep_newest(self._checkpoints.parent, _KEPT_CHECKPOINTS)
        self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.args.should_save and output_dir is not None:
            self._trainable.save(Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self._trainable.restore(Path(resume_from_checkpoint))


class _Watcher(TrainerCallback):
    """Reports numbers, stops when asked, and ends a training whose loss is not a number before anything is saved."""

    def __init__(
        self,
        model: Any,
        loss: _Loss,
        held_out: Sequence[Turn],
        batcher: Batcher,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._model, self._loss, self._held_out, self._batcher = model, loss, held_out, batcher
        self._metric, self._progress, self._stopping = metric, progress, stopping
        self._started = 0.0
        self.every = batches.HELD_OUT_EVERY
        self.groups: Sequence[Group] = ()
        self.noise = EmbeddingNoise(0.0, 0)
        self.tokens = 0
        self.stopped = False

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for group in self.groups:
            group.refresh()

    on_train_begin = on_optimizer_step

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started, self.tokens = time.monotonic(), 0
        self.noise.begin(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step, last = state.global_step, state.global_step >= state.max_steps
        self._metric("tokens_per_second", step, self.tokens / max(time.monotonic() - self._started, 1e-9))
        if self._held_out and (step % self.every == 0 or last):
            self._metric("held_out_loss", step, self._held_out_loss())
        self._progress(step, state.max_steps)
        if _any_rank(self._stopping(), self._loss.device):
            self.stopped = True
            control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if not logs or "loss" not in logs:
            return
        for name in ("loss", "learning_rate", "grad_norm"):
            if name in logs:
                self._metric(name, state.global_step, float(logs[name]))
        # Again, before a checkpoint is published: a journal that has stored the step then has its loss, too.
        self._progress(state.global_step, state.max_steps)
        if not all(math.isfinite(logs[name]) for name in ("loss", "grad_norm") if name in logs):
            raise UserError(
                f"The loss or its gradient is no longer a number at step {state.global_step} (loss {logs['loss']:.4g}, "
                f"learning rate {logs['learning_rate']:.2g}): the learning rate is most likely too high.",
                "learning_rate",
                "Set learning_rate to a third of that and start again; checkpoints before this step are kept.",
            )

    def _held_out_loss(self) -> float:
        """Mean negative log-likelihood (nats per token) of the held-out examples."""
        model, loss = self._model, self._loss

        def losses(turns: list[Turn]) -> list[float]:
            return [float(loss.of(model, loss.collate(turns)))] + [0.0] * (len(turns) - 1)

        model.eval()
        with torch.no_grad():
            total = self._batcher.run(self._held_out, Padded([turn.length for turn in self._held_out]), losses)
        model.train()
        return sum(total) / sum(len(turn.reply) for turn in self._held_out)


def _any_rank(flag: bool, device: torch.device) -> bool:
    """Whether any process wants to stop. All must stop at the same step, or the others wait for ever."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return flag
    shared = torch.tensor([int(flag)], device=device)
    torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
    return bool(shared.item())
