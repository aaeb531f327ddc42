"""The sidebar: the pickers of project and round, the pages, the progress of the seven stages, and the active run."""

from __future__ import annotations

from contextlib import nullcontext

import streamlit as st

from semievol.store.data import versions as data_versions
from semievol.ui.shell import awaiting_results, formats, live, parts, router, session, state
from semievol.ui.shell.state import Place


def sidebar(here: Place) -> None:
    """Draws the sidebar; its lower half is refreshed while a run is active."""
    with st.sidebar:
        if here.projects:
            _pickers(here)
        with st.container(key="nav"):
            for name in router.PAGES:
                with st.container(key=f"under_{name}") if name in router.UNDER else nullcontext():
                    router.link(name, round=awaiting_results.round_of_link(here, name))
        if here.project_or_none is not None:
            whose = here.round.title.lower() if here.round_or_none else "a round"
            live.polled("sidebar", here.round_id, lambda seen: _stages(here, seen, whose))


def _pickers(here: Place) -> None:
    ids = [project.id for project in here.projects]
    names = {project.id: project.name for project in here.projects}
    st.selectbox(
        "Project",
        ids,
        index=0 if here.project_or_none else None,
        format_func=lambda i: names[i],
        **session.bound("pick_project", here.project.id if here.project_or_none else None, state.visit),
    )
    if len(here.rounds) > 1 and here.round_or_none is not None:
        rounds = {round_.id: round_ for round_ in here.rounds}
        versions = _versions(here)
        st.selectbox(
            "Round",
            list(rounds)[::-1],
            format_func=lambda i: f"{rounds[i].named} · {versions.get(i) or formats.day(rounds[i].created)}",
            help="A round is one pass of the seven stages. Other settings or other data open another round. On the "
            f"command line, the round chosen here is --round {here.round.id}.",
            **session.bound("pick_round", here.round.id, lambda id: state.visit(here.project.id, id)),
        )


def _versions(here: Place) -> dict[int, str]:
    """Round id -> words for its dataset version; empty where all rounds use the current version."""
    if here.project_or_none is None or {round_.version_id for round_ in here.rounds} == {here.project.version_id}:
        return {}
    numbers = {version.id: version.number for version in data_versions.versions(here.store, here.project.id)}
    return {round_.id: f"version {numbers[round_.version_id]}" for round_ in here.rounds}


def _stages(here: Place, snapshot: live.Snapshot, whose: str) -> None:
    """The active run or study, above the stages so that it is in sight on a low screen, and the stages of the round in
    view."""
    if snapshot.study is not None:
        with st.container(key="now_study", gap="xsmall"):
            live.study(snapshot.study, here.project.id)
            router.link("evaluation", "Go to it", project=snapshot.study.project_id, round=None)
    if snapshot.run is not None:
        with st.container(key="now", gap="xsmall"):
            live.doing(snapshot.run, snapshot, "sidebar")
            if snapshot.in_other_round:
                router.link("training", "Go to it", project=snapshot.run.project_id, round=snapshot.run.round_id)
    parts.html(f"<div class='sv-kicker' style='margin:.35rem 0 -.1rem'>Stages of {whose}</div>")
    live.stepper(snapshot.stages)
