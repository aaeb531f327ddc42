"""Decisions on many records at once, saved and taken back beside the page, in one transaction each."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from semievol.store.decisions import decisions
from semievol.ui.selection import desk, sweep
from semievol.ui.shell import background, formats, notices
from semievol.ui.shell.state import Place, reviewer

MANY = 1_000
"""Decisions that are taken back with a bar; fewer are gone in a moment."""
_SAVING, _TAKING = "Saving", "Taking back"


def decide(here: Place, shown: dict[str, str | None], action: str, revision: int) -> None:
    """Decides on what was on the screen and is undecided; a double press is one, which the store knows by the key.

    shown: record id -> answer shown.
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
        saved = f"{formats.plural(len(made), 'decision')} saved; Undo on the Review part takes all of them back."
        saved = saved if made else "Nothing saved."
        return f"{saved} {formats.plural(left, 'record')} had been decided meanwhile." if left else saved

    _begin(here, _SAVING, work, len(shown))


def take_back(here: Place, decision_id: int, together: int, key: str | None = None) -> None:
    """Takes back a decision of the history and those that were made with it, `together` in number.

    key: of the press, where the same press once more could mean another decision.
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
        notices.say("Still at work on what was pressed before; this press was not taken.")
    else:
        background.begin(_name(here, doing), work, total)


def _name(here: Place, doing: str) -> str:
    """What comes of it is told where it was begun: Undo means another decision in another project."""
    return f"{doing} {here.this_project.id}"


def follow(here: Place) -> None:
    """Draws how far the work is that this session began in this project, if it did, until it is done."""
    for doing in (_SAVING, _TAKING):
        if background.busy(_name(here, doing)):
            with notices.errors_kept():
                notices.say(background.follow(_name(here, doing), doing, "decisions"))
            st.rerun()
