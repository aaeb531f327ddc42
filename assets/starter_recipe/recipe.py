"""The recipe of the bundled starter model: sources to text, tokenizer, pretraining, instruction stage, folder.

Run as `python -m assets.starter_recipe STAGE --sources DIR --work DIR`; each stage reads what the one before it left in
the work folder, so any of them can be repeated alone. Everything is seeded.
"""

import json
import random
import time
from pathlib import Path

import numpy
import torch
from tokenizers import Tokenizer

from assets.starter_recipe import bpe, card, corpus, curriculum, llama, packing, wordnet
from assets.starter_recipe.learner import Learner

SEED = 20241019
LENGTH = 256
RATES = (0.02, 2e-3)  # Muon's, AdamW's
HELD_OUT = 200_000
FULL, STARTS, FALL = 2300, (0, 800), 1500  # instruction stage: at which of its steps mixtures begin and the rate falls
# What every prompt repeats and what many tasks are answered with: worth a token of its own.
PHRASES = (
    "Options: A. B. C. D. E. F. G. H. I. J. Answer with the letter only.",
    "Answer with one of: positive, neutral, negative, mixed, yes, no, true, false, other, unknown.",
    "Answer with a number. Candidate answers: Weigh them and give the final answer.",
)


def text(sources: Path, work: Path) -> None:
    """Documents in a seeded order, the tokenizer, and the tokens (uint16), every document closed by the end token."""
    documents = list(corpus.documents(sources))
    documents += wordnet.sentences(wordnet.synsets(sources))
    random.Random(SEED).shuffle(documents)
    tokenizer = bpe.trained(documents[::4] + list(PHRASES) * 2000, llama.Shape().vocabulary)
    bpe.save(tokenizer, work / "tokenizer", llama.Shape().context)
    end = bpe.id_of(tokenizer, bpe.END)
    stream: list[int] = []
    for start in range(0, len(documents), 5000):
        for encoding in tokenizer.encode_batch(documents[start : start + 5000], add_special_tokens=False):
            stream += [*encoding.ids, end]
    numpy.save(work / "text.npy", numpy.array(stream, dtype=numpy.uint16))
    print(f"{len(documents)} documents, {len(stream)} tokens, {sum(map(len, documents))} characters")


def windows(stream: numpy.ndarray, rows: int, length: int, draw: numpy.random.Generator) -> tuple[torch.Tensor, ...]:
    """A micro-batch of text: `rows` windows from random places, every next token a target."""
    starts = draw.integers(0, len(stream) - length - 1, rows)
    block = torch.from_numpy(numpy.stack([stream[s : s + length + 1] for s in starts]).astype(numpy.int64))
    places = torch.arange(length).expand(rows, length).contiguous()
    return (
        block[:, :-1].contiguous(),
        places,
        torch.zeros_like(places),
        block[:, 1:].contiguous(),
        torch.full_like(places, packing.TEXT),
    )


def log(work: Path, **values: str | float) -> None:
    with (work / "log.jsonl").open("a") as file:
        file.write(json.dumps(values) + "\n")


def pretrain(work: Path, steps: int, helpers: int) -> None:
    """Next-token prediction on the text, the learning rate constant after its rise; continues where it stopped."""
    shape = llama.Shape()
    stream = numpy.load(work / "text.npy")[:-HELD_OUT]
    learner = Learner(shape, llama.initial(shape, SEED), RATES, helpers)
    first = load(learner, work / "pretrained.pt") if (work / "pretrained.pt").exists() else 0
    began = time.time()
    for step in range(first, steps):
        draw = numpy.random.default_rng((SEED, step))
        batches = [windows(stream, 8, LENGTH, draw) for _ in range(8)]
        losses = learner.learn(packing.weighed(batches), min((step + 1) / 100, 1.0))
        if step % 10 == 0:
            log(work, stage="pretrain", step=step, seconds=time.time() - began, text=float(torch.cat(losses).mean()))
        if (step + 1) % 50 == 0 or step + 1 == steps:
            store(learner, learner.weights, step + 1, work / "pretrained.pt")
    learner.close()


