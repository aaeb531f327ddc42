"""What buttons do: hand one request over to the store or the launcher, then say so. Nothing is computed here."""

from __future__ import annotations

import streamlit as st

from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs import intake, launch
from semievol.method import selection
from semievol.store import decisions, results
from semievol.store.database import Store, open_store
from semievol.store.projects import Project
from semievol.store.rounds import Round
from semievol.store.runs import Run
from semievol.ui import router, state


def open_sample() -> None:
    """Makes the bundled sample project, or finds it, and stands in it."""
    project = intake.open_sample(open_store())
    router.go("overview", project=project.id, round=None)


def propagate(store: Store, project: Project, config: Config, parent_id: int | None = None) -> Run:
    """`warm_up` … `justify`, in the round that belongs to these settings."""
    _needs(project, "labeled", "unlabeled")
    return _started(launch.start(store, project, config, *launch.PROPAGATE, parent_id=parent_id))


def run_everything(store: Store, project: Project, config: Config, parent_id: int | None = None) -> Run:
    """All seven stages; the policy freezes the selection."""
    _needs(project, "labeled", "unlabeled")
    return _started(launch.start(store, project, config, *launch.EVERYTHING, parent_id=parent_id))


def fine_tune(store: Store, project: Project, config: Config, round_: Round | None) -> Run:
    """`tune` and `evaluate` on the newest frozen selection; if there is none, the policy shown is frozen first."""
    if round_ is None or results.candidate_frame(store, round_.id).empty:
        raise UserError("There are no candidates to select from yet.", "round", 'Press "Propagate" first.')
    if not decisions.selections(store, round_.id):
        freeze(store, round_, config)
    return _started(launch.start(store, project, config, *launch.FINE_TUNE, round_id=round_.id))


def freeze(store: Store, round_: Round, config: Config) -> int:
    """Freezes what policy and decisions accept now, and returns the selection's number."""
    pool = results.candidate_frame(store, round_.id)
    calibration = results.calibration_frame(store, round_.id)
    answers, origins = selection.accepted(config.policy, pool, calibration)
    if not answers:
        raise UserError("The policy accepts nothing.", "selection", "Loosen the threshold or accept records by hand.")
    return decisions.freeze(store, round_.id, config.policy, answers, origins).number


def stop(run: Run) -> None:
    launch.stop(open_store(), run.id)


def resume(run: Run) -> None:
    launch.resume(open_store(), run.id)


def say(text: str) -> None:
    """A short message that survives the rerun which follows. Our own words only."""
    st.session_state["_said"] = text


def said() -> None:
    """Shows what was said before the rerun, once."""
    text = st.session_state.pop("_said", None)
    if text:
        st.toast(text, icon=":material/check:")


def _needs(project: Project, *splits: str) -> None:
    missing = [split for split in splits if not project.counts.get(split)]  # type: ignore[call-overload]
    if missing:
        raise UserError(
            f"The project has no {' and no '.join(missing)} records.", "data", "Import them on the Data page."
        )


def _started(run: Run) -> Run:
    say(f"Run {run.id} is on its way.")
    state.visit(run.project_id, run.round_id)
    return run
