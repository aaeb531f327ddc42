"""Studies: runs that work in no round, and what they have found, by seed and arm.

Results belong to a dataset version and to the settings, so a study that is repeated, or that asks for more seeds or
arms, does only what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from semievol.config import Config
from semievol.records import STAGES
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.runs.claims import check_owner
from semievol.store.runs.progress import upsert, write_event
from semievol.store.runs.runs import Run, insert_run

ARM = "arm"
"""The stage under which an event says what a study is doing, and not what there is to know."""


@dataclass(frozen=True)
class Spec:
    """What a study compares: arms, how many seeds, the records of which dataset version. identity: of the settings."""

    version_id: int
    identity: str
    arms: tuple[str, ...]
    seeds: int

    @classmethod
    def of(cls, run: Run) -> Spec:
        assert run.study is not None, "not a run of a study"
        return cls(**{**run.study, "arms": tuple(run.study["arms"])})


def enqueue(store: Store, project_id: int, config: Config, spec: Spec) -> Run:
    """A new study at the end of the queue."""
    values = {"project_id": project_id, "first": STAGES[0], "until": STAGES[-1], "study": asdict(spec)}
    with store.write() as connection:
        return insert_run(store, connection, config, values)


def doing(store: Store, run_id: int) -> str:
    """What the study did last: "Seed 2 of 10, SemiEvol: tune"; empty before it has begun."""
    c = schema.events.c
    newest = select(c.text).where(c.run_id == run_id, c.stage == ARM).order_by(c.id.desc()).limit(1)
    return store.value(newest) or ""


def say(store: Store, run: Run, stage: str, text: str) -> None:
    """Stores an event of the study. Raises `Stopped` where this attempt no longer owns the run."""
    with store.write() as connection:
        check_owner(store, connection, run.id, run.attempt)
        write_event(connection, run.id, stage, text, store.now(connection))


def save_result(store: Store, run: Run, seed: int, arm: str, document: Mapping[str, Any]) -> None:
    """Stores what an arm of a seed has found. Raises `Stopped` where this attempt no longer owns the run."""
    spec, key = Spec.of(run), schema.study_results.primary_key
    with store.write() as connection:
        check_owner(store, connection, run.id, run.attempt)
        values = {"version_id": spec.version_id, "identity": spec.identity, "seed": seed, "arm": arm}
        values |= {"document": dict(document), "at": store.now(connection)}
        statement = upsert(connection, schema.study_results).values(**values)
        connection.execute(statement.on_conflict_do_nothing(index_elements=list(key)))


def results(store: Store, spec: Spec) -> dict[tuple[int, str], dict[str, Any]]:
    """(seed, arm) -> document of every result that the study asks for and that is there, in order of seeds and arms."""
    c = schema.study_results.c
    query = select(c.seed, c.arm, c.document).where(c.version_id == spec.version_id, c.identity == spec.identity)
    found = {(seed, arm): document for seed, arm, document in store.rows(query.where(c.seed < spec.seeds))}
    wanted: Sequence[tuple[int, str]] = [(seed, arm) for seed in range(spec.seeds) for arm in spec.arms]
    return {key: found[key] for key in wanted if key in found}


def finished(store: Store, spec: Spec) -> set[tuple[int, str]]:
    """(seed, arm) of every result that is there; reads no document."""
    c = schema.study_results.c
    query = select(c.seed, c.arm).where(c.version_id == spec.version_id, c.identity == spec.identity)
    there = {tuple(row) for row in store.rows(query.where(c.seed < spec.seeds))}
    return {(seed, arm) for seed, arm in there if arm in spec.arms}
