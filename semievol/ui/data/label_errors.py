"""Labels that look wrong: the list for review, and what speaks against the label of a chosen record."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from semievol.method.label_errors import Suspect
from semievol.records import Task
from semievol.store.database import Store
from semievol.store.results import label_errors, results
from semievol.store.results.label_errors import Judged
from semievol.ui.shell import formats, paint, parts, record, router, state, tables
from semievol.ui.shell.paint import group, labelled
from semievol.ui.shell.state import Place

TITLE = "Labels that look wrong"
FORMULA = (
    "Confident learning (Northcutt et al. 2021): the models find another answer likelier, with a probability at "
    "least as high as they give it on average where it is the label. First comes the lowest probability of the label "
    "minus that of the likeliest other answer."
)
REMEDY = (
    "You decide; nothing changes by itself. Open a record to correct its label. Many at once: import a labeled file of "
    "these records with the right answers, add it to the labeled records, and choose “Take the new answers”."
)
NAMES = {"label": "Label", "own": "Its probability, %", "likelier": "Models say", "other": "Its probability, % "}
WIDTHS = {"question": 420}


def label_errors_of(here: Place) -> None:
    """The list of the round in view, if its records are those in use and models have judged known ones."""
    round_ = here.round_or_none
    if round_ is None or round_.version_id != here.project.version_id or not here.task.closed:
        return
    found = _judged(here.store, round_.id, results.written(here.store, round_.id))
    if not found.records:
        return
    with parts.card("label_errors"):
        count, judged = len(found.suspects), formats.plural(found.records, "known record")
        said = f"{formats.plural(count, 'label')} {'looks' if count == 1 else 'look'} wrong" if count else "None does"
        parts.heading(TITLE, f"{said}, of {judged} that were answered by models that had not seen them.")
        if not count:
            return
        parts.note(REMEDY)
        frame = listed(here.task, found.suspects)
        height = min(300, 38 + 34 * count)
        place = tables.pick(frame, f"suspects_{round_.id}", NAMES | {"question": "Question"}, WIDTHS, height=height)
        parts.note(FORMULA)
        if place is not None:
            _reasons(here, found.suspects[place])


def listed(task: Task, suspects: Sequence[Suspect]) -> pd.DataFrame:
    """A line each: label and likelier answer in words, their probabilities in percent, the question."""
    lines = [
        {
            "label": record.named_answer(task, one.record, one.label),
            "own": f"{100 * one.probability:.1f}",
            "likelier": record.named_answer(task, one.record, one.likelier),
            "other": f"{100 * one.spread[one.likelier]:.1f}",
            "question": one.record.question,
        }
        for one in suspects
    ]
    return pd.DataFrame(lines)


@st.cache_data(max_entries=3, show_spinner=False, hash_funcs=state.HASH)
def _judged(store: Store, round_id: int, written: int) -> Judged:
    return label_errors.judged(store, round_id)


def _reasons(here: Place, chosen: Suspect) -> None:
    """The record, what the models say of it, and the labeled records that are most like it with their labels."""
    view = results.record_view(here.store, here.round.id, chosen.record.id)
    task, asked = here.task, chosen.record
    left, right = st.columns(2, gap="medium")
    with left:
        averaged = group(
            "demo", labelled("All models, averaged"), group("gap", record.bars(task, asked, chosen.spread))
        )
        said = [record.response(task, asked, one) for one in view.responses]
        paint.draw(*record.question(task, asked, chosen.label), averaged, *said, key=f"suspect_{asked.id}")
        router.link("demonstrations", "Open it on Demonstrations", record=asked.id)
    with right:
        parts.heading("Nearest labeled records", "Do their labels agree with this record's, or with the models?")
        near = [record.demonstration(task, asked, one, str(place)) for place, one in enumerate(view.demonstrations, 1)]
        if near:
            paint.draw(*near, key=f"suspect_near_{asked.id}")
        else:
            parts.note("No labeled record was stored as like it.")
