"""How many tokens the stages of a run read, counted on a sample of a version's prompts.

The prompts are the run's own: the project's records in the model's chat template, in the model's tokens. What the
prompts of a batch share at their beginning counts once, as the engine reads it. Knows nothing of time and memory.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from semievol.config import VOTERS, Collaborator, Config
from semievol.engines.models import footprint, tokenizer
from semievol.engines.models.prompts import Reader, reader
from semievol.engines.packing.shares import CPU_BUDGET, Shared, passed
from semievol.errors import UserError
from semievol.method.conversations import chunks
from semievol.records import Demonstration, Message, Record
from semievol.store.data import records, versions
from semievol.store.database import Store
from semievol.task.answers import allowed_answers
from semievol.task.prompts import by_similarity, render
from semievol.tuning import Tuning

SAMPLED = 1_000
"""Most records of a split that are looked at; more would change the means by little."""
_CHUNKS = 8  # chunks of records whose prompts are counted
_HASHED = 512  # dimensions of the vectors of words
_GROUPED_BATCHES = 8  # training cuts groups of so many batches by length
_BATCH = {"batch_size": True, "micro_batch_size": True}
_READ: dict[str, Any] = {
    "model": True,
    "evaluate_demonstrations": True,
    "tune": _BATCH,
    "propagation": {
        "warm_up": _BATCH,
        **dict.fromkeys(("k", "warm_up_demonstrations", "collaborators", "judge", "answer_rule"), True),
    },
}
"""The settings that say what is read, for pydantic's `include`."""
_OWN = ("base", "warm_up")
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Reading:
    """Tokens that a model reads, on average.

    respond: all collaborators of the round's model together, for a record. justify: its judge, for a record. evaluate:
    one model, for a test record, in all ways. warm_up, tune: an example in a batch that is trained on. largest: the
    largest batch of each of the two. question: the bare question. others, other_judge: tokens times weights that other
    models read for a record, as collaborators and as judge.
    """

    question: float
    warm_up: float
    respond: float
    justify: float
    tune: float
    evaluate: float
    largest: tuple[int, int]
    others: float = 0.0
    other_judge: float = 0.0


@dataclass(frozen=True)
class Model:
    """A model whose tokenizer counts. context: its longest prompt (tokens)."""

    folder: Path
    parameters: int
    context: int


def models(config: Config, own: Path) -> dict[str, Model]:
    """Model of a collaborator or the judge -> its sizes; without those that are not on this machine or state none. own:
    the folder of the round's model."""
    settings = config.propagation
    names = {one.model for one in (*_readers(config), *([settings.judge] if settings.justify else []))}
    found = {}
    for name in sorted(names):
        folder = own if name in _OWN or name == config.model else tokenizer.folder_of(name)
        if folder is not None:
            with suppress(UserError):
                shape = footprint.Shape.of(folder)
                found[name] = Model(folder, shape.parameters, shape.context)
    return found


def assumed(config: Config, tokens: int) -> Reading:
    """Where there are no records yet: every prompt has `tokens` tokens, and nothing is shared."""
    propagation = config.propagation
    shown = tokens * (1 + propagation.k)
    some = propagation.warm_up_demonstrations == "some"

    def of(collaborator: Collaborator) -> int:
        return shown if collaborator.demonstrations else tokens

    return Reading(
        question=tokens,
        warm_up=(tokens + shown) / 2 if some else tokens,
        respond=sum(of(one) for one in _readers(config)),
        justify=sum(of(one) for one in _judges(config)),
        tune=tokens,
        evaluate=tokens + (shown if config.evaluate_demonstrations else 0),
        largest=(_micro(propagation.warm_up) * (shown if some else tokens), _micro(config.tune) * tokens),
    )


def read(store: Store, version_id: int, config: Config, folder: Path, context: int) -> Reading:
    """Counted on records of this version with the tokenizer in `folder`. context: the longest prompt (tokens).

    Kept by version, folder and those settings that say what is read: a version's records never change. Raises UserError
    for an unusable template.
    """
    others = tuple((n, m) for n, m in models(config, folder).items() if n not in _OWN and n != config.model)
    return _read(_Known(store), version_id, _plain(config).model_dump_json(include=_READ), folder, context, others)


def _plain(config: Config) -> Config:
    """The config without what changes no prompt: names, temperatures and seeds of the collaborators."""
    settings = config.propagation
    idle = {"temperature": 0.0, "seed": 0}
    mine = tuple(one.model_copy(update={"name": f"{n}", **idle}) for n, one in enumerate(settings.collaborators))
    judge = settings.judge.model_copy(update={"name": "judge", **idle})
    propagation = settings.model_copy(update={"collaborators": mine, "judge": judge})
    return config.model_copy(update={"propagation": propagation})


