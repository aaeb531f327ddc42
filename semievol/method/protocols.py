"""The two protocols through which the method meets the world: `Engine` answers and trains, `Journal` remembers.

`evolve` is written against these only. Engines implement the first, the store the second; the two never meet.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from semievol.config import Config, Policy, Tuning, Voter
from semievol.records import Candidate, Demonstration, Exactness, Example, Message, Origin, Record, Response, Task
from semievol.selection.freezing import Accepted, Considered


class Stopped(Exception):
    """Somebody asked the run to stop; what is finished is saved."""


@dataclass(frozen=True)
class Ask:
    """One question to one model.

    model: "base", an adapter's folder, or the name of another model.
    identity: what stands for the model in `input_hash`, so that it does not depend on where an adapter lies on disk.
    allowed: the allowed answers, to be scored; empty asks for a generated answer.
    temperature, seed: for generated answers only; scored answers are returned as untempered probabilities.
    left_out: demonstrations that are not shown, the least similar ones, since the model could not read them all.
    too_long: the model cannot read the question even alone, so that it is not asked.
    """

    record_id: str
    collaborator: str
    model: str
    messages: tuple[Message, ...]
    allowed: tuple[str, ...] = ()
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 64
    identity: str = ""
    left_out: int = 0
    too_long: bool = False

    @property
    def input_hash(self) -> str:
        """SHA-256 (32 hex digits) over everything that decides the reply."""
        parts: list[Any] = [self.identity or self.model, [(m.role, m.content) for m in self.messages], self.allowed]
        parts += [self.temperature, self.seed, self.max_tokens]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Reply:
    """What a model gave back; fields as in `Response`."""

    text: str
    probabilities: tuple[float, ...] = ()
    mass: float | None = None
    token_logprobs: tuple[float, ...] = ()
    token_entropies: tuple[float, ...] = ()
    exactness: Exactness = "exact"


@dataclass(frozen=True)
class Lesson:
    """One fine-tuning to be done: on what, from where, with which settings, into which folder.

    start: adapter folder to continue from; None starts a fresh adapter on the base model.
    held_out: examples whose loss is only watched.
    """

    examples: Sequence[Example]
    settings: Tuning
    folder: Path
    seed: int
    start: str | None = None
    held_out: Sequence[Example] = ()


class Engine(Protocol):
    """Something that can embed, answer and be trained. `LocalEngine` is torch, the tests' fake is a dozen lines."""

    @property
    def control_tokens(self) -> Sequence[str]:
        """The model's own special tokens, which must not reach it out of data."""

    def neighbours(
        self, labeled: Sequence[Record], queries: Sequence[Record], k: int, embedder: str
    ) -> list[list[Demonstration]]:
        """For every query the `k` most similar labeled records, most similar first, never one of equal content."""

    def embed(self, records: Sequence[Record], embedder: str) -> np.ndarray:
        """Unit vectors of the records' texts, float32[n, d], by the embedder that `neighbours` would use."""

    def fits(self, ask: Ask) -> bool:
        """Whether the ask's model has room for the prompt and its answer."""

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """Replies in the order of `asks`. The numbers do not depend on what else stands in the call (fp32)."""

    def vote(
        self,
        labeled: Sequence[Record],
        queries: Sequence[Record],
        allowed: Sequence[Sequence[str]],
        embedder: str,
        how: Voter,
    ) -> list[Reply]:
        """Answers by the embedder's vectors and the labeled records' answers alone, no language model.

        how: "neighbours", a vote of the nearest, weighted by similarity, or "regression", a logistic one. allowed: per
        query, the texts that may be voted for, to all of which the reply gives a probability above 0; none allows any
        ("neighbours" only) and the reply has no probabilities. A query of a labeled record's content is answered
        without that record. An empty text: nobody voted for what is allowed.
        """

    def train(
        self,
        lesson: Lesson,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
    ) -> str:
        """Trains and returns the finished adapter's folder; continues from `lesson.folder`'s newest complete
        checkpoint. Raises `Stopped` after having kept a usable adapter when `stopping()` turns true."""


