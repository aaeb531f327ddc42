"""The current project and round, from the address, and what the pages read about them, cached.

Unsaved drafts are in the session (see `session`), everything else is in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from semievol.config import Config
from semievol.engines.models import hardware
from semievol.errors import UserError
from semievol.evidence.reviews import Review
from semievol.jobs import duration, estimate, launch
from semievol.presets import overlaid
from semievol.records import Task
from semievol.selection import summary
from semievol.store.data import records
from semievol.store.data.projects import Project, list_projects, update_project
from semievol.store.database import Store, open_store
from semievol.store.decisions.reviews import list_reviews
from semievol.store.results import collaborators, outcomes, results
from semievol.store.runs.rounds import Round, counting, get_round, list_rounds
from semievol.store.runs.runs import Run, list_runs, queue, unfinished
from semievol.store.schema import ACTIVE
from semievol.ui.shell import formats, notices, session


@dataclass(frozen=True)
class Place:
    """What the address points at. runs: the project's, newest first; active: the run that a worker carries out, of
    any project.

    `project`, `round` and `task` are for code that is drawn only where they exist.
    """

    store: Store
    projects: list[Project]
    project_or_none: Project | None
    rounds: list[Round]
    round_or_none: Round | None
    runs: list[Run]
    active: Run | None
    unknown: str | None = None

    @property
    def project(self) -> Project:
        assert self.project_or_none is not None, "drawn without a project"
        return self.project_or_none

    @property
    def round(self) -> Round:
        assert self.round_or_none is not None, "drawn without a round"
        return self.round_or_none

    @property
    def task(self) -> Task:
        assert self.project.task is not None, "drawn without a task"
        return self.project.task

    @property
    def round_id(self) -> int | None:
        return self.round.id if self.round_or_none else None

    @property
    def round_title(self) -> str:
        return self.round.named if self.round_or_none else ""

    @property
    def later_round(self) -> bool:
        """Whether the round starts from the evolved model of an earlier one."""
        return self.round_or_none is not None and self.round.parent_id is not None

    @property
    def model_words(self) -> dict[str, str]:
        """Model of the round -> its name."""
        return formats.model_words(self.later_round)

    @property
    def models(self) -> list[str]:
        """The models that can be asked: the base model, and those that the round has trained."""
        trained = outcomes.adapters(self.store, self.round.id) if self.round_or_none else {}
        return ["base", *(model for stage, model in (("warm_up", "warm_up"), ("tune", "evolved")) if stage in trained)]

    @property
    def round_runs(self) -> list[Run]:
        """The runs of the round, newest first."""
        return [run for run in self.runs if run.round_id == self.round_id]

    def evaluations(self) -> Iterator[tuple[Run, dict[str, Any]]]:
        """The runs of the round that have an evaluation, newest first, each with it."""
        for run in self.round_runs:
            if found := outcomes.evaluation(self.store, run.id):
                yield run, found


@contextmanager
def connected() -> Iterator[None]:
    """What a page reads within the block goes over one connection. Where the store cannot be opened, the page says so
    itself."""
    with ExitStack() as stack:
        with suppress(UserError):
            stack.enter_context(open_store().connected())
        yield


def place() -> Place:
    """Reads the address and the store. Without `?project=` takes the project seen last, else the newest."""
    store = open_store()
    launch.ensure_worker(store)
    projects = list_projects(store)
    _forget_what_is_gone(store, {project.id for project in projects})
    in_address = st.query_params.get("project")
    project = next((p for p in projects if str(p.id) == in_address), None)
    unknown = in_address if in_address and project is None else None
    if project is None and not in_address and projects:
        seen = session.shell().project_id
        project = next((p for p in projects if p.id == seen), None) or max(projects, key=lambda p: p.id)
        st.query_params["project"] = str(project.id)
    if project is None:
        return Place(store, projects, None, [], None, [], active_of(store, list_runs(store)), unknown)
    session.shell().project_id = project.id
    rounds = list_rounds(store, project.id)
    round_in_address = st.query_params.get("round")
    chosen = next((r for r in rounds if str(r.id) == round_in_address), counting(rounds))
    if round_in_address and (chosen is None or str(chosen.id) != round_in_address):
        del st.query_params["round"]
        instead = f"{chosen.named} is shown instead." if chosen else "It has none yet."
        what = f"This project has no such round as the address names. {instead}"
        notices.fail(UserError(what, "address", "Choose a round in the sidebar." if chosen else ""), lasting=True)
    runs = list_runs(store)
    mine = [run for run in runs if run.project_id == project.id]
    return Place(store, projects, project, rounds, chosen, mine, active_of(store, runs), unknown)


HASH: dict[str | type, Callable[[Any], Any]] = {Store: lambda store: str(store.home), Config: Config.model_dump_json}
"""How the caches below tell their arguments apart."""


def candidates(store: Store, round_id: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The round's candidates of the pool and of the calibration split, with current decisions. Do not change them.

    Candidates are read again only after a run has written, not after every decision.
    """
    written, revision = results.written(store, round_id), results.revision(store, round_id)
    return _decided(store, round_id, written, revision), read_candidates(store, round_id, written)[1]


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs=HASH)
def _decided(store: Store, round_id: int, written: int, revision: int) -> pd.DataFrame:
    return results.with_decisions(store, round_id, read_candidates(store, round_id, written)[0])


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs=HASH)
def read_candidates(store: Store, round_id: int, written: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The candidates as a run has written them last (`results.written`), with the decisions of that moment."""
    frames = results.candidate_frame(store, round_id), results.calibration_frame(store, round_id)
    # Few values in many records: categories make counting and grouping fast.
    kinds = {"answer": "category", "exactness": "category"}
    return frames[0].astype(kinds), frames[1].astype(kinds)


_seen: dict[Path, set[int]] = {}
"""Workspace -> ids of the projects that this process listed last."""


def _forget_what_is_gone(store: Store, there: set[int]) -> None:
    """Clears the caches of all pages when a project was deleted, here or by another process.

    The caches are keyed by round and version ids, which the database may give to others after a deletion. Project ids
    are never reused.
    """
    if _seen.get(store.home, set()) - there:
        st.cache_resource.clear()
        st.cache_data.clear()
    _seen[store.home] = there


def class_shift(store: Store, round_id: int, task: Task) -> float | None:
    """As `selection.summary.class_shift`; computed again only where a run has written."""
    return _class_shift(store, round_id, results.written(store, round_id), task)


@st.cache_data(max_entries=3, show_spinner=False, hash_funcs=HASH)
def _class_shift(store: Store, round_id: int, written: int, task: Task) -> float | None:
    return summary.class_shift(task, *read_candidates(store, round_id, written))


def reviews(store: Store, round_id: int) -> list[Review]:
    """The round's random reviews, oldest first; read again only after something was written. Do not change them."""
    return _reviews(store, round_id, results.revision(store, round_id))


@st.cache_resource(max_entries=3, show_spinner=False, hash_funcs=HASH)
def _reviews(store: Store, round_id: int, revision: int) -> list[Review]:
    return list_reviews(store, round_id)


@st.cache_data(max_entries=3, show_spinner=False, hash_funcs=HASH)
def labeled(store: Store, version_id: int) -> dict[str, int]:
    """Answer -> how many labeled records have it. Cached, because the records of a version never change."""
    return records.known_answers(store, version_id).get("labeled", {})


@st.cache_data(max_entries=20, ttl=30, show_spinner=False, hash_funcs=HASH)
def training_pace(store: Store, round_id: int) -> float | None:
    """As `estimate.training_pace`; cached for half a minute."""
    return estimate.training_pace(store, get_round(store, round_id))


def unanswering(store: Store, round_id: int) -> dict[str, tuple[int, int]]:
    """As `collaborators.unanswering`; counted again only after something was written."""
    return _unanswering(store, round_id, results.revision(store, round_id))


@st.cache_data(max_entries=3, show_spinner=False, hash_funcs=HASH)
def _unanswering(store: Store, round_id: int, revision: int) -> dict[str, tuple[int, int]]:
    return collaborators.unanswering(store, round_id)


def expected_seconds(store: Store, run: Run) -> Mapping[str, float] | None:
    """Stage -> seconds, as they can be estimated when the run starts; None where they cannot."""
    return _expected_seconds(store, get_round(store, run.round_id).version_id, run.config, run.round_id, run.id)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=HASH)