def work_of(
    store: Store, version_id: int, config: Config, one: Collaborator, model: Model, judged: bool = False
) -> float:
    """Tokens times weights that `one` alone reads for a record, counted as in `read`. judged: it is the judge."""
    settings = config.propagation
    # Only how many others there are matters, and only to the judge.
    alike = [{"name": f"{n}"} for n in range(len(settings.collaborators) if judged else 1)]
    plain = config.model_dump(include=_READ, mode="json")
    plain["propagation"] |= {"collaborators": alike, "judge": {"name": "judge"}}
    who = one.model_copy(update={"name": "one", "seed": 0, "temperature": 0.0, "model": "base"})
    key = json.dumps(plain, sort_keys=True)
    return model.parameters * _asked(_Known(store), version_id, key, model, who, judged)


@dataclass(frozen=True)
class _Known:
    """A store as part of a key: two that are open in the same place are the same."""

    store: Store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self.store.where == other.store.where

    def __hash__(self) -> int:
        return hash(self.store.where)


@lru_cache(maxsize=64)
def _read(
    known: _Known, version_id: int, config: str, folder: Path, context: int, others: tuple[tuple[str, Model], ...]
) -> Reading:
    settings = Config.model_validate_json(config)
    found = _Counting(known.store, version_id, settings, reader(folder), context).reading()
    for name, model in others:
        counting = _Counting(known.store, version_id, settings, reader(model.folder), model.context)
        asked = counting.asked(counting.pool, [one for one in _readers(settings) if one.model == name])
        judge = [settings.propagation.judge] if settings.propagation.judge.model == name else []
        judged = counting.asked(counting.pool, judge, judged=True)
        found = replace(
            found,
            others=found.others + model.parameters * asked,
            other_judge=found.other_judge + model.parameters * judged,
        )
    return found


@lru_cache(maxsize=256)
def _asked(known: _Known, version_id: int, config: str, model: Model, one: Collaborator, judged: bool) -> float:
    counting = _counting(known, version_id, config, model)
    return counting.asked(counting.pool, [one], judged)


@lru_cache(maxsize=4)
def _counting(known: _Known, version_id: int, config: str, model: Model) -> _Counting:
    return _Counting(known.store, version_id, Config.model_validate_json(config), reader(model.folder), model.context)


def _own(config: Config, among: Sequence[Collaborator]) -> list[Collaborator]:
    """Those that ask the round's model."""
    return [one for one in among if one.model in _OWN or one.model == config.model]


def _readers(config: Config) -> list[Collaborator]:
    """The collaborators that a model on this machine answers for."""
    mine = config.propagation.collaborators
    return [one for one in mine if one.model not in VOTERS and not config.at_server(one.model)]


def _judges(config: Config) -> list[Collaborator]:
    return [] if config.at_server(config.propagation.judge.model) else [config.propagation.judge]


def _micro(tuning: Tuning) -> int:
    return min(tuning.micro_batch_size, tuning.batch_size)


