"""The parts of the Training page: launching, the active run, the queue, and all runs of the project."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st
import yaml

from semievol.config import Config
from semievol.jobs import launch, models, planning, summary
from semievol.store.runs import progress, runs
from semievol.store.runs.runs import Run
from semievol.store.schema import ACTIVE
from semievol.ui.shell import actions, formats, live, parts, router, state, steps, tables
from semievol.ui.shell.state import Place
from semievol.ui.training import comparison, curves, endpoints, few_labeled, needs
from semievol.wording import STATUS_WORDS

TAIL_BYTES = 6_000


def launch_buttons(here: Place, config: Config) -> None:
    """The buttons Propagate, Fine-tune and Run everything, and the choice of the model that a new round starts from."""
    parts.heading("Launch", "A run continues when the browser is closed. Only one runs at a time; others queue.")
    parents = {run.round_id for run in here.runs if run.status == "done" and run.until == "evaluate"}
    bases = [round_ for round_ in here.rounds if round_.id in parents]
    parent = 0
    if bases:
        options = [0, *[round_.id for round_ in bases]]
        words = {round_.id: f"evolved model of round {round_.place}" for round_ in bases}
        parent = st.selectbox(
            "Start from",
            options,
            format_func=lambda i: words[i] if i else "base model",
            key="launch_parent",
            help="A next round starts from the evolved model of an earlier round and answers all unlabeled records "
            "again.",
        )
    if parent:
        later = planning.for_later_round(config, next(one for one in bases if one.id == parent))
        if later.is_far and not config.is_far:
            parts.note("That model is at a server: KL, token cleaning and cross-fitting do not count in this round.")
        config = later
    steps.launch_buttons(here, config, parent or None)
    parts.note(
        "Propagate: train on the labeled records, then answer the unlabeled ones. Fine-tune: train on the newest "
        "frozen selection, then evaluate on the test set. Run everything: both, with the policy that Selection shows."
    )
    for sentence in models.remarks(config):
        parts.note(sentence)
    needs.needs(here, config)
    endpoints.needs(here, config, parent or None)
    if not parent:
        few_labeled.few_labeled(here, config)


def running(here: Place) -> None:
    """The active run, refreshed as it goes on: stage, progress, loss, log; and the queue. Without one, the run of the
    round that can be resumed."""
    if (left := left_off(here)) is not None:
        with parts.card("left_off"):
            parts.html(f"<p class='sv-lead'>{left.sentence}</p>")
            steps.button(here, left, "resume_left_off")
    if here.active is None and not runs.queue(here.store):
        return
    with parts.card("live_run"):
        live.polled("training", here.round_id, _progress)
    waiting = runs.queue(here.store)
    if waiting and (here.active is None or here.active.status != "queued" or len(waiting) > 1):
        with parts.card("queue"):
            _queue(here, waiting)


def left_off(here: Place) -> steps.Step | None:
    """The next step, where it is to resume a run."""
    step = steps.next_step(here.store, here.project, here.round_or_none, here.runs)
    return step if step.name == "resume" else None


def _progress(snapshot: live.Snapshot) -> None:
    run = snapshot.run
    if run is None:
        return
    live.headline(run, snapshot, key="stop_training")
    live.track(snapshot.working if snapshot.in_other_round else snapshot.stages)
    store = state.open_store()
    measured = progress.metrics(store, run.id)
    endpoints.spent(run)
    messages(run)
    curves.loss(measured, key="loss_training", height=250)
    _machine(measured)
    path = launch.log_path(store, run.id)
    with st.expander("Log", expanded=True):
        st.code(tail(path) or "The log is empty so far.", language=None, height=170, wrap_lines=True)


def _machine(measured: pd.DataFrame) -> None:
    """Tiles with the newest value of each metric that a training step reports."""
    newest = newest_values(measured)
    wanted = {
        "learning_rate": ("Learning rate", "{:.2e}"),
        "grad_norm": ("Gradient norm", "{:.2f}"),
        "tokens_per_second": ("Tokens per second", "{:,.0f}"),
        "cpu_percent": ("Processor", "{:.0f} %"),
        "memory_bytes": ("Memory", "{:,.0f} MB"),
    }
    scale = {"memory_bytes": 2.0**-20}
    cells = [
        (words, form.format(newest[name] * scale.get(name, 1.0)), "")
        for name, (words, form) in wanted.items()
        if name in newest
    ]
    if cells:
        parts.tiles(cells)


def newest_values(measured: pd.DataFrame) -> dict[str, float]:
    """Name -> the value measured last, by time, because step numbers begin again with every stage."""
    return dict(measured.sort_values(["at", "step"]).groupby("name")["value"].last()) if len(measured) else {}


def tail(path: Path) -> str:
    """The end of a log file, from the start of a line; empty if there is none."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, 2)
            size = stream.tell()
            stream.seek(max(0, size - TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text if size <= TAIL_BYTES else text.partition("\n")[2]


def _queue(here: Place, waiting: list[Run]) -> None:
    parts.heading("Queue")
    for place, run in enumerate(waiting):
        columns = st.columns([6, 1, 2], vertical_alignment="center")
        where = live.whereabouts(here.store, run, here.round_id)
        columns[0].text(f"Run {run.id}: {_span(run)}{where and f'. {where}'}")
        columns[1].button("First", key=f"first_{run.id}", disabled=place == 0, on_click=actions.put_first, args=(run,))
        columns[2].button(f"Cancel run {run.id}", key=f"cancel_{run.id}", on_click=actions.stop, args=(run,))


def finished(here: Place) -> None:
    """The table of the project's runs; one of them in detail (log, settings, the command that repeats it), or several
    compared."""
    with parts.card("runs"):
        parts.heading("Runs")
        if not here.runs:
            parts.note("No run yet. Press “Run everything” above to start the first one.")
            return
        numbers = {round_.id: round_.place for round_ in here.rounds}
        lines = [
            {
                "Run": run.id,
                "Round": numbers.get(run.round_id, 0),
                "Status": STATUS_WORDS.get(run.status, run.status),
                "Started": formats.moment(run.started),
                "Took": formats.duration(runs.worked(here.store, run)),
                "Stages": _span(run),
            }
            for run in here.runs
        ]
        if len(lines) > 1:
            parts.note("Tick one run to see it, or several to compare them.")
        rows = tables.pick_several(pd.DataFrame(lines), f"runs_{len(lines)}")
        if len(rows) > 1:
            comparison.comparison(here, [here.runs[row] for row in rows])
        else:
            _detail(here, here.runs[rows[0]] if rows else [*here.round_runs, *here.runs][0])


def _span(run: Run) -> str:
    if run.study is not None:
        return "a study"
    words = f"{formats.STAGE_WORDS[run.first]} to {formats.STAGE_WORDS[run.until]}"
    checks = run.config.cross_fit and run.covers("justify")
    return f"{words}, cross-fitted" if checks else words


def messages(run: Run) -> None:
    """The messages of the run, as plain text, because a message may quote data."""
    for sentence in summary.notes(state.open_store(), run.id):
        st.text(sentence)


def _detail(here: Place, run: Run) -> None:
    top = st.columns([5, 2], vertical_alignment="center")
    with top[0]:
        parts.html(f"<div class='sv-row'><h2 class='sv-title'>Run {run.id}</h2>{parts.badge(run.status)}</div>")
    with top[1]:
        if run.status in runs.RESUMABLE:
            left = left_off(here)
            if left is None or left.run is None or left.run.id != run.id:  # else it is offered above
                st.button(
                    "Resume",
                    key=f"resume_{run.id}",
                    icon=":material/play_arrow:",
                    on_click=actions.resume,
                    args=(run,),
                    width="stretch",
                )
        elif run.status == "done":
            ready = run.until in ("justify", "select")
            router.link(
                "selection" if ready else "evaluation", "Choose what to keep" if ready else "See the evaluation"
            )
    if run.error:
        what = [str(run.error.get(part) or "") for part in ("what", "where", "remedy")]
        st.text("\n".join(line for line in what if line))
    if run.status not in ACTIVE:  # the card of the active run shows it already
        endpoints.spent(run)
        messages(run)
        measured = progress.metrics(here.store, run.id)
        if len(measured):
            curves.loss(measured, key=f"loss_{run.id}", height=220)
    st.code(launch.command_line(here.store, here.project, run), language=None, wrap_lines=True)
    log = launch.log_path(here.store, run.id)
    with st.expander("Log, settings and environment"):
        st.code(tail(log) or "The log is empty.", language=None, height=220, wrap_lines=True)
        if log.exists():
            st.download_button("Download the whole log", log.read_bytes, f"run-{run.id}.log", on_click="ignore")
        st.code(yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False), language=None, height=220)
        if run.environment:
            st.json(run.environment, expanded=False)
