"""Project cards of the Overview: the open project large, the others small, and the menu to manage a project."""

from __future__ import annotations

from html import escape

import streamlit as st

from semievol.export.caveats import caveats
from semievol.jobs import launch
from semievol.records import Split
from semievol.store.data import projects as store_projects
from semievol.store.data import records
from semievol.store.data.projects import Project
from semievol.store.results import outcomes
from semievol.store.runs import progress, rounds, runs
from semievol.ui.evaluation import headline
from semievol.ui.shell import (
    archives,
    awaiting_results,
    formats,
    live,
    notices,
    paint,
    parts,
    proposal,
    record,
    router,
    session,
    state,
    steps,
)
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
    """The large card: what came out or what is so, the next step, the seven stages, the active run, and counts."""
    later_round = here.later_round
    run, evaluation = next(here.evaluations(), (None, None))
    earlier = None if evaluation else awaiting_results.with_results(here, "evaluation")
    step = steps.next_step(here.store, here.project, here.round_or_none, here.runs)
    with parts.card("open_project"):
        left, right = st.columns([7, 6] if evaluation or earlier else [12, 1], gap="medium", vertical_alignment="top")
        with left:
            parts.html(f"<div class='sv-kicker'>{task_words(here.project)}</div>")
            with st.container(key=f"project_name_{here.project.id}"):
                st.text(here.project.name)
            if evaluation:
                headline.lead(evaluation, later_round)
            if not evaluation or step.name != "look":
                parts.html(f"<p class='{'sv-note' if evaluation else 'sv-lead'}'>{step.sentence}</p>")
            _why_it_ended(step)
            _buttons(here, step)
        if run is not None and evaluation:
            with right:
                headline.chart(evaluation, later_round)
                for sentence in caveats(here.store, here.round, run, evaluation):
                    parts.note(sentence)
        if earlier is not None:
            with right:
                _earlier(here, earlier)
        live.polled("overview", here.round_id, lambda seen: _progress(here, seen))
        _counts(here)


def _earlier(here: Place, round_: rounds.Round) -> None:
    """What came out of an earlier round, while the one in view has no result."""
    found = ((run, outcomes.evaluation(here.store, run.id)) for run in here.runs if run.round_id == round_.id)
    run, figures = next((run, one) for run, one in found if one)
    parts.html(f"<div class='sv-kicker'>{escape(round_.named)}</div>")
    headline.lead(figures, round_.parent_id is not None, small=True)
    headline.chart(figures, round_.parent_id is not None)
    for sentence in caveats(here.store, round_, run, figures):
        parts.note(sentence)
    awaiting_results.open_other(here, "evaluation")


def _why_it_ended(step: steps.Step) -> None:
    """What a failed run said, in full and as plain text, since it may quote data."""
    if step.run is not None and step.run.error:
        st.text("\n".join(str(step.run.error[part]) for part in ("what", "remedy") if step.run.error.get(part)))


def _buttons(here: Place, step: steps.Step) -> None:
    """The next step, and "Run everything" beside it where there are records."""
    sentence = ""
    with st.container(horizontal=True, vertical_alignment="center"):
        steps.button(here, step, f"next_{here.project.id}")
        if step.name not in ("data", "propagate"):
            config = proposal.config(here)
            reason, sentence = (ask(here, config, launch.EVERYTHING) for ask in (steps.why_not, steps.remark))
            do = steps.starting(here, config, launch.EVERYTHING)
            parts.act("Run everything", do, why_not=reason, icon=":material/play_arrow:")
        _manage(here)
    if sentence:
        parts.note(f"Run everything: {sentence}")


def _counts(here: Place) -> None:
    counts = here.project.counts
    when = "no round yet"
    if here.round_or_none:
        came = outcomes.came_finished(here.store, here.round.id)
        when = f"{'came with the project, ' if came else ''}{formats.moment(here.round.created)}"
    parts.tiles(
        [
            ("Labeled", formats.count(counts.get("labeled", 0)), "records with known answers"),
            ("Unlabeled", formats.count(counts.get("unlabeled", 0)), "records to be answered"),
            ("Test", formats.count(counts.get("test", 0)), "records to test models on"),
            (
                "Round",
                str(here.round.place) if here.round_or_none else formats.DASH,
                when,
            ),
        ]
    )