class _Counting:
    """A sample of the version's records, and how its prompts are counted."""

    def __init__(self, store: Store, version_id: int, config: Config, words: Reader, context: int) -> None:
        self.task = versions.task_of(store, version_id)
        self.labeled, self.pool, self.test = (
            records.spread(store, version_id, split, SAMPLED) for split in ("labeled", "unlabeled", "test")
        )
        self.longest = records.longest(store, version_id, max(_micro(config.propagation.warm_up), _micro(config.tune)))
        self.config, self.words, self.context = config, words, context
        self.near = neighbours(self.labeled, [*self.labeled, *self.pool, *self.test], config.propagation.k)
        answers = [record.answer or "" for record in self.labeled[:200]]
        self.answers = words.ids(answers) or [()]
        self.trees: dict[tuple[str, ...], int] = {}

    def reading(self) -> Reading:
        propagation = self.config.propagation
        some = propagation.warm_up_demonstrations == "some" and propagation.k > 0
        alone, shown = Collaborator(name="alone", demonstrations=False), Collaborator(name="shown")
        ways = [alone, shown] if self.config.evaluate_demonstrations and propagation.k else [alone]
        learnt = self.examples(self.labeled, some)
        tuned = self.examples([*self.labeled, *self.pool], False)
        longest = self.examples(self.longest, some)
        return Reading(
            question=_mean([len(ids) for ids in self.words.ids([one.question for one in self.pool[:200]])]),
            warm_up=_batched(learnt, propagation.warm_up),
            respond=self.asked(self.pool, _own(self.config, _readers(self.config))),
            justify=self.asked(self.pool, _own(self.config, _judges(self.config)), judged=True),
            tune=_batched(tuned, self.config.tune),
            evaluate=sum(self.asked(self.test, [way]) for way in ways),
            largest=(
                _largest(learnt, longest, propagation.warm_up),
                _largest(tuned, self.examples(self.longest, False), self.config.tune),
            ),
        )

    def examples(self, of: Sequence[Record], some: bool) -> list[Tokens]:
        """Prompt and answer as training reads them; those that are too long for the model are left out."""
        ways = [False, True] if some else [False]
        prompts = self.words.prompts([self.messages(record, shown) for record in of for shown in ways])
        whole = [prompt + self.answers[i % len(self.answers)] for i, prompt in enumerate(prompts)]
        return [ids for ids in whole if len(ids) <= self.context]

    def asked(self, of: Sequence[Record], by: Sequence[Collaborator], judged: bool = False) -> float:
        """Tokens for a record that all of `by` answer. Chunk by chunk, as `method.conversations` asks them."""
        near = self.near if any(one.demonstrations for one in by) else None
        parts = [chunk for _, chunk in chunks(of, near)]
        parts = parts[:: max(1, len(parts) // _CHUNKS)][:_CHUNKS]
        of_models = [[one for one in by if one.model == model] for model in {one.model for one in by}]
        total = sum(self.of_chunk(chunk, group, judged) for chunk in parts for group in of_models)
        return total / max(1, sum(map(len, parts)))

    def of_chunk(self, chunk: Sequence[Record], by: Sequence[Collaborator], judged: bool) -> int:
        """Tokens of one model's questions about these records; the same question is read once."""
        questions = {
            self.messages(record, one.demonstrations, one.variant == "bare", judged): allowed_answers(self.task, record)
            for record in chunk
            for one in by
        }
        prompts = [ids[: self.context] for ids in self.words.prompts(list(questions))]
        return passed(prompts, [self.answer_tokens(allowed) for allowed in questions.values()], CPU_BUDGET)

    def answer_tokens(self, allowed: tuple[str, ...]) -> int:
        """Tokens read after a prompt: the inner nodes of the tree of allowed answers, or what is written freely."""
        if not allowed:
            return round(_mean([len(ids) for ids in self.answers])) + 1
        if allowed not in self.trees:
            self.trees[allowed] = len({ids[:depth] for ids in self.words.ids(allowed) for depth in range(1, len(ids))})
        return self.trees[allowed]

    def messages(self, record: Record, shown: bool, bare: bool = False, judged: bool = False) -> tuple[Message, ...]:
        collaborators = self.config.propagation.collaborators
        allowed = allowed_answers(self.task, record) or [one.answer or "" for one in self.labeled[:20]]
        return render(
            self.task,
            record,
            by_similarity(self.near.get(record.id, ())) if shown else (),
            candidates=[allowed[i % len(allowed)] for i in range(len(collaborators))] if judged and allowed else (),
            variant="bare" if bare else "standard",
            rule_first=self.config.rule_first,
        )


def neighbours(labeled: Sequence[Record], queries: Sequence[Record], k: int) -> Mapping[str, Sequence[Demonstration]]:
    """Record id -> the k labeled records that share most words with it, never itself: they stand for the run's own
    demonstrations, which an embedder finds later, and repeat themselves about as often."""
    if not k or not labeled:
        return {}
    known, asked = _words(labeled), _words(queries)
    place = {record.id: i for i, record in enumerate(labeled)}
    found = {}
    for record, vector in zip(queries, asked, strict=True):
        alike = known @ vector
        if record.id in place:
            alike[place[record.id]] = -1
        nearest = [i for i in np.argsort(-alike, kind="stable")[:k].tolist() if alike[i] >= 0]
        found[record.id] = [Demonstration(labeled[i], float(alike[i])) for i in nearest]
    return found


def _words(of: Sequence[Record]) -> np.ndarray:
    """Unit vectors of hashed words, float32[n, _HASHED]."""
    vectors = np.zeros((len(of), _HASHED), np.float32)
    for vector, record in zip(vectors, of, strict=True):
        for word in record.question.lower().split():
            vector[zlib.crc32(word.encode("utf-8", "replace")) % _HASHED] += 1
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1)


def _batched(examples: Sequence[Tokens], tuning: Tuning) -> float:
    """Tokens of an example in a batch."""
    return sum(map(_size, _batches(examples, tuning))) / max(1, len(examples))


def _largest(examples: Sequence[Tokens], longest: Sequence[Tokens], tuning: Tuning) -> int:
    """Tokens of the largest batch: that of the version's longest records, if it is larger than those of the sample."""
    return max(map(_size, [*_batches(examples, tuning), sorted(longest, key=len)[-_micro(tuning) :]]), default=0)


def _batches(examples: Sequence[Tokens], tuning: Tuning) -> list[list[Tokens]]:
    """As `engines.training.batches.order` cuts them: in groups of similar length."""
    found, size = [], _micro(tuning)
    for start in range(0, len(examples), _GROUPED_BATCHES * tuning.batch_size):
        group = sorted(examples[start : start + _GROUPED_BATCHES * tuning.batch_size], key=len, reverse=True)
        found += [group[i : i + size] for i in range(0, len(group), size)]
    return found


def _size(batch: Sequence[Tokens]) -> int:
    return Shared(batch, [0] * len(batch)).tokens(0, len(batch)) if batch else 0


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / max(1, len(numbers))
