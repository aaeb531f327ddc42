"""What moves while a run is active: stages, progress, time left. Polls the store once a second while one is active.

A polled part remembers what it saw when the page was drawn. When a stage or the run has ended since, or a press in the
part has failed, it reruns the whole page, so that results and errors appear without a reload.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from semievol.jobs import launch
from semievol.records import STAGES
from semievol.store.database import Store, open_store
from semievol.store.decisions.selections import selections
from semievol.store.runs.progress import StageProgress, stages
from semievol.store.runs.runs import Run, list_runs
from semievol.ui.shell import actions, formats, notices, parts, session, state

POLL_SECONDS = 1.0
EARLY = 0.1
"""Below this share of a stage, its elapsed time says little about its pace."""

TICKS = {"done": "✓", "failed": "!"}


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment: the active run of any project, its stages, and the stages of the round in view."""

    run: Run | None
    stages: list[StageProgress]
    working: list[StageProgress]
    round_id: int | None

    @property
    def elsewhere(self) -> bool:
        """Whether the active run works in another round than the one in view."""
        return self.run is not None and self.run.round_id != self.round_id

    @property
    def signature(self) -> tuple[object, ...]:
        """Changes when a run or a stage begins or ends, not with every step."""
        run = (self.run.id, self.run.status) if self.run else None
        return (run, tuple(progress.status for progress in [*self.stages, *self.working]))


def snapshot(store: Store, round_id: int | None) -> Snapshot:
    """Reads the active run (of any project) and, for each stage, the progress in the round's newest run of it."""
    launch.ensure_worker(store)
    runs = list_runs(store)
    merged: dict[str, StageProgress] = {}
    for run in [run for run in runs if run.round_id == round_id]:  # newest first
        for progress in stages(store, run.id):
            if progress.status == "skipped":  # this run does not execute the stage
                continue
            if progress.status == "running" and run.status not in state.BUSY:  # its run has ended without finishing it
                progress = replace(progress, status="failed" if run.status == "failed" else "waiting")
            if progress.status != "waiting" or run.status in (*state.BUSY, *state.WAITING):
                merged.setdefault(progress.stage, progress)
    if round_id is not None and "select" not in merged and selections(store, round_id):
        merged["select"] = StageProgress("select", "done", 1, 1, None, None)  # frozen by hand
    found = [merged.get(stage) or StageProgress(stage, "waiting", 0, 0, None, None) for stage in STAGES]
    active = state.active_of(runs)
    return Snapshot(active, found, stages(store, active.id) if active else [], round_id)


def polled(name: str, round_id: int | None, draw: Callable[[Snapshot], None]) -> None:
    """Draws `draw(snapshot)` now and, while a run is active, every second. `name` is unique on the page."""
    first, error_before = snapshot(open_store(), round_id), notices.failed()

    def body() -> None:
        with parts.errors_shown():
            now = snapshot(open_store(), round_id)
            if now.signature != first.signature or notices.failed() not in (None, error_before):
                st.rerun()
            draw(now)

    st.fragment(body, run_every=POLL_SECONDS if first.run else None, key=f"live_{name}")()


def share(progress: StageProgress) -> float:
    """Done share of a stage, 0 to 1."""
    if progress.status == "done":
        return 1.0
    return min(1.0, progress.done / progress.total) if progress.total else 0.0


def pace(progress: StageProgress) -> float | None:
    """Items per second of a running stage, counted since this session first saw progress; None until that is known.

    This leaves out the time before the first item (loading a model) and what a resumed stage found done.
    A session that opens the page late uses the stage's whole time until it has seen the stage advance.
    """
    if progress.status != "running" or not progress.done or not progress.started:
        return None
    now = time.time()
    since, before = session.shell().first_seen.setdefault((progress.stage, progress.started), (now, progress.done))
    if progress.done > before and now - since >= POLL_SECONDS:
        return float((progress.done - before) / (now - since))
    late = share(progress) > EARLY
    return progress.done / (now - progress.started) if late and now > progress.started else None


