"""A small project that has a round and a running run, and the values its tests write."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semievol.config import Config, Policy
from semievol.presets import load
from semievol.records import Candidate, Origin, Record, Response, Task
from semievol.selection.summary import Selection
from semievol.store.data import projects, versions
from semievol.store.database import Store
from semievol.store.decisions.selections import write_selection
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal

TASK = Task("classification", ("road", "water", "waste"))


@dataclass
class World:
    """A project with data, its round, and a running run whose owner is this process."""

    store: Store
    project: projects.Project
    round: rounds.Round
    run: runs.Run
    config: Config

    @property
    def journal(self) -> StoreJournal:
        return StoreJournal(self.store, self.run)

    def again(self) -> runs.Run:
        """The run is taken from its worker and claimed anew."""
        claims.finish(self.store, self.run.id, runs.get_run(self.store, self.run.id).attempt, "interrupted")
        runs.resume(self.store, self.run.id)
        return claims.claim(self.store, self.run.id, os.getpid())


def records() -> list[Record]:
    """Six labeled, eight unlabeled, three test records."""
    return [
        *(Record(f"l{i}", f"labeled question {i}", (), TASK.labels[i % 3], "labeled", i) for i in range(6)),
        *(Record(f"u{i}", f"pool question {i}", (), None, "unlabeled", i) for i in range(8)),
        *(Record(f"t{i}", f"test question {i}", (), TASK.labels[i], "test", i) for i in range(3)),
    ]


def response(record_id: str, collaborator: str = "one", answer: str | None = "road", input_hash: str = "h") -> Response:
    return Response(record_id, collaborator, answer or "?", answer, (0.7, 0.2, 0.1), 0.9, input_hash=input_hash)


def candidate(record_id: str, answer: str | None = "road", value: float = 0.5, agreed: bool = True) -> Candidate:
    return Candidate(record_id, answer, agreed, {"answer_nll": value, "vote_entropy": 0.0}, justified=not agreed)


def candidates(ids: Sequence[str], answer: str = "road") -> list[Candidate]:
    return [candidate(record_id, answer, value=i / 10) for i, record_id in enumerate(ids)]


def make_world(store: Store) -> World:
    project = projects.create_project(store, "Service line", TASK)
    gold = {f"u{i}": TASK.labels[i % 3] for i in range(8)}
    versions.store_version(store, project.id, records(), gold, [], [], TASK)
    config = load("studio")
    round_ = rounds.open_round(store, project.id, config)
    run = claims.claim(store, runs.enqueue(store, round_.id, config).id, os.getpid())
    return World(store, projects.find_project(store, project.id), round_, run, config)


def propagated(world: World) -> World:
    """The pool has candidates u0 to u7, `road` with growing doubt; u3 was disputed and says `water`."""
    journal = world.journal
    journal.save_demonstrations(
        {f"u{i}": [("l1", 0.9 - i / 10), ("l2", 0.1)] for i in range(8)} | {"l0": [("l1", 0.3)]}
    )
    said = [response(f"u{i}", name) for i in range(8) for name in ("one", "two")]
    journal.save_responses("respond", [*said, response("l0", "one", "road")])
    journal.save_responses("justify", [response("u3", "judge", "water")])
    found = candidates([f"u{i}" for i in range(8)])
    found[3] = candidate("u3", "water", value=0.35, agreed=False)
    journal.save_candidates([*found, candidate("l0")])
    return world


def freeze(
    store: Store,
    round_id: int,
    policy: Policy | None,
    answers: Mapping[str, str],
    origins: Mapping[str, Origin] | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> Selection:
    """Freezes these answers, whatever a policy accepts."""
    with store.write() as connection:
        return write_selection(connection, round_id, Selection(policy, answers, origins or {}, evidence))
