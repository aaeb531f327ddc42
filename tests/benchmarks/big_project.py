"""A workspace with one large finished project, named `big`, for measuring the pages on it.

    python -m tests.benchmarks.big_project --home DIR [--records 100000] [--json]

Calls to a city's service line, eight classes; everything goes through the store's own functions and the method's own
stages, except that four collaborators and a judge answer by drawn probabilities instead of by a model. Some 15 % of the
candidates are wrong, the less often the more confident they are. Refuses a workspace that holds a project `big`.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from semievol.jobs.planning import make_plan, open_round
from semievol.method import confidence
from semievol.method.evolve import evolve
from semievol.method.protocols import Plan
from semievol.records import Candidate, Demonstration, Record, Response, Split, Task
from semievol.store.data import projects, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store, open_store
from semievol.store.decisions import decisions, selections
from semievol.store.results import results
from semievol.store.runs import claims, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.rounds import Round
from semievol.task.answers import allowed_answers
from semievol.ui.shell import policies, state
from tests.benchmarks.printed import finish, table
from tests.benchmarks.service_calls import LABELS, SHARES, call
from tests.ui.made import KnowingEngine

NAME = "big"
SEED = 7
LABELED, TEST, DECISIONS = 800, 400, 500
SETTINGS = {"calibration": 0.25, "calibration_minimum": 20}
COLLABORATORS = (  # name, model, with demonstrations, temperature, how well it knows the task
    ("warm-up, demonstrations", "warm_up", True, 0.0, 5.4),
    ("warm-up, demonstrations, T = 1", "warm_up", True, 1.0, 5.4),
    ("warm-up alone", "warm_up", False, 0.0, 5.0),
    ("base, demonstrations", "base", True, 0.0, 4.4),
)
CHUNK = 5_000
REVIEWERS = ("Ada", "Grace")


class DrawnEngine(KnowingEngine):
    """Finds demonstrations of the true class for most records; trains in no time and answers the test set knowingly."""

    def neighbours(
        self, labeled: Sequence[Record], queries: Sequence[Record], k: int, embedder: str
    ) -> list[list[Demonstration]]:
        chance = random.Random(SEED)
        by_class = {name: [r for r in labeled if r.answer == name] for name in LABELS}
        found = []
        for query in queries:
            name = self.truth[query.id] if chance.random() < 0.8 else chance.choice(LABELS)
            known = by_class[name]  # fewer than k where all labeled records are asked for
            near = [r for r in chance.sample(known, min(k + 1, len(known))) if r.id != query.id][:k]
            top = chance.betavariate(6, 4)
            found.append([Demonstration(r, round(top * 0.95**place, 4)) for place, r in enumerate(near)])
        return found


def records_of(unlabeled: int) -> tuple[list[Record], dict[str, str]]:
    """The records, split by split, and the true answer of each by id."""
    chance = random.Random(SEED)
    sizes: dict[Split, int] = {"labeled": LABELED, "unlabeled": unlabeled, "test": TEST}
    made, truth = list[Record](), dict[str, str]()
    for split, size in sizes.items():
        for row in range(1, size + 1):
            label = chance.choices(LABELS, SHARES)[0]
            record = Record("", call(chance, label), (), None if split == "unlabeled" else label, split, row)
            while record.content_hash[:16] in truth:
                record = replace(record, question=call(chance, label))
            record = replace(record, id=record.content_hash[:16])
            truth[record.id] = label
            made.append(record)
    return made, truth


def drawn(records: Sequence[Record], truth: dict[str, str], seed: int) -> Iterator[tuple[Record, list[Response]]]:
    """Every record with what the collaborators say about it, and last what a judge would say if it were asked.

    What makes a record hard is shared by all of them: a rival class that looks like the true one, and noise.
    """
    rng = np.random.default_rng((SEED, seed))
    many, classes = len(records), len(LABELS)
    place = {label: position for position, label in enumerate(LABELS)}
    right = np.eye(classes)[[place[truth[record.id]] for record in records]]
    rival = np.eye(classes)[rng.integers(0, classes, many)]
    hard = rng.beta(1.1, 2.6, (many, 1))
    shared = 9.8 * hard * rival + 0.7 * rng.standard_normal((many, classes))
    spread, said = [], []
    for _, _, _, temperature, skill in (*COLLABORATORS, ("judge", "warm_up", False, 0.0, 5.2)):
        logits = skill * right + shared + 0.35 * rng.standard_normal((many, classes))
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        luck = rng.random((many, 1)) * p.sum(axis=1, keepdims=True)
        drawn_at_one = np.minimum((p.cumsum(axis=1) < luck).sum(axis=1), classes - 1)
        said.append(drawn_at_one if temperature else p.argmax(axis=1))
        spread.append(p.tolist())
    mass = rng.uniform(0.9, 1.0, many).tolist()
    names = [name for name, *_ in COLLABORATORS] + ["judge"]
    for i, record in enumerate(records):
        yield (
            record,
            [
                Response(
                    record_id=record.id,
                    collaborator=name,
                    text=LABELS[said[j][i]],
                    answer=LABELS[said[j][i]],
                    probabilities=tuple(spread[j][i]),
                    mass=mass[i],
                    input_hash=hashlib.sha256(f"{record.id}/{name}".encode()).hexdigest(),
                )
                for j, name in enumerate(names)
            ],
        )


def answer(plan: Plan, journal: StoreJournal, truth: dict[str, str]) -> None:
    """`respond` and `justify` by drawn probabilities; candidates are merged by the method."""
    records = [*plan.unlabeled, *plan.calibration]
    allowed = allowed_answers(plan.task, records[0])
    found: list[Candidate] = []
    journal.progress("respond", 0, len(records))
    for start in range(0, len(records), CHUNK):
        responses, justifications = list[Response](), list[Response]()
        for _, (*said, judge) in drawn(records[start : start + CHUNK], truth, start):
            disputed = not confidence.agree(plan.task, [one.answer for one in said])
            responses += said
            justifications += [judge] if disputed else []
            how = plan.config.propagation.verdict_confidence
            found.append(confidence.merge(plan.task, allowed, said, judge if disputed else None, how))
        journal.save_responses("respond", responses)
        journal.save_responses("justify", justifications)
        journal.progress("respond", min(start + CHUNK, len(records)), len(records))
    judged = sum(not candidate.agreed for candidate in found)
    journal.progress("justify", judged, judged)
    journal.save_candidates(found)


def propagated(store: Store, project: Project, engine: DrawnEngine) -> Round:
    """The project's first round up to its candidates, by a run that is finished."""
    config = state.config_of(project)
    round_ = open_round(store, project, config, "warm_up")
    run = claims.claim(store, runs.enqueue(store, round_.id, config, "warm_up", "justify").id, os.getpid())
    plan, journal = make_plan(store, run)[0], StoreJournal(store, run)
    evolve(plan, engine, journal, "warm_up", "retrieve")
    answer(plan, journal, engine.truth)
    claims.finish(store, run.id, run.attempt, "done")
    return round_


