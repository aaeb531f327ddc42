"""Reviewing candidates one at a time, with buttons and with keys.

The next few candidates are sent ahead, so that a key acts on what is on the screen even while the page still works on
the one before. Every decision is in the store before the page says so; a repeated message is stored once, and what
could not be stored stays in the browser, which sends it again.
"""

from __future__ import annotations

import math
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.method.tasks import allowed_answers, parse
from semievol.records import Task
from semievol.store import decisions, results
from semievol.store.database import NotSaved
from semievol.store.decisions import Decision
from semievol.store.results import RecordView
from semievol.ui import formats, notices, parts, record, state
from semievol.ui.paint import PAINT_JS, Node, node
from semievol.ui.state import Place

AHEAD = 6
KEYS = {"A": "accept", "R": "reject", "E": "edit", "S": "skip", "U": "undo", "1–9": "answer"}
ORDERS = {
    "unsure": "Most unsure first",
    "threshold": "Closest to the threshold",
    "disputed": "Disputed first",
    "random": "Random",
}

_desk = st.components.v2.component(
    "semievol_review",
    html='<div class="sv-root"><div class="sv-review" tabindex="0" aria-label="Candidate under review"></div></div>',
    js=PAINT_JS + Path(__file__).with_name("review.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def review(here: Place, pool: pd.DataFrame, kept: np.ndarray, measure: str, line: float | None) -> None:
    """The desk: order, the candidate, buttons, and the form for a correction."""
    desk = _Desk(here, pool, kept, measure, line)
    top = st.columns([3, 2], vertical_alignment="bottom")
    with top[0]:
        decided = int(pool["decision"].notna().sum()) if "decision" in pool else 0
        parts.heading("Review", f"{formats.plural(decided, 'decision')} saved in this round.")
    with top[1]:
        st.selectbox("Order", list(ORDERS), format_func=lambda o: ORDERS[o], key="review_order")
    desk.conflicts()
    queue = desk.queue(str(st.session_state["review_order"]))
    data = {
        "items": [desk.item(record_id) for record_id in queue],
        "seq": st.session_state.get("review_seq", 0),
        "failures": st.session_state.get("review_failures", 0),
        "serial": f"{here.this_round.id}-{desk.session}",
        "paused": bool(st.session_state.get("review_editing")),
        "finished": "Every candidate is decided or skipped. Undo brings the last one back.",
    }
    _desk(data=data, key="review_keys", on_keys_change=desk.keys)
    first = queue[0] if queue else None
    with st.container(horizontal=True, key="review_buttons"):
        looks: list[tuple[str, str, str]] = [
            ("Accept", "accept", ":material/check:"),
            ("Reject", "reject", ":material/close:"),
            ("Edit", "edit", ":material/edit:"),
            ("Skip", "skip", ":material/skip_next:"),
        ]
        for label, action, icon in looks:
            kind: Any = "primary" if action == "accept" else "secondary"
            st.button(
                label,
                key=f"do_{action}",
                icon=icon,
                type=kind,
                disabled=first is None,
                on_click=desk.do,
                args=(first, action),
            )
        st.button("Undo", key="do_undo", icon=":material/undo:", on_click=desk.do, args=(None, "undo"))
    parts.html(
        "<div class='sv-keys'>"
        + "".join(f"<span><span class='sv-key'>{key}</span>{words}</span>" for key, words in KEYS.items())
        + "</div>"
    )
    if st.session_state.get("review_editing") == first and first is not None:
        desk.correction(first)


class _Desk:
    """The review of one round, bound to what was on the screen when it was drawn."""

    def __init__(self, here: Place, pool: pd.DataFrame, kept: np.ndarray, measure: str, line: float | None) -> None:
        self.here, self.pool, self.measure, self.line = here, pool, measure, line
        self.project_id, self.round_id = here.this_project.id, here.this_round.id
        self.task: Task = here.task
        self.kept = dict(zip(pool.index, kept, strict=True))
        self.session: str = st.session_state.setdefault("review_session", secrets.token_hex(6))
        self.revision = results.revision(here.store, self.round_id)
        self.skipped: set[str] = st.session_state.setdefault("review_skipped", set())
        self.seen: dict[str, int] = {}  # record id -> the newest entry of its history when it was drawn

    def queue(self, order: str) -> list[str]:
        """Ids of the next candidates: what was asked for or undone first, then the undecided in `order`."""
        open_ = self.pool[self.pool["decision"].isna()] if "decision" in self.pool else self.pool
        open_ = open_[~open_.index.isin(self.skipped)]
        values = open_[self.measure] if self.measure in open_ else pd.Series(0.0, index=open_.index)
        if order == "threshold" and self.line is not None:
            open_ = open_.loc[(values - self.line).abs().sort_values(kind="stable").index]
        elif order == "random":
            open_ = open_.sample(frac=1, random_state=int(self.session, 16) % 2**32)
        elif order == "disputed":
            open_ = open_.assign(_v=values).sort_values(["agreed", "_v"], ascending=[True, False], kind="stable")
        else:
            open_ = open_.loc[values.sort_values(ascending=False, kind="stable", na_position="first").index]
        ids = [str(i) for i in open_.index[: AHEAD + 1]]
        head = st.session_state.get("review_head")
        if head in self.pool.index and head not in self.skipped:
            ids = [str(head), *[i for i in ids if i != head]]
        return ids[:AHEAD]

    def item(self, record_id: str) -> dict[str, Any]:
        view = results.record_view(self.here.store, self.round_id, record_id)
        choices = len(allowed_answers(self.task, view.record))
        self.seen[record_id] = view.last_entry
        return {"id": record_id, "nodes": self._card(view), "choices": choices, "last": view.last_entry}

    def _card(self, view: RecordView) -> list[Node]:
        line = self.pool.loc[view.record.id]
        answer = self._shown(view.record.id)
        words = record.named_answer(self.task, view.record, answer)
        value = float(line[self.measure]) if self.measure in line else math.nan  # type: ignore[arg-type]
        why = "kept by the policy" if self.kept.get(view.record.id) else "left out by the policy"
        state_words = "agreed" if line["agreed"] else ("disputed, self-justified" if line["justified"] else "disputed")
        top = node(
            "between",
            None,
            node("row", None, node("label", "Candidate", tag="span"), record.chip(words, bool(line["agreed"]))),
            node(
                "num",
                f"{formats.MEASURE_WORDS[self.measure]} {formats.score(value)} · {why} · {state_words}",
                tag="span",
            ),
        )
        made = [top, node("rule"), *record.question(self.task, view.record, answer)]
        spread = _averaged(self.task, view)
        if spread:
            made.append(node("gap", None, record.bars(self.task, view.record, spread)))
        votes = [
            node("row", None, node("label", said.collaborator, tag="span"), record.chip(said.answer))
            for said in view.responses
        ]
        made.append(node("row gap", None, *votes))
        near = [
            node(
                "line", None, record.chip(d.record.answer), node("num", formats.shorten(d.record.question), tag="span")
            )
            for d in view.demonstrations[:3]
        ]
        if near:
            made.append(node("gap stack", None, node("label", "Nearest labeled records"), *near))
        return made

    def keys(self) -> None:
        """Applies the queue of key presses that the browser sent, in order; what was applied before is skipped.

        Ends at the first that fails. What could not be saved, and what came after, the browser keeps and sends again;
        what was refused would be refused again and counts as dealt with.
        """
        for entry in st.session_state["review_keys"].get("keys") or []:
            if entry["seq"] <= st.session_state.get("review_seq", 0):
                continue
            try:
                self._press(entry)
            except Exception as error:  # noqa: BLE001 - a callback's boundary, as `notices.errors_kept`
                notices.fail(error)
                st.session_state["review_failures"] = st.session_state.get("review_failures", 0) + 1
                if not isinstance(error, NotSaved):
                    st.session_state["review_seq"] = entry["seq"]
                break
            st.session_state["review_seq"] = entry["seq"]

    def _press(self, entry: dict[str, Any]) -> None:
        action, pick = entry["act"], None
        if action == "choose":
            view = results.record_view(self.here.store, self.round_id, entry["id"])
            pick = allowed_answers(self.task, view.record)[entry["pick"]]
            action = "accept" if pick == self._shown(entry["id"]) else "edit"
        self._apply(entry["id"] or None, action, pick, f"{self.session}-key-{entry['seq']}", entry["last"])

    @notices.errors_kept()
    def do(self, record_id: str | None, action: str) -> None:
        """A button: bound to the record it was drawn for, and to the revision, so that a double click counts once."""
        self._apply(record_id, action, None, f"{self.session}-{record_id}-{action}-{self.revision}")

    def _apply(self, record_id: str | None, action: str, answer: str | None, key: str, seen: int | None = None) -> None:
        """seen: the newest entry of the record's history on the screen; None for that of this drawing."""
        if action == "undo":
            self._undo(key)
        elif action == "edit" and answer is None:
            st.session_state["review_editing"] = record_id
            st.session_state["review_head"] = record_id
        elif record_id is not None:
            self._decide(record_id, action, answer, key, self.seen.get(record_id, 0) if seen is None else seen)

    def _decide(self, record_id: str, action: str, answer: str | None, key: str, seen: int) -> None:
        if record_id not in self.pool.index:
            return
        shown = self._shown(record_id)
        if action == "accept" and shown is None:
            st.toast("There is no answer to accept; correct it instead.", icon=":material/info:")
            return
        asserted = answer if answer is not None else shown if action == "accept" else None
        made = decisions.decide(
            self.here.store,
            self.project_id,
            self.round_id,
            record_id,
            action,
            shown,
            asserted,
            reviewer=state.reviewer(),
            key=key,
        )
        if action == "skip":
            self.skipped.add(record_id)
        if st.session_state.get("review_head") == record_id:
            st.session_state["review_head"] = None
        st.session_state["review_editing"] = None
        self._compare(made, seen)

    def _compare(self, made: Decision, seen: int) -> None:
        """Notes a conflict if somebody else decided otherwise on the record since it was drawn."""
        mine: set[int] = st.session_state.setdefault("review_mine", set())
        mine.add(made.id)
        since = decisions.newer(self.here.store, self.project_id, made.content_hash, seen)
        undone = {entry.undoes for entry in since}
        others = [
            entry
            for entry in since
            if entry.id not in mine | undone
            and entry.action not in ("undo", "skip")
            and (entry.action, entry.answer) != (made.action, made.answer)
        ]
        if others and made.action != "skip":
            view = results.record_view(self.here.store, self.round_id, made.record_id)
            st.session_state.setdefault("review_conflicts", {})[made.id] = _conflict(view, others, made)

    def conflicts(self) -> None:
        """What others decided otherwise at the same time, until it is read."""
        found: dict[int, str] = st.session_state.get("review_conflicts", {})
        if found:
            with parts.card("conflicts", tight=True):
                parts.heading("Decided twice", "While you looked at these records, somebody else decided on them too.")
                for sentence in found.values():
                    st.text(sentence)
                st.button("Understood", on_click=found.clear)

    def _undo(self, key: str) -> None:
        undone = decisions.undo(self.here.store, self.project_id, reviewer=state.reviewer(), key=key)
        if undone is None:
            st.toast("There is nothing to undo.", icon=":material/info:")
            return
        self.skipped.discard(undone.record_id)
        st.session_state["review_head"] = undone.record_id
        st.session_state["review_editing"] = None

    def _shown(self, record_id: str) -> str | None:
        answer = self.pool["answer"].to_dict().get(record_id)
        return answer if isinstance(answer, str) else None

    def correction(self, record_id: str) -> None:
        """The form for another answer."""
        view = results.record_view(self.here.store, self.round_id, record_id)
        allowed = allowed_answers(self.task, view.record)
        with st.form("correction", border=False):
            if allowed:
                typed = st.selectbox(
                    "Correct answer", allowed, format_func=lambda a: record.named_answer(self.task, view.record, a)
                )
            else:
                typed = st.text_input("Correct answer", value=self._shown(record_id) or "")
            if st.form_submit_button("Save correction", type="primary"):
                read = typed if allowed else parse(self.task, view.record, str(typed or ""))
                if read is None:
                    st.warning("This is not an answer of the task's kind. A numeric task wants one number.")
                    return
                with parts.errors_shown():
                    self._apply(record_id, "edit", read, f"{self.session}-{record_id}-edit-{self.revision}")
                    st.rerun()


def _averaged(task: Task, view: RecordView) -> dict[str, float]:
    spreads = [record.distribution(task, view.record, said) for said in view.responses]
    spreads = [spread for spread in spreads if spread]
    if not spreads:
        return {}
    return {answer: sum(s.get(answer, 0.0) for s in spreads) / len(spreads) for answer in spreads[0]}


def _conflict(view: RecordView, others: list[Decision], made: Decision) -> str:
    """Who decided what on the record, and what counts now."""
    said = formats.series([f"{entry.reviewer or 'somebody else'} {_words(entry)}" for entry in others])
    yours = view.verdict is not None and view.verdict["id"] == made.id
    return (
        f"{formats.shorten(view.record.question, 80)}: {said}; you {_words(made)}. "
        f"{'Yours' if yours else 'The other'} counts now. Both stay in the history, and Undo takes yours back."
    )


def _words(entry: Decision) -> str:
    answer = formats.shorten(entry.answer or entry.answer_shown or "no answer", 80)
    verbs = {"accept": "accepted", "reject": "rejected", "edit": "corrected the answer to"}
    return f'{verbs[entry.action]} "{answer}"' if entry.action in verbs else "found it ambiguous"
