"""What moves while a run is active: stages, progress, time left. Polls the store while one is active.

A polled part remembers what it saw when the page was drawn. When a stage or the run has ended since, or a press in the
part has failed, it reruns the whole page, so that results and errors appear without a reload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from semievol.jobs import launch
from semievol.records import CROSS_FIT, STAGES, STEPS
from semievol.store.data.projects import find_project
from semievol.store.database import Store, open_store
from semievol.store.decisions.selections import selections
from semievol.store.runs.progress import StageProgress, stages
from semievol.store.runs.rounds import get_round
from semievol.store.runs.runs import Run, active_run, list_runs, queue
from semievol.store.schema import ACTIVE
from semievol.ui.shell import actions, formats, notices, parts, state, study_progress, time_left

POLL_SECONDS = 2.0
"""A page that watches a run is drawn anew so often. Its drawing takes processor time from a run on the same machine."""
BEGINNING = {
    "warm_up": "preparing the examples",
    "retrieve": "comparing all records",
    "respond": "preparing the questions",
    "cross_fit": "preparing the first part",
    "justify": "comparing the answers",
    "select": "applying the policy",
    "tune": "preparing the examples",
    "evaluate": "preparing the questions",
}
"""What a stage does before its first item."""
TICKS = {"done": "✓", "failed": "!", "skipped": "–"}
OF_THE_ROUND = STEPS[: STEPS.index("select")]
"""Steps whose results belong to the round: once done they are never done again, later runs only pass through them."""


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment: the active run of any project, its stages, the stages of the round in view, and the runs
    that wait behind the active one. where: as `whereabouts`, of the active run. study: the study that a worker has, so
    that the active run waits."""

    run: Run | None
    stages: list[StageProgress]
    working: list[StageProgress]
    round_id: int | None
    where: str = ""
    waiting: Sequence[Run] = ()
    study: Run | None = None

    @property
    def studying(self) -> bool:
        return self.study is not None

    @property
    def in_other_round(self) -> bool:
        """Whether the active run works in another round than the one in view."""
        return self.run is not None and self.run.round_id != self.round_id

    @property
    def signature(self) -> tuple[object, ...]:
        """Changes when a run or a stage begins or ends or the queue changes, not with every step."""
        run = (self.run.id, self.run.status) if self.run else None
        queue = tuple(waiting.id for waiting in self.waiting)
        study = self.study and (self.study.id, self.study.status)
        return (run, study, queue, tuple(progress.status for progress in [*self.stages, *self.working]))


def snapshot(store: Store, round_id: int | None) -> Snapshot:
    """Reads the active run (of any project), the queue, and how far the round is."""
    launch.ensure_worker(store)
    runs = list_runs(store)
    active = state.active_of(store, runs)
    waiting = [run for run in queue(store) if active is None or run.id != active.id]
    mine = [run for run in runs if run.round_id == round_id]
    working = stages(store, active.id) if active else []
    where = whereabouts(store, active, round_id) if active else ""
    busy = active_run(store)
    study = busy if busy is not None and busy.study is not None else None
    return Snapshot(active, _of_round(store, round_id, mine), working, round_id, where, waiting, study)


def _of_round(store: Store, round_id: int | None, runs: Sequence[Run]) -> list[StageProgress]:
    """For each stage what is so in the round. runs: the round's, newest first.

    What a worker is doing now counts most, then what other runs have finished, then what they left unfinished. What a
    run in the queue has yet to do hides nothing.
    """
    found: dict[str, list[StageProgress]] = {step: [] for step in STEPS}
    busy = [run for run in runs if run.status in ACTIVE]
    for run in busy:
        for progress in stages(store, run.id):
            if progress.status != "skipped":
                found[progress.stage].append(progress)
    left: list[StageProgress] = []
    for run in (run for run in runs if run.status not in ACTIVE):
        for progress in stages(store, run.id):
            if progress.status == "running":  # its run has ended without finishing it
                progress = replace(progress, status="failed" if run.status == "failed" else "waiting")
            if progress.status in ("done", "failed"):
                found[progress.stage].append(progress)
            elif progress.status == "waiting" and progress.done:
                left.append(progress)
    for progress in left:
        found[progress.stage].append(progress)
    if round_id is not None and not found["select"] and selections(store, round_id):
        found["select"] = [StageProgress("select", "done", 1, 1, None, None)]  # frozen by hand
    return [_one(step, found[step]) for step in STEPS if found[step] or step != CROSS_FIT]


