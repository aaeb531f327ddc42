"""The board of agreement and confidence as a Plotly figure. Knows nothing of pages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from semievol import charts
from semievol.palette import palette


def figure_of(bins: pd.DataFrame, dark: bool = False, line: str = "") -> go.Figure:
    """Candidates by how many answers they got and how probable theirs is; bubbles by number.

    bins: as `binned` gives them. line: an SVG path around the part that is chosen.
    """
    colours = palette(dark)
    figure = charts.blank(
        dark, "How many different answers, weighted by their votes", "Probability of the candidate's answer"
    )
    if line:
        figure.add_shape(type="path", path=line, line={"color": colours.text, "width": 2, "dash": "dot"})
    largest = max(float(bins["records"].max()), 1.0) if len(bins) else 1.0
    figure.add_scatter(
        x=bins["answers"],
        y=bins["probability"],
        mode="markers",
        marker={"size": 6 + 34 * np.sqrt(bins["records"] / largest), "color": colours.accent, "opacity": 0.75},
        customdata=np.column_stack([bins["records"], 100 * bins["decided"]]),
        hovertemplate="%{customdata[0]:,.0f} candidates, probability about %{y:.0f} %<br>"
        "%{customdata[1]:.0f} % of them decided<extra></extra>",
        showlegend=False,
    )
    reach = [0.7, max(float(bins["answers"].max()) + 0.3 if len(bins) else 2.0, 2.0)]
    scale = {**charts.PERCENT, "range": [-4, 106]}
    return figure.update_layout(xaxis={"range": reach, "dtick": 1}, yaxis=scale, dragmode="lasso", margin_t=10)


def binned(answers: ArrayLike, probability: ArrayLike, decided: ArrayLike) -> pd.DataFrame:
    """Candidates counted in cells of a tenth of an answer and 4 % of probability: answers, probability in percent,
    records, decided (share with a decision)."""
    table = pd.DataFrame({"answers": answers, "probability": probability, "decided": np.asarray(decided, dtype=float)})
    cells = table.dropna().assign(
        answers=lambda frame: frame["answers"].round(1),
        probability=lambda frame: 4 * ((frame["probability"] / 4).astype(int).clip(upper=24) + 0.5),
    )
    found = cells.groupby(["answers", "probability"])["decided"].agg(["size", "mean"]).reset_index()
    return found.rename(columns={"size": "records", "mean": "decided"})
