"""Project cards of the Overview: the open project large, the others small, and the menu to manage a project."""

from __future__ import annotations

from typing import Any

import streamlit as st

from semievol.records import Split
from semievol.store.data import projects as store_projects
from semievol.store.data import records
from semievol.store.data.projects import Project
from semievol.store.runs import progress, runs
from semievol.ui.shell import actions, archives, formats, gates, live, paint, parts, record, router, session, state
from semievol.ui.shell.paint import group, node
from semievol.ui.shell.state import Place
from semievol.ui.training import curves

SHOWN_SPLITS: tuple[Split, ...] = ("labeled", "unlabeled", "test")


def task_words(project: Project) -> str:
    """ "Classification · 6 labels", or that there is no task yet."""
    if project.task is None:
        return "No data yet"
    words = formats.KIND_WORDS[project.task.kind]
    return f"{words} · {len(project.task.labels)} labels" if project.task.labels else words


def open_project(here: Place) -> None:
    """The large card: counts, the seven stages, the active run, the accuracies, and the next step."""
    with parts.card("open_project"):
        left, right = st.columns([3, 1], vertical_alignment="top")
        with left:
            parts.html(f"<div class='sv-kicker'>{task_words(here.project)}</div>")
            with st.container(key=f"project_name_{here.project.id}"):
                st.text(here.project.name)
        with right, st.container(horizontal=True, horizontal_alignment="right"):
            _manage(here)
        counts = here.project.counts
        parts.tiles(
            [
                ("Labeled", formats.count(counts.get("labeled", 0)), "records with known answers"),
                ("Unlabeled", formats.count(counts.get("unlabeled", 0)), "records to be answered"),
                ("Test", formats.count(counts.get("test", 0)), "records to test models on"),
                (
                    "Round",
                    str(here.round.place) if here.round_or_none else formats.DASH,
                    formats.moment(here.round.created) if here.round_or_none else "no round yet",
                ),
            ]
        )
        live.polled("overview", here.round_id, _progress)
        _, evaluation = next(here.evaluations(), (None, None))
        _accuracies(evaluation)
        _next_step(here, evaluation is not None)


def _progress(snapshot: live.Snapshot) -> None:
    """The stages side by side; while a run is active also its progress, its loss, and the button that stops it."""
    run = snapshot.run
    if run is None or snapshot.elsewhere:
        live.track(snapshot.stages)
        if run is not None:
            parts.note(f"Run {run.id} is active in another round. A run started here waits in the queue.")
        return
    live.headline(run, snapshot, key="stop_overview")
    live.track(snapshot.stages)
    curves.loss(progress.metrics(state.open_store(), run.id), key="loss_overview", height=200)


def _accuracies(evaluation: dict[str, Any] | None) -> None:
    if not evaluation or "evolved" not in evaluation:
        return
    cells = []
    for model, word in formats.MODEL_WORDS.items():
        if found := evaluation.get(model):
            span = f"between {formats.percent(found['low'])} and {formats.percent(found['high'])}"
            cells.append((word, formats.percent(found["accuracy"]), span))
    parts.html("<div class='sv-kicker' style='margin:.4rem 0 0'>Accuracy on the test set (95 % confidence)</div>")
    parts.tiles(cells, strong=len(cells) - 1)


def _next_step(here: Place, done: bool) -> None:
    """The next sensible step as a link, and "Run everything" if there are labeled and unlabeled records.

    done: the round is evaluated.
    """
    busy = here.active is not None and here.active.project_id == here.project.id
    has_data = bool(here.project.counts.get("labeled") and here.project.counts.get("unlabeled"))
    with st.container(horizontal=True, vertical_alignment="center"):
        if not has_data:
            router.link("data", "Add your data", ":material/upload_file:")
            return
        kind = "secondary" if done else "primary"
        parts.act(
            "Run everything",
            lambda: actions.run_everything(here.store, here.project, state.config_of(here.project)),
            type=kind,
            icon=":material/play_arrow:",
            disabled=busy,
        )
        if done:
            router.link("evaluation", "See the evaluation")
        elif gates.has_candidates(here):
            router.link("selection", "Choose what to keep")
        else:
            router.link("data", "Look at the data")


def first_look(here: Place) -> None:
    """Shown before the first run: what the seven stages do, and some labeled and unlabeled records."""
    with parts.card("method"):
        parts.heading("What happens in a round")
        live.explained()
    if here.project.version_id is None or here.project.task is None:
        return
    columns = st.columns(2, gap="medium")
    for column, split in zip(columns, ("labeled", "unlabeled"), strict=True):
        page, _ = records.records_page(here.store, here.project.version_id, split, limit=4)  # type: ignore[arg-type]
        with column, parts.card(f"some_{split}"):
            parts.heading(f"Some {split} records")
            lines = []
            for line in page.itertuples():
                text = node("num", formats.shorten(str(line.question)), tag="span")
                known = [record.chip(str(line.answer), True)] if split == "labeled" else []
                lines.append(group("line", *known, text))
            paint.draw(group("stack", *lines), key=f"some_{split}_records")


def small_card(here: Place, project: Project) -> None:
    """The small card of another project."""
    with parts.card(f"project_{project.id}", tight=True):
        parts.html(f"<div class='sv-kicker'>{task_words(project)}</div>")
        with st.container(key=f"project_name_{project.id}"):
            st.text(project.name)
        numbers = [f"{formats.count(project.counts.get(s, 0))} {s}" for s in SHOWN_SPLITS]
        parts.note(" · ".join(numbers))
        newest = next((run for run in runs.list_runs(here.store, project.id)), None)
        if newest is not None:
            parts.html(f"<div class='sv-row'>{parts.badge(newest.status)}</div>")
        st.button(f"Open project {project.id}", key=f"open_{project.id}", on_click=state.visit, args=(project.id,))


def _manage(here: Place) -> None:
    with st.popover("Manage", icon=":material/more_horiz:"):
        name = st.text_input("New name of the copy", value=f"{here.project.name} copy", key=f"copy_{here.project.id}")
        if st.button("Duplicate", key=f"duplicate_{here.project.id}", width="stretch"):
            with parts.errors_shown():
                copy = store_projects.duplicate_project(here.store, here.project.id, name)
                router.go("overview", project=copy.id, round=None)
        if st.button("Archive", key=f"archive_{here.project.id}", width="stretch"):
            store_projects.update_project(here.store, here.project.id, archived=True)
            _leave()
        archives.export_button(here)
        typed = st.text_input("Type the project's name to delete it", key=f"typed_{here.project.id}")
        if st.button("Delete", key=f"delete_{here.project.id}", width="stretch", disabled=typed != here.project.name):
            with parts.errors_shown():
                store_projects.delete_project(here.store, here.project.id)
                _leave()


def _leave() -> None:
    session.shell().project_id = None
    router.go("overview", project=None, round=None)


def archived(here: Place) -> None:
    """The archived projects, each with the button that restores it."""
    put_away = store_projects.list_projects(here.store, archived=True)
    put_away = [project for project in put_away if project.archived]
    if put_away:
        with st.expander(f"Archived ({len(put_away)})"):
            for project in put_away:
                st.text(project.name)
                if st.button(f"Restore project {project.id}", key=f"restore_{project.id}"):
                    store_projects.update_project(here.store, project.id, archived=False)
                    st.rerun()
