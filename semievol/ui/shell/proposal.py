"""The settings that a run started now would have: those of the round in view, or those saved with the project.

They differ where another round is in view than the one that was opened last, where settings were changed since, and for
a round that came with an archive or from the command line. The round's are proposed first, since they belong to what is
on the screen; a change is saved with the project, whose settings are proposed from then on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st
import yaml

from semievol.config import Config, Policy
from semievol.errors import UserError
from semievol.installed import named_model
from semievol.jobs import launch, planning
from semievol.overlay import assign
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.runs import rounds
from semievol.ui.shell import policies, session, state
from semievol.ui.shell.state import Place


def config(here: Place) -> Config:
    """The config that is proposed."""
    return state.config_of(project(here))


def project(here: Place) -> Project:
    """The project with the settings that are proposed as its own; saving a change of these saves all of them."""
    return replace(here.project, settings=_of_round(here)) if from_round(here) else here.project


def from_round(here: Place) -> bool:
    """Whether the settings of the round in view are proposed."""
    return differ(here) and session.shell().settings_of_round.get(here.round.id, not _named_other(here))


def differ(here: Place) -> bool:
    """Whether the round in view has other settings than those saved with the project; the policy does not count."""
    if here.round_or_none is None:
        return False
    theirs, own = (
        found.model_copy(update={"policy": Policy()}) for found in (_round_config(here), state.config_of(here.project))
    )
    settled = _settled(here.store, here.round.version_id, own, here.later_round)
    return settled.model_copy(update={"cross_fit": theirs.cross_fit}) != theirs


def choose(here: Place, of_round: bool) -> None:
    """Proposes the settings of the round in view, or those of the project."""
    if here.round_or_none is not None:
        session.shell().settings_of_round[here.round.id] = of_round


def _named_other(here: Place) -> bool:
    """Whether the program was started with another model named for what is new, and the project names none itself."""
    named = named_model()
    return named not in (None, here.round.config.model) and "model" not in here.project.settings


def _round_config(here: Place) -> Config:
    """The settings of the round, with those of its newest run for fine-tuning, and the policy that is saved."""
    newest = here.round_runs[0].config if here.round_runs else here.round.config
    found = rounds.with_settings_of(here.round, newest)
    policy = policies.saved(here.project, here.round)
    return found.model_copy(update={"policy": policy, "cross_fit": here.round.config.cross_fit})


def _of_round(here: Place) -> dict[str, Any]:
    """The round's settings as a project keeps them: what differs from the preset."""
    theirs = _round_config(here)
    found: dict[str, Any] = {"preset": theirs.preset}
    for path, value in launch.differences(theirs):
        assign(found, path.split("."), yaml.safe_load(value))
    return found


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=state.HASH)
def _settled(store: Store, version_id: int, own: Config, later_round: bool) -> Config:
    """The settings as a round on this version would have them. Cached, because a version's records never change."""
    try:
        return planning.of_version(store, version_id, own, later_round)
    except UserError:  # a collaborator that does not fit the task: starting a run says so
        return own
