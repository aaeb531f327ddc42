"""A base model in memory with its adapters: loading, switching, adding one for training, saving.

An adapter is the result of a fine-tuning: LoRA weights for peft, or, if all weights were trained ("full"), a complete
set of weights, which replaces the base's own while the adapter is in use. The base's weights are never changed and no
adapter is merged into it. Questions are grouped by adapter. peft's `adapter_names` is not used, since an error inside
such a call leaves its hooks installed.
"""

from __future__ import annotations

import copy
import itertools
import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn

from semievol.engines import adapter_files, loading
from semievol.engines.adapter_files import BASE, CONFIG, WEIGHTS, method_of
from semievol.engines.chat import Chat
from semievol.engines.models import suitability
from semievol.engines.models.files import FULL_WEIGHTS, MODEL_FILES, read_json
from semievol.engines.models.resolve import fingerprint
from semievol.engines.packing import attention
from semievol.engines.training import checkpoints, targets
from semievol.errors import UserError
from semievol.tuning import Lora

_MOST_ADAPTERS = 4
_MOST_FULL = 2
_log = logging.getLogger(__name__)


class AdaptedModel:
    """One base model, its tokenizer, and the adapters that are loaded onto it.

    model: the causal language model. `using` switches an adapter on. four_bits: its linear layers are held in 4 bits
    (NF4 with double quantisation, as in QLoRA, Dettmers et al. 2023, arXiv 2305.14314), and only LoRA is trained; the
    output layer, embeddings and norms are of `dtype`, and so are all products.
    """

    def __init__(self, name: str, device: torch.device, dtype: torch.dtype, four_bits: bool = False) -> None:
        self.folder = suitability.suitable(name)
        self.name = self.folder.name if Path(name).expanduser().is_dir() else name
        self.fingerprint = fingerprint(self.folder)
        self.device, self.four_bits = device, four_bits
        # Weights in few bits are never trained, whether they are held so here or were in the model's files.
        self.few_bits = four_bits or loading.few_bits(self.folder)
        self.model = self.fresh(dtype).requires_grad_(False).eval()
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        self.chat = Chat(self.folder, limit)
        self.linear = targets.linear_names(self.model)
        self.experts = targets.expert_names(self.model)
        self._excluded = targets.excluded(self.model)
        self.peft: PeftModel | None = None
        self._own: dict[str, nn.Parameter] = dict(self.model.named_parameters())  # names as in the model's files
        kept = self.model.state_dict().keys()
        self._fixed = {name: tensor for name, tensor in self.model.named_buffers() if name in kept}  # never trained
        self._loaded: dict[tuple[str, str], str] = {}
        self._full: dict[tuple[str, str], dict[str, torch.Tensor]] = {}
        self._numbers = itertools.count()

    def fresh(self, dtype: torch.dtype) -> Any:
        """A new copy of the base model, read from its folder, on the same device."""
        return loading.loaded(self.folder, self.name, self.device, dtype, self.four_bits)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Inside, the model is in the processor's memory, so that other processes may have the GPU's."""
        if self.device.type == "cpu":
            yield
            return
        self._full.clear()
        self.model.to("cpu")
        torch.cuda.empty_cache()
        try:
            yield
        finally:
            self.model.to(self.device)

    @property
    def size(self) -> int:
        """Parameters of the base."""
        return sum(weight.numel() * (2 if weight.dtype == torch.uint8 else 1) for weight in self._own.values())

    @property
    def pad(self) -> int:
        """The id for padding; it is always masked."""
        pad = self.chat.tokenizer.pad_token_id
        return int(pad) if pad is not None else min(self.chat.stops, default=0)

    @property
    def turning(self) -> int | None:
        """Number of tokens above which a row's positions are turned otherwise; None if none is (longrope, as Phi 3.5).

        The model decides that for a whole batch, by its longest row. So that no row depends on the others, rows on
        either side of this length are never in one batch.
        """
        rope = getattr(self.model.config.get_text_config(), "rope_parameters", None) or {}
        parts = [part for part in (rope, *rope.values()) if isinstance(part, dict)]
        found = [part["original_max_position_embeddings"] for part in parts if part.get("rope_type") == "longrope"]
        return int(found[0]) if found else None

    @cached_property
    def packs(self) -> bool:
        """Whether sequences may be packed (see `attention`): plain full attention in every layer, positions that do not
        depend on the whole length, and the same numbers as without packing in a trial."""
        config = self.model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        window = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
        stateful = getattr(self.model, "_is_stateful", False)
        rope = getattr(config, "rope_parameters", None) or {}
        turns = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
        plain = kinds == {"full_attention"} and not stateful and not window and not turns & {"longrope", "dynamic"}
        return plain and attention.understood(self.model)

    @contextmanager
    def using(self, adapter: str | None) -> Iterator[Any]:
        """The model with the adapter in this folder (None: the base alone), without gradients."""
        with torch.no_grad():
            if adapter is None:
                with self._plain():
                    yield self.model
            elif method_of(Path(adapter)) == "full":
                with self._plain(), self._replaced_by(self._load_full(Path(adapter))):
                    yield self.model
            else:
                name = self._load(Path(adapter))
                assert self.peft is not None
                self.peft.set_adapter(name, inference_mode=True)
                yield self.model

    @contextmanager
    def _plain(self) -> Iterator[None]:
        """The model without any LoRA adapter."""
        if self.peft is None:
            yield
            return
        # Not `disable_adapter()`: it looks up the active adapter, which may have been removed.
        self.peft.base_model.disable_adapter_layers()
        try:
            yield
        finally:
            self.peft.base_model.enable_adapter_layers()

    @contextmanager
    def _replaced_by(self, weights: dict[str, torch.Tensor]) -> Iterator[None]:
        """The model with these weights instead of the base's own."""
        own = {name: parameter.data for name, parameter in self._own.items()}
        for name, parameter in self._own.items():
            parameter.data = weights[name]
        try:
            yield
        finally:
            for name, parameter in self._own.items():
                parameter.data = own[name]

    def add(self, lora: Lora, seed: int, start: Path | None = None) -> str:
        """Name of a new trainable adapter, switched on: with fresh weights, or those of the adapter in `start`."""
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=lora.dropout,
            use_rslora=lora.use_rslora,
            use_dora=lora.use_dora,
            target_modules=self.linear,
            exclude_modules=self._excluded,
            target_parameters=self._experts(lora),
        )
        if start is not None:
            self.check(start)
            config = adapter_files.read_config(start)
            config.lora_dropout = 0.0 if config.target_parameters else lora.dropout
        config.inference_mode = False
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            name = self._attach(config)
        if start is not None:
            self.restore(name, start)
        assert self.peft is not None
        self.peft.set_adapter(name)
        return name

    def _experts(self, lora: Lora) -> list[str] | None:
        """The experts' weights that get an adapter; None if peft cannot adapt them with these settings."""
        if self.experts and suitability.spares_experts(lora):
            _log.warning("%s", suitability.NO_EXPERTS)
            return None
        return self.experts or None

    def remove(self, name: str) -> None:
        """Deletes an adapter from memory."""
        assert self.peft is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that another adapter becomes active; `using` always sets its own
            self.peft.delete_adapter(name)

    def _weights(self, name: str) -> dict[str, torch.Tensor]:
        """The adapter's own tensors by key."""
        return get_peft_model_state_dict(self.peft, adapter_name=name, save_embedding_layers=False)

    def save(self, name: str, folder: Path, dtype: torch.dtype | None = None) -> None:
        """Writes weights, settings and the base's fingerprint into `folder`, without any path of this machine.

        dtype: what the weights are rounded to; None leaves them unchanged."""
        assert self.peft is not None
        folder.mkdir(parents=True, exist_ok=True)
        adapter_files.save_weights(self._weights(name), folder / WEIGHTS, dtype)
        config = copy.copy(self.peft.peft_config[name])
        config.base_model_name_or_path = self.name
        config.inference_mode = True
        plain = {k: sorted(v) if isinstance(v, set) else v for k, v in config.to_dict().items()}
        (folder / CONFIG).write_text(json.dumps(plain, indent=1, sort_keys=True), encoding="utf-8")
        self._note_base(folder)

    def save_full(self, weights: dict[str, torch.Tensor], folder: Path, dtype: torch.dtype | None = None) -> None:
        """Writes a complete set of weights with the base's settings and tokenizer: an ordinary model folder."""
        folder.mkdir(parents=True, exist_ok=True)
        adapter_files.save_weights(weights | self._fixed, folder / FULL_WEIGHTS, dtype)
        for path in self.folder.iterdir():
            if path.name in MODEL_FILES and path.is_file():
                shutil.copyfile(path, folder / path.name)
        if self.chat.plain:  # so that other programs use the template that it was trained with
            (folder / "chat_template.jinja").write_text(self.chat.tokenizer.chat_template, encoding="utf-8")
        self._note_base(folder)

    def full_weights(self, folder: Path) -> dict[str, torch.Tensor]:
        """The complete set of weights in a folder. Raises UserError if names or shapes differ from the base's."""
        adapter_files.check_shapes(self._own, folder, FULL_WEIGHTS, beside=self._fixed)
        return {name: tensor for name, tensor in load_file(folder / FULL_WEIGHTS).items() if name in self._own}

    def _note_base(self, folder: Path) -> None:
        note = {"model": self.name, "fingerprint": self.fingerprint}
        (folder / BASE).write_text(json.dumps(note, indent=1), encoding="utf-8")

    def _load_full(self, folder: Path) -> dict[str, torch.Tensor]:
        key = adapter_files.key(folder)
        if key not in self._full:
            self.check(folder)
            while len(self._full) >= _MOST_FULL:
                self._full.pop(next(iter(self._full)))
            loaded = self.full_weights(folder)
            self._full[key] = {name: tensor.to(self.device, self.model.dtype) for name, tensor in loaded.items()}
        self._full[key] = self._full.pop(key)  # the most recently used is last
        return self._full[key]

    def _load(self, folder: Path) -> str:
        key = adapter_files.key(folder)
        if key not in self._loaded:
            self.check(folder)
            while len(self._loaded) >= _MOST_ADAPTERS:
                self.remove(self._loaded.pop(next(iter(self._loaded))))
            config = adapter_files.read_config(folder)
            config.inference_mode = True
            name = self._attach(config)
            self.restore(name, folder)
            self._loaded[key] = name
        self._loaded[key] = self._loaded.pop(key)  # the most recently used is last
        return self._loaded[key]

    def check(self, folder: Path) -> None:
        """Raises UserError for an adapter that is unfinished, damaged, or was trained on another base."""
        where = f"adapter {folder.name}"
        wrong = checkpoints.fault(folder)
        if wrong:
            raise UserError(f"The adapter cannot be used: {wrong}.", where, "Train it again, or restore the folder.")
        if self.few_bits and method_of(folder) == "full":
            raise UserError(
                "The adapter holds all weights, which a model in few bits cannot take.",
                where,
                "Set precision to auto, or start a new round.",
            )
        note = read_json(folder / BASE)
        if note.get("fingerprint") != self.fingerprint:
            raise UserError(
                f'The adapter was trained on another base model ("{note.get("model")}", not this "{self.name}").',
                where,
                "Choose the model that it was trained on, or start a new round.",
            )

    def _attach(self, config: LoraConfig) -> str:
        name = f"adapter{next(self._numbers)}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the base was in a folder of another name when the adapter was saved
            if self.peft is None:
                self.peft = get_peft_model(self.model, config, adapter_name=name)
            else:
                self.peft.add_adapter(name, config)
        self.peft.eval()
        return name

    def restore(self, name: str, folder: Path) -> None:
        """Loads the weights in `folder` into the adapter `name`. If their keys or shapes are not the adapter's, deletes
        the adapter and raises UserError."""
        own = self._weights(name)
        try:
            adapter_files.check_shapes(own, folder, WEIGHTS)
        except UserError:
            self.remove(name)
            raise
        # Not `set_peft_model_state_dict`: for some architectures it renames tensors and looks up the active adapter.
        with torch.no_grad():
            for key, tensor in load_file(folder / WEIGHTS).items():
                own[key].copy_(tensor)
