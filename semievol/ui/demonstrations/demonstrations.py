"""The parts of the Demonstrations page beside the choice of a record: its demonstrations, and coverage."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.config import Config
from semievol.jobs import embedders
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
    search = _search(here, config, question)
    words = embedders.words(search.embedder, config.model)
    found, near = offer.offered(here, question, search), offer.nearest(here, question, search.in_round)
    if near is not None and search.embedder != search.own_embedder:
        st.text(f"In the round, found by {embedders.words(search.own_embedder, config.model)}:")
        _list(task, question, [Offered(str(place), one) for place, one in enumerate(near, 1)], "stored")
        st.text(f"Found by {words}:")
    if found is None or near is None:
        parts.note("Finding them takes a moment: a process may have to start, and new texts to be embedded.")
        if st.button("Find demonstrations", type="primary", icon=":material/hub:"):
            with parts.errors_shown():
                offer.find(here, question, search)
                st.rerun()
        return
    _list(task, question, found, "near")
    by_hand.by_hand(here, question, found, search.embedder)
    how = "" if search.embedder == search.own_embedder else f", found by {words}"
    read = near if demonstration_readers.anybody(config.propagation) else []
    chosen = [one.shown for one in trial.trial(here, question, found, read, how)]
    with st.expander("The prompt with these demonstrations" if chosen else "The prompt"):
        st.code(record.exact_prompt(task, config, question, chosen), language=None, wrap_lines=True)


def _search(here: Place, config: Config, question: Record) -> offer.Search:
    """The choice of how many demonstrations are found, and by what."""
    k, own = max(config.propagation.k, 1), config.propagation.embedder
    home = "as in the round" if here.round_or_none else "as in the settings"
    with st.container(horizontal=True):
        wanted = st.number_input("How many", 1, MOST, k, key=f"how_many_{question.id}", width=120)
        embedder = st.selectbox(
            "Found by",
            embedders.known(here.store, [config]),
            format_func=lambda name: embedders.words(name, config.model) + (f", {home}" if name == own else ""),
            key="found_by",
            width=300,
            help="The embedder: what turns texts into vectors, of which the nearest ones are taken (by their cosine). "
            "Another one is tried here only; the round keeps what its own has found.",
        )
    return offer.Search(wanted, embedder or own, k, own)


def _list(task: Task, question: Record, found: Sequence[Offered], key: str) -> None:
    nodes = [record.demonstration(task, question, one.shown, _label(one)) for one in found]
    paint.draw(group("abreast", *nodes), key=f"{key}_{question.id}")


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
