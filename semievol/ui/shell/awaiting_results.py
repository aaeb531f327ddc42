"""Pages that show results, while the round in view has none yet: what is coming and when, and where results are.

A run that works in the round in view must not take away what earlier rounds have to show. So links in the sidebar lead
to the newest round that has what the page shows; the page of the unfinished round says what it waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from semievol.jobs import resuming
from semievol.records import STEPS
from semievol.store.database import Store
from semievol.store.results import outcomes, results
from semievol.store.runs.rounds import Round
from semievol.store.runs.runs import Run
from semievol.store.schema import NOT_ENDED
from semievol.ui.shell import formats, live, parts, router, state, steps, time_left
from semievol.ui.shell.state import Place

SHOWS: dict[str, tuple[str, Callable[[Store, int], bool]]] = {
    "demonstrations": ("retrieve", results.has_demonstrations),
    "responses": ("justify", results.has_candidates),
    "selection": ("justify", results.has_candidates),
    "review": ("justify", results.has_candidates),
    "evaluation": ("evaluate", outcomes.is_evaluated),
}
"""Page -> the stage that makes what it shows, and whether a round has it."""


FOLLOWS = ("overview", "training")
"""Pages that show a run at work."""


def round_of_link(here: Place, page: str) -> int | None:
    """Id of the round with which a link leads to the page: the one in view, unless a run is only about to make what the
    page shows and an earlier round has it. Pages that show a run are opened with the round it works in."""
    if page in FOLLOWS and (run := state.active_of(here.store, here.runs)) is not None:
        return run.round_id
    if page not in SHOWS or here.round_or_none is None or _at_work(here) is None or shows(here, page):
        return here.round_id
    other = with_results(here, page)
    return here.round_id if other is None else other.id


def shows(here: Place, page: str) -> bool:
    """Whether the round in view has what the page shows."""
    return here.round_or_none is not None and SHOWS[page][1](here.store, here.round.id)


def with_results(here: Place, page: str, newer: bool = False) -> Round | None:
    """The newest of the other rounds that has what the page shows; newer: only if it is newer than the one in view."""
    there = SHOWS[page][1]
    others = [one for one in here.rounds if one.id != here.round_id and (not newer or one.id > (here.round_id or 0))]
    return next((one for one in others[::-1] if there(here.store, one.id)), None)


def begun(here: Place, page: str) -> bool:
    """Whether a run of the round in view is making what the page shows, or was stopped before it did."""
    return _making(here, page) is not None or _left(here, page) is not None


def missing(here: Place, page: str, what: str) -> bool:
    """In place of results: what the run that makes them is doing, or the button that resumes one that was stopped.
    False, and nothing drawn, where no run has begun to make them. what: the page in a sentence."""
    if run := _making(here, page):
        with parts.empty("Still to come", f"{what} Run {run.id} of this round is on its way there."):
            router.link("training", "Follow the run", ":material/monitoring:")
            open_other(here, page)
        live.polled(f"missing_{page}", here.round_id, lambda seen: _coming(here, seen, SHOWS[page][0]))
        return True
    if left := _left(here, page):
        at = f"at {formats.STAGE_WORDS[left.stage]}, {formats.percent(left.share, 0)} done"
        why = f"{what} Run {left.run.id} of this round {steps.ENDED[left.run.status]} {at}. What is finished is kept."
        with parts.empty("Not finished", why):
            steps.button(here, steps.Step("resume", "", left.run), f"resume_for_{page}")
            open_other(here, page)
        return True
    return False


def open_other(here: Place, page: str) -> None:
    """The button that opens the newest of the other rounds that has what the page shows."""
    if (other := with_results(here, page)) is not None:
        label = f"Open {other.title.lower()} (finished)"
        st.button(label, key=f"open_round_{page}", on_click=state.visit, args=(here.project.id, other.id))


def in_other_round(here: Place, page: str) -> None:
    """One line on the run that works in another round of this project, so that nobody takes this round for its; else on
    a newer round that has what the page shows."""
    run = here.active
    if run is not None and run.project_id == here.project.id and run.round_id != here.round_id:
        live.polled("elsewhere", here.round_id, lambda seen: _line(here, seen))
    elif (other := with_results(here, page, newer=True)) is not None:
        with st.container(horizontal=True, vertical_alignment="center", key="newer"):
            parts.note(f"This page shows {here.round.title.lower()}; {other.title.lower()} is newer.")
            open_other(here, page)


def _line(here: Place, seen: live.Snapshot) -> None:
    if seen.run is None or not seen.where:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="elsewhere"):
        words = f"{seen.where}: {live.sentence(seen)}. This page shows {here.round.title.lower()}."
        badge = live.run_badge(seen.run, seen.studying)
        parts.html(f"<div class='sv-row'>{badge}<span class='sv-note'>{escape(words)}</span></div>")
        router.link("training", "Follow it", ":material/monitoring:", round=seen.run.round_id)


def _coming(here: Place, seen: live.Snapshot, made_by: str) -> None:
    """How far the run is, and which stages follow until the page has something to show."""
    live.track(seen.stages)
    if seen.run is None:
        return
    if seen.in_other_round:
        live.doing(seen.run, seen, f"before_{made_by}")
        parts.note("The run of this round waits in the queue behind it.")
        return
    until = [one for one in seen.working if STEPS.index(one.stage) <= STEPS.index(made_by)]
    ahead = [formats.STAGE_WORDS[one.stage] for one in until if one.status == "waiting"]
    then = f" Then {formats.series(ahead)}." if ahead else ""
    expected = state.expected_seconds(here.store, seen.run) if seen.run.status == "running" else None
    when = f" This page fills in {formats.about(time_left.seconds_until(until, expected))}." if expected else ""
    parts.note(f"{live.sentence(seen)}.{then}{when}")


def _making(here: Place, page: str) -> Run | None:
    """The run at work in the round in view, if it is to make what the page shows."""
    run = _at_work(here)
    return run if run is not None and run.covers(SHOWS[page][0]) else None


def _left(here: Place, page: str) -> resuming.Resumable | None:
    """The run to resume, if it would make what the page shows; None while a run works in the round."""
    left = None if _at_work(here) else resuming.furthest(here.store, here.round_runs)
    return left if left is not None and left.run.covers(SHOWS[page][0]) else None


def _at_work(here: Place) -> Run | None:
    """The run that works in the round in view, or waits to."""
    return next((run for run in here.round_runs if run.status in NOT_ENDED), None)
