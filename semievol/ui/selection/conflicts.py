"""Conflicts: a colleague decided differently on a record that this session decided on. Shown until it is read."""

from __future__ import annotations

from collections.abc import Set

import streamlit as st

from semievol.records import Decision, Task
from semievol.store.decisions import decisions
from semievol.store.results import results
from semievol.task.answers import same
from semievol.ui.selection import desk
from semievol.ui.shell import formats, parts
from semievol.ui.shell.state import Place


def compare(here: Place, made: Decision, seen: int) -> None:
    """Keeps a conflict to show if somebody else has decided differently on the record since it was drawn.

    seen: the newest entry in the record's history when it was drawn.
    """
    kept = desk.kept().round
    kept.mine.add(made.id)
    kept.made[made.content_hash] = made
    if made.action == "skip":
        return
    since = decisions.since(here.store, here.project.id, seen, made.content_hash)
    others = _others(here.task, since, made, {*kept.mine})
    if others:
        _keep(here, others, made)


def show(here: Place) -> None:
    """Shows the conflicts until the reviewer has read them."""
    _overruled(here)
    found = desk.kept().round.conflicts
    if found:
        with parts.card("conflicts", tight=True):
            parts.heading("Different decisions", "Somebody else decided differently on records that you decided on.")
            for sentence in found.values():
                st.text(sentence)
            st.button("Understood", on_click=found.clear)


def _overruled(here: Place) -> None:
    """Finds later decisions by others that differ from the decisions of this session."""
    kept = desk.kept().round
    if not kept.made:
        return
    compared = max(kept.compared, min(one.id for one in kept.made.values()))
    since = decisions.since(here.store, here.project.id, compared)
    undone = {entry.undoes for entry in since}
    for entry in since:
        own = kept.made.get(entry.content_hash)
        if own is None or own.action == "skip" or entry.id < own.id:
            continue
        if _others(here.task, [entry], own, {*kept.mine, *undone}):
            _keep(here, [entry], own)
    kept.compared = max([compared, *(entry.id for entry in since)])


def _others(task: Task, since: list[Decision], made: Decision, known: Set[int | None]) -> list[Decision]:
    """The entries that still count, are not `known`, and differ from the decision `made`."""
    not_new = known | {entry.undoes for entry in since}
    later = [entry for entry in since if entry.id not in not_new and entry.action not in ("undo", "skip")]
    return [entry for entry in later if not _alike(task, entry, made)]


def _keep(here: Place, others: list[Decision], made: Decision) -> None:
    """Keeps the sentence on a conflict: who decided what on the record, and which decision counts now."""
    view = results.record_view(here.store, here.round.id, made.record_id)
    what_they_did = formats.series([f"{entry.reviewer or 'somebody else'} {_words(entry)}" for entry in others])
    yours = view.decision is not None and view.decision.id == made.id
    desk.kept().round.conflicts[made.id] = (
        f"{formats.shorten(view.record.question, 80)}: {what_they_did}; you {_words(made)}. "
        f"{'Your' if yours else 'The other'} decision counts now. Both stay in the history; Undo takes yours back."
    )


def _alike(task: Task, one: Decision, other: Decision) -> bool:
    """Whether two decisions have the same effect."""
    if one.answer is not None and other.answer is not None:
        return same(task, one.answer, other.answer)
    return (one.action, one.answer) == (other.action, other.answer)


def _words(entry: Decision) -> str:
    """A decision as a verb phrase, which follows the name of the person who made it."""
    answer = formats.shorten(entry.answer or entry.answer_shown or "no answer", 80)
    verbs = {"accept": "accepted", "reject": "rejected", "edit": "corrected the answer to"}
    return f'{verbs[entry.action]} "{answer}"' if entry.action in verbs else "found it ambiguous"
