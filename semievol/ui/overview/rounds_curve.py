"""How accuracy went from round to round, on the Overview: shown from two evaluated rounds on."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from semievol import charts
from semievol.method.ledger import Line
from semievol.palette import palette
from semievol.ui.shell import next_round, parts, round_ledger, router, state, tables
from semievol.ui.shell.state import Place

ROOM = 2
"""Points above and below the intervals."""


def rounds_curve(here: Place) -> None:
    """The card: the curve, the newest of its rounds in a sentence, the next round, and the way to the ledger."""
    if len(here.rounds) < 2:
        return
    judged = [line for line in round_ledger.lines(here) if line.accuracy is not None]
    if len(judged) < 2:
        return
    with parts.card("rounds_curve"):
        parts.heading("Accuracy over the rounds", "Evolved models on the test set, with 95 % intervals.")
        alt = "Accuracy of every round on the test set; the numbers are in the ledger of the Evaluation page"
        tables.figure(figure(judged, dark=state.dark()), key="rounds_curve_figure", alt=alt, height=210)
        parts.note(judged[-1].sentence)
        with st.container(horizontal=True, vertical_alignment="center"):
            reason = next_round.button(here, "next_round")
            router.link("evaluation", "What each round brought", ":material/menu_book:")
        if reason:
            parts.note(f"{next_round.LABEL}: {reason}")


def figure(judged: Sequence[Line], dark: bool = False) -> go.Figure:
    """Points with intervals, in percent, in the order of the rounds; a line leads to a round from its parent."""
    colours = palette(dark)
    place = {line.place: at for at, line in enumerate(judged)}
    right = [100 * (line.accuracy or 0) for line in judged]
    low, high = ([100 * (getattr(line, end) or 0) for line in judged] for end in ("low", "high"))
    drawn = go.Figure(layout={"template": charts.template(dark), "showlegend": False})
    for at, line in enumerate(judged):
        if line.after in place:
            ends = place[line.after], at
            look = {"mode": "lines", "line": {"color": colours.accent, "width": 2}, "hoverinfo": "skip"}
            drawn.add_scatter(x=ends, y=[right[end] for end in ends], **look)
    reach = {"array": [b - a for a, b in zip(right, high, strict=True)]}
    reach["arrayminus"] = [a - b for a, b in zip(right, low, strict=True)]
    drawn.add_scatter(
        x=list(place.values()),
        y=right,
        mode="markers+text",
        marker={"color": colours.accent, "size": 10},
        error_y={**reach, "color": colours.quiet, "thickness": 1.5, "width": 5},
        text=[f"{value:.1f} %" for value in right],
        textposition="bottom right",
        cliponaxis=False,
        customdata=list(zip(place, low, high, strict=True)),
        hovertemplate="Round %{customdata[0]}: %{y:.1f} %<br>between %{customdata[1]:.1f} and %{customdata[2]:.1f} %"
        "<extra></extra>",
    )
    names = [charts.label(f"Round {line.place} · {line.model}") for line in judged]
    drawn.update_xaxes(tickvals=list(range(len(names))), ticktext=names, range=[-0.5, len(names) - 0.4], showgrid=False)
    span = [max(min(low) - ROOM, 0), min(max(high) + ROOM, 100)]
    return drawn.update_yaxes(ticksuffix=" %", range=span)
