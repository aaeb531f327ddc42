"""The current project and round, from the address, and what the pages read about them, cached.

Unsaved drafts live in the session, everything else in the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from semievol.config import Config, Policy, overlaid
from semievol.evidence import summary
from semievol.evidence.reviews import Review
from semievol.jobs import estimate, launch
from semievol.records import Task
from semievol.store.data import records
from semievol.store.data.projects import Project, list_projects, update_project
from semievol.store.database import Store, open_store
from semievol.store.decisions.reviews import list_reviews
from semievol.store.results import results
from semievol.store.runs.rounds import Round, get_round, list_rounds
from semievol.store.runs.runs import Run, list_runs


@dataclass(frozen=True)
class Place:
    """What the address points at. runs: the project's, newest first; active: the run that a worker carries out, of
    any project.

    `this_project`, `this_round` and `task` are for code that is drawn only where they exist.
    """

    store: Store
    projects: list[Project]
    project: Project | None
    rounds: list[Round]
    round: Round | None
    runs: list[Run]
    active: Run | None
    unknown: str | None = None

    @property
    def this_project(self) -> Project:
        assert self.project is not None, "drawn without a project"
        return self.project

    @property
    def this_round(self) -> Round:
        assert self.round is not None, "drawn without a round"
        return self.round

    @property
    def task(self) -> Task:
        assert self.this_project.task is not None, "drawn without a task"
        return self.this_project.task

    @property
    def round_runs(self) -> list[Run]:
        return [run for run in self.runs if self.round is not None and run.round_id == self.round.id]


def place() -> Place:
    """Reads the address and the store. Without `?project=` takes the project seen last, else the newest."""
    store = open_store()
    launch.ensure_worker(store)
    projects = list_projects(store)
    _forget_what_is_gone(store, {project.id for project in projects})
    asked = st.query_params.get("project")
    project = next((p for p in projects if str(p.id) == asked), None)
    unknown = asked if asked and project is None else None
    if project is None and not asked and projects:
        seen = st.session_state.get("last_project")
        project = next((p for p in projects if p.id == seen), None) or max(projects, key=lambda p: p.id)
        st.query_params["project"] = str(project.id)
    if project is None:
        return Place(store, projects, None, [], None, [], active_of(list_runs(store)), unknown)
    st.session_state["last_project"] = project.id
    rounds = list_rounds(store, project.id)
    asked_round = st.query_params.get("round")
    chosen = next((r for r in rounds if str(r.id) == asked_round), rounds[-1] if rounds else None)
    if asked_round and (chosen is None or str(chosen.id) != asked_round):
        del st.query_params["round"]
    runs = list_runs(store)
    mine = [run for run in runs if run.project_id == project.id]
    return Place(store, projects, project, rounds, chosen, mine, active_of(runs), unknown)


def candidates(store: Store, round_id: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The round's candidates of the pool and of the calibration split, with current decisions. Do not change them.

    Candidates are read again only after a run has written, not after every decision.
    """
    home, written, revision = str(store.home), results.written(store, round_id), results.revision(store, round_id)
    return _decided(home, round_id, written, revision), read_candidates(home, round_id, written)[1]


@st.cache_resource(max_entries=2, show_spinner=False)
def _decided(home: str, round_id: int, written: int, revision: int) -> pd.DataFrame:
    return results.with_decisions(open_store(Path(home)), round_id, read_candidates(home, round_id, written)[0])


