"""Fine-tunes an embedder on labeled records, so that texts with equal labels come to lie together.

A LoRA adapter on all linear layers and a softmax layer on top learn to tell the labels apart. The softmax layer starts
as a logistic regression on the untuned vectors and is thrown away afterwards. SetFit (Tunstall et al. 2022, arXiv
2209.11055) fine-tunes such an embedder on pairs of texts; here it learns the labels directly. The adapter is kept in a
sealed folder that is named after everything it depends on. Knows nothing of language models.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from sklearn.linear_model import LogisticRegression
from torch.nn import functional
from transformers import PreTrainedModel

from semievol.engines import retrieval
from semievol.engines.training import checkpoints
from semievol.engines.vectors import Embed
from semievol.engines.voting import INVERSE_PENALTY
from semievol.errors import UserError
from semievol.method import voters
from semievol.method.protocols import Stopped
from semievol.records import Record

LONGEST = 128
"""Tokens of a text that are read while fine-tuning; the vectors made afterwards read as many as the embedder can."""
RATE, RATE_OF_HEAD = 1e-3, 2e-4
_LORA = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear")
_WEIGHT_DECAY = 0.01
_RISING = 0.1  # share of the updates in which the rate rises
_SEED = 0
_VERSION = 1
"""Counts changes of this procedure, so that adapters of an older one are not used."""
_BASE = "base"


def folder_of(cache: Path, base: Path, labeled: Sequence[Record]) -> Path:
    """Where the adapter is kept: a hash over the embedder's files, and the texts and answers that it learns from, in
    their order, which the batches follow."""
    pairs = [(retrieval.text_of(record), record.answer or "") for record in labeled]
    told = json.dumps([_VERSION, retrieval.files_of(base), pairs], ensure_ascii=True)
    return cache / f"tuned-{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def tune(
    base: Path,
    labeled: Sequence[Record],
    folder: Path,
    device: str,
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
) -> None:
    """Writes the adapter into `folder`, unless it is there. A second process that wants the same waits and finds it.

    base: a sentence-transformers folder. labeled: records with at least two different answers. Raises Stopped, with
    nothing kept, when `stopping()` is true, and UserError where the embedder cannot be fine-tuned like this.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if checkpoints.fault(folder) is None:
            return
        model = retrieval.sentence_model(base, device)
        if not isinstance(getattr(model[0], "auto_model", None), PreTrainedModel):
            raise UserError(
                f'The embedder "{base.name}" is no transformer, so it is not fine-tuned.',
                "propagation.embedder",
                "Choose another embedder; `tune_embedder` and the row of a fine-tuned embedder need a transformer.",
            )
        with torch.random.fork_rng():
            torch.manual_seed(_SEED)
            trained = _trained(model, labeled, progress, stopping)
        with checkpoints.written_whole(folder, {_BASE: str(base), "records": len(labeled)}) as staging:
            trained.save_pretrained(str(staging))


def is_tuned(name: str) -> bool:
    """Whether this is the folder of such an adapter."""
    return Path(name).name.startswith("tuned-") and (Path(name) / checkpoints.MARKER).is_file()


def embedder(folder: Path, device: str) -> Embed:
    """The embedder with the adapter in `folder`."""
    model = retrieval.sentence_model(Path(checkpoints.about(folder)[_BASE]), device)
    model[0].auto_model = PeftModel.from_pretrained(model[0].auto_model, str(folder)).merge_and_unload()
    return retrieval.embed_with(model)


def _trained(
    model: Any, labeled: Sequence[Record], progress: Callable[[int, int], None], stopping: Callable[[], bool]
) -> PeftModel:
    """The transformer of a sentence-transformers model with its trained adapter."""
    from sentence_transformers.util import batch_to_device  # here: the package takes four seconds

    texts = [retrieval.text_of(record) for record in labeled]
    labels = sorted({record.answer or "" for record in labeled})
    wanted = torch.tensor([labels.index(record.answer or "") for record in labeled], device=model.device)
    head = _head(retrieval.unit_vectors(labeled, retrieval.embed_with(model)), wanted)
    model.max_seq_length = min(model.max_seq_length or LONGEST, LONGEST)
    adapted = model[0].auto_model = get_peft_model(model[0].auto_model, _LORA)
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    groups = [{"params": trained, "lr": RATE}, {"params": [*head.parameters()], "lr": RATE_OF_HEAD}]
    optimiser = torch.optim.AdamW(groups, weight_decay=_WEIGHT_DECAY)
    total = voters.updates(len(labeled))
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (_RISING * total), 1.0) * (1 - step / total)
    )
    order, rng = list[int](), random.Random(_SEED)
    model.train()
    for step in range(total):
        if stopping():
            raise Stopped("Stopped while the embedder was fine-tuned.")
        progress(step, total)
        while len(order) < voters.TUNED_AT_ONCE:
            order += rng.sample(range(len(texts)), len(texts))
        batch, order = order[: voters.TUNED_AT_ONCE], order[voters.TUNED_AT_ONCE :]
        read = batch_to_device(model.preprocess([texts[i] for i in batch]), model.device)
        vectors = functional.normalize(model(read)["sentence_embedding"], dim=1)
        loss = functional.cross_entropy(head(vectors), wanted[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    progress(total, total)
    return adapted


def _head(vectors: np.ndarray, wanted: torch.Tensor) -> torch.nn.Linear:
    """A softmax layer that starts as the logistic regression of `wanted`, int[n], on the unit vectors, float[n, d]."""
    fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=2_000).fit(vectors, wanted.cpu().numpy())
    weights, offsets = fitted.coef_, fitted.intercept_
    if len(weights) == 1:  # of two labels scikit-learn gives the second one's log-odds alone
        weights, offsets = np.vstack([-weights, weights]) / 2, np.concatenate([-offsets, offsets]) / 2
    head = torch.nn.Linear(weights.shape[1], len(weights), device=wanted.device)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(offsets))
    return head
