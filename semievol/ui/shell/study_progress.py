"""How far a study is, in words: for its card on Evaluation, and for the sidebar of every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs import studying
from semievol.store.data.projects import Project, find_project
from semievol.store.database import Store
from semievol.store.runs import studies
from semievol.store.runs.runs import Run
from semievol.store.schema import ACTIVE
from semievol.ui.shell import formats, parts, state


def share(store: Store, run: Run) -> float:
    """Share of its results that are there."""
    spec = studies.Spec.of(run)
    return len(studies.finished(store, spec)) / max(_total(spec), 1)


def badge(run: Run) -> str:
    """Markup of its badge: "Running · study (run 3)"."""
    return parts.badge(run.status, f"{run.status.capitalize()} · study (run {run.id})")


def sentence(store: Store, run: Run) -> str:
    """ "3 of 40 results · Seed 1 of 10, Evolved: Fine-tune · about 12 min left"; of a study that does not work now only
    how many results there are."""
    spec = studies.Spec.of(run)
    done = len(studies.finished(store, spec))
    words = [f"{formats.count(done)} of {formats.plural(_total(spec), 'result')}"]
    if run.status in ACTIVE:
        arm, _, stage = (said := studies.doing(store, run.id)).rpartition(": ")
        words.append(f"{arm}: {formats.STAGE_WORDS[stage]}" if stage in formats.STAGE_WORDS else said)
        project = replace(find_project(store, run.project_id), version_id=spec.version_id)  # a newer one is not asked
        left = seconds_needed(store, project, run.config, spec.version_id, spec.arms, spec.seeds, done)
        words.append(f"{formats.about(left)} left" if left else "")
    return " · ".join(word for word in words if word)


@st.cache_data(max_entries=30, ttl=600, show_spinner=False, hash_funcs=state.HASH)
def seconds_needed(
    store: Store, _project: Project, config: Config, version: int, arms: Sequence[str], seeds: int, done: int
) -> float | None:
    """As `studying.seconds_needed`; None also where the model cannot be used. done: results that are there."""
    try:
        return studying.seconds_needed(store, _project, config, arms, seeds)
    except UserError:
        return None


def _total(spec: studies.Spec) -> int:
    return spec.seeds * len(spec.arms)
