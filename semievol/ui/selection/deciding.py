"""What keys and buttons do with the record on the screen: accept, reject, none fits, choose, edit, note, skip, undo.

Knows nothing of which record comes next: the page that shows them does.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from zlib import crc32

import streamlit as st

from semievol.records import Task
from semievol.store.decisions import decisions, history
from semievol.store.results import results
from semievol.task.answers import allowed_answers, same
from semievol.ui.selection import conflicts, desk, many, notes
from semievol.ui.shell import notices, parts, state
from semievol.ui.shell.state import Place

KEYS = {
    "A": "accept",
    "R": "reject",
    "1–9": "answer",
    "0": "none fits",
    "E": "edit",
    "N": "note",
    "S": "skip",
    "U": "undo",
}
ACTS = ("accept", "reject", "choose", "ambiguous", "edit", "note", "skip", "undo")
BUTTONS = (
    ("Accept", "accept", ":material/check:"),
    ("Reject", "reject", ":material/close:"),
    ("None fits", "ambiguous", ":material/help:"),
    ("Edit", "edit", ":material/edit:"),
    ("Note", "note", ":material/notes:"),
    ("Skip", "skip", ":material/skip_next:"),
)


class Seen(NamedTuple):
    """What a reviewer had on the screen of a record: the answer in question, and the newest entry of its history."""

    answer: str | None
    last: int


class Deciding:
    """Decisions on the records of one round that a page shows, about the answers that it showed when it was drawn."""

    def __init__(self, here: Place) -> None:
        self.here = here
        self.project_id, self.round_id = here.project.id, here.round.id
        self.task: Task = here.task
        self.key_prefix = desk.key_prefixes()[0]
        self.revision = results.revision(here.store, self.round_id)
        self.seen: dict[str, Seen] = {}  # by record id, as it was drawn

    def knows(self, record_id: str) -> bool:
        """Whether the page can decide on this record."""
        raise NotImplementedError

    def shown(self, record_id: str) -> str | None:
        """The answer in question: the candidate's, or the one that an expert gave in its place."""
        raise NotImplementedError

    def put_first(self, record_id: str | None) -> None:
        """This record is the one to show."""
        raise NotImplementedError

    def leave(self, record_id: str) -> None:
        """This record was decided, so the next one is to be shown."""
        raise NotImplementedError

    def open_form(self, first: str | None) -> str:
        """Key of the container with the open form for the record `first`; "" if none is open."""
        action, about = desk.kept().round.form or ("", None)
        return f"review_{action}_{crc32((first or '').encode())}" if first is not None and about == first else ""

    def below(self, first: str | None) -> None:
        """Draws the buttons for the record `first`, or in their place the form for a correction or a note."""
        if first is None or not (form := self.open_form(first)):
            self.buttons(first)
            return
        action, _ = desk.kept().round.form or ("", None)
        with st.container(key=form):
            if action == "edit":
                self.correction(first)
            else:
                notes.form(first, [(label, action) for label, action, _ in BUTTONS[:3]], self.do)

    def buttons(self, first: str | None) -> None:
        """The actions as buttons, for the record `first`, and which key does what."""
        with st.container(horizontal=True, key="review_buttons"):
            for label, action, icon in BUTTONS:
                kind: Any = "primary" if action == "accept" else "secondary"
                look: dict[str, Any] = {"icon": icon, "type": kind, "disabled": first is None}
                if action == "accept" and first is not None and self.shown(first) is None:
                    look |= {"disabled": True, "help": "There is no answer to accept. Edit gives one."}
                st.button(label, key=f"do_{action}", on_click=self.do, args=(first, action), **look)
            st.button("Undo", key="do_undo", icon=":material/undo:", on_click=self.do, args=(None, "undo"))
        if first is not None:
            notes.shown(first)
        desk.legend(KEYS if self.task.closed else {key: what for key, what in KEYS.items() if key != "1–9"})

    def keys(self) -> None:
        """Applies the key presses that the browser sent; see `desk.apply`."""
        desk.apply("review", self._press)

    def _press(self, entry: dict[str, Any]) -> None:
        action, pick = entry["act"], None
        seen = Seen(entry["shown"] if "shown" in entry else self.shown(entry["id"]), entry["last"])
        if action == "choose":
            view = results.record_view(self.here.store, self.round_id, entry["id"])
            pick = allowed_answers(self.task, view.record)[entry["pick"]]
            action = "accept" if pick == seen.answer else "edit"
        self._apply(entry["id"] or None, action, pick, f"{entry['by']}-key-{entry['seq']}", seen)

    @notices.errors_kept()
    def do(self, record_id: str | None, action: str) -> None:
        """Callback of a button. Its key holds the record and the revision, so that a double click counts once."""
        desk.mark_stale()
        key = f"{self.key_prefix}-{record_id}-{action}-{self.revision}"
        if action == "undo" and self._take_many_back(key):
            return
        self._apply(record_id, action, None, key)

    def _apply(
        self, record_id: str | None, action: str, answer: str | None, key: str, seen: Seen | None = None
    ) -> None:
        """Carries out an action. seen: None for what this drawing shows."""
        if action == "undo":
            self._undo(key)
        elif action == "note" or (action == "edit" and answer is None):
            desk.kept().round.form = (action, record_id) if record_id is not None else None
            self.put_first(record_id)
        elif record_id is not None:
            self._decide(record_id, action, answer, key, seen or self._drawn(record_id))

    def _drawn(self, record_id: str) -> Seen:
        return self.seen.get(record_id) or Seen(self.shown(record_id), 0)

    def _decide(
        self, record_id: str, action: str, answer: str | None, key: str, seen: Seen, note: str | None = None
    ) -> None:
        """note: None for what was typed before for this record."""
        if not self.knows(record_id):
            return
        shown = seen.answer
        if action == "accept" and shown is None:
            st.toast("There is no answer to accept. Press Edit to give one.", icon=":material/info:")
            return
        asserted = answer if answer is not None else shown if action == "accept" else None
        if note is None:
            note = "" if action == "skip" else notes.draft(record_id)
        made = decisions.decide(
            self.here.store,
            self.project_id,
            self.round_id,
            record_id,
            action,
            shown,
            asserted,
            reviewer=state.reviewer(),
            note=note,
            key=key,
        )
        kept = desk.kept().round
        if action == "skip":
            kept.skipped.add(record_id)
        else:
            notes.stored(record_id, note)
        if action == "edit":
            kept.corrected = desk.Correction(record_id, shown, asserted)
        kept.form = None
        self.leave(record_id)
        conflicts.compare(self.here, made, seen.last)

    def _take_many_back(self, key: str) -> bool:
        """If Undo would take back many decisions, starts that in a thread with a progress bar and returns True.

        Only for the button. The key U must not be confirmed to the browser before everything is stored.
        """
        newest = history.newest(self.here.store, self.project_id, state.reviewer(), desk.key_prefixes())
        together = history.together(self.here.store, self.project_id, newest) if newest is not None else 0
        if newest is None or together <= many.MANY:
            return False
        many.take_back(self.here, newest, together, key)
        return True

    def _undo(self, key: str) -> None:
        undone = history.undo(self.here.store, self.project_id, state.reviewer(), key, desk.key_prefixes())
        if undone is None:
            st.toast("There is nothing to undo.", icon=":material/info:")
            return
        kept = desk.kept().round
        kept.skipped.discard(undone.record_id)
        kept.form, kept.corrected = None, None
        self.put_first(undone.record_id)
        notes.back(undone.record_id)

    def correction(self, record_id: str) -> None:
        """The form that corrects the answer."""
        view = results.record_view(self.here.store, self.round_id, record_id)
        with st.form("correction", border=False, enter_to_submit=False):
            left, right = st.columns(2)  # side by side, so that the buttons stay on a small screen
            with left:
                read = desk.typed(self.task, view.record, "Correct answer", self._drawn(record_id).answer or "")
            note = right.text_input(
                "Note", notes.draft(record_id), 500, placeholder="Optional: the reason, for yourself and colleagues"
            )
            with st.container(horizontal=True):
                saved = st.form_submit_button("Save correction", type="primary")
                st.form_submit_button("Cancel", on_click=notes.put_down)
            if saved:
                if read is None:
                    st.warning("Choose an answer, or type one that fits the task: a numeric task needs one number.")
                    return
                own = same(self.task, read, self._drawn(record_id).answer)
                self._save(record_id, "accept" if own else "edit", None if own else read, note or "")

    def _save(self, record_id: str, action: str, answer: str | None, note: str) -> None:
        with parts.errors_shown():
            key = f"{self.key_prefix}-{record_id}-{action}-{self.revision}"
            self._decide(record_id, action, answer, key, self._drawn(record_id), note)
            st.rerun()
