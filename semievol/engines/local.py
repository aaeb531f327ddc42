"""The engine that runs models in this process: neighbours, answers, training.

It combines the other modules of this package and holds what they share: device, loaded models, batch budgets.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from semievol.config import Voter
from semievol.endpoints import is_endpoint, name_of, tuned_of, unknown
from semievol.engines import hidden_states, vectors
from semievol.engines.adapter_files import is_adapter
from semievol.engines.adapters import AdaptedModel
from semievol.engines.answering.sharing import Sharing
from semievol.engines.chat import Chat
from semievol.engines.cluster import joining
from semievol.engines.cluster.answering import Actors
from semievol.engines.inference import questions
from semievol.engines.models.footprint import processor_has_bf16
from semievol.engines.packing.batching import Batcher, OutOfMemory, too_large
from semievol.engines.packing.shares import CPU_BUDGET, CPU_GENERATING, GPU_BUDGET
from semievol.engines.training import checkpoints
from semievol.engines.vectors import Embed, Vectors
from semievol.errors import UserError
from semievol.installed import MODEL_STATES
from semievol.method.conversations import CHUNK
from semievol.method.protocols import Ask, Called, Listener, Reply, TrainingSetup
from semievol.method.spending import Purse
from semievol.records import Demonstration, Example, Record

if TYPE_CHECKING:
    from semievol.engines.endpoints.asking import Endpoints  # openai loads only for who asks a server

BASE = "base"


class LocalEngine:
    """`method.protocols.Engine` with torch, transformers and peft, on the GPU if there is one.

    model: the base: "starter", a local folder, a hub id, or "endpoint:NAME", whose server then fine-tunes and answers.
    precision: "fp32" is reproducible; "auto" uses bf16 on a GPU and on processors with instructions for it; "4bit" does
    so, too, but holds the linear layers of models in 4 bits.
    threads: processor threads; 0 takes all cores, but leaves one free if there are more than two.
    cache: folder of stored embeddings; None stores none.
    endpoints: the servers that may be asked.
    later: load the base only when it is needed; a run whose answers come from endpoints may not need it at all. One at
    a server is never loaded.
    devices: how many GPUs train and answer, or on a processor how many processes; 0: all GPUs. Everything else is done
    on one.
    cluster: the address of a Ray cluster that trains and answers instead (`cluster.joining`); devices counts its
    workers, threads those of each. Everything else is done here.
    """

    def __init__(
        self,
        model: str,
        precision: str = "fp32",
        threads: int = 0,
        cache: Path | None = None,
        endpoints: Endpoints | None = None,
        later: bool = False,
        devices: int = 1,
        cluster: str = "",
    ) -> None:
        self._cluster = joining.join(cluster, devices, threads) if cluster else None
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(threads or (cores if cores <= 2 else cores - 1))
        self.device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
        on_cpu = self.device.type == "cpu"
        fast_bf16 = processor_has_bf16() if on_cpu else torch.cuda.is_bf16_supported()
        self.dtype = torch.bfloat16 if precision != "fp32" and fast_bf16 else torch.float32
        self._four_bits = precision == "4bit"
        budget = CPU_BUDGET if on_cpu else GPU_BUDGET
        self.batcher = Batcher(budget)
        self.generating = Batcher(CPU_GENERATING if on_cpu else GPU_BUDGET)
        self._model, self._endpoints = model, endpoints
        self._other: tuple[str, AdaptedModel] | None = None
        self._chats: dict[str, Chat] = {}
        self._cache = cache
        self._sharing: Sharing | Actors
        if self._cluster is None:
            gpus = torch.cuda.device_count()
            if gpus and devices > gpus:
                raise UserError(
                    f"This machine has {gpus} GPUs, not {devices}.", "devices", f"Set devices to {gpus} or 0."
                )
            self._devices = devices or max(gpus, 1)
            self._sharing = Sharing(model, precision, self._devices, torch.get_num_threads())
        else:
            self._devices = self._cluster.workers
            self._sharing = Actors(model, precision, self._cluster)
        fast = self._cluster.on_gpu if self._cluster else not on_cpu
        self._chunk = CHUNK * self._devices * (GPU_BUDGET // CPU_BUDGET if fast else 1)
        if not later and not is_endpoint(model):
            _ = self.base

    @cached_property
    def _own_cache(self) -> tempfile.TemporaryDirectory[str]:
        """Keeps fine-tuned embedders where no cache was given; goes with the engine."""
        return tempfile.TemporaryDirectory(prefix="semievol-")

    @cached_property
    def base(self) -> AdaptedModel:
        """The base model in memory."""
        return AdaptedModel(self._model, self.device, self.dtype, self._four_bits)

    @property
    def control_tokens(self) -> Sequence[str]:
        """The base model's own special tokens; none of one at a server, which reads texts as texts."""
        return () if is_endpoint(self._model) else self.base.chat.control_tokens

    @property
    def chunk(self) -> int:
        """See the protocol. In proportion to the batches of the devices, and the same after these were made smaller, so
        that a resumed run cuts its records alike."""
        return self._chunk

    @property
    def description(self) -> str:
        """The device and the settings of this machine that change the last digits of the numbers."""
        kind = torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu"
        dtype = str(self.dtype).removeprefix("torch.") + (", 4-bit weights" if self._four_bits else "")
        batches = f"batches of {self.batcher.budget} tokens ({self.generating.budget} where answers are generated)"
        together = f", {self._devices} devices" if self._devices > 1 else ""
        together = f", {self._devices} workers of a cluster" if self._cluster else together
        return f"{kind}, {dtype}, {torch.get_num_threads()} threads, {batches}{together}"

    def neighbours(
        self, labeled: Sequence[Record], queries: Sequence[Record], k: int, embedder: str
    ) -> list[list[Demonstration]]:
        """See the protocol. embedder: "char-tfidf", "model" (this model's own hidden states, averaged over the tokens),
        or a sentence-transformers model."""
        from semievol.engines import retrieval  # here: scikit-learn takes half a second that answering does not need

        return retrieval.neighbours(labeled, queries, k, self._embedder(embedder))

    def embed(self, records: Sequence[Record], embedder: str) -> Vectors:
        """See the protocol. embedder: as in `neighbours`."""
        from semievol.engines import retrieval

        return retrieval.unit_vectors(records, self._embedder(embedder))

    def places(self, vectors: np.ndarray, seed: int, progress: Callable[[int, int], None]) -> np.ndarray:
        """See the protocol and `projection.places`."""
        from semievol.engines import projection

        return projection.places(vectors, seed, torch.get_num_threads(), progress)

    def vote(
        self,
        labeled: Sequence[Record],
        queries: Sequence[Record],
        allowed: Sequence[Sequence[str]],
        embedder: str,
        how: Voter,
    ) -> list[Reply]:
        """See the protocol. embedder: as in `neighbours`."""
        from semievol.engines import voting

        poll = {"neighbours": voting.neighbours, "regression": voting.regression}[how]
        return poll(labeled, queries, allowed, self._embedder(embedder))

    def tune_embedder(
        self,
        labeled: Sequence[Record],
        embedder: str,
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
    ) -> str:
        """See the protocol and `tuned_embedder.tune`. embedder: the name of a sentence-transformers model."""
        from semievol.engines import retrieval, tuned_embedder

        base = retrieval.sentence_folder(embedder)
        folder = tuned_embedder.folder_of(self._cache or Path(self._own_cache.name), base, labeled)
        tuned_embedder.tune(base, labeled, folder, self.device.type, progress, stopping)
        return str(folder)

    def verify(self, known: np.ndarray, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """See the protocol and `verification.probability_right`."""
        from semievol.engines import verification

        return verification.probability_right(known, right, asked)

    def _embedder(self, name: str) -> Embed:
        from semievol.engines import retrieval, tuned_embedder

        if name == retrieval.CHAR_TFIDF:
            return retrieval.char_tfidf
        cache = self._cache
        if tuned_embedder.is_tuned(name):  # its name says all that it depends on
            identity, cache = Path(name).name, Path(name).parent

            def embed(texts: Sequence[str]) -> Vectors:
                return tuned_embedder.embedder(Path(name), self.device.type)(texts)

        elif name == MODEL_STATES:
            embed = partial(hidden_states.of, self.base, self.batcher)
            identity = f"{self.base.fingerprint} {self.dtype}{' 4bit' if self._four_bits else ''}"
        else:
            folder = retrieval.sentence_folder(name)
            identity = retrieval.files_of(folder)

            def embed(texts: Sequence[str]) -> Vectors:
                return retrieval.sentence_embedder(folder, self.device.type)(texts)

        return embed if cache is None else vectors.cached(embed, cache, identity)

    def fits(self, ask: Ask) -> bool:
        """See the protocol and `Chat.fits`. What a server has room for only the server knows."""
        if is_endpoint(self._model if ask.model == BASE else ask.model):
            return True
        if ask.model not in self._chats:
            self._chats[ask.model] = self._find(ask.model)[0].chat
        return self._chats[ask.model].fits(ask.messages, ask.allowed, ask.max_tokens)

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """See the protocol. Where there are several devices, each answers a part."""
        return self._sharing.answer(asks, self._answer)

    def _answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """Answers in this process. Questions are grouped by model, so that every adapter is switched on once."""
        replies: dict[int, Reply] = {}
        for name in dict.fromkeys(ask.model for ask in asks):
            adapted, adapter = self._find(name)
            closed = [i for i, ask in enumerate(asks) if ask.model == name and ask.allowed]
            free = [i for i, ask in enumerate(asks) if ask.model == name and not ask.allowed]
            try:
                with adapted.using(adapter) as model:
                    scored = questions.score(adapted, model, [asks[i] for i in closed], self.batcher)
                    replies |= zip(closed, scored, strict=True)
                    generated = questions.generate(adapted, model, [asks[i] for i in free], self.generating)
                    replies |= zip(free, generated, strict=True)
            except OutOfMemory:
                raise too_large(
                    f"model {adapted.name}", "Show fewer demonstrations, or choose a smaller model or a larger machine."
                ) from None
        return [replies[i] for i in range(len(asks))]

    def call(
        self,
        asks: Iterable[Ask],
        purse: Purse,
        took: Callable[[Sequence[Called]], None],
        stopping: Callable[[], bool],
        said: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """See the protocol and `endpoints.asking`."""
        if self._endpoints is None:
            raise unknown("", [])
        self._endpoints.call(asks, purse, took, stopping, said)

    def train(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
        held_out: Sequence[Example] = (),
    ) -> str:
        """See the protocol and `training.loop.train`. An adapter that is complete already is returned at once."""
        # Imported here: transformers.Trainer takes two seconds that answering does not need.
        from semievol.engines.training import cleaning, launching, loop

        self._other = None  # its memory is needed, and that of the other devices
        self._sharing.end()
        if setup.start:
            self.base.check(Path(setup.start))
        fingerprint = self._fingerprint(examples, setup)
        finished = setup.folder / checkpoints.ADAPTER
        complete = checkpoints.fault(finished) is None
        if complete and checkpoints.about(finished).get(checkpoints.FINGERPRINT) == fingerprint:
            # Killed a moment after it was sealed, the training has left these.
            shutil.rmtree(setup.folder / checkpoints.CHECKPOINTS, ignore_errors=True)
            return str(finished)
        chat = self.base.chat
        rows, measured = chat.turns(examples), chat.turns(held_out)
        fit = [len(rows) == len(examples) or chat.fits(e.messages, (e.answer,), 0) for e in examples]
        too_long = [example.record_id for example, fits in zip(examples, fit, strict=True) if not fits]
        if setup.cleaning is not None:
            origins = [example.origin for example, fits in zip(examples, fit, strict=True) if fits]
            pseudo = [place for place, origin in enumerate(origins) if origin == "pseudo"]
            try:
                found = cleaning.cleaned(self.base, [rows[place] for place in pseudo], setup.cleaning, self.batcher)
            except OutOfMemory:
                raise too_large("training", "Set token_cleaning to 0, or choose a smaller model.") from None
            for place, turn in zip(pseudo, found, strict=True):
                rows[place] = turn
        threads = torch.get_num_threads()
        several = launching.several(self._model, self._devices, setup.settings.batch_size, threads, self._cluster)
        report = (metric, progress, stopping)
        return loop.train(self.base, rows, measured, setup, fingerprint, *report, too_long=too_long, several=several)

    def have_tuned(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        purse: Purse,
        listener: Listener,
        held_out: Sequence[Example] = (),
    ) -> str:
        """See the protocol and `endpoints.tuning`."""
        if self._endpoints is None:
            raise unknown(name_of(self._model), [])
        epochs = max(1, round(setup.settings.epochs))
        work = (examples, held_out, epochs, setup.seed, tuned_of(setup.start or ""))
        if setup.start and name_of(setup.start) != name_of(self._model):
            raise UserError(
                f"The training would start from a model at the endpoint {name_of(setup.start)}.",
                "model",
                f"Set tune_from to base, or the model to endpoint:{name_of(setup.start)}.",
            )
        return self._endpoints.tune(self._model, *work, setup.folder, purse, listener)

    def _fingerprint(self, examples: Sequence[Example], setup: TrainingSetup) -> str:
        """SHA-256 over everything that the adapter depends on; checkpoints with another one are never continued."""
        parts = [
            [[[m.role, m.content] for m in example.messages] + [example.answer] for example in examples],
            # A setting that came later does not count where it is off: a training begun before it goes on.
            setup.settings.model_dump(mode="json", exclude={"save_every", *([] if setup.settings.kl else ["kl"])}),
            setup.seed,
            checkpoints.about(Path(setup.start))["files"] if setup.start else None,
            self.base.fingerprint,
        ]
        if self._four_bits:
            parts.append("4bit")
        if setup.cleaning is not None:
            origins = [example.origin for example in examples]
            parts.append([setup.cleaning.share, checkpoints.about(Path(setup.cleaning.reference))["files"], origins])
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _find(self, name: str) -> tuple[AdaptedModel, str | None]:
        """The model and the adapter folder that an ask's `model` names. One other base stays in memory beside the
        engine's own."""
        if name == BASE:
            return self.base, None
        if is_adapter(Path(name)):
            return self.base, name
        if self._other is None or self._other[0] != name:
            self._other = None
            self._other = (name, AdaptedModel(name, self.device, self.dtype, self._four_bits))
        return self._other[1], None