def _one(stage: str, found: Sequence[StageProgress]) -> StageProgress:
    """What is so of a stage, from its progress in several runs, the one that counts most first."""
    if not found:
        return StageProgress(stage, "waiting", 0, 0, None, None)
    done = [progress for progress in found if progress.status == "done"]
    if stage == "warm_up":  # some runs may have had nothing to train
        trained = [progress for progress in found if progress.status != "done" or progress.total]
        if done and not trained:
            return StageProgress(stage, "skipped", 0, 0, None, None)
        found, done = trained, [progress for progress in done if progress.total]
    if stage not in OF_THE_ROUND or not done or _adds(found[0]):
        return found[0]
    return max(done, key=lambda one: one.seconds or 0)  # of the run that did the work


def _adds(progress: StageProgress) -> bool:
    """Whether a run is adding to a step that is done: cross-fitting with more folds."""
    adding = (progress.stage, progress.status) == (CROSS_FIT, "running") and progress.total > 0
    return adding and time_left.share(progress) < 1


def polled(name: str, round_id: int | None, draw: Callable[[Snapshot], None]) -> None:
    """Draws `draw(snapshot)` now and, while a run is active, every POLL_SECONDS. `name` is unique on the page."""
    first, error_before = snapshot(open_store(), round_id), notices.failed()

    def body() -> None:
        with parts.errors_shown():
            now = snapshot(open_store(), round_id)
            if now.signature != first.signature or notices.failed() not in (None, error_before):
                st.rerun()
            draw(now)

    st.fragment(body, run_every=POLL_SECONDS if first.run or first.study else None, key=f"live_{name}")()


def stepper(found: Sequence[StageProgress]) -> None:
    """The seven stages as a column of dots, with percent and time left."""
    lines = []
    for progress in found:
        number = str(STAGES.index(progress.stage) + 1) if progress.stage in STAGES else ""
        part = "" if number else " sv-part"  # no stage of its own
        mark = TICKS.get(progress.status, "" if progress.status == "running" else number)
        colour = "" if progress.status in ("done", "failed") else " style='color:var(--sv-quiet)'"
        if progress.status == "running":
            left = time_left.seconds_left(progress)
            how_far = formats.percent(time_left.share(progress), 0) if progress.total else "under way"
            when = how_far + (f" · {formats.duration(left)} left" if left else "")
        elif progress.status == "done" and progress.seconds is not None:
            when = formats.duration(progress.seconds)
        elif progress.status == "waiting" and time_left.share(progress):
            when = f"{formats.percent(time_left.share(progress), 0)} done"
        else:
            when = {"failed": "failed", "skipped": "nothing to train"}.get(progress.status, "")
        lines.append(
            f"<li class='sv-{progress.status}{part}' "
            f"aria-label='{formats.STAGE_WORDS[progress.stage]}: {progress.status}'>"
            f"<span class='sv-dot' style='--share:{100 * time_left.share(progress):.0f}'>"
            f"<span{colour}>{mark}</span></span>"
            f"<span>{formats.STAGE_WORDS[progress.stage]}</span><span class='sv-when'>{when}</span></li>"
        )
    parts.html(f"<ol class='sv-steps'>{''.join(lines)}</ol>")


def track(found: Sequence[StageProgress]) -> None:
    """The seven stages side by side as bars, for the wide part of a page."""
    cells = []
    for progress in found:
        now = " class='sv-now'" if progress.status == "running" else ""
        name = formats.STAGE_WORDS[progress.stage]
        bar = f"<div class='sv-bar'><div style='width:{100 * time_left.share(progress):.1f}%'></div></div>"
        cells.append(f"<div{now} title='{name}'>{bar}{name}</div>")
    parts.html(f"<div class='sv-track'>{''.join(cells)}</div>")


