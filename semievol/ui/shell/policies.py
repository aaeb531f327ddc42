"""The policy of a project: the one saved for everybody, and the one that this visitor is trying.

A policy under trial is kept in the session, for all pages, and in the address of the page that changes it, so that a
reload or a link shows it again. Nobody else sees it, and it decides only about runs and selections that this visitor
starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import streamlit as st
from pydantic import ValidationError

from semievol.config import Policy
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.runs.rounds import Round
from semievol.ui.shell import session, state

ADDRESS = "policy"
"""Name of the query parameter."""


def saved(project: Project, round_: Round | None) -> Policy:
    """The policy that everybody sees: the one saved last in the project, else the round's."""
    if round_ is not None and not project.settings.get("policy"):
        return round_.config.policy
    return state.config_of(project).policy


def shown(project: Project, round_: Round | None) -> Policy:
    """The policy that this visitor sees, which "Freeze selection" and "Fine-tune" freeze: under trial, else saved."""
    return session.shell().policies.get(project.id) or saved(project, round_)


def on_trial(project: Project) -> Policy | None:
    """The policy that this visitor is trying; None where that is the saved one."""
    return session.shell().policies.get(project.id)


def try_out(project: Project, round_: Round | None, policy: Policy) -> None:
    """Shows this policy to this visitor alone; the saved one ends the trial."""
    if policy == saved(project, round_):
        forget(project)
        return
    session.shell().policies[project.id] = policy
    st.query_params[ADDRESS] = written(policy)


def forget(project: Project) -> None:
    """Ends the trial."""
    session.shell().policies.pop(project.id, None)
    st.query_params.pop(ADDRESS, None)


def save(store: Store, project: Project, policy: Policy) -> None:
    """Saves the policy for everybody, and ends the trial."""
    state.save_settings(store, project, policy=policy.model_dump(mode="json"))
    forget(project)


def follow_address(project: Project, round_: Round | None) -> bool:
    """Tries the policy in the address; without one, writes the one under trial there. False if it cannot be read.

    Called by a page that shows the policy, before it does.
    """
    if ADDRESS not in st.query_params:
        if policy := on_trial(project):
            st.query_params[ADDRESS] = written(policy)
        return True
    try:
        try_out(project, round_, read(st.query_params[ADDRESS]))
    except (ValueError, ValidationError):
        forget(project)
        return False
    return True


def written(policy: Policy) -> str:
    """The policy in an address, what differs from the default: "rule.kind:threshold,rule.value:0.163"."""
    default = dict(_flat(Policy().model_dump(mode="json")))
    return ",".join(f"{k}:{v}" for k, v in _flat(policy.model_dump(mode="json")) if v != default[k]) or "default"


def read(text: str) -> Policy:
    """What `written` has written. Raises ValueError for anything else."""
    values: dict[str, Any] = {}
    for pair in text.split(",") if text != "default" else ():
        name, _, value = pair.partition(":")
        outer, _, inner = name.partition(".")
        if inner:
            values.setdefault(outer, {})[inner] = value
        else:
            values[outer] = None if value == "None" else value
    default = Policy().model_dump(mode="json")
    return Policy.model_validate({k: _over(default.get(k), v) for k, v in {**default, **values}.items()})


def _over(default: Any, value: Any) -> Any:
    return {**default, **value} if isinstance(default, Mapping) and isinstance(value, Mapping) else value


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value
