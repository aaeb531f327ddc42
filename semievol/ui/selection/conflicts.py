"""Conflicts: somebody else decided differently on a record that was decided here. Shown until it is read.

Both sides are told. Who overrules is told at once; who is overruled, on the next poll or visit. The browser keeps how
far it has read each project's history and which tabs decided, so unsigned reviewers are told too. Somebody else is
whoever decided in another tab.
"""

from __future__ import annotations

import streamlit as st

from semievol.errors import UserError
from semievol.records import Decision
from semievol.selection.decisions import same_effect
from semievol.store.decisions import history
from semievol.store.results import results
from semievol.ui.selection import desk
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place

LISTEN_SECONDS = 5.0


def compare(here: Place, made: Decision, seen: int) -> None:
    """Keeps a conflict to show if somebody else has decided differently on the record since it was drawn.

    seen: the newest entry in the record's history when it was drawn.
    """
    if made.action == "skip":
        return
    desk.kept().decided = True
    since = history.since(here.store, here.project.id, seen, made.content_hash, not_by=desk.key_prefixes())
    gone = {entry.undoes for entry in since}
    others = [entry for entry in since if entry.id not in gone and entry.action not in ("undo", "skip")]
    others = [entry for entry in others if not same_effect(here.task, entry, made)]
    if others:
        _keep(here, others, made)


def show(here: Place) -> None:
    """Shows the conflicts until the reviewer has read them."""
    _overruled(here)
    kept = desk.kept().round
    kept.conflicts = {id: one for id, one in kept.conflicts.items() if not _settled(here, one)}
    if not (found := [sentence for one in kept.conflicts.values() if (sentence := _sentence(here, one))]):
        _all_read(here)
    else:
        with (
            parts.card("conflicts", tight=True),
            st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"),
        ):
            with st.container():
                parts.html("<b>Different decisions</b>")
                for sentence in found:
                    st.text(sentence)
            st.button("Understood", on_click=_understood, args=(here,))


def _understood(here: Place) -> None:
    desk.kept().round.conflicts.clear()
    _all_read(here)


def _all_read(here: Place) -> None:
    """Notes up to where the history has been seen; the browser keeps it (`signature.keep`)."""
    if (compared := desk.kept().round.compared) is not None:
        desk.kept().seen[here.project.id] = compared


@st.fragment(run_every=LISTEN_SECONDS)
@state.connected()
def listen(here: Place) -> None:
    """Draws the page again once somebody has overruled a decision of this session, also if nobody presses anything."""
    if _overruled(here):
        st.rerun()


def _overruled(here: Place) -> bool:
    """Keeps later entries by others that differ from decisions made here; whether there were any."""
    kept, newest = desk.kept().round, history.last_entry(here.store, here.project.id)
    before, kept.compared = kept.compared, newest
    if before == newest:
        return False
    found = _while_away(here) if before is None else _meanwhile(here, before)
    gone = {entry.undoes for _, entry in found}
    new = False
    for own, entry in found:
        took_back = entry.action == "undo" and entry.undoes == own.id
        differs = entry.action not in ("undo", "skip") and not same_effect(here.task, entry, own)
        if took_back or (differs and entry.id not in gone):
            new = _keep(here, [entry], own) or new
    return new


_Pairs = list[tuple[Decision, Decision]]


def _meanwhile(here: Place, before: int) -> _Pairs:
    """(own, other) since the page was last compared: decisions of this session, and of earlier ones of this browser."""
    own, earlier = desk.key_prefixes(), desk.kept().earlier
    about = (here.store, here.project.id, before)
    return [
        *history.contradicted(*about, state.reviewer(), own),
        *(history.contradicted(*about, "", earlier, not_by=own) if earlier else []),
    ]


def _while_away(here: Place) -> _Pairs:
    """(own, other) since this browser was here last; where it does not know, since the reviewer's own last decision."""
    store, project_id, name = here.store, here.project.id, state.reviewer()
    before = desk.kept().seen.get(project_id)
    if before is None and name:
        before = history.newest(store, project_id, name)
    if before is None:
        return []
    prefixes = (*desk.key_prefixes(), *desk.kept().earlier)
    found = history.contradicted(store, project_id, before, name, prefixes)
    return [(own, entry) for own, entry in found if not name or entry.reviewer != name]


def _keep(here: Place, others: list[Decision], made: Decision) -> bool:
    """Keeps a conflict to show. False if the record is no longer in the data."""
    found = desk.Conflict(made, tuple(others))
    if not _sentence(here, found):
        return False
    desk.kept().round.conflicts[made.id] = found
    return True


def _settled(here: Place, conflict: desk.Conflict) -> bool:
    """Whether this browser has decided again since: then it knows."""
    made = conflict.made
    newest = max(entry.id for entry in (made, *conflict.others))
    about = (here.store, here.project.id, newest, made.content_hash)
    theirs = {entry.id for entry in history.since(*about, not_by=(*desk.key_prefixes(), *desk.kept().earlier))}
    return any(entry.id not in theirs and entry.action not in ("undo", "skip") for entry in history.since(*about))


def _sentence(here: Place, conflict: desk.Conflict) -> str:
    """Who decided what on the record, and which decision counts now; empty if the record is no longer in the data."""
    made = conflict.made
    try:
        view = results.record_view(here.store, here.round.id, made.record_id)
    except UserError:
        return ""
    what_they_did = formats.series([f"{_who(entry)} {_words(entry)}" for entry in conflict.others])
    counts = ""
    if view.decision is not None:
        counts = f" {'Your' if view.decision.id == made.id else 'The other'} decision counts now."
    elif view.candidate is not None:
        counts = " No decision counts now: the policy decides."
    question = formats.shorten(view.record.question, 80)
    return f"{question}: {what_they_did}; you {_words(made)}.{counts} Both stay in the history."


def _who(entry: Decision) -> str:
    if entry.reviewer and entry.reviewer == state.reviewer():
        return f"{entry.reviewer} (you, in another window)"
    return entry.reviewer or "somebody else"


def _words(entry: Decision) -> str:
    """A decision as a verb phrase, which follows the name of the person who made it."""
    if entry.action == "undo":
        return "took your decision back"
    answer = formats.shorten(entry.answer or entry.answer_shown or "no answer", 80)
    verbs = {"accept": "accepted", "reject": "rejected", "edit": "corrected the answer to"}
    return f'{verbs[entry.action]} "{answer}"' if entry.action in verbs else "said that none fits"
