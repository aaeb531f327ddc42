"""The parts of the Demonstrations page: choosing a record, its demonstrations, asking a model again, and coverage."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import streamlit as st

from semievol import charts
from semievol.errors import UserError
from semievol.jobs import inference_client, planning
from semievol.records import Demonstration, Record, Split, Task
from semievol.store.data import records
from semievol.store.results import results
from semievol.ui.shell import asking, formats, paint, parts, record, session, state, tables
from semievol.ui.shell.state import Place

SPLITS: tuple[Split, ...] = ("unlabeled", "labeled", "test")
OWN = "own question"


@dataclass
class Browsing:
    """What the session keeps of the Demonstrations page."""

    search: tuple[int, str, str] | None = None  # dataset version, split and words of the search drawn last
    position: int = 0  # of the record that is shown, among those that the search finds
    nearest: dict[str, list[Demonstration]] = field(default_factory=dict)  # content hash -> demonstrations found
    answers: defaultdict[str, list[tuple[list[int], dict[str, Any]]]] = field(default_factory=lambda: defaultdict(list))
    """Record id -> the demonstrations that a model was shown (numbers from 1), and its answer."""


def picker(here: Place) -> Record | None:
    """Chooses a record: by search, next, previous or random, from the address (a link), or a question of one's own."""
    parts.heading("Record")
    source = st.segmented_control(
        "Where from", [*SPLITS, OWN], default="unlabeled", required=True, key="demo_split", label_visibility="collapsed"
    )
    if source == OWN:
        return _own_question(here)
    search = st.text_input("Search", key="demo_search", placeholder="Words in the question", live="300ms") or ""
    version_id = here.project.version_id
    assert version_id is not None, "drawn without data"
    split = next(one for one in SPLITS if one == source)
    total = records.records_page(here.store, version_id, split, search, 0, 1)[1]
    kept, wanted = session.of(Browsing), (version_id, split, search)
    if kept.search not in (None, wanted):
        st.query_params.pop("record", None)  # with another search the linked record no longer applies
        kept.position = 0
    kept.search = wanted
    found = _linked(here, version_id, split, search)
    place = min(kept.position, max(total - 1, 0))
    _steps(place, total)
    if found is None:
        page, _ = records.records_page(here.store, version_id, split, search, place, 1)
        found = record.of_line(page.iloc[0]) if len(page) else None
    if found is not None:
        paint.draw(*record.question(here.task, found, found.answer), key=f"asked_{found.id}")
        parts.note(f"Record {found.id[:12]} · {found.split}")
    return found


def _linked(here: Place, version_id: int, split: Split, search: str) -> Record | None:
    """The record named in the address; next and previous continue from its position."""
    wanted = st.query_params.get("record")
    if not wanted:
        return None
    found = records.linked(here.store, version_id, wanted)
    if found is None:
        return None
    linked, place = found
    if linked.split == split and not search:
        session.of(Browsing).position = place
    return linked


def _steps(place: int, total: int) -> None:
    def move(to: int) -> None:
        session.of(Browsing).position = to
        st.query_params.pop("record", None)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", icon=":material/chevron_left:", disabled=place <= 0, on_click=move, args=(place - 1,))
        st.button(
            "Next", icon=":material/chevron_right:", disabled=place >= total - 1, on_click=move, args=(place + 1,)
        )
        anywhere = random.randrange(total) if total else 0
        st.button("Random", icon=":material/shuffle:", disabled=total < 2, on_click=move, args=(anywhere,))
        parts.html(f"<span class='sv-num'>{place + 1:,} of {total:,}</span>" if total else "")


def _own_question(here: Place) -> Record | None:
    text = st.text_area("Question", key="own_question", height=140, placeholder="Type a question the model never saw")
    options: list[str] = []
    if here.task.kind == "multiple_choice":
        options = [
            line for line in st.text_area("Options, one per line", key="own_options").splitlines() if line.strip()
        ]
    if not text or (here.task.kind == "multiple_choice" and len(options) < 2):
        return None
    return Record("own-question", text, tuple(options))


def shown(here: Place, task: Task, question: Record) -> None:
    """The demonstrations of the record with similarity and shared words, asking a model, and the exact prompt."""
    config = here.round.config if here.round_or_none else state.config_of(here.project)
    parts.heading(
        "Its demonstrations",
        f"The most similar labeled records (k = {config.propagation.k}), with shared words marked. In the prompt the "
        "most similar one comes last.",
    )
    found = _found(here, question, config.propagation.k)
    if found is None:
        parts.note("No demonstrations are stored for this record. Finding them takes a moment: a process must start.")
        if st.button("Find demonstrations", type="primary", icon=":material/hub:"):
            with parts.errors_shown(), asking.doing() as watch:
                k = max(config.propagation.k, 1)
                near = inference_client.nearest(here.store, _round_id(here), question, k, watch)
                session.of(Browsing).nearest[question.content_hash] = near
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
        model = st.selectbox("Model", here.models[::-1], format_func=lambda m: formats.MODEL_WORDS[m], key="ask_model")
        pressed = st.button("Ask", type="primary", icon=":material/send:")
    chosen = [one for place, one in enumerate(found, 1) if place in (kept or [])]
    answers = session.of(Browsing).answers[question.id]
    if pressed and model:
        with parts.errors_shown(), asking.doing() as watch:
            said = inference_client.ask(here.store, _round_id(here), question, chosen, [model], watch)
            answers.append((sorted(kept or []), said[0]))
    _answers(task, question, answers)
    with st.expander("The exact prompt"):
        st.code(record.exact_prompt(task, config, question, chosen), language=None, wrap_lines=True)


def _answers(task: Task, question: Record, said: Sequence[tuple[list[int], dict[str, Any]]]) -> None:
    """The last four answers, newest first, so that they can be compared."""
    nodes = []
    for kept, one in list(said)[::-1][:4]:
        which = f"{'demonstration' if len(kept) == 1 else 'demonstrations'} {formats.series([str(n) for n in kept])}"
        nodes.append(record.reply(task, question, one, f"with {which}" if kept else "without demonstrations"))
    if nodes:
        paint.draw(*nodes, key=f"said_{question.id}")


def _found(here: Place, question: Record, k: int) -> list[Demonstration] | None:
    if (near := session.of(Browsing).nearest.get(question.content_hash)) is not None:
        return near
    if here.round_or_none is None or question.id == "own-question":
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
    """How similar the unlabeled records are to labeled ones, and the list of the least similar records."""
    left, right = st.columns([5, 7], gap="medium")
    with left, parts.card("coverage"):
        parts.heading("Coverage", "Similarity of every unlabeled record to its nearest labeled one (cosine).")
        chart = charts.similarity_histogram(charts.bin_similarity(frame["similarity"].to_numpy()), dark=state.dark())
        tables.figure(chart, key="coverage_chart", height=240)
    with right, parts.card("farthest"):
        parts.heading(
            "Farthest from labeled data", "No labeled record is similar to these. Labeling them first may help most."
        )
        far = frame.sort_values("similarity", kind="stable").head(50)
        names = {"question": "Question", "similarity": "Similarity", "nearest_answer": "Nearest label"}
        row = tables.pick(far, "farthest", {c: h for c, h in names.items() if c in far}, height=240)
        if row is not None:
            chosen = str(far["record_id"].iloc[row])
            if st.query_params.get("record") != chosen:
                st.query_params["record"] = chosen
                st.rerun()
