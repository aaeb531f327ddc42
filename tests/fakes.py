"""Small stand-ins for the method's two protocols: an engine that counts words, a journal in memory."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from semievol.config import Voter
from semievol.endpoints import is_endpoint, name_of
from semievol.method.conversations import CHUNK
from semievol.method.protocols import Ask, Called, Listener, OutOfBudget, Plan, Reply, Stopped, TrainingSetup
from semievol.method.spending import Purse, Spent
from semievol.records import Cost, Decision, Demonstration, Example, Record, Response
from semievol.selection.decisions import standing_decision
from semievol.selection.summary import Considered
from semievol.study import journal


class FakeEngine:
    """Answers with the allowed answer that demonstrations favour; every model has a taste made from its name.

    reads: most characters of a prompt that it can read.
    """

    control_tokens = ("<|end|>",)
    chunk = CHUNK

    def __init__(self, break_after: int | None = None, reads: int = 1_000_000) -> None:
        self.asked: list[Ask] = []
        self.called: list[Ask] = []
        self.silent: set[tuple[str, str]] = set()
        self.reads = reads
        self.trained: list[tuple[Sequence[Example], TrainingSetup]] = []
        self.tuned_on: list[list[str]] = []
        self._left = break_after

    def neighbours(
        self, labeled: Sequence[Record], queries: Sequence[Record], k: int, embedder: str
    ) -> list[list[Demonstration]]:
        def similarity(a: Record, b: Record) -> float:
            left, right = set(a.question.split()), set(b.question.split())
            return len(left & right) / max(len(left | right), 1)

        found = []
        for query in queries:
            near = [Demonstration(r, similarity(query, r)) for r in labeled if r.content_hash != query.content_hash]
            found.append(sorted(near, key=lambda d: (-d.similarity, d.record.id))[:k])
        return found

    def embed(self, records: Sequence[Record], embedder: str) -> np.ndarray:
        vectors = np.zeros((len(records), 64), dtype=np.float32)
        for row, record in enumerate(records):
            for word in record.question.split():
                vectors[row, hashlib.sha256(word.encode()).digest()[0] % 64] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    def places(self, vectors: np.ndarray, seed: int, progress: Callable[[int, int], None]) -> np.ndarray:
        """The first two numbers of each vector."""
        progress(1, 1)
        return vectors[:, :2]

    def vote(
        self,
        labeled: Sequence[Record],
        queries: Sequence[Record],
        allowed: Sequence[Sequence[str]],
        embedder: str,
        how: Voter,
    ) -> list[Reply]:
        """The three most similar labeled records vote; for a regression all of them do."""
        near = self.neighbours(labeled, queries, 3 if how == "neighbours" else len(labeled), embedder)
        replies = []
        for shown, may in zip(near, allowed, strict=True):
            votes: dict[str, float] = defaultdict(float)
            for demonstration in shown:
                votes[demonstration.record.answer or ""] += 0.01 + demonstration.similarity
            if not may:
                replies.append(Reply(text=max(votes, key=lambda answer: votes[answer]), exactness="absent"))
                continue
            total = sum(votes[answer] + 0.1 for answer in may)
            probabilities = tuple((votes[answer] + 0.1) / total for answer in may)
            replies.append(Reply(may[probabilities.index(max(probabilities))], probabilities))
        return replies

    def tune_embedder(
        self,
        labeled: Sequence[Record],
        embedder: str,
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
    ) -> str:
        """Remembers the records, and changes no vector."""
        self.tuned_on.append([record.content_hash for record in labeled])
        progress(1, 1)
        return f"tuned {embedder}"

    def verify(self, known: np.ndarray, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """The share of right ones among the three known candidates that are described most alike."""
        known, asked = np.nan_to_num(known), np.nan_to_num(asked)
        apart = ((asked[:, None] - known[None]) ** 2).sum(axis=2)
        return np.array([(1 + right[np.argsort(row, kind="stable")[:3]].sum()) / 5 for row in apart])

    def fits(self, ask: Ask) -> bool:
        return is_endpoint(ask.model) or sum(len(turn.content) for turn in ask.messages) <= self.reads

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        assert all(self.fits(ask) for ask in asks), "asked what it cannot read"
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise ConnectionError("pulled the plug")
        self.asked += asks
        return [replace(self._reply(ask), cost=self._cost(ask)) for ask in asks]

    def _cost(self, ask: Ask) -> Cost:
        """Half a second each, and a token for every word that it reads."""
        return Cost(1, 0.5, sum(len(turn.content.split()) for turn in ask.messages), 1)

    def call(
        self,
        asks: Iterable[Ask],
        purse: Purse,
        took: Callable[[Sequence[Called]], None],
        stopping: Callable[[], bool],
        said: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """One question after the other, each for a price of 1; `silent` holds those that get no answer."""
        for ask in asks:
            if stopping():
                raise Stopped
            if not purse.set_aside(1.0):
                raise OutOfBudget(purse.out())
            self.called.append(ask)
            answered = (ask.record_id, ask.collaborator) not in self.silent
            spent = Spent(answers=int(answered), tries=1, input_tokens=10, cost=float(answered))
            purse.settle(1.0, name_of(ask.model), spent)
            reason = "" if answered else "the server was silent"
            took([Called(ask, self._reply(ask) if answered else None, name_of(ask.model), spent, reason)])

    def _reply(self, ask: Ask) -> Reply:
        votes = Counter(turn.content for turn in ask.messages if turn.role == "assistant")
        if not ask.allowed:
            return Reply(text=f"about {ask.messages[-1].content[:9]}", token_logprobs=(-0.5,), token_entropies=(0.4,))
        weights = []
        for answer in ask.allowed:
            taste = hashlib.sha256(f"{ask.identity}/{ask.record_id}/{answer}".encode()).digest()[0] / 255
            weights.append(0.05 + votes[answer] + taste)
        total = sum(weights)
        probabilities = tuple(weight / total for weight in weights)
        best = ask.allowed[probabilities.index(max(probabilities))]
        return Reply(text=best, probabilities=probabilities, mass=0.9)

    def train(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        metric: Callable[[str, int, float], None],
        progress: Callable[[int, int], None],
        stopping: Callable[[], bool],
        held_out: Sequence[Example] = (),
    ) -> str:
        self.trained.append((examples, setup))
        for step in range(1, 4):
            metric("loss", step, 1 / step)
            progress(step, 3)
        return str(setup.folder / "adapter")

    def have_tuned(
        self,
        examples: Sequence[Example],
        setup: TrainingSetup,
        purse: Purse,
        listener: Listener,
        held_out: Sequence[Example] = (),
    ) -> str:
        """For a price of 10, as a model that is called after the number of its examples."""
        if not purse.set_aside(10.0):
            raise OutOfBudget(purse.out("fine-tuning"))
        self.train(examples, setup, listener.metric, listener.progress, listener.stopping, held_out)
        purse.settle(10.0, "far", Spent(trained_tokens=100, cost=10.0))
        listener.kept()
        listener.said("The fine-tuning is done.")
        return f"endpoint:far/tuned-{len(examples)}"


class MemoryJournal(journal.MemoryJournal):
    """Also keeps what is told of the progress, takes decisions, and asks to stop after `stop_after` chunks of
    responses.

    plan: whose records it knows, where a selection is to be made.
    """

    def __init__(self, plan: Plan | None = None, stop_after: int | None = None) -> None:
        super().__init__(plan, Path("memory"))
        self.decided: dict[str, list[Decision]] = {}
        self.steps: list[tuple[str, int, int]] = []
        self.metrics: list[tuple[str, str, int, float]] = []
        self.events: list[tuple[str, str]] = []
        self.costs: dict[tuple[str, str], Cost] = {}
        self.stop_after = stop_after

    def progress(self, stage: str, done: int, total: int) -> None:
        self.steps.append((stage, done, total))

    def metric(self, stage: str, name: str, step: int, value: float) -> None:
        self.metrics.append((stage, name, step, value))

    def event(self, stage: str, text: str) -> None:
        self.events.append((stage, text))

    def stopping(self) -> bool:
        return self.stop_after is not None and self.stop_after <= 0

    def save_responses(
        self,
        stage: str,
        responses: Sequence[Response],
        costs: Mapping[str, Cost] | None = None,
        spent: Mapping[str, Spent] | None = None,
    ) -> None:
        keys = {(response.record_id, response.collaborator, response.input_hash) for response in responses}
        assert not keys & set(self.kept[stage]), "asked and stored twice"
        super().save_responses(stage, responses, costs, spent)
        for name, cost in (costs or {}).items():
            self.costs[stage, name] = self.costs.get((stage, name), Cost()) + cost
        if self.stop_after is not None:
            self.stop_after -= 1

    def considered(self) -> Considered:
        found = super().considered()
        for table in (found.pool, found.calibration):
            for i, content, answer in zip(table.index, table["content_hash"], table["answer"], strict=True):
                if (decided := standing_decision(self.decided.get(content, ()), answer)) is not None:
                    table.loc[i, ["decision", "decided_answer"]] = [decided.action, decided.answer]
        return found
