"""Fine-tunes an embedder on labeled records, so that texts with equal labels come to lie together.

A LoRA adapter on all linear layers and a softmax layer on top learn to tell the labels apart. The softmax layer starts
as a logistic regression on the untuned vectors and is thrown away afterwards. SetFit (Tunstall et al. 2022, arXiv
2209.11055) fine-tunes such an embedder on pairs of texts; here it learns the labels directly. Knows nothing of language
models, and nothing is kept on disk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from sklearn.linear_model import LogisticRegression
from torch.nn import functional
from transformers import PreTrainedModel

from semievol.engines import retrieval
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


def tuned(
    base: Path,
    labeled: Sequence[Record],
    device: str,
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
) -> Embed:
    """The embedder after its fine-tuning; the same records give the same one.

    base: a sentence-transformers folder. labeled: records with at least two different answers. Raises Stopped when
    `stopping()` is true, and UserError where the embedder cannot be fine-tuned like this.
    """
    model = retrieval.sentence_model(base, device)
    if not isinstance(getattr(model[0], "auto_model", None), PreTrainedModel):
        raise UserError(
            f'The embedder "{base.name}" is no transformer, so no regression on a fine-tuned one is shown.',
            "propagation.embedder",
            "Choose another embedder to see that row, too.",
        )
    longest = model.max_seq_length
    model.max_seq_length = min(longest or LONGEST, LONGEST)
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        _train(model, labeled, progress, stopping)
    model.max_seq_length = longest
    model.eval()
    return retrieval.embed_with(model)


def _train(
    model: Any, labeled: Sequence[Record], progress: Callable[[int, int], None], stopping: Callable[[], bool]
) -> None:
    """Puts a trained adapter into a sentence-transformers model."""
    from sentence_transformers.util import batch_to_device  # here: the package takes four seconds

    texts = [retrieval.text_of(record) for record in labeled]
    labels = sorted({record.answer or "" for record in labeled})
    wanted = torch.tensor([labels.index(record.answer or "") for record in labeled], device=model.device)
    head = _head(retrieval.unit_vectors(labeled, retrieval.embed_with(model)), wanted)
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
