"""Conflicts: a colleague decided differently on a record that this session decided on. Shown until it is read."""

from __future__ import annotations

from collections.abc import Set

import streamlit as st

from semievol.records import Decision, Task
from semievol.store.decisions import decisions
from semievol.store.results import results
from semievol.store.results.results import RecordView
from semievol.task.answers import same
from semievol.ui.shell import formats, parts
from semievol.ui.shell.state import Place


def compare(here: Place, made: Decision, seen: int) -> None:
    """Notes a conflict if somebody else has decided differently on the record since it was drawn.

    seen: the newest entry in the record's history when it was drawn.
    """
    mine: set[int] = st.session_state.setdefault("review_mine", set())
    mine.add(made.id)
    st.session_state.setdefault("review_made", {})[made.content_hash] = made
    if made.action == "skip":
        return
    since = decisions.since(here.store, here.this_project.id, seen, made.content_hash)
    others = _others(here.task, since, made, mine)
    if others:
        _note(here, others, made)


def show(here: Place) -> None:
    """Shows the conflicts until the reviewer has read them."""
    _overruled(here)
    found: dict[int, str] = st.session_state.get("review_conflicts", {})
    if found:
        with parts.card("conflicts", tight=True):
            parts.heading("Different decisions", "Somebody else decided differently on records that you decided on.")
            for sentence in found.values():
                st.text(sentence)
            st.button("Understood", on_click=found.clear)


def _overruled(here: Place) -> None:
    """Notes later decisions by others that differ from the decisions of this session."""
    made: dict[str, Decision] = st.session_state.get("review_made", {})
    if not made:
        return
    mine: set[int] = st.session_state["review_mine"]
    looked = max(st.session_state.get("review_looked", 0), min(one.id for one in made.values()))
    since = decisions.since(here.store, here.this_project.id, looked)
    undone = {entry.undoes for entry in since}
    for entry in since:
        own = made.get(entry.content_hash)
        if own is None or own.action == "skip" or entry.id < own.id:
            continue
        if _others(here.task, [entry], own, {*mine, *undone}):
            _note(here, [entry], own)
    st.session_state["review_looked"] = max([looked, *(entry.id for entry in since)])


def _others(task: Task, since: list[Decision], made: Decision, known: Set[int | None]) -> list[Decision]:
    """The entries that still count, are not `known`, and differ from the decision `made`."""
    gone = known | {entry.undoes for entry in since}
    said = [entry for entry in since if entry.id not in gone and entry.action not in ("undo", "skip")]
    return [entry for entry in said if not _alike(task, entry, made)]


def _note(here: Place, others: list[Decision], made: Decision) -> None:
    view = results.record_view(here.store, here.this_round.id, made.record_id)
    st.session_state.setdefault("review_conflicts", {})[made.id] = _conflict(view, others, made)


def _alike(task: Task, one: Decision, other: Decision) -> bool:
    """Whether two decisions have the same effect."""
    if one.answer is not None and other.answer is not None:
        return same(task, one.answer, other.answer)
    return (one.action, one.answer) == (other.action, other.answer)


def _conflict(view: RecordView, others: list[Decision], made: Decision) -> str:
    """The sentence on a conflict: who decided what on the record, and which decision counts now."""
    said = formats.series(
        [f"{entry.reviewer or 'somebody else'} {_words(entry.action, _what(entry))}" for entry in others]
    )
    yours = view.decision is not None and view.decision.id == made.id
    return (
        f"{formats.shorten(view.record.question, 80)}: {said}; you {_words(made.action, _what(made))}. "
        f"{'Your' if yours else 'The other'} decision counts now. Both stay in the history; Undo takes yours back."
    )


def _what(entry: Decision) -> str:
    return formats.shorten(entry.answer or entry.answer_shown or "no answer", 80)


def _words(action: str, answer: str) -> str:
    """A decision as a verb phrase, which follows the name of the person who made it."""
    verbs = {"accept": "accepted", "reject": "rejected", "edit": "corrected the answer to"}
    return f'{verbs[action]} "{answer}"' if action in verbs else "found it ambiguous"
