"""What comes next in a project: one rule for the main button of every page, and the reasons why a button is disabled.

Every page offers the same next step, so nobody has to look for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from semievol.config import Config, Policy
from semievol.jobs import launch, resuming
from semievol.jobs.launch import Span
from semievol.records import SPLITS
from semievol.store.data.projects import Project, find_project
from semievol.store.data.records import records_page
from semievol.store.data.versions import added
from semievol.store.database import Store
from semievol.store.decisions.selections import selections
from semievol.store.results import outcomes, results
from semievol.store.runs.rounds import Round, get_round, list_rounds
from semievol.store.runs.runs import Run
from semievol.ui.shell import actions, formats, parts, policies, proposal, router, state
from semievol.ui.shell.state import Place

Name = Literal["data", "follow", "resume", "propagate", "choose", "tune", "look", "test set"]
LABELS: dict[Name, tuple[str, str]] = {
    "data": ("Add your data", ":material/upload_file:"),
    "follow": ("Follow the run", ":material/monitoring:"),
    "resume": ("Resume", ":material/play_arrow:"),
    "propagate": ("Run everything", ":material/play_arrow:"),
    "choose": ("Choose what to keep", ":material/tune:"),
    "tune": ("Fine-tune", ":material/model_training:"),
    "look": ("See the evaluation", ":material/monitoring:"),
    "test set": ("Add a test set", ":material/upload_file:"),
}
"""Step -> its button and icon."""
PAGES: dict[Name, str] = {
    "data": "data",
    "follow": "training",
    "choose": "selection",
    "look": "evaluation",
    "test set": "data",
}
"""Step -> the page that it leads to; the other steps start something."""
ENDED = {"failed": "failed", "cancelled": "was stopped", "interrupted": "was cut short"}


@dataclass(frozen=True)
class Step:
    """The next sensible step, and what is so in a sentence. run: the one to follow or to resume."""

    name: Name
    sentence: str
    run: Run | None = None


def next_step(store: Store, project: Project, round_: Round | None, runs: Sequence[Run]) -> Step:
    """The next step in this round of the project. runs: the project's, newest first."""
    missing = [split for split in ("labeled", "unlabeled") if not project.counts.get(split)]
    if missing or project.task is None:
        return Step("data", f"There are no {' and no '.join(missing) or 'labeled'} records yet.")
    if busy := state.active_of(store, runs):
        doing = state.doing(store, busy)
        other = round_ is None or busy.round_id != round_.id
        where = f", in {get_round(store, busy.round_id).title.lower()}" if other else ""
        return Step("follow", f"Run {busy.id} {doing}{where}.", busy)
    mine = [run for run in runs if round_ is not None and run.round_id == round_.id]
    if left := resuming.furthest(store, mine):
        return Step("resume", f"Run {left.run.id} {ENDED[left.run.status]}. What is finished is kept.", left.run)
    if round_ is None or not results.has_candidates(store, round_.id):
        known, unknown = (formats.count(project.counts.get(split)) for split in ("labeled", "unlabeled"))
        return Step("propagate", f"{known} labeled and {unknown} unlabeled records are ready.")
    frozen = newest(selections(store, round_.id))
    if frozen is None or not frozen["size"]:
        return Step("choose", "The unlabeled records are answered. Now choose which answers to train on.")
    tuned = {run.selection_used for run in mine if run.status == "done" and run.covers("tune")}
    if frozen["number"] not in tuned:
        kept = formats.plural(frozen["size"], "record")
        return Step("tune", f"Selection {frozen['number']} is frozen with {kept}. Now fine-tune on it.")
    if sentence := _more_records(store, project, round_):
        return Step("propagate", sentence)
    if any(outcomes.evaluation(store, run.id) for run in mine):
        return Step("look", "The models are evaluated.")
    if records_page(store, round_.version_id, "test", limit=1)[1]:
        return Step("look", "The model is trained, but not evaluated yet.")
    return Step("test set", "The model is trained. Without a test set nobody can say how good it is.")


def _more_records(store: Store, project: Project, round_: Round) -> str:
    """How many records came since a finished round, in a sentence; empty where there are none, or where another round
    works with them."""
    known = {one.version_id for one in list_rounds(store, project.id)}
    if project.version_id is None or project.version_id in known:
        return ""
    found = added(store, round_.version_id, project.version_id)
    counts = [f"{found[split]:,} {split}" for split in SPLITS if split in found]
    if not counts:
        return ""
    are = "record is" if sum(found.values()) == 1 else "records are"
    return f"{formats.series(counts)} {are} new since {round_.title.lower()}. The next round works with them."


