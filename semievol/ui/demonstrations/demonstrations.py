"""The parts of the Demonstrations page beside the choice of a record: its demonstrations, asking a model again, and
coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.errors import UserError
from semievol.jobs import inference_client, planning
from semievol.method import demonstration_readers, influence
from semievol.records import Demonstration, Record, Task
from semievol.store.results import results
from semievol.ui.demonstrations import picker
from semievol.ui.demonstrations.browsing import Browsing
from semievol.ui.shell import asking, formats, paint, parts, record, session, state, tables
from semievol.ui.shell.state import Place

MOST = 16
"""Demonstrations that can be asked for at once."""


def shown(here: Place, task: Task, question: Record) -> None:
    """The demonstrations of the record with similarity and shared words, asking a model, and the exact prompt."""
    config = here.round.config if here.round_or_none else state.config_of(here.project)
    parts.heading(
        "Its demonstrations",
        "The most similar labeled records, with shared words marked. In a prompt the most similar one comes last.",
    )
    parts.note(f"{demonstration_readers.sentence(config.propagation)} “Ask” shows what a model says with them.")
    stored = max(config.propagation.k, 1)
    k = st.number_input("How many", 1, MOST, stored, key=f"how_many_{question.id}", width=120)
    found = _found(here, question, k, stored)
    if found is None:
        what = "No demonstrations are stored for this record." if k == stored else f"{stored} are stored."
        parts.note(f"{what} Finding them takes a moment: a process must start.")
        if st.button("Find demonstrations", type="primary", icon=":material/hub:"):
            with parts.errors_shown(), asking.doing() as watch:
                round_id = _round_id(here)
                near = inference_client.nearest(here.store, round_id, question, k, watch)
                session.of(Browsing).nearest[round_id, question.content_hash, k] = near
                st.rerun()
        return
    nodes = [record.demonstration(task, question, one, place) for place, one in enumerate(found, 1)]
    paint.draw(*nodes, key=f"near_{question.id}")
    numbers = list(range(1, len(found) + 1))
    left, right = st.columns([3, 4], vertical_alignment="bottom")
    kept = left.pills(
        "Shown to the model", numbers, selection_mode="multi", default=numbers, key=f"kept_{question.id}_{len(found)}"
    )
    with right, st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox("Model", here.models[::-1], format_func=here.model_words.__getitem__, key="ask_model")
        pressed = st.button("Ask", type="primary", icon=":material/send:")
    chosen = [one for place, one in enumerate(found, 1) if place in (kept or [])]
    answers = session.of(Browsing).answers[here.round_id, question.id]
    if pressed and model:
        with parts.errors_shown(), asking.doing() as watch:
            said = inference_client.ask(here.store, _round_id(here), question, chosen, [model], watch)
            answers.append((sorted(kept or []), said[0]))
    _answers(here, question, answers)
    if chosen and model:
        _influence(here, question, chosen, model)
    with st.expander("The prompt with these demonstrations" if chosen else "The prompt"):
        st.code(record.exact_prompt(task, config, question, chosen), language=None, wrap_lines=True)


def _answers(here: Place, question: Record, said: Sequence[tuple[list[int], dict[str, Any]]]) -> None:
    """The last four answers, newest first, so that they can be compared."""
    nodes = []
    for kept, one in list(said)[::-1][:4]:
        which = f"{'demonstration' if len(kept) == 1 else 'demonstrations'} {formats.series([str(n) for n in kept])}"
        how = f"with {which}" if kept else "without demonstrations"
        nodes.append(record.reply(here.task, question, one, here.model_words[one["model"]], how))
    if nodes:
        paint.draw(*nodes, key=f"said_{question.id}")


def _influence(here: Place, question: Record, chosen: Sequence[Demonstration], model: str) -> None:
    """One click: the model is asked with all chosen demonstrations, and without each in turn."""
    kept = session.of(Browsing).influences
    key = (here.round_id, question.id, model, tuple(one.record.id for one in chosen))
    if st.button("Leave each out in turn", icon=":material/exposure_neg_1:", help="What does each demonstration do?"):
        sets = [list(chosen), *(list(chosen[:i]) + list(chosen[i + 1 :]) for i in range(len(chosen)))]
        with parts.errors_shown(), asking.doing() as watch:
            said = [inference_client.ask(here.store, _round_id(here), question, one, [model], watch)[0] for one in sets]
            kept[key] = (said[0], influence.influences(said[0], said[1:]))
    if key not in kept:
        return
    with_all, found = kept[key]
    st.text(f"With all of them: {record.named_answer(here.task, question, with_all['answer'])}. Without one of them:")
    lines = [
        {
            "question": one.record.question,
            "label": record.named_answer(here.task, one.record, one.record.answer),
            "without": record.named_answer(here.task, question, effect.without),
            "effect": "" if effect.effect is None else f"{round(100 * effect.effect, 1) + 0.0:+.1f}",
        }
        for one, effect in zip(chosen, found, strict=True)
    ]
    names = {"question": "Left out", "label": "Its label", "without": "Answer then", "effect": "It adds, points"}
    tables.table(pd.DataFrame(lines), f"influence_{question.id}", names, {"question": 150})
    parts.note(
        "It adds: by how much the probability of the answer with all demonstrations falls where this one is left out."
    )


def _found(here: Place, question: Record, k: int, stored: int) -> list[Demonstration] | None:
    """The k nearest labeled records, where they are known; up to `stored` are stored with the round."""
    if (near := session.of(Browsing).nearest.get((here.round_id, question.content_hash, k))) is not None:
        return near
    if here.round_or_none is None or question.id == picker.OWN_ID or k > stored:
        return None
    try:
        return results.record_view(here.store, here.round.id, question.id).demonstrations[:k] or None
    except UserError:
        return None


def _round_id(here: Place) -> int:
    """The current round; without one, the round that "Propagate" would use is opened."""
    if here.round_or_none is not None:
        return here.round.id
    config = planning.config_to_run(here.store, here.project, state.config_of(here.project))
    return planning.open_round(here.store, here.project, config, "warm_up").id


def coverage(frame: pd.DataFrame) -> None:
    """How similar the unlabeled records are to labeled ones."""
    parts.heading("Coverage", "Similarity of every unlabeled record to its nearest labeled one (cosine).")
    chart = charts.similarity_histogram(charts.bin_similarity(frame["similarity"].to_numpy()), dark=state.dark())
    alt = "Histogram of the similarity of unlabeled records to their nearest labeled record"
    tables.figure(chart, key="coverage_chart", alt=alt, height=240)


def farthest(frame: pd.DataFrame) -> None:
    """The list of the least similar records; a ticked one is shown."""
    parts.heading(
        "Farthest from labeled data",
        "Even the nearest labeled record is unlike these. Labeling them first may help most: tick one, and label it "
        "above.",
    )
    far = frame.sort_values("similarity", kind="stable").head(50)
    names = {"question": "Question", "similarity": "Similarity", "nearest_answer": "Nearest label"}
    key = f"farthest_{session.of(Browsing).lists}"

    def ticked() -> None:
        rows = st.session_state[key].selection.rows
        session.of(Browsing).ticked = bool(rows)
        if rows:
            picker.open_unlabeled(str(far["record_id"].iloc[rows[0]]))

    there = {column: heading for column, heading in names.items() if column in far}
    tables.table(far, key, there, {"question": 170}, height=400, on_select=ticked, selection_mode="single-row")
