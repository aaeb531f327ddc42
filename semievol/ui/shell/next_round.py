"""The button that queues a whole next round: it starts from the evolved model of the round in view, on the data in use.

Unlabeled records that came since are among these. A round that has been made already is not made again.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from semievol.config import Config
from semievol.jobs import launch, planning
from semievol.store.data.projects import find_project
from semievol.store.data.versions import added
from semievol.store.database import Store
from semievol.store.results import outcomes
from semievol.store.schema import NOT_ENDED
from semievol.ui.shell import formats, parts, proposal, state, steps
from semievol.ui.shell.state import Place

LABEL = "Next round"


def offered(here: Place) -> bool:
    """Whether the round in view has a model that a next round could start from."""
    return here.round_or_none is not None and outcomes.evolved_adapter(here.store, here.round.id) is not None


def button(here: Place, key: str, **look: Any) -> str:
    """Draws the button; needs a round in view. Returns why it is disabled, else empty. key: unique on the page."""
    config = planning.for_later_round(proposal.config(here), here.round)
    reason = why_not(here, config)
    start = steps.starting(here, config, launch.EVERYTHING, here.round.id)
    parts.act(LABEL, start, why_not=reason, key=key, icon=":material/laps:", help=_what(here), **look)
    return reason


def why_not(here: Place, config: Config) -> str:
    """Why a round after the one in view cannot be started or would do nothing; empty where it would do something."""
    if not offered(here):
        return f"{here.round.title} has no evolved model yet. Fine-tune it first."
    if any(run.status in NOT_ENDED for run in here.round_runs):
        return f"A run still works in {here.round.title.lower()}. Wait for its end."
    if reason := steps.why_not(here, config, launch.EVERYTHING, here.round.id):
        return reason
    known = (here.project.version_id, *(one.id for one in here.rounds), *((run.id, run.status) for run in here.runs))
    if title := _made(here.store, here.project.id, here.round.id, config, known):
        return (
            f"{title} is that round: the same data and settings. Go on from there, add unlabeled records, or "
            "change a setting."
        )
    return ""


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=state.HASH)
def _made(store: Store, project_id: int, round_id: int, config: Config, known: tuple[object, ...]) -> str:
    """Title of the finished round that the button would find again; empty where there is none. Reads all records.

    known: what the answer depends on beside the other arguments.
    """
    project = find_project(store, project_id)
    config = planning.config_to_run(store, project, config, round_id)
    found = planning.propagated(store, project, config, round_id)
    return found.title if found is not None and outcomes.evolved_adapter(store, found.id) else ""


def _what(here: Place) -> str:
    """What the button does, with the records that came since."""
    said = f"All seven stages once more. It starts from the evolved model of {here.round.title.lower()}"
    said += " and answers every unlabeled record again"
    new = _new_records(here.store, here.round.version_id, here.project.version_id)
    return f"{said}, {formats.plural(new, 'new record')} among them." if new else f"{said}."


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=state.HASH)
def _new_records(store: Store, earlier: int, now: int | None) -> int:
    """Unlabeled records of the data in use that the round's data did not have; versions never change."""
    return 0 if now is None or now == earlier else added(store, earlier, now).get("unlabeled", 0)