def reviewed(store: Store, round_: Round, truth: dict[str, str]) -> None:
    """Two reviewers decide about the least confident candidates and some drawn at random, by the true answer."""
    chance = random.Random(SEED)
    pool = results.candidate_frame(store, round_.id)
    some = min(DECISIONS, len(pool) // 2)
    unsure = pool.nlargest(some // 2, "answer_nll").index.tolist()
    for number, record_id in enumerate(dict.fromkeys([*unsure, *chance.sample(pool.index.tolist(), some)])):
        if number == some:
            break
        shown, known = str(pool.at[record_id, "answer"]), truth[record_id]
        asserted: str | None = known
        action = "accept" if shown == known else "edit"
        if chance.random() < 0.15:
            action, asserted = "reject" if shown != known else "skip", None
        by = REVIEWERS[number % 2]
        decisions.decide(store, round_.project_id, round_.id, record_id, action, shown, asserted, by)


def frozen(store: Store, project: Project, round_: Round) -> int:
    return selections.freeze(store, round_.id, policies.saved(project, round_)).number


def tuned(store: Store, project: Project, round_: Round, engine: DrawnEngine, number: int) -> None:
    """`tune` and `evaluate` on the frozen selection, by a second finished run."""
    config = state.config_of(project)
    asked = runs.enqueue(store, round_.id, config, "tune", "evaluate", selection=number)
    run = claims.claim(store, asked.id, os.getpid())
    evolve(make_plan(store, run)[0], engine, StoreJournal(store, run), "tune", "evaluate")
    claims.finish(store, run.id, run.attempt, "done")


def make(store: Store, unlabeled: int) -> dict[str, float]:
    """Fills the workspace; seconds by step."""
    projects.check_name(store, NAME)
    gc.disable()  # nothing here goes round in circles, and looking for it took a third of the time
    seconds, began = dict[str, float](), time.monotonic()

    def took(step: str) -> None:
        seconds[step] = time.monotonic() - began - sum(seconds.values())

    task = Task("classification", LABELS, "You sort calls to a city's service line.")
    records, truth = records_of(unlabeled)
    took("texts")
    collaborators = [
        {"name": name, "model": model, "demonstrations": shown, "temperature": temperature, "seed": number}
        for number, (name, model, shown, temperature, _) in enumerate(COLLABORATORS)
    ]
    settings = SETTINGS | {"propagation": {"collaborators": collaborators}}
    project = projects.create_project(store, NAME, task, settings)
    gold = {record.id: truth[record.id] for record in records if record.split == "unlabeled"}
    sources = [{"split": split, "name": f"{split}.csv"} for split in ("labeled", "unlabeled", "test")]
    versions.store_version(store, project.id, records, gold, sources, [], task)
    project = projects.find_project(store, project.id)
    took("records")
    engine = DrawnEngine(truth)
    round_ = propagated(store, project, engine)
    took("propagated")
    reviewed(store, round_, truth)
    took("decisions")
    tuned(store, project, round_, engine, frozen(store, project, round_))
    took("tuned")
    return seconds


def figures(store: Store) -> dict[str, float]:
    """What the project came to, so that a measurement on it can be judged."""
    round_id = runs.list_runs(store, projects.find_project(store, NAME).id)[0].round_id
    pool, calibration = results.candidate_frame(store, round_id), results.calibration_frame(store, round_id)
    wrong = (pool["answer"] != pool["gold"]).to_numpy()
    sure = (pool["answer_nll"] <= pool["answer_nll"].median()).to_numpy()
    return {
        "candidates": len(pool),
        "calibration": len(calibration),
        "wrong": wrong.mean(),
        "wrong, confident half": wrong[sure].mean(),
        "wrong, other half": wrong[~sure].mean(),
        "disputed": 1 - pool["agreed"].mean(),
        "decided": int(pool["decision"].notna().sum()),
        "characters, median": float(pool["question"].str.len().median()),
        "MB": (store.home / "studio.db").stat().st_size / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    store = open_store(chosen.home)
    seconds = make(store, chosen.records)
    table([*seconds.items(), ("all", math.fsum(seconds.values()))], ("step", "s"))
    found = figures(store)
    table([(name, f"{value:,.3g}" if value < 1 else f"{value:,.0f}") for name, value in found.items()], ("project", ""))
    finish({"seconds, against 60": math.fsum(seconds.values()) / 60, **found}, chosen.json)


if __name__ == "__main__":
    main()