@st.cache_resource(max_entries=2, show_spinner=False)
def read_candidates(home: str, round_id: int, written: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The candidates as a run has written them last (`results.written`), with the decisions of that moment."""
    store = open_store(Path(home))
    frames = results.candidate_frame(store, round_id), results.calibration_frame(store, round_id)
    kinds = {
        "answer": "category",
        "exactness": "category",
    }  # few values in many records: categories make counting and grouping fast
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
    """As `evidence.class_shift`; computed again only where a run has written."""
    return _class_shift(str(store.home), round_id, results.written(store, round_id), task)


@st.cache_data(max_entries=3, show_spinner=False)
def _class_shift(home: str, round_id: int, written: int, task: Task) -> float | None:
    return summary.class_shift(task, *read_candidates(home, round_id, written))


def reviews(store: Store, round_id: int) -> list[Review]:
    """The round's random reviews, oldest first; read again only after something was written. Do not change them."""
    return _reviews(str(store.home), round_id, results.revision(store, round_id))


@st.cache_resource(max_entries=3, show_spinner=False)
def _reviews(home: str, round_id: int, revision: int) -> list[Review]:
    return list_reviews(open_store(Path(home)), round_id)


def labeled(store: Store, version_id: int) -> dict[str, int]:
    """Answer -> how many labeled records have it. Cached, because the records of a version never change."""
    return _labeled(str(store.home), version_id)


@st.cache_data(max_entries=3, show_spinner=False)
def _labeled(home: str, version_id: int) -> dict[str, int]:
    return records.known_answers(open_store(Path(home)), version_id).get("labeled", {})


def training_pace(store: Store, round_id: int) -> float | None:
    """As `estimate.training_pace`; cached for half a minute."""
    return _training_pace(str(store.home), round_id)


@st.cache_data(max_entries=20, ttl=30, show_spinner=False)
def _training_pace(home: str, round_id: int) -> float | None:
    store = open_store(Path(home))
    return estimate.training_pace(store, get_round(store, round_id))


def unanswering(store: Store, round_id: int) -> dict[str, tuple[int, int]]:
    """As `results.unanswering`; counted again only after something was written."""
    return _unanswering(str(store.home), round_id, results.revision(store, round_id))


@st.cache_data(max_entries=3, show_spinner=False)
def _unanswering(home: str, round_id: int, revision: int) -> dict[str, tuple[int, int]]:
    return results.unanswering(open_store(Path(home)), round_id)


def memory_needed(store: Store, version_id: int, config: Config) -> float | None:
    """As `estimate.memory`. Cached, because a version's records never change and a model's folder rarely does."""
    return _memory_needed(str(store.home), version_id, config.model_dump_json())


@st.cache_data(max_entries=20, ttl=60, show_spinner=False)
def _memory_needed(home: str, version_id: int, config: str) -> float | None:
    return estimate.memory(open_store(Path(home)), version_id, Config.model_validate_json(config))


BUSY = ("running", "stopping")
WAITING = ("queued",)


def active_of(runs: list[Run]) -> Run | None:
    """The run that a worker carries out, else the next one in the queue, else None."""
    for states in (BUSY, WAITING):
        found = [run for run in runs if run.status in states]
        if found:
            return found[-1]
    return None


def visit(project: int | None, round_id: int | None = None) -> None:
    """Sets project and round in the address. Made for callbacks."""
    wanted = {"project": project, "round": round_id}
    st.query_params.from_dict({key: str(value) for key, value in wanted.items() if value is not None})
    for key in ("record",):
        st.session_state.pop(key, None)


def config_of(project: Project, **changes: Any) -> Config:
    """The project's settings as a validated config; `changes` replace settings at the top level."""
    return overlaid({**project.settings, **changes})


def policy_shown(project: Project, round_: Round | None) -> Policy:
    """The policy that Selection shows and "Fine-tune" freezes: the one set last in the project, else the round's."""
    if round_ is not None and not project.settings.get("policy"):
        return round_.config.policy
    return config_of(project).policy


def save_settings(store: Store, project: Project, **changes: Any) -> None:
    """Saves settings with the project, so that a reload loses nothing. A value of None removes the setting."""
    merged = {**project.settings, **changes}
    kept = {key: value for key, value in merged.items() if value is not None}
    if kept != project.settings:
        update_project(store, project.id, settings=kept)


def reviewer() -> str:
    """The name with which this session signs decisions; empty if none was given."""
    return str(st.session_state.get("reviewer", ""))


def dark() -> bool:
    """Whether the visitor's theme is the dark one."""
    return st.context.theme.type == "dark"
