"""The two protocols that the method is written against: `Engine` answers and trains, `Journal` stores.

`semievol.engines` implements the first, `semievol.store` the second; these two do not know each other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from semievol.config import Config, Voter
from semievol.errors import UserError
from semievol.method.spending import Purse, Spent
from semievol.records import Candidate, Cost, Demonstration, Exactness, Example, Message, Record, Response, Task
from semievol.selection.summary import Considered, Selection
from semievol.tuning import Tuning


class Stopped(Exception):
    """Somebody asked the run to stop; finished work is saved."""


class OutOfBudget(Stopped):
    """A further question to an endpoint could exceed the run's budget; finished work is saved."""

    def __init__(self, reason: UserError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True)
class Ask:
    """One question to one model.

    model: "base", an adapter's folder, or the name of another model, also "endpoint:NAME" and the address of a model
    that was fine-tuned there.
    identity: stands for the model in `input_hash`, so that the hash does not depend on the place of an adapter on disk.
    allowed: the allowed answers, to be scored; if empty, an answer is generated.
    temperature, seed: for generated answers only; scored answers are returned as untempered probabilities.
    left_out: number of demonstrations, the least similar ones, that are not shown because the prompt was too long.
    too_long: the question alone is too long for the model; it is then not asked.
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
        """SHA-256 (first 32 hex digits) over everything that the reply depends on."""
        parts: list[Any] = [self.identity or self.model, [(m.role, m.content) for m in self.messages], self.allowed]
        parts += [self.temperature, self.seed, self.max_tokens]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Reply:
    """A model's answer to one `Ask`; fields as in `Response`. cost: None where it is not known."""

    text: str
    probabilities: tuple[float, ...] = ()
    mass: float | None = None
    token_logprobs: tuple[float, ...] = ()
    token_entropies: tuple[float, ...] = ()
    exactness: Exactness = "exact"
    cost: Cost | None = field(default=None, compare=False)


class Called(NamedTuple):
    """How a question to an endpoint ended. reply: None where no answer came. endpoint: its name. spent: what the
    question took. reason: why no answer came, a clause."""

    ask: Ask
    reply: Reply | None
    endpoint: str
    spent: Spent
    reason: str = ""


@dataclass(frozen=True)
class TokenCleaning:
    """Which tokens of accepted pseudo-labels are left out of the loss: the `share` of them whose log-probability the
    adapter in the folder `reference` raised least over the base."""

    share: float
    reference: str


@dataclass(frozen=True)
class TrainingSetup:
    """How a fine-tuning is done, and where its checkpoints and its adapter are written.

    start: adapter folder to continue from; None starts a fresh adapter on the base model.
    """

    settings: Tuning
    folder: Path
    seed: int
    start: str | None = None
    cleaning: TokenCleaning | None = None


@dataclass(frozen=True)
class Listener:
    """Who follows a fine-tuning at a server. metric, progress: are told the numbers that the server gives. stopping:
    whether somebody asks to stop. said: is told in sentences how it goes. kept: is called once the purse has what it
    took, to save that."""

    metric: Callable[[str, int, float], None]
    progress: Callable[[int, int], None]
    stopping: Callable[[], bool]
    said: Callable[[str], None]
    kept: Callable[[], None]


