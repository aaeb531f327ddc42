"""The board: how far collaborators agree against how sure they are, and the part that somebody draws a line around."""

from __future__ import annotations

import streamlit as st

from semievol import board_figure
from semievol.selection.area import Area, board_place
from semievol.ui.shell import area, formats, parts, state
from semievol.ui.shell.state import Place

_KEY = "board_figure"
CORNERS = {
    "Unanimous but unsure (below 60 %)": ((0.0, 0.0), (1.2, 60.0)),
    "Split but confident (above 60 %)": ((1.2, 60.0), (20.0, 101.0)),
}
"""A corner of the board that is worth a look -> two opposite corners of it: answers, probability in percent."""


def view(here: Place) -> None:
    """The figure, shortcuts to its telling corners, and what can be done with what a line encloses."""
    pool, _ = state.candidates(here.store, here.round.id)
    answers, probability = board_place(pool["vote_entropy"], pool["answer_nll"])
    parts.heading(
        "Agreement against confidence",
        "Left: all collaborators say the same. Right: they say different things; an answer with fewer votes counts "
        "less. Drag over the figure to draw a line around candidates, and list or review them.",
    )
    line = area.addressed()
    line = line if line is not None and line.on == "board" else None
    with st.container(horizontal=True):
        for name, (one, other) in CORNERS.items():
            corner = Area.of((one[0], other[0]), (one[1], other[1]), "board")
            count = int(corner.holds(answers, probability).sum()) if corner else 0
            st.button(f"{name}: {count:,}", on_click=_draw, args=(corner,), disabled=not count)
    bins = board_figure.binned(answers, probability, pool["decision"].notna())
    chart = board_figure.figure_of(bins, state.dark(), "" if line is None else line.path)
    st.plotly_chart(
        chart.update_layout(height=460),
        theme=None,
        key=_KEY,
        config={"displayModeBar": False},
        alt="Bubbles of candidates by the number of different answers and the probability of theirs",
        on_select=_selected,
        selection_mode=("lasso", "box"),
    )
    if line is None:
        return
    count = int(line.holds(answers, probability).sum())
    parts.heading("Inside the line", f"{formats.plural(count, 'candidate')}.")
    area.offers(line, count)


def _selected() -> None:
    chosen = st.session_state[_KEY].selection
    for one in (*chosen.get("lasso", []), *chosen.get("box", [])):
        _draw(Area.of(one["x"], one["y"], "board"))


def _draw(drawn: Area | None) -> None:
    if drawn is not None:
        st.query_params[area.NAME] = drawn.written()