def seconds_left(progress: StageProgress) -> float | None:
    """Time left at the present pace; None while the pace is unknown."""
    each_second = pace(progress)
    return (progress.total - progress.done) / each_second if each_second and progress.total else None


def stepper(found: Sequence[StageProgress]) -> None:
    """The seven stages as a column of dots, with percent and time left."""
    lines = []
    for position, progress in enumerate(found, 1):
        mark = TICKS.get(progress.status, "" if progress.status == "running" else str(position))
        colour = "" if progress.status in ("done", "failed") else " style='color:var(--sv-quiet)'"
        if progress.status == "running":
            left = seconds_left(progress)
            when = formats.percent(share(progress), 0) + (f" · {formats.duration(left)} left" if left else "")
        elif progress.status == "done" and progress.started and progress.ended:
            when = formats.duration(progress.ended - progress.started)
        else:
            when = "failed" if progress.status == "failed" else ""
        lines.append(
            f"<li class='sv-{progress.status}' aria-label='{formats.STAGE_WORDS[progress.stage]}: {progress.status}'>"
            f"<span class='sv-dot' style='--share:{100 * share(progress):.0f}'><span{colour}>{mark}</span></span>"
            f"<span>{formats.STAGE_WORDS[progress.stage]}</span><span class='sv-when'>{when}</span></li>"
        )
    parts.html(f"<ol class='sv-steps'>{''.join(lines)}</ol>")


def track(found: Sequence[StageProgress]) -> None:
    """The seven stages side by side as bars, for the wide part of a page."""
    cells = []
    for progress in found:
        now = " class='sv-now'" if progress.status == "running" else ""
        cells.append(
            f"<div{now}><div class='sv-bar'><div style='width:{100 * share(progress):.1f}%'></div></div>"
            f"{formats.STAGE_WORDS[progress.stage]}</div>"
        )
    parts.html(f"<div class='sv-track'>{''.join(cells)}</div>")


def headline(run: Run, snapshot: Snapshot, key: str) -> None:
    """What the active run is doing, and the button that stops it."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        parts.html(f"<div class='sv-row'>{run_badge(run)}<span class='sv-note'>{sentence(snapshot)}</span></div>")
    look = {"icon": ":material/stop:", "width": "stretch", "disabled": run.status == "stopping"}
    right.button("Stop", key=key, on_click=actions.stop, args=(run,), **look)  # type: ignore[arg-type]


def run_badge(run: Run) -> str:
    """Markup of the badge of an active run: "Running · run 3"."""
    return parts.badge(run.status, f"{run.status.capitalize()} · run {run.id}")


def explained() -> None:
    """Explains the seven stages to a newcomer."""
    cells = [
        f"<div><span class='sv-num'>{number}</span><div class='sv-name'>{formats.STAGE_WORDS[stage]}</div>"
        f"<p class='sv-note'>{formats.STAGE_SENTENCES[stage]}</p></div>"
        for number, stage in enumerate(STAGES, 1)
    ]
    parts.html(f"<div class='sv-method'>{''.join(cells)}</div>")


def sentence(snapshot: Snapshot) -> str:
    """Progress of the active run in words: "Respond · 320 of 700 · 12 per second · 32 s left"."""
    running = next((progress for progress in snapshot.working if progress.status == "running"), None)
    if running is None:
        return "Waiting in the queue" if snapshot.run and snapshot.run.status == "queued" else "Starting"
    words = [formats.STAGE_WORDS[running.stage]]
    if running.total:
        words.append(f"{formats.count(running.done)} of {formats.count(running.total)}")
    each_second, left = pace(running), seconds_left(running)
    if each_second is not None:
        words.append(f"{each_second:.1f} per second")
    if left is not None:
        words.append(f"{formats.duration(left)} left")
    return " · ".join(words)