class Engine(Protocol):
    """Embeds texts, answers questions, trains. `LocalEngine` does it with torch, the tests' fake in a few lines."""

    @property
    def control_tokens(self) -> Sequence[str]:
        """The model's own special tokens; text from data must not contain them."""

    def neighbours(
        self, labeled: Sequence[Record], queries: Sequence[Record], k: int, embedder: str
    ) -> list[list[Demonstration]]:
        """For every query the `k` most similar labeled records, most similar first, never one of equal content."""

    def embed(self, records: Sequence[Record], embedder: str) -> np.ndarray:
        """Unit vectors of the records' texts, float32[n, d], by the embedder that `neighbours` would use."""

    def places(self, vectors: np.ndarray, seed: int, progress: Callable[[int, int], None]) -> np.ndarray:
        """Two coordinates from -1 to 1 for every vector of `embed`, float32[n, 2]; alike texts lie close together.

        progress: is told how much of the work is done, and how much there is.
        """

    @property
    def chunk(self) -> int:
        """How many records to ask about in one call of `answer`, so that the batches of this device are full."""

    def fits(self, ask: Ask) -> bool:
        """Whether the ask's model has room for the prompt and its answer."""

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """Replies in the order of `asks`, none of which is to an endpoint. In fp32 no reply depends on the other asks
        of the call."""

    def call(
        self,
        asks: Iterable[Ask],
        purse: Purse,
        took: Callable[[Sequence[Called]], None],
        stopping: Callable[[], bool],
        said: Callable[[str], None] = ...,
    ) -> None:
        """Puts questions to endpoints, several at once; `took` is given how they ended, as they end.

        asks: taken one by one as there is room. purse: is told what every question takes. said: is told in sentences
        what goes on at a server that answers later. When `stopping()` is true, no
        further question is put, those under way may end, and `Stopped` is raised; likewise `OutOfBudget` where the
        purse allows no further one. Raises UserError where a server cannot be used at all.
        """

    def vote(
        self,
        labeled: Sequence[Record],
        queries: Sequence[Record],
        allowed: Sequence[Sequence[str]],
        embedder: str,
        how: Voter,
    ) -> list[Reply]:
        """Replies from the embedder's vectors and the labeled records' answers alone, without a language model.

        how: "neighbours" (the nearest vote, weighted by similarity) or "regression" (a logistic one).
        allowed: for every query the texts that may be voted for; the reply gives each a probability above 0. An empty
        list allows any text ("neighbours" only), and the reply then has no probabilities.
        A labeled record has no vote about a query of equal content. The reply's text is empty if no vote was for an
        allowed text.
        """

    def tune_embedder(
        self,
        labeled: Sequence[Record],
        embedder: str,
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
    ) -> str:
        """Fine-tunes an embedder to tell the labels apart; returns the name under which `vote` finds it.

        labeled: records of at least two answers; for the same ones it is done once. progress: is told the updates done,
        and how many there are. Raises `Stopped` when `stopping()` is true, and UserError where the embedder cannot be
        fine-tuned.
        """

    def verify(self, known: np.ndarray, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Probability of being right, float[m], of candidates described by `asked`, float[m, d]; learned from `known`,
        float[n, d], and whether those are `right`, bool[n], with both values among them. NaN: not known."""

    def train(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
        held_out: Sequence[Example] = (),
    ) -> str:
        """Trains and returns the finished adapter's folder; continues from `setup.folder`'s newest complete checkpoint.
        When `stopping()` is true, saves a usable adapter and raises `Stopped`.

        held_out: examples whose loss is measured, but which are not trained on.
        """

    def have_tuned(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        purse: Purse,
        listener: Listener,
        held_out: Sequence[Example] = (),
    ) -> str:
        """Has the server of the base model fine-tune, where the base is an endpoint; returns the model's address.

        Of the settings the server gets the epochs, in whole ones, and the seed. setup.folder: for a note, by which a
        stopped or killed run finds what it has begun. setup.start: address of the model to start from. purse: is told
        what it takes. held_out: as in `train`. When somebody asks to stop, the fine-tuning goes on at the server, and
        `Stopped` is raised; `OutOfBudget` where the purse does not allow it.
        """


class Journal(Protocol):
    """Stores what `evolve` finds and gives it back. Responses are keyed by (record_id, collaborator, input_hash)."""

    def progress(self, stage: str, done: int, total: int) -> None: ...
    def metric(self, stage: str, name: str, step: int, value: float) -> None: ...
    def event(self, stage: str, text: str) -> None: ...
    def stopping(self) -> bool: ...

    def folder(self, stage: str) -> Path:
        """The folder of this stage's adapter: one per round for warm_up, one per run for tune."""

    def adapter(self, stage: str) -> str | None:
        """The finished adapter of `warm_up` (this round) or `tune` (this run), if there is one: its folder, or the
        address of a model that a server has fine-tuned."""

    def save_adapter(self, stage: str, path: str) -> None: ...

    def fold_adapters(self) -> dict[int, str]:
        """Fold -> its finished warm-up adapter (see `crossfit`)."""

    def save_fold_adapter(self, fold: int, path: str) -> None: ...

    def demonstrations(self) -> dict[str, list[tuple[str, float]]]:
        """Record id -> (labeled record id, similarity), most similar first, of this round."""

    def save_demonstrations(self, found: Mapping[str, Sequence[tuple[str, float]]]) -> None: ...

    def mapped(self) -> bool:
        """Whether the records of this round have their places on the map."""

    def save_map(self, found: Mapping[str, tuple[float, float]]) -> None:
        """found: record id -> two coordinates, of records that have their demonstrations."""

    def shift(self) -> Mapping[str, Any] | None:
        """How labeled and unlabeled texts compare in this round (`shift.TextShift`); None if not yet tested."""

    def save_shift(self, found: Mapping[str, Any]) -> None: ...

    def weights(self) -> Mapping[str, Any] | None:
        """The collaborators' weights in this round (see `earned_weights.fit`); None if not yet fitted."""

    def save_weights(self, found: Mapping[str, Any]) -> None: ...

    def answered(self, stage: str) -> set[tuple[str, str, str]]:
        """Keys of the responses that are already stored for this round and stage."""

    def responses(self, stage: str, of: Sequence[str] | None = None) -> list[Response]:
        """of: only those to the records with these ids."""

    def save_responses(
        self,
        stage: str,
        responses: Sequence[Response],
        costs: Mapping[str, Cost] | None = None,
        spent: Mapping[str, Spent] | None = None,
    ) -> None:
        """A response of a voter takes the place of an earlier one to the same record: its input is what all others say,
        and that may change. Other responses are never changed.

        costs: collaborator -> what these responses took, of those where that is known; added to what earlier ones took.
        spent: what the run has spent on endpoints until now; saved together with them."""

    def spent(self) -> dict[str, Spent]:
        """Endpoint -> what this run has spent there in all of its attempts."""

    def save_candidates(self, candidates: Iterable[Candidate]) -> None: ...

    def considered(self) -> Considered:
        """The round's candidates with the decisions on them, its calibration records and reviews.

        Hidden gold of unlabeled records is not included.
        """

    def selection(self) -> Selection | None:
        """The selection that `tune` uses: the one that the run names, else the round's newest, else None."""

    def freeze(self, work: Callable[[], Selection]) -> Selection:
        """Freezes what is accepted under the next number. A run that names or already used a selection gets that one.

        work: finds what is accepted and writes nothing; called again if a decision was saved meanwhile.
        """

    def predictions(self, model: str) -> list[Response]:
        """Test answers already stored by this run for one of `comparison.ROWS`. A run that only evaluates begins with
        those of the run that trained the model."""

    def save_predictions(self, model: str, responses: Sequence[Response]) -> None: ...
    def save_evaluation(self, evaluation: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Plan:
    """Everything `evolve` works on: the task, the settings, the records by split, and where the round starts.

    round_number: part of the key of every random draw. parent: the parent round's evolved adapter, None in the first
    round. learn_from: unlabeled records that get no answer here, but from which voters may learn (cross-fitting).
    spent: content hashes of records that earlier rounds accepted; evidence leaves them out (docs/evidence.md, Later
    rounds). tuned_on: labeled records on which the voters' second embedder is fine-tuned; without any they have none.
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
    tuned_on: Sequence[Record] = ()
