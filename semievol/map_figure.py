"""The map of records as a Plotly figure: single records, or bins of them where there are many.

Text that comes from data passes through `charts.label`. Colour never carries a meaning alone: names have shapes. Knows
nothing of pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from semievol import charts
from semievol.palette import palette

FEW = 1_500
"""Records up to which points are large."""
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")


def bin_places(points: pd.DataFrame, colour: str, cells: int = 64) -> pd.DataFrame:
    """Places on a map, counted in a grid of square cells. points: x, y from -1 to 1, and `colour`.

    Columns: x, y of the middle of each cell that holds a record, records, `colour` (the mean of numbers, else the most
    frequent name) and share, that of the most frequent name (1 for numbers).
    """
    grid = np.clip(((points[["x", "y"]].to_numpy(dtype=float) + 1) / 2 * cells).astype(int), 0, cells - 1)
    cell = pd.Series(grid[:, 0] * cells + grid[:, 1], index=points.index, name="cell")
    if _is_number(points[colour]):
        found = (
            points[colour].groupby(cell).agg(["size", "mean"]).set_axis(["records", colour], axis=1).assign(share=1.0)
        )
    else:
        counts = _named(points[colour]).groupby(cell).value_counts().rename("most").reset_index()
        counts = counts.sort_values(["cell", "most"], ascending=[True, False], kind="stable").drop_duplicates("cell")
        found = counts.set_index("cell").join(cell.value_counts().rename("records"))
        found = found.assign(share=found["most"] / found["records"])[["records", colour, "share"]]
    column, row = np.divmod(found.index.to_numpy(), cells)
    return found.assign(x=(column + 0.5) * 2 / cells - 1, y=(row + 0.5) * 2 / cells - 1).reset_index(drop=True)


def records_map(
    points: pd.DataFrame, colour: str, dark: bool = False, names: Sequence[str] = (), title: str = "", line: str = ""
) -> go.Figure:
    """2-D projection of records, or of `bin_places`; the first item of a point's `customdata` is the record's id.

    points: index record id, columns x, y, question and, for records drawn with an outline, outlined (or records and
    share, of bins), and `colour`: a name (one colour and shape each, the six most frequent, then "other") or a number
    (a colour ramp). names: of the legend, in order. title: of the colour ramp. line: an SVG path around the part that
    is chosen.
    """
    colours = palette(dark)
    figure = charts.blank(dark, "", "")
    hidden = {"visible": False, "range": [-1.06, 1.06]}
    figure.update_layout(xaxis=hidden, yaxis=hidden, dragmode="lasso")
    if line:
        figure.add_shape(type="path", path=line, line={"color": colours.text, "width": 2, "dash": "dot"})
    points = points.assign(size=_sizes(points), edge=_outlined(points) * 1.5)
    if _is_number(points[colour]):
        ramp = {"color": points[colour].to_numpy(), "colorscale": charts.scale(colours.ramp[2:]), "showscale": True}
        name = title or charts.label(colour)
        return _points(figure, points, name, {**ramp, "colorbar": {"title": name}})
    shown = _named(points[colour])
    counted = shown.value_counts().index
    order = [name for name in names if name in counted] + [name for name in counted if name not in names]
    frequent = order[: len(SYMBOLS) - (len(order) > len(SYMBOLS))]
    group = shown.where(shown.isin(frequent), "other")
    for position, name in enumerate([*frequent, *(["other"] if len(frequent) < len(order) else [])]):
        look = {"color": charts.cycle(colours.series, position), "symbol": charts.cycle(SYMBOLS, position)}
        _points(figure, points[group == name], charts.label(name), look)
    return figure


def _is_number(column: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _named(column: pd.Series[Any]) -> pd.Series[str]:
    return column.astype(object).where(column.notna(), "none").map(str)


def _sizes(points: pd.DataFrame) -> np.ndarray:
    """Pixels of the points: of bins by the number of their records."""
    if "records" not in points:
        return (8.0 if len(points) <= FEW else 5.0) + 3.0 * _outlined(points)
    return 4.0 + 10.0 * np.sqrt(points["records"].to_numpy(dtype=float) / max(points["records"].max(), 1))


def _outlined(points: pd.DataFrame) -> np.ndarray:
    return points["outlined"].to_numpy(dtype=float) if "outlined" in points else np.zeros(len(points))


def _points(figure: go.Figure, points: pd.DataFrame, name: str, marker: dict[str, Any]) -> go.Figure:
    """Adds the points: records with their questions, or bins with their counts."""
    if "records" in points:
        told = [
            f"{n:,} records" + (f", {share:.0%} of them so" if share < 1 else "")
            for n, share in zip(points["records"], points["share"], strict=True)
        ]
        ids: Sequence[object] = [""] * len(points)
    else:
        told, ids = [charts.label(text, 80) for text in points["question"]], list(points.index)
    outline = {"width": points["edge"].to_numpy(), "color": figure.layout.template.layout.font.color}
    return figure.add_scattergl(
        x=points["x"].to_numpy(),
        y=points["y"].to_numpy(),
        mode="markers",
        name=name,
        marker={"size": points["size"].to_numpy(), "opacity": 0.8, "line": outline, **marker},
        customdata=list(zip(ids, told, strict=True)),
        hovertemplate="%{customdata[1]}<br>%{fullData.name}<extra></extra>",
    )