def pace(at: float) -> float:
    """The schedule's share of the learning rates at step `at` of FULL: constant, then falling to zero."""
    return 0.6 * min(1.0, (FULL - at) / (FULL - FALL))


def instruct(sources: Path, work: Path, steps: int, helpers: int) -> None:
    """Conversations and text together, in two mixtures; continues where it stopped.

    A step is 2 micro-batches of short conversations, 3 of longer ones (every second step one of the longest) and 2 of
    text, with 2,048 tokens each. What is exported is a running average over about the last 30 steps.
    """
    shape = llama.Shape()
    stream = numpy.load(work / "text.npy")[:-HELD_OUT]
    tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
    learner = Learner(shape, llama.initial(shape, SEED), RATES, helpers)
    first = load(learner, work / "instructed.pt") if (work / "instructed.pt").exists() else 0
    if first == 0:
        load(learner, work / "pretrained.pt")
    average = {name: value.clone() for name, value in learner.weights.items()}
    if first:
        average = torch.load(work / "instructed.pt", weights_only=True)["average"]
    shelves, mixture = None, curriculum.MIXTURES[0]
    began = time.time()
    for step in range(first, steps):
        at = step * FULL / steps
        now = curriculum.MIXTURES[sum(start <= at for start in STARTS) - 1]
        if shelves is None or now != mixture:
            mixture = now
            source = curriculum.encoded_conversations(sources, tokenizer, SEED, mixture, step * 4)
            shelves = packing.Shelves(source, numpy.random.default_rng((SEED, step)))
        draw = numpy.random.default_rng((SEED + 1, step))
        batches = [shelves.rows(8, 256) for _ in range(2)] + [shelves.rows(4, 512) for _ in range(2)]
        batches.append(shelves.rows(2, 1024) if step % 2 == 0 else shelves.rows(4, 512))
        batches += [windows(stream, 8, LENGTH, draw) for _ in range(2)]
        losses = learner.learn(packing.weighed(batches), pace(at))
        for name, value in average.items():
            value.lerp_(learner.weights[name], 0.03)
        if step % 10 == 0:
            kinds, flat = torch.cat([batch[4].flatten() for batch in batches]), torch.cat(losses)
            means = {name: float(flat[kinds == kind].mean()) for kind, name in enumerate(packing.KINDS)}
            log(work, stage="instruct", step=step, seconds=time.time() - began, **means)
        if (step + 1) % 20 == 0 or step + 1 == steps:
            store(learner, average, step + 1, work / "instructed.pt")
    learner.close()


def store(learner: Learner, average: dict[str, torch.Tensor], step: int, path: Path) -> None:
    """A checkpoint: weights, their running average, optimizer, steps done; complete or not there."""
    part = path.with_suffix(".part")
    state = {"weights": learner.weights, "average": average, "optimizer": learner.optimizer.state(), "step": step}
    torch.save(state, part)
    part.rename(path)


def load(learner: Learner, path: Path) -> int:
    found = torch.load(path, weights_only=True)
    for name, value in found["weights"].items():
        learner.weights[name].copy_(value)
    learner.optimizer.restore(found["optimizer"])
    return found["step"]


def export(work: Path, folder: Path) -> None:
    """The averaged weights, the tokenizer and the model card as a Hugging Face folder."""
    shape = llama.Shape()
    tokenizer = Tokenizer.from_file(str(work / "tokenizer" / "tokenizer.json"))
    bpe.save(tokenizer, folder, shape.context)
    files = {"pretrain": "pretrained.pt", "instruct": "instructed.pt"}
    found = {stage: torch.load(work / name, weights_only=True) for stage, name in files.items()}
    average = found["instruct"]["average"]
    end, pad = (bpe.id_of(tokenizer, token) for token in (bpe.END, bpe.PAD))
    llama.save(shape, average, end, pad, folder)
    count = sum(value.numel() for value in average.values())
    card.write(work, folder, shape.context, count, {stage: each["step"] for stage, each in found.items()})