def _progress(here: Place, snapshot: live.Snapshot) -> None:
    """The stages side by side; while a run of the project is active, in whichever round, also its progress, its loss,
    and the button that stops it."""
    run = snapshot.run
    if run is None or run.project_id != here.project.id:
        live.track(snapshot.stages)
        if run is not None:
            live.doing(run, snapshot, "overview")
            parts.note("A run started here waits in the queue.")
        return
    live.headline(run, snapshot, key="stop_overview")
    live.track(snapshot.working if snapshot.in_other_round else snapshot.stages)
    curves.loss(progress.metrics(state.open_store(), run.id), key="loss_overview", height=200)


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
    """The small card of another project: its newest result, what is running, and the next step."""
    found = runs.list_runs(here.store, project.id)
    opened = rounds.list_rounds(here.store, project.id)
    counts = rounds.counting(opened)
    step = steps.next_step(here.store, project, counts, found)
    shown = [run for run in found if counts is None or not counts.chosen or run.round_id == counts.id]
    judged = next(((run, one) for run in shown if (one := outcomes.evaluation(here.store, run.id))), None)
    with parts.card(f"project_{project.id}", tight=True):
        parts.html(f"<div class='sv-kicker'>{task_words(project)}</div>")
        with st.container(key=f"project_name_{project.id}"):
            st.text(project.name)
        if judged is not None:
            run, evaluation = judged
            later_round = next(one.parent_id for one in opened if one.id == run.round_id) is not None
            headline.lead(evaluation, later_round, small=True)
            headline.chart(evaluation, later_round, small=True)
        numbers = [f"{formats.count(project.counts.get(s, 0))} {s}" for s in SHOWN_SPLITS]
        parts.note(" · ".join(numbers))
        if step.name == "follow" and step.run is not None:
            live.polled(f"card_{project.id}", step.run.round_id, _running)
        else:
            ended = [parts.badge(step.run.status)] if step.run is not None else []
            ahead = "" if step.name == "look" else f"<span class='sv-note'>{step.sentence}</span>"
            parts.html(f"<div class='sv-row'>{''.join(ended)}{ahead}</div>")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Open", key=f"open_{project.id}", on_click=state.visit, args=(project.id,))
            page = steps.PAGES.get(step.name)
            label = steps.LABELS[step.name][0] if page else "Go to Training"
            router.link(page or "training", label, project=project.id, round=counts.id if counts else None)


def _running(snapshot: live.Snapshot) -> None:
    """The active run of another project on its card."""
    if snapshot.run is not None and not snapshot.in_other_round:
        words = (
            f"{live.run_badge(snapshot.run, snapshot.studying)}<span class='sv-note'>{live.sentence(snapshot)}</span>"
        )
        parts.html(f"<div class='sv-row'>{words}</div>")
    else:
        parts.note("Waits in the queue.")


def _manage(here: Place) -> None:
    with st.popover("Manage", icon=":material/more_horiz:", key=f"manage_{here.project.id}"):
        name = st.text_input("Name", value=here.project.name, key=f"name_{here.project.id}")
        if st.button("Rename", key=f"rename_{here.project.id}", width="stretch"):
            with parts.errors_shown():
                store_projects.rename_project(here.store, here.project.id, name)
                notices.say("The project is renamed.")
                st.rerun()
        name = st.text_input("Name of a copy", value=f"{here.project.name} copy", key=f"copy_{here.project.id}")
        parts.note(
            "A copy has the data and the settings, not the rounds, decisions and models. “Export whole project” has "
            "them all."
        )
        if st.button("Duplicate", key=f"duplicate_{here.project.id}", width="stretch"):
            with parts.errors_shown():
                copy = store_projects.duplicate_project(here.store, here.project.id, name)
                router.go("overview", project=copy.id, round=None)
        if st.button("Archive", key=f"archive_{here.project.id}", width="stretch"):
            store_projects.update_project(here.store, here.project.id, archived=True)
            _leave("The project is archived. It is listed at the end of the Overview, with a button that restores it.")
        archives.export_button(here)
        typed = st.text_input("Type the project's name to delete it", key=f"typed_{here.project.id}")
        active = runs.active_run(here.store)
        busy = active is not None and active.project_id == here.project.id
        if busy:
            parts.note("A run of this project is active. Stop it first, then delete the project.")
        named = typed == here.project.name and not busy
        if st.button("Delete", key=f"delete_{here.project.id}", width="stretch", disabled=not named):
            with parts.errors_shown():
                store_projects.delete_project(here.store, here.project.id)
                _leave("The project is deleted.")


def _leave(said: str) -> None:
    notices.say(said)
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
                if st.button("Restore", key=f"restore_{project.id}"):
                    store_projects.update_project(here.store, project.id, archived=False)
                    st.rerun()