def headline(run: Run, snapshot: Snapshot, key: str) -> None:
    """What the active run is doing and where, and the button that stops it."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        doing(run, snapshot, key, whole=True)
    look = {"icon": ":material/stop:", "width": "stretch", "disabled": run.status == "stopping"}
    right.button("Stop", key=key, on_click=actions.stop, args=(run,), **look)  # type: ignore[arg-type]


def doing(run: Run, snapshot: Snapshot, key: str, whole: bool = False) -> None:
    """What the active run is doing, under the name of its round where that is not the one in view. whole: as in
    `sentence`."""
    if snapshot.where:
        with st.container(key=f"whereabouts_{key}"):
            st.text(snapshot.where)  # may hold the name of a project
    badge, words = run_badge(run, snapshot.studying), sentence(snapshot, whole)
    parts.html(f"<div class='sv-row'>{badge}<span class='sv-note'>{words}</span></div>")


def study(run: Run, in_project: int | None) -> None:
    """How far the study is that a worker has, under the name of its project where that is not the one in view."""
    store = open_store()
    if run.project_id != in_project:
        with st.container(key="whereabouts_study"):
            st.text(f"In {find_project(store, run.project_id).name}")  # names are data
    parts.html(f"<div class='sv-row'>{study_progress.badge(run)}</div>")
    parts.note(study_progress.sentence(store, run))


def run_badge(run: Run, waits: bool = False) -> str:
    """Markup of the badge of an active run, or of the next one: "Running · run 3". waits: for a study."""
    status = "starting" if run.status == "queued" and not waits else run.status
    return parts.badge(run.status, f"{status.capitalize()} · run {run.id}")


def explained() -> None:
    """Explains the seven stages to a newcomer."""
    cells = [
        f"<div><span class='sv-num'>{number}</span><div class='sv-name'>{formats.STAGE_WORDS[stage]}</div>"
        f"<p class='sv-note'>{formats.STAGE_SENTENCES[stage]}</p></div>"
        for number, stage in enumerate(STAGES, 1)
    ]
    parts.html(f"<div class='sv-method'>{''.join(cells)}</div>")


def sentence(snapshot: Snapshot, whole: bool = False) -> str:
    """Progress of the active run in words: "Respond · 320 of 700 · 12 per second · 32 s left". whole: also the time
    left for the whole run, where other stages follow."""
    words = _doing(snapshot)
    if whole and (left := _whole_left(snapshot)):
        words.append(f"the whole run {formats.about(left)}")
    if snapshot.waiting:
        words.append(f"{formats.plural(len(snapshot.waiting), 'run')} waiting behind it")
    return " · ".join(words)


def _doing(snapshot: Snapshot) -> list[str]:
    run = snapshot.run
    if run is None or run.status == "queued":
        study = "Waiting for the study; it can be stopped on its Evaluation page"
        return [study if snapshot.studying else "A process is being started"]  # no run is ahead, see `state.active_of`
    if run.status == "stopping":
        return ["Stopping at the next safe point"]
    running = next((progress for progress in snapshot.working if progress.status == "running"), None)
    if running is None:
        return [_between(run, snapshot.working)]
    words = [formats.STAGE_WORDS[running.stage]]
    if running.total:
        words.append(f"{formats.count(running.done)} of {formats.count(running.total)}")
    else:
        words.append(BEGINNING[running.stage])
    each_second, left = time_left.pace(running), time_left.seconds_left(running)
    if each_second is not None:
        words.append(formats.pace(each_second))
    if left is not None:
        words.append(f"{formats.duration(left)} left")
    return words


def _between(run: Run, working: Sequence[StageProgress]) -> str:
    """What goes on while no stage runs: the model is loaded, or what the last stage made is stored."""
    ahead = next((progress for progress in working if progress.status == "waiting"), None)
    if ahead is None:
        return "Finishing: storing the results"
    begun = any((progress.ended or 0) > (run.started or 0) for progress in working if progress.status == "done")
    doing = "storing the results so far" if begun else "loading the model"
    return f"Preparing {formats.STAGE_WORDS[ahead.stage]}: {doing}"


def _whole_left(snapshot: Snapshot) -> float | None:
    """Seconds until the active run is done; None where no other stage follows, or nothing can be estimated."""
    run = snapshot.run
    if run is None or run.status != "running" or all(one.status != "waiting" for one in snapshot.working):
        return None
    expected = state.expected_seconds(open_store(), run)
    return None if expected is None else time_left.seconds_until(snapshot.working, expected)


def whereabouts(store: Store, run: Run, round_id: int | None) -> str:
    """The round that a run works in, if it is not the one in view, of another project with that project's name: draw it
    as text. "In Round 2 · smollm2", "In Letters: Round 1 · smollm2"."""
    if run.round_id == round_id:
        return ""
    if run.study is not None:
        return f"In {find_project(store, run.project_id).name}"
    of = get_round(store, run.round_id).named
    in_view = get_round(store, round_id).project_id if round_id is not None else None
    if run.project_id == in_view:
        return f"In {of}"
    return f"In {find_project(store, run.project_id).name}: {of}"
