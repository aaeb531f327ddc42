"""The part Study of the Evaluation page: start one, see it advance, and what it says so far, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.config import Config
from semievol.jobs import launch, studying
from semievol.store.database import Store, open_store
from semievol.store.runs import runs, studies
from semievol.store.runs.runs import Run
from semievol.store.schema import NOT_ENDED
from semievol.study.arms import DEFAULT, EXPLAINED, GROUPS
from semievol.ui.shell import actions, formats, notices, parts, state, study_progress, tables
from semievol.ui.shell.state import Place

POLL_SECONDS = 2.0
GROUP_WORDS = {
    "baselines": "Baselines",
    "ablations": "Without a part",
    "collaborators": "Without a collaborator",
    "tuning": "Tuning",
    "shares": "Fewer unlabeled",
    "rounds": "More rounds",
    "all": "All arms",
}
"""Groups of arms, as the form offers them."""
PURPOSE = (
    "One run is one draw of luck. A study draws labeled, unlabeled and test records anew for every seed, and compares "
    "ways to get a model (arms) on the same records. It tells which differences chance does not explain."
)
HEADS = {
    "arm": "Arm",
    "accuracy": "Accuracy, %",
    "interval": "95 % interval",
    "ahead": "Evolved ahead, points",
    "ahead_interval": "95 % interval of it",
    "p": "p (Holm)",
    "wins": "Ahead on",
    "right": "Kept answers right, %",
    "what": "What it is",
}


def study(here: Place) -> None:
    """The newest study of the data in use with its results as they come, and the form that starts another one."""
    parts.heading("Study", PURPOSE)
    version = here.project.version_id
    found = [run for run in runs.list_studies(here.store, here.project.id) if run.study]
    newest = next((run for run in found if studies.Spec.of(run).version_id == version), None)
    if newest is not None:
        _polled(newest)
        mine = studies.Spec.of(newest)
        if studying.spec(here.project, state.config_of(here.project), mine.arms, mine.seeds) != mine:
            parts.note("The study was made with other settings than those that the project has now.")
    if st.toggle("Set up a study", key="study_setup"):  # not an expander: the estimate reads the records
        _form(here)


def _polled(first: Run) -> None:
    """Draws the study now and, while it is under way, every two seconds; the page again when it has ended."""

    def body() -> None:
        with parts.errors_shown():
            store = open_store()
            launch.ensure_worker(store)
            run = runs.get_run(store, first.id)
            if run.status != first.status:
                st.rerun()
            _progress(store, run)
            _results(_summary(store, run, run.id, run.status, len(studies.finished(store, studies.Spec.of(run)))))

    st.fragment(body, run_every=POLL_SECONDS if first.status in NOT_ENDED else None, key="study")()


def _progress(store: Store, run: Run) -> None:
    """How far it is, what it does now, and the button that stops or resumes it."""
    left, right = st.columns([5, 1], vertical_alignment="center")
    with left:
        badge, words = study_progress.badge(run), study_progress.sentence(store, run)
        parts.html(f"<div class='sv-row'>{badge}<span class='sv-note'>{words}</span></div>")
    if run.status in NOT_ENDED:
        right.button(
            "Stop study",
            icon=":material/stop:",
            width="stretch",
            disabled=run.status == "stopping",
            on_click=actions.stop,
            args=(run,),
        )
        st.progress(study_progress.share(store, run))
    elif run.status in runs.RESUMABLE:
        resume = {"icon": ":material/play_arrow:", "type": "primary", "width": "stretch"}
        right.button("Resume study", on_click=actions.resume, args=(run,), **resume)  # type: ignore[arg-type]
        if run.error:
            st.text("\n".join(str(run.error.get(part) or "") for part in ("what", "remedy")))


@st.cache_data(max_entries=10, show_spinner=False, hash_funcs=state.HASH)
def _summary(store: Store, _run: Run, run_id: int, status: str, finished: int) -> dict[str, Any]:
    """As `studying.summary`; computed again only where the study has ended or found something."""
    return studying.summary(store, _run)


def _results(found: dict[str, Any]) -> None:
    """What is clear, in a sentence; the figure and the table of all arms."""
    if not found["arms"]:
        return
    for sentence in [found["sentence"], *found["notes"]]:
        if sentence:
            parts.note(sentence)
    names = [found["titles"][arm] for arm in found["arms"]]
    scores = pd.DataFrame(
        {"arm": names, "strong": [arm == "evolved" for arm in found["arms"]]}
        | {name: [one[column] for one in found["arms"].values()] for name, column in _COLUMNS.items()}
    )
    alt = "Accuracy of every arm with its 95 % interval; the numbers are in the table underneath"
    tables.figure(charts.arms(scores, dark=state.dark()), key="study_figure", alt=alt, height=70 + 34 * len(names))
    table = _table(found)
    heads = {column: head for column, head in HEADS.items() if (table[column] != "").any()}
    tables.table(table, "study_table", heads, {"arm": 230, "what": 300})
    for arm, reason in found["skipped"].items():
        parts.note(f"{found['titles'][arm]} is left out. {reason}")
    parts.note(
        "Intervals: bootstrap crossed over seeds and records (Owen 2007). p: the share of its draws on the other side "
        "of 0, doubled, adjusted for the number of differences (Holm)."
    )


_COLUMNS = {"accuracy": "mean", "low": "low", "high": "high"}


def _table(found: dict[str, Any]) -> pd.DataFrame:
    """A line for every arm, in words: its accuracy, and how far the evolved model is ahead of it."""
    lines = []
    for arm, one in found["arms"].items():
        differs = found["differences"].get(arm)
        kept = one.get("pseudo", {}).get("right_accepted")
        line = {"arm": found["titles"][arm], "accuracy": f"{100 * one['mean']:.1f}", "interval": _span(one)}
        line |= {"right": "" if kept is None else f"{100 * kept:.1f}", "what": EXPLAINED[arm]}
        line |= {"ahead": "", "ahead_interval": "", "p": "", "wins": ""}
        if differs is not None:
            clear = "" if differs["clear"] else " (unclear)"
            line |= {"ahead": f"{100 * differs['mean']:+.1f}{clear}", "ahead_interval": _span(differs, "+")}
            line |= {"p": f"{differs['p_holm']:.3f}", "wins": f"{differs['wins']} of {differs['seeds']}"}
        lines.append(line)
    return pd.DataFrame(lines)


def _span(one: dict[str, Any], sign: str = "") -> str:
    return f"{100 * one['low']:{sign}.1f} to {100 * one['high']:{sign}.1f}"


def _form(here: Place) -> None:
    group = st.segmented_control(
        "Compare", list(GROUP_WORDS), default=DEFAULT, format_func=GROUP_WORDS.__getitem__, key="study_group"
    )
    config = state.config_of(here.project)
    titles = studying.titles_of(config)
    default = [arm for arm in GROUPS[group or DEFAULT] if arm in titles]
    chosen = st.multiselect("Arms", list(titles), default=default, format_func=titles.__getitem__, key=f"arms_{group}")
    left, right = st.columns([1, 4], vertical_alignment="bottom")
    seeds = left.number_input("Seeds", 1, studying.MOST_SEEDS, studying.SEEDS, key="study_seeds")
    arms = [arm for arm in titles if arm in chosen]
    with right:
        if arms:
            parts.note(_time(here, config, arms, int(seeds)))
    parts.act(
        "Start the study",
        lambda: _start(here, config, arms, int(seeds)),
        why_not="" if arms else "Choose an arm.",
        type="primary",
        icon=":material/science:",
    )
    parts.note(
        "It uses the project's settings, waits in the queue like a run, and can be stopped and resumed. If it is asked "
        "for again, or with more seeds or arms, only what is missing is done."
    )


def _time(here: Place, config: Config, arms: Sequence[str], seeds: int) -> str:
    wanted = studying.spec(here.project, config, arms, seeds)
    done, version = len(studies.finished(here.store, wanted)), wanted.version_id
    seconds = study_progress.seconds_needed(here.store, here.project, config, version, wanted.arms, seeds, done)
    if seconds is None:
        return ""
    return f"Estimated time: {formats.about(seconds)}." if seconds else "All of this is done already."


def _start(here: Place, config: Config, arms: Sequence[str], seeds: int) -> None:
    run = studying.start(here.store, here.project, config, arms, seeds)
    doing = state.doing(here.store, run) if run.status in NOT_ENDED else "is done"
    notices.say(f"The study (run {run.id}) {doing}.")
