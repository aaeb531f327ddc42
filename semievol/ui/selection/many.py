"""Decisions on many records at once: saved and taken back in a thread, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from semievol.store.decisions import decisions
from semievol.ui.selection import desk, sweep
from semievol.ui.shell import background, formats, notices
from semievol.ui.shell.state import Place, reviewer

MANY = 1_000
"""Above this number, decisions are taken back in a thread with a progress bar; fewer take only a moment."""
_SAVING, _TAKING = "Saving", "Taking back"


def decide(here: Place, shown: dict[str, str | None], action: str, revision: int) -> None:
    """Decides on the records that are still undecided. The store recognises a double click by its key.

    shown: record id -> answer that was on the screen.
    """
    store, project_id, round_id, signed = here.store, here.this_project.id, here.this_round.id, reviewer()
    key = f"bulk-{desk.session()}-{action}-{revision}"

    def work(watch: Callable[[int], None]) -> str:
        made = decisions.decide_many(
            store,
            project_id,
            round_id,
            shown,
            action,
            reviewer=signed,
            note="many at once",
            key=key,
            only_undecided=True,
            watch=watch,
        )
        left = len(shown) - len(made)
        saved = f"{formats.plural(len(made), 'decision')} saved. Undo under Review takes all of them back."
        saved = saved if made else "Nothing was saved."
        decided = "was already decided" if left == 1 else "were already decided"
        return f"{saved} {formats.plural(left, 'record')} {decided} in the meantime." if left else saved

    _begin(here, _SAVING, work, len(shown))


def take_back(here: Place, decision_id: int, together: int, key: str | None = None) -> None:
    """Takes back a decision and all decisions made together with it; together: their number.

    key: identifies the click, where a second click could mean another decision.
    """
    store, project_id, signed = here.store, here.this_project.id, reviewer()

    def work(watch: Callable[[int], None]) -> str:
        press = key or f"back-{decision_id}"
        made = decisions.take_back(store, project_id, decision_id, reviewer=signed, key=press, watch=watch)
        return f"{formats.plural(len(made), 'decision')} taken back."

    sweep.forget()
    _begin(here, _TAKING, work, together)


def _begin(here: Place, doing: str, work: Callable[[Callable[[int], None]], str], total: int) -> None:
    if any(background.busy(_name(here, one)) for one in (_SAVING, _TAKING)):
        notices.say("The previous action is still being saved. Press again when it is done.")
    else:
        background.begin(_name(here, doing), work, total)


def _name(here: Place, doing: str) -> str:
    """Name of the job. It holds the project, so that the result is shown only there: Undo acts within one project."""
    return f"{doing} {here.this_project.id}"


def follow(here: Place) -> None:
    """If this session is saving or taking back decisions of this project, draws the progress until it is done."""
    for doing in (_SAVING, _TAKING):
        if background.busy(_name(here, doing)):
            with notices.errors_kept():
                notices.say(background.follow(_name(here, doing), doing, "decisions"))
            st.rerun()