def _expected_seconds(
    store: Store, version_id: int, config: Config, round_id: int, run_id: int
) -> Mapping[str, float] | None:
    try:
        found = duration.estimate(store, version_id, config, round_id)
    except UserError:
        return None
    return None if found is None else found.seconds


@st.cache_data(ttl=10, show_spinner=False)
def device() -> hardware.Device:
    """As `hardware.device`, which asks another program about the GPU."""
    return hardware.device()


@st.cache_data(max_entries=20, ttl=60, show_spinner=False, hash_funcs=HASH)
def memory_needed(store: Store, version_id: int, config: Config) -> float | None:
    """As `estimate.memory`. Cached, because a version's records never change and a model's folder rarely does."""
    return estimate.memory(store, version_id, config)


def active_of(store: Store, runs: Sequence[Run]) -> Run | None:
    """Of these runs the one that a worker carries out, else the one that is next in the queue, else None."""
    for run in runs:
        if run.status in ACTIVE:
            return run
    if any(run.status == "queued" for run in runs):
        known = {run.id: run for run in runs}
        return next((known[waiting.id] for waiting in queue(store) if waiting.id in known), None)
    return None


def doing(store: Store, run: Run) -> str:
    """What a run that has not ended does: it is under way, is starting as nothing is ahead of it, or waits."""
    if run.status != "queued":
        return "is under way"
    return "is starting" if [one.id for one in unfinished(store)][:1] == [run.id] else "waits in the queue"


def visit(project: int | None, round_id: int | None = None) -> None:
    """Sets project and round in the address. Made for callbacks."""
    wanted = {"project": project, "round": round_id}
    st.query_params.from_dict({key: str(value) for key, value in wanted.items() if value is not None})


def config_of(project: Project, **changes: Any) -> Config:
    """The project's settings as a validated config; `changes` replace settings at the top level."""
    return overlaid({**project.settings, **changes})


def save_settings(store: Store, project: Project, **changes: Any) -> None:
    """Saves settings with the project, so that a reload loses nothing. A value of None removes the setting."""
    merged = {**project.settings, **changes}
    kept = {key: value for key, value in merged.items() if value is not None}
    if kept != project.settings:
        update_project(store, project.id, settings=kept)


def reviewer() -> str:
    """The name with which this session signs decisions; empty if none was given."""
    return session.shell().reviewer or ""


def dark() -> bool:
    """Whether the visitor's theme is the dark one."""
    return st.context.theme.type == "dark"