@dataclass(frozen=True)
class Frozen:
    """A frozen selection: the accepted answers with where each came from (pseudo or expert)."""

    number: int
    policy: Policy | None
    answers: Mapping[str, str]
    origins: Mapping[str, Origin] = field(default_factory=dict)


class Journal(Protocol):
    """What `evolve` tells the world and asks it. Responses are keyed by (record_id, collaborator, input_hash)."""

    def progress(self, stage: str, done: int, total: int) -> None: ...
    def metric(self, stage: str, name: str, step: int, value: float) -> None: ...
    def event(self, stage: str, text: str) -> None: ...
    def stopping(self) -> bool: ...

    def folder(self, stage: str) -> Path:
        """Where this stage's adapter belongs: per round for warm_up, per run for tune."""

    def adapter(self, stage: str) -> str | None:
        """The finished adapter of `warm_up` (this round) or `tune` (this run), if there is one."""

    def save_adapter(self, stage: str, path: str) -> None: ...

    def fold_adapters(self) -> dict[int, str]:
        """Fold -> its warm-up adapter, of those that are finished (see `crossfit`)."""

    def save_fold_adapter(self, fold: int, path: str) -> None: ...

    def demonstrations(self) -> dict[str, list[tuple[str, float]]]:
        """Record id -> (labeled record id, similarity), most similar first, of this round."""

    def save_demonstrations(self, found: Mapping[str, Sequence[tuple[str, float]]]) -> None: ...

    def shift(self) -> Mapping[str, Any] | None:
        """How labeled and unlabeled texts compare in this round (`shift.TextShift`), where that was looked at."""

    def save_shift(self, found: Mapping[str, Any]) -> None: ...

    def weights(self) -> Mapping[str, Any] | None:
        """What the collaborators of this round earned (`earning.settled`), where that was looked at."""

    def save_weights(self, found: Mapping[str, Any]) -> None: ...

    def answered(self, stage: str) -> set[tuple[str, str, str]]:
        """Keys of the responses that are already stored for this round and stage."""

    def responses(self, stage: str) -> list[Response]: ...
    def save_responses(self, stage: str, responses: Sequence[Response]) -> None: ...
    def save_candidates(self, candidates: Iterable[Candidate]) -> None: ...

    def considered(self) -> Considered:
        """What the round holds now for a selection: candidates with the decisions on them, calibration, reviews.

        The hidden gold of the pool is not among it.
        """

    def selection(self) -> Frozen | None:
        """The round's selection that `tune` is to use: the one asked for, else the newest; None if none is frozen."""

    def freeze(self, policy: Policy, work: Callable[[], Accepted]) -> Frozen:
        """The next numbered selection; a run that used one before, or was asked to use one, gets that one back.

        work: finds what is accepted, and writes nothing; asked again where a decision was saved meanwhile.
        """

    def predictions(self, model: str) -> list[Response]:
        """Test-set answers already stored by this run for one of `compared.ROWS`. A run that only evaluates begins
        with those of the run that made the model."""

    def save_predictions(self, model: str, responses: Sequence[Response]) -> None: ...
    def save_evaluation(self, evaluation: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Plan:
    """Everything `evolve` works on: the task, the settings, the records by split, and where the round starts.

    round_number, seed: key all random draws. parent: the parent round's evolved adapter, None in the first round.
    learn_from: unlabeled records that are not to be answered here, but that voters may learn from (cross-fitting).
    spent: content hashes of what earlier rounds accepted; evidence neither counts nor uses them
    (docs/evidence.md, Later rounds).
    """

    task: Task
    config: Config
    labeled: Sequence[Record]
    unlabeled: Sequence[Record]
    calibration: Sequence[Record] = ()
    test: Sequence[Record] = ()
    round_number: int = 1
    parent: str | None = None
    learn_from: Sequence[Record] = ()
    spent: frozenset[str] = frozenset()
