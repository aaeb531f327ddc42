"""Random reviews: the expert answers randomly drawn records without seeing the model's answer.

Before the review the page says what it can guarantee, afterwards what it does guarantee (docs/evidence.md, Random
reviews).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from semievol.evidence import precision
from semievol.evidence.reviews import REPEAT_EVERY, Review, drawing_order, level
from semievol.records import Record
from semievol.selection.decisions import DECIDES
from semievol.selection.policy import Cut
from semievol.store.data.records import records_by_id
from semievol.store.decisions import reviews
from semievol.store.decisions.reviews import MOST
from semievol.store.results import results
from semievol.task.answers import allowed_answers
from semievol.ui.selection import desk, signature
from semievol.ui.shell import formats, notices, parts, record, state
from semievol.ui.shell.paint import Node, group, node
from semievol.ui.shell.state import Place

PART = "Guarantee by random review"
"""Name of this part of the Selection page, also in its address."""
CHOSEN_PART = "part"
"""Key of the control that chooses a part of the Selection page."""
KEYS = {"1–9": "your answer", "0": "none fits", "S": "skip", "U": "undo"}
ACTS = ("choose", "ambiguous", "skip", "undo")
BLIND = "You answer without seeing the model's answer. One record in ten is asked twice, to check your consistency."
SKIPS = "A skipped record counts as a wrong answer of the model, since nothing is known of it."
MODES = {"fixed": "Fixed number", "any_time": "Stop any time"}


def random_review(here: Place, pool: pd.DataFrame, cut: Cut) -> None:
    """Draws the open review, or the form that starts one; then the results of earlier reviews."""
    past = state.reviews(here.store, here.round.id)
    under_way = next((one for one in reversed(past) if one.open), None)
    if under_way is not None:
        _ask(here, under_way)
    else:
        _begin(here, pool, cut)
    for one in reversed([one for one in past if one is not under_way]):
        _outcome(here, one)


def in_progress(here: Place) -> None:
    """One line about the open random review and the way back to it, for where its questions are not in sight."""
    under_way = next((one for one in reversed(state.reviews(here.store, here.round.id)) if one.open), None)
    if under_way is None:
        return
    sample = under_way.sample
    of = f" of {len(sample.order)}" if sample.mode == "fixed" else ""
    with st.container(horizontal=True, vertical_alignment="center", key="under_way"):
        st.button("Continue the random review", key="continue_review", icon=":material/casino:", on_click=_continue)
        parts.note(f"Random review {under_way.number} is in progress: {len(sample.first)}{of} answered.")


def _continue() -> None:
    """Shows the part with the questions; from another page, the next drawing leads there."""
    st.session_state[CHOSEN_PART] = "blind"
    desk.kept().continued = True
    desk.kept().asked_for += 1


def unfinished(here: Place) -> None:
    """One line beside the button that freezes, if a random review would not count yet."""
    under_way = next((one for one in reversed(state.reviews(here.store, here.round.id)) if one.open), None)
    if under_way is not None and under_way.proven is None:
        parts.note(f"Random review {under_way.number} is not finished: what is frozen now has no guarantee from it.")


def was_continued() -> bool:
    """Whether the questions of the random review are wanted, from another page than theirs. Clears the note."""
    continued, desk.kept().continued = desk.kept().continued, False
    return continued


def _begin(here: Place, pool: pd.DataFrame, cut: Cut) -> None:
    left = pool[cut.mask & ~pool["decision"].isin(DECIDES).to_numpy()]  # kept and undecided
    parts.heading(
        "Verify the precision by a random review",
        "Review candidates that are drawn at random from those that the policy keeps. " + BLIND,
    )
    if left.empty:
        parts.note("Every candidate that the policy keeps is decided on, so there is nothing to draw from.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        most = min(MOST, len(left))
        size = int(st.number_input("Records", 1, most, min(40, most), key="blind_size", width=140))
        mode: Any = st.segmented_control(
            "When it ends",
            list(MODES),
            format_func=lambda m: MODES[m],
            default="fixed",
            required=True,
            key="blind_mode",
        )
        pressed = st.button("Start the review", type="primary", icon=":material/casino:")
    prior = _prior(cut)
    begun = len(state.reviews(here.store, here.round.id))
    parts.note(promise(size, len(left), level(begun + 1), None if mode == "fixed" else prior))
    if begun:
        parts.note("A later review needs more answers for the same guarantee, so that all of them hold together.")
    if mode == "any_time":
        parts.note("The bound is valid after every answer, but wider than that of a fixed number.")
    if pressed:
        with parts.errors_shown():
            order = drawing_order(dict(zip(left.index, left["content_hash"], strict=True)))
            size = size if mode == "fixed" else most
            reviews.begin(here.store, here.round.id, cut.policy, order, mode, size, prior, state.reviewer())
            desk.kept().asked_for += 1
            st.rerun()


def promise(size: int, kept: int, alpha: float, prior: tuple[float, float] | None = None) -> str:
    """What a review of this size can guarantee, for the text before it starts.

    kept: number of records to draw from; alpha: its `level`; prior: that of a review that may stop any time, None for a
    fixed number.
    """
    after, more = f"If 0 of {size} are wrong", ""
    if prior is not None:
        after = f"If you stop after {size} and 0 are wrong"
        share = precision.anytime_upper([False] * size, kept, prior, alpha) / kept
    else:
        share, needed = precision.guarantee(size, 0, kept, alpha).share, precision.needed_reviews(0.95, kept, alpha)
        more = f" For at most 5 %, review {needed}." if share > 0.05 and needed is not None else ""
    return (
        f"{after}, at most {formats.percent(share)} of the {kept:,} candidates that the policy alone keeps are "
        f"wrong (guaranteed with 95 % confidence).{more}"
    )


def _prior(cut: Cut) -> tuple[float, float]:
    """The beta prior of the stop-any-time bound: the calibration errors, with the weight of at most twenty records."""
    known = cut.evidence()
    if known is None or not known.drawn:
        return 1.0, 1.0
    weight = min(1.0, 20 / known.drawn)
    return 1 + weight * known.wrong, 1 + weight * (known.drawn - known.wrong)


def _ask(here: Place, under_way: Review) -> None:
    sample = under_way.sample
    questions = sample.upcoming(desk.AHEAD)
    records = records_by_id(here.store, here.round.version_id, [i for i, _ in questions])
    done = len(sample.first)
    top = st.columns([4, 2], vertical_alignment="center")
    with top[0]:
        sentence = f"{done} of {len(sample.order)} answered. " if sample.mode == "fixed" else f"{done} answered. "
        parts.heading(f"Random review {under_way.number}", f"{sentence}{BLIND} {SKIPS}")
    with top[1], st.container(horizontal=True, horizontal_alignment="right"):
        st.button("End here", on_click=_end, args=(here, under_way), help="The answers given so far stay and count.")
    signature.signed()
    if sample.mode == "fixed":
        st.progress(done / len(sample.order))
    elif (now := under_way.proven) is not None:
        sentence = f"So far: at most {formats.percent(now.share)} of the {sample.kept:,} kept candidates are wrong"
        parts.note(f"{sentence} (95 % confidence).")
    of = f" of {len(sample.order)}" if sample.mode == "fixed" else ""
    items = [_item(here, records[i], repeat, f"{done + place + 1}{of}") for place, (i, repeat) in enumerate(questions)]

    def press(entry: dict[str, Any]) -> None:
        answer = None
        if entry["act"] == "choose":
            answer = allowed_answers(here.task, records_of(entry["id"]))[entry["pick"]]
        _answer(here, under_way, entry["slot"], entry["act"], answer, f"{entry['by']}-{entry['seq']}")

    def records_of(record_id: str) -> Record:
        return records_by_id(here.store, here.round.version_id, [record_id])[record_id]

    more = len(sample.order) - done > len(items)
    desk.draw(
        "blind",
        str(under_way.id),
        items,
        ACTS,
        "All records are answered.",
        more,
        "",
        lambda: desk.apply("blind", press),
    )
    if questions:
        _buttons(here, under_way, records[questions[0][0]], questions[0][1])
    desk.legend(KEYS if here.task.closed else {k: v for k, v in KEYS.items() if k != "1–9"})


def _item(here: Place, question: Record, repeat: bool, place: str) -> dict[str, Any]:
    """A question as a card. place: its number, and of how many."""
    allowed = allowed_answers(here.task, question)
    title = "Asked again" if repeat else f"Record {place}"
    nodes: list[Node] = [node("label", title), *record.question(here.task, question)]
    if allowed:
        keys = [
            group("row", node("key", str(n), tag="span"), node("chip", answer, tag="span"))
            for n, answer in enumerate(allowed[:9], start=1)
        ]
        nodes.append(group("row gap", *keys))
    slot = f"{'again' if repeat else 'first'} {question.id}"
    return {"id": question.id, "slot": slot, "nodes": nodes, "choices": min(len(allowed), 9), "last": 0}


def _buttons(here: Place, under_way: Review, question: Record, repeat: bool) -> None:
    """The form for answering by mouse. It is the only way for typed answers and for answers after the ninth."""
    slot = f"{'again' if repeat else 'first'} {question.id}"
    revision = results.revision(here.store, here.round.id)
    with st.form(f"blind_{slot}", border=False, enter_to_submit=False):
        typed = desk.typed(here.task, question, "Your answer")
        with st.container(horizontal=True):
            saved = st.form_submit_button("Save answer", type="primary")
            ambiguous = st.form_submit_button("None fits")
            skipped = st.form_submit_button("Skip")
    action = "choose" if saved else "ambiguous" if ambiguous else "skip" if skipped else None
    if action is None:
        return
    if action == "choose" and typed is None:
        st.warning("Choose or type your answer first.")
        return
    with parts.errors_shown():
        key = f"{desk.new_key()}-form-{slot}-{revision}"
        _answer(here, under_way, slot, action, typed if action == "choose" else None, key)
        st.rerun()


def _answer(here: Place, under_way: Review, slot: str, action: str, answer: str | None, key: str) -> None:
    which, _, record_id = slot.partition(" ")
    if action == "undo":
        if not reviews.undo(here.store, under_way, state.reviewer(), key, desk.key_prefixes()):
            st.toast("There is nothing to undo.", icon=":material/info:")
        return
    said = action
    if action == "choose":
        said = "accept" if under_way.sample.agrees(record_id, answer) else "edit"
    if not reviews.answer(here.store, under_way, record_id, said, answer, which == "again", state.reviewer(), key):
        st.toast("A colleague has just answered this record.", icon=":material/info:")


@notices.errors_kept()
def _end(here: Place, under_way: Review) -> None:
    reviews.end(here.store, under_way.id)


def _outcome(here: Place, review: Review) -> None:
    """The result of a finished review, and its records that got two different answers."""
    sample = review.sample
    found = review.proven
    with parts.card(f"outcome_{review.id}", tight=True):
        by = f" by {review.reviewer}" if review.reviewer else ""
        st.text(f"Random review {review.number}{by}, {formats.moment(review.created)}")
        if found is None:
            answered = f"{len(sample.first)} of {len(sample.order)} are answered, so there is no result yet."
            parts.note("It was ended before the first answer." if review.ended is not None else answered)
            return
        skipped = f" ({sample.skips} of them skipped, which counts as wrong)" if sample.skips else ""
        parts.note(
            f"{found.wrong} of {found.reviewed} drawn {'was' if found.wrong == 1 else 'were'} wrong{skipped}. "
            f"So at most {found.wrong_at_most:,} of the {found.kept:,} kept candidates were wrong "
            f"({formats.percent(found.share)}; 95 % confidence)."
        )
        if sample.repeats:
            unsteady = sample.unsteady()
            same = len(sample.repeats) - len(unsteady)
            parts.note(
                f"One record in {REPEAT_EVERY} was asked twice: {same} of {len(sample.repeats)} got the same answer."
                + (
                    " Records with two different answers, a skip among them, count as wrong. Look at them again:"
                    if unsteady
                    else ""
                )
            )
            asked = records_by_id(here.store, here.round.version_id, unsteady)
            for record_id in unsteady:
                st.text(formats.shorten(asked[record_id].question))
                st.button(
                    "Look at it again",
                    key=f"again_{review.id}_{record_id}",
                    on_click=desk.show_first,
                    args=(record_id,),
                )
