"""The map of a round's records: what lies where, and the part of it that somebody draws a line around.

The address holds the area and the colour, so that a link opens the same view.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from semievol import map_figure
from semievol.jobs import inference_client
from semievol.selection.area import Area
from semievol.store.database import Store
from semievol.store.results import places, results
from semievol.ui.demonstrations import picker
from semievol.ui.shell import area, asking, formats, parts, router, state, tables
from semievol.ui.shell.state import Place

_KEY, _COLOUR, _TABLE, _MOUSE = "map_figure", "colour", "map_records", "map_mouse"
MOUSE = {"lasso": "Draws a line", "pan": "Opens a record"}
"""What the mouse does, by what dragging does. It does one of both: Streamlit hears no click while dragging selects."""
MOST_POINTS = 4_000
"""Records above which cells are drawn: a browser sends back what a lasso encloses, point by point."""
LIST = 100
COLOURS = {
    "Label": "named",
    "Split": "split",
    "Similarity to labeled": "similarity",
    "Confidence": "confidence",
    "Agreement": "agreement",
    "Decision": "decided",
}
"""What the points are coloured by -> the column of `shown`."""
_LISTED = {"question": "Question", "split": "Split", "named": "Label or candidate", "confidence": "Confidence"}


def view(here: Place) -> None:
    """The map, the choice of its colour, and the records inside the area."""
    frame = shown(here)
    parts.heading(
        "Map of the records",
        "Alike texts lie close together; only closeness means something, not direction or a long distance. Drag over "
        "it to draw a line around some, and list, filter or review them; or let a click open a record. Labeled "
        "records have an outline: one that lies among another class may be labeled wrongly, or hard. Under “Label”, an "
        "unlabeled one has its candidate's colour.",
    )
    if frame.empty:
        parts.note("This round has no map yet. Drawing it takes seconds, with 100,000 records a few minutes.")
        if st.button("Draw the map", type="primary", icon=":material/scatter_plot:"):
            with parts.errors_shown(), asking.doing() as watch:
                inference_client.draw_map(here.store, here.round.id, watch)
                st.rerun()
        return
    line = area.addressed()
    line = line if line is not None and line.on == "map" else None
    many = len(frame) > MOST_POINTS
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        colour = st.segmented_control(
            "Colour", list(COLOURS), default="Label", required=True, key=_COLOUR, bind="query-params"
        )
        mouse = "lasso"
        if not many:
            mouse = st.segmented_control(
                "The mouse", list(MOUSE), format_func=MOUSE.__getitem__, default="lasso", required=True, key=_MOUSE
            )
    column = COLOURS[colour or "Label"]
    drawn = map_figure.bin_places(frame, column) if many else frame
    path = "" if line is None else line.path
    ramp = "Confidence, %" if column == "confidence" else str(colour)
    chart = map_figure.records_map(drawn, column, state.dark(), here.task.labels, ramp, path)
    st.plotly_chart(
        chart.update_layout(height=560, dragmode=mouse),
        theme=None,
        key=f"{_KEY}_{mouse}",
        config={"displayModeBar": False, "scrollZoom": True},
        alt="Map of labeled and unlabeled records; the page Responses lists them, too",
        on_select=partial(_selected, f"{_KEY}_{mouse}"),
        selection_mode=("lasso", "box") if mouse == "lasso" else "points",
    )
    if many:
        parts.note(
            f"{len(frame):,} records, counted in cells: the larger a point, the more records lie there. Its colour is "
            "that of most of them."
        )
    if line is not None:
        _inside(frame[line.holds(frame["x"], frame["y"])], line)


def shown(here: Place) -> pd.DataFrame:
    """The map's records with what they can be coloured by. Do not change it."""
    return _shown(here.store, here.round.id, results.revision(here.store, here.round.id))


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs=state.HASH)
def _shown(store: Store, round_id: int, revision: int) -> pd.DataFrame:
    frame = places.map_frame(store, round_id)
    pool = frame["split"] == "unlabeled"
    return frame.assign(
        outlined=~pool,
        named=frame["answer"].where(pool, frame["label"]),
        confidence=100 * np.exp(-frame["answer_nll"]),
        agreement=frame["agreed"].map({True: "agreed", False: "disputed"}).where(pool, "labeled"),
        decided=frame["decision"].map(formats.DECISION_WORDS).fillna("undecided").where(pool, "labeled"),
    )


def _selected(key: str) -> None:
    """A line was drawn, or a record clicked: the address gets the area, or the record."""
    chosen = st.session_state[key].selection
    for one in (*chosen.get("lasso", []), *chosen.get("box", [])):
        if drawn := Area.of(one["x"], one["y"]):
            st.query_params[area.NAME] = drawn.written()
            return
    for point in chosen.get("points", []):
        picker.open_record(str(point["customdata"][0]))
        return


def _inside(found: pd.DataFrame, line: Area) -> None:
    """The records inside the area, and what can be done with them."""
    pool = found[found["split"] == "unlabeled"]
    labeled = formats.plural(len(found) - len(pool), "labeled record")
    parts.heading("Inside the line", f"{formats.plural(len(pool), 'unlabeled record')}, {labeled}.")
    area.offers(line, len(pool))
    if len(found):
        listed = found.sort_values(["split", "confidence"], ascending=[False, True], kind="stable").head(LIST)
        listed = listed.assign(confidence=[formats.confidence("answer_nll", value) for value in listed["answer_nll"]])
        row = tables.pick(listed, _TABLE, _LISTED, height=300)
        if len(found) > LIST:
            parts.note(f"The first {LIST} are listed.")
        if row is not None:
            router.link("demonstrations", "Open this record", record=str(listed.index[row]))