def newest(found: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The newest of these frozen selections."""
    return max(found, key=lambda one: one["number"], default=None)


def frozen_as_shown(found: Sequence[Mapping[str, Any]], policy: Policy, kept: int, by_expert: int) -> bool:
    """Whether the newest frozen selection holds what is kept now, so that freezing again would do nothing."""
    last = newest(found)
    if last is None or not last["policy"] or Policy.model_validate(last["policy"]) != policy:
        return False
    return (last["size"], (last["origins"] or {}).get("expert", 0)) == (kept, by_expert)


def button(here: Place, step: Step, key: str, **look: Any) -> None:
    """The button of the step. key: unique on the page."""
    label, icon = LABELS[step.name]
    look = {"type": "primary", "icon": icon, "key": key, **look}
    if page := PAGES.get(step.name):
        if st.button(label, **look):
            router.go(page, round=step.run.round_id if step.run else here.round_id)
    elif step.name == "resume":
        st.button(label, on_click=actions.resume, args=(step.run,), **look)
    else:
        config = proposal.config(here)
        span = launch.FINE_TUNE if step.name == "tune" else launch.EVERYTHING
        parts.act(label, starting(here, config, span), why_not=why_not(here, config, span), **look)


def after_freezing(here: Place) -> None:
    """The next step below the button that froze what is shown; nothing where the step is to choose."""
    step = next_step(here.store, here.project, here.round_or_none, here.runs)
    if step.name in ("follow", "resume", "tune", "look"):
        button(here, step, "after_freezing", width="stretch")


def starting(here: Place, config: Config, span: Span, parent_id: int | None = None) -> Any:
    """What the button of this span does."""
    if span == launch.FINE_TUNE:
        return lambda: actions.fine_tune(here.store, here.project, config, here.round_or_none)
    return lambda: actions.from_the_start(here.store, here.project, config, span, parent_id)


def why_not(here: Place, config: Config, span: Span, parent_id: int | None = None) -> str:
    """Why a run of this span would fail at once or do nothing; empty where there is something to do."""
    return _beforehand(here, config, span, parent_id)[0]


def remark(here: Place, config: Config, span: Span, parent_id: int | None = None) -> str:
    """What to know before a run of this span is started: why it cannot be, or that it would repeat another."""
    return " ".join(_beforehand(here, config, span, parent_id)).strip()


def _beforehand(here: Place, config: Config, span: Span, parent_id: int | None) -> tuple[str, str]:
    """As `actions.obstacle` and `actions.repeated`."""
    revision = results.revision(here.store, here.round.id) if here.round_or_none else None
    policy = policies.shown(here.project, here.round_or_none).model_dump_json()
    known = (policy, here.project.version_id, revision, *((run.id, run.status) for run in here.runs))
    return _known_beforehand(here.store, here.project.id, here.round_id, config, span, parent_id, known)


@st.cache_data(max_entries=50, ttl=60, show_spinner=False, hash_funcs=state.HASH)
def _known_beforehand(
    store: Store,
    project_id: int,
    round_id: int | None,
    config: Config,
    span: Span,
    parent_id: int | None,
    known: tuple[object, ...],
) -> tuple[str, str]:
    """known: what the answer depends on beside the other arguments."""
    round_ = None if round_id is None else get_round(store, round_id)
    asked = (store, find_project(store, project_id), config, Span(*span), round_, parent_id)
    return actions.obstacle(*asked), actions.repeated(*asked)


def launch_buttons(here: Place, config: Config, parent_id: int | None) -> None:
    """The three buttons that start a run, the next sensible one as the main one; below them why one is disabled, and
    which would repeat a run."""
    step = next_step(here.store, here.project, here.round_or_none, here.runs).name
    main = {"propagate": "Propagate", "tune": "Fine-tune"}.get(step)
    choices = (
        ("Propagate", ":material/hub:", launch.PROPAGATE),
        ("Fine-tune", ":material/model_training:", launch.FINE_TUNE),
        ("Run everything", ":material/play_arrow:", launch.EVERYTHING),
    )
    reasons = {label: why_not(here, config, span, parent_id) for label, _, span in choices}
    with st.container(horizontal=True):
        if step == "choose":
            button(here, Step("choose", ""), "launch_choose")
        for label, icon, span in choices:
            look = "primary" if label == main else "secondary"
            do = starting(here, config, span, parent_id)
            parts.act(label, do, icon=icon, type=look, why_not=reasons[label])
    for label, _, span in choices:
        if sentence := remark(here, config, span, parent_id):
            parts.note(f"{label}: {sentence}")
