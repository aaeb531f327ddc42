"""The parts of the Demonstrations page beside the choice of a record: its demonstrations, and coverage."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.method import demonstration_readers
from semievol.records import Record, Task
from semievol.ui.demonstrations import by_hand, offer, picker, trial
from semievol.ui.demonstrations.browsing import Browsing
from semievol.ui.demonstrations.offer import Offered
from semievol.ui.shell import paint, parts, record, session, state, tables
from semievol.ui.shell.paint import group
from semievol.ui.shell.state import Place

MOST = 16
"""Demonstrations that can be asked for at once."""


def shown(here: Place, task: Task, question: Record) -> None:
    """The demonstrations of the record with similarity and shared words, asking a model, and the exact prompt."""
    config = here.round.config if here.round_or_none else state.config_of(here.project)
    parts.heading(
        "Its demonstrations",
        "The most similar labeled records, with shared words marked. In a prompt the most similar one comes last. "
        f"{demonstration_readers.sentence(config.propagation)} “Ask” shows what a model says with them.",
    )
    stored = max(config.propagation.k, 1)
    k = st.number_input("How many", 1, MOST, stored, key=f"how_many_{question.id}", width=120)
    found = offer.offered(here, question, k, stored)
    if found is None:
        what = "Its demonstrations are not known yet." if k == stored else f"{stored} are stored."
        parts.note(f"{what} Finding them takes a moment: a process must start.")
        if st.button("Find demonstrations", type="primary", icon=":material/hub:"):
            with parts.errors_shown():
                offer.find(here, question, k)
                st.rerun()
        return
    nodes = [record.demonstration(task, question, one.shown, _label(one)) for one in found]
    paint.draw(group("abreast", *nodes), key=f"near_{question.id}")
    by_hand.by_hand(here, question, found)
    near = offer.nearest(here, question, stored, stored) or [one.shown for one in found if not one.by_hand][:stored]
    chosen = [one.shown for one in trial.trial(here, question, found, near)]
    with st.expander("The prompt with these demonstrations" if chosen else "The prompt"):
        st.code(record.exact_prompt(task, config, question, chosen), language=None, wrap_lines=True)


def _label(one: Offered) -> str:
    return f"{one.name} added by hand" if one.by_hand else one.name


def coverage(frame: pd.DataFrame) -> None:
    """How similar the unlabeled records are to labeled ones."""
    parts.heading("Coverage", "Similarity of every unlabeled record to its nearest labeled one (cosine).")
    chart = charts.similarity_histogram(charts.bin_similarity(frame["similarity"].to_numpy()), dark=state.dark())
    alt = "Histogram of the similarity of unlabeled records to their nearest labeled record"
    tables.figure(chart, key="coverage_chart", alt=alt, height=400)


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
