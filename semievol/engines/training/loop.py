"""Fine-tuning on tokenised examples: train, checkpoint, resume, stop, save.

transformers.Trainer does the loop. Added here are a fixed order of the examples, checkpoints that are complete or not
there, and the ways in which a training ends. A resumed training gives bitwise the same adapter as an uninterrupted one
(with the same number of threads).
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments

from semievol.engines.adapter_files import Method
from semievol.engines.adapters import AdaptedModel
from semievol.engines.chat import Turn
from semievol.engines.models.footprint import Fit
from semievol.engines.training import batches, checkpoints, launching, together
from semievol.engines.training.fitting import checkpointing, fitted, until_it_fits
from semievol.engines.training.fused import fused
from semievol.engines.training.launching import Several
from semievol.engines.training.noise import embedding_noise
from semievol.engines.training.specification import Specification
from semievol.engines.training.trainable import Trainable, prepared
from semievol.engines.training.watching import Watcher
from semievol.errors import UserError
from semievol.method.protocols import Stopped, TrainingSetup
from semievol.tuning import Tuning

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
    several: Several | None = None,
) -> str:
    """Folder of the finished adapter, `setup.folder`/adapter.

    Continues from the newest complete checkpoint with this fingerprint, or starts anew. Every checkpoint can be used as
    an adapter. The training is cut to the memory of the device (see `fitting`).
    rows: tokenised examples. held_out: those whose loss is measured only. fingerprint: of everything that the adapter
    depends on. too_long: ids of records that are too long for the model; they are noted with the adapter.
    metric: called with loss, learning_rate, grad_norm and tokens_per_second after every step, and with
    held_out_loss as `batches.held_out_every` says. When `stopping()` is true, saves a checkpoint and raises Stopped.
    several: processes that train instead of this one, each on its part of every update.
    """
    if not rows:
        raise UserError("There is no example to train on.", "training", "Add labeled records or accept candidates.")
    checkpoints.sweep(setup.folder)
    checkpoints.sweep(setup.folder / checkpoints.CHECKPOINTS)
    settings = setup.settings
    order = batches.order([row.length for row in rows], settings.batch_size, settings.steps(len(rows)), setup.seed)
    in_order = [rows[place] for place in order]

    def here(fit: Fit) -> str:
        return train_as(
            adapted, in_order, held_out, setup, fingerprint, fit, metric, progress, stopping, budget, too_long
        )

    if several is None:
        return until_it_fits(adapted, settings, fitted(adapted, settings, in_order), here)

    def there(fit: Fit) -> str:
        dtype = str(adapted.model.dtype).removeprefix("torch.")
        about = (several.model, dtype, adapted.four_bits, several.threads)
        work = Specification(*about, rows, order, held_out, setup, fingerprint, fit, budget, too_long)
        return several.train(work, metric, progress, stopping)

    part = launching.share(settings, several.count)
    with adapted.away():
        return until_it_fits(adapted, part, fitted(adapted, part, in_order, processes=several.sharing), there)


def train_as(
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
    """As `train`, on the rows of all updates in their order, with so many of them at once as `fit` says.

    Where several processes train together, every one calls this with the same arguments, and the first one writes.
    """
    resume = checkpoints.newest(setup.folder, fingerprint)
    trainable = prepared(adapted, setup.settings, setup.seed, Path(setup.start) if setup.start else None)
    try:
        loss = _Loss(adapted, trainable, setup.settings.kl, fit.checkpointed)
        watcher = Watcher(trainable.model, loss.of_turns, adapted.device, held_out, budget, metric, progress, stopping)
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
        if together.first():
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
    if together.first():
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
    workers = together.count()
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

    def of_turns(self, model: Any, turns: Sequence[Turn]) -> torch.Tensor:
        return self.of(model, self.collate(turns))

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
        watcher: Watcher,
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
        self._weights = [weight for weight in trainable.model.parameters() if weight.requires_grad]
        if together.count() > 1:
            # Without DistributedDataParallel around the model: `training_step` averages the gradients. And it stays
            # where it is: moved to "cpu:0", where "cpu" is, its weights would no longer be parts of those in `fused`.
            whole = partial(self.accelerator.prepare_model, device_placement=False, evaluation_mode=True)
            self.accelerator.prepare_model = lambda model, **_: whole(model)
            torch.manual_seed(arguments.seed + together.place())  # else all processes would drop the same units

    def compute_loss(
        self, model: Any, inputs: batches.Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        self._watcher.tokens += inputs["tokens"]
        self._watcher.noise.length = inputs["tokens"] / self.args.per_device_train_batch_size
        return self._loss.near_start(model, inputs) / num_items_in_batch * self.accelerator.num_processes

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        if self.accelerator.sync_gradients:  # the last part of an update
            together.average_gradients(self._weights)
        return loss

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
