"""Before training: whether alike questions have alike answers, and which labels their neighbours contradict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from semievol.config import Config
from semievol.jobs import inference_client
from semievol.method.label_errors import Suspect
from semievol.method.preflight import Preflight
from semievol.ui.data import label_errors
from semievol.ui.shell import asking, formats, parts, router, session, state, tables
from semievol.ui.shell.state import Place


@dataclass
class Examined:
    """What the session keeps: data set version, and embedder -> what was found."""

    found: dict[tuple[int, str], Preflight] = field(default_factory=dict)


def view(here: Place) -> None:
    """The verdict with its figures, and the labels that look wrong; first a button that finds them."""
    config = here.round.config if here.round_or_none else state.config_of(here.project)
    version_id = here.round.version_id if here.round_or_none else here.project.version_id
    assert version_id is not None, "drawn without data"
    key = (version_id, config.propagation.embedder)
    with parts.card("preflight"):
        parts.heading(
            "Will propagation help?",
            "Every labeled record is answered from the other labeled ones, without any training. This takes seconds.",
        )
        found = session.of(Examined).found.get(key)
        if found is None:
            _examine(here, config, version_id, key)
            return
        parts.html(f"<p class='sv-lead sv-small'>{found.verdict}</p>")
        parts.tiles(tiles(found))
    if found.ways:
        with parts.card("contradicted"):
            _contradicted(here, found.suspects)


def _examine(here: Place, config: Config, version_id: int, key: tuple[int, str]) -> None:
    if st.button("Examine the labeled records", type="primary", icon=":material/fact_check:"):
        with parts.errors_shown(), asking.doing() as watch:
            session.of(Examined).found[key] = inference_client.examine(here.store, config, version_id, watch)
            st.rerun()


def tiles(found: Preflight) -> list[tuple[str, str, str]]:
    """Each way's share of right answers with its interval, beside the most frequent label's."""
    names = {"neighbours": "Nearest labeled records", "regression": "Regression on vectors"}
    cells = [
        (names[how], formats.percent(way.right), f"{100 * way.low:.1f} to {formats.percent(way.high)}")
        for how, way in found.ways.items()
    ]
    of = f"of {formats.plural(found.records, 'labeled record')}"
    return [*cells, ("Most frequent label", formats.percent(found.majority), of)]


def _contradicted(here: Place, suspects: Sequence[Suspect]) -> None:
    parts.heading(
        "Labels that their neighbours contradict",
        "Where the nearest labeled records and the regression together find another answer likelier, the label may be "
        "wrong, or the record unusual.",
    )
    if not suspects:
        parts.note("There is none.")
        return
    frame = label_errors.listed(here.task, suspects)
    names = label_errors.NAMES | {"likelier": "Neighbours say", "question": "Question"}
    options = here.task.kind == "multiple_choice"  # whose texts are long
    widths = {"label": 150, "likelier": 150, "question": 250} if options else label_errors.WIDTHS
    place = tables.pick(frame, "contradicted_list", names, widths, height="content" if len(frame) <= 8 else 320)
    parts.note(label_errors.REMEDY)
    with st.container(horizontal=True):
        if place is not None:
            router.link("demonstrations", "Open this record", record=suspects[place].record.id)
        router.link("data", "Go to Data")
