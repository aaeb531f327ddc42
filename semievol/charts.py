"""Tables to Plotly figures: one look for light and dark.

Every figure takes a table and whether the theme is dark. Draw with `theme=None`, else Streamlit paints its own look
over this one. Text that comes from data passes through `label`, because Plotly reads some HTML. Counting is done
before drawing (`bin_confidence`, `bin_similarity`): a figure holds bins, not 100,000 records. Colour never carries a
meaning alone: bars are hatched, lines are dashed, points have shapes. Knows nothing of pages.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from semievol.palette import Palette, palette

MEASURES = {
    "answer_nll": "Confidence in the answer (answer NLL)",
    "verifier_nll": "Learned confidence (verifier NLL)",
    "answer_entropy": "Doubt between the answers (answer entropy)",
    "mean_nll": "Confidence per token (mean NLL)",
    "token_entropy": "Doubt while writing (token entropy)",
    "vote_entropy": "Disagreement of the collaborators (vote entropy)",
}
"""Names of the confidence measures in figures; lower is more confident for all."""

HATCHES = ("", "/", ".", "x", "-", "\\")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
PERCENT = {"ticksuffix": " %"}
MOST_POINTS = 500
GROUP_GAP = 0.7
"""Room between two groups of bars, in bars."""


def template(dark: bool) -> go.layout.Template:
    """The one look of all figures: transparent, quiet axes, legend above, no decoration."""
    colours = palette(dark)
    axis = {
        "gridcolor": colours.line,
        "linecolor": colours.line,
        "zeroline": False,
        "ticks": "",
        "automargin": True,
        "title": {"font": {"color": colours.quiet, "size": 12}, "standoff": 8},
        "tickfont": {"color": colours.quiet, "size": 12},
    }
    layout = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "inherit", "size": 13, "color": colours.text},
        "colorway": list(colours.series),
        "xaxis": axis,
        "yaxis": axis,
        "margin": {"l": 8, "r": 8, "t": 36, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": colours.quiet}},
        "hoverlabel": {"bgcolor": colours.surface, "bordercolor": colours.line, "font": {"color": colours.text}},
        "bargap": 0.25,
        "separators": ".,",
        "colorscale": {"sequential": scale(colours.ramp)},
    }
    return go.layout.Template(layout=layout)


def label(text: object, longest: int = 40) -> str:
    """Text from data as Plotly shows it verbatim: one line, shortened, nothing in it taken for HTML."""
    line = " ".join(str(text).split())
    line = line if len(line) <= longest else line[: longest - 1] + "…"
    return html.escape(line, quote=False)


def bin_confidence(values: ArrayLike, agreed: ArrayLike, bins: int = 60) -> pd.DataFrame:
    """Counts over equal bins of a measure: left, right, agreed, disputed. NaN falls out."""
    x, same = np.asarray(values, dtype=float), np.asarray(agreed, dtype=bool)
    seen = np.isfinite(x)
    x, same = x[seen], same[seen]
    if not x.size:
        return pd.DataFrame({"left": [], "right": [], "agreed": [], "disputed": []}, dtype=float)
    top = float(x.max())
    edges = np.linspace(min(float(x.min()), 0.0), top if top > 0 else 1.0, bins + 1)
    columns = {"left": edges[:-1], "right": edges[1:]}
    columns |= {"agreed": np.histogram(x[same], edges)[0], "disputed": np.histogram(x[~same], edges)[0]}
    return pd.DataFrame(columns)


def class_mix(shares: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Grouped bars. shares: one line per class (index), one column per set (kept, pool, labeled), values in 0-1."""
    colours = palette(dark)
    figure = blank(dark, "", "Share of records", barmode="group", yaxis=PERCENT)
    places = np.arange(len(shares))
    for position, name in enumerate(shares.columns):
        bar = {"color": cycle(colours.series, position), "pattern": _hatch(position, colours)}
        figure.add_bar(
            x=places,
            y=100 * shares[name],
            name=label(name),
            marker=bar,
            customdata=[label(text, 80) for text in shares.index],
            hovertemplate="%{customdata}<br>%{y:.1f} % of %{fullData.name}<extra></extra>",
        )
    return _named_axis(figure, "xaxis", shares.index)


def risk_coverage(curves: pd.DataFrame, dark: bool = False) -> go.Figure:
    """One line per measure. curves: measure, coverage (share kept), risk (share wrong among them)."""
    colours = palette(dark)
    figure = blank(dark, "Share of candidates kept, most confident first", "Share wrong among them")
    figure.update_layout(xaxis={**PERCENT, "range": [0, 101]}, yaxis={**PERCENT, "rangemode": "tozero"})
    for position, (name, curve) in enumerate(curves.groupby("measure", sort=False)):
        curve = curve.sort_values("coverage", kind="stable")
        # The browser gets a part of a long curve, its first and last point always.
        shown = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), MOST_POINTS)).round().astype(int))
        figure.add_scatter(
            x=100 * curve["coverage"].to_numpy()[shown],
            y=100 * curve["risk"].to_numpy()[shown],
            mode="lines" if len(shown) > 1 else "markers",
            name=label(MEASURES.get(str(name), name), 60),
            line={"color": cycle(colours.series, position), "width": 2, "dash": cycle(DASHES, position)},
            hovertemplate="%{fullData.name}<br>%{x:.1f} % kept, %{y:.1f} % wrong<extra></extra>",
        )
    return figure.update_traces(line_shape="hv")


def reliability(bins: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Accuracy against confidence, with the band of a perfectly calibrated model of this size.

    bins: confidence, accuracy, count, null_low, null_high, as `metrics.reliability` gives them.
    """
    colours = palette(dark)
    figure = blank(dark, "Probability given to the answer", "Share of answers that are right")
    percent = {**PERCENT, "range": [0, 101]}
    figure.update_layout(xaxis=percent, yaxis=percent, margin_r=30)  # room for the last percent sign
    bins = bins.assign(**{name: 100 * bins[name] for name in ("confidence", "accuracy", "null_low", "null_high")})
    edge = {"x": bins["confidence"], "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(y=bins["null_low"], showlegend=False, **edge)
    shade = _faint(colours.quiet)
    figure.add_scatter(y=bins["null_high"], fill="tonexty", fillcolor=shade, name="perfect calibration, 95 %", **edge)
    figure.add_scatter(
        x=[0, 100], y=[0, 100], mode="lines", line={"color": colours.quiet, "dash": "dot", "width": 1}, showlegend=False
    )
    figure.add_scatter(
        x=bins["confidence"],
        y=bins["accuracy"],
        mode="lines+markers",
        name="found",
        line={"color": colours.accent, "width": 2},
        marker={"size": 8},
        customdata=bins["count"],
        hovertemplate="said %{x:.1f} %, right %{y:.1f} %<br>%{customdata:,} records<extra></extra>",
    )
    return figure


def confusion(counts: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Heat map of counts; lines (index) gold, columns what was answered. Coloured by the share of each line."""
    colours = palette(dark)
    table = counts.to_numpy(dtype=float)
    totals = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    gold, answered = [label(text, 80) for text in counts.index], [label(text, 80) for text in counts.columns]
    lines = list(zip(gold, table, strict=True))
    figure = blank(dark, "Answered", "Gold")
    figure.add_heatmap(
        z=100 * shares,
        text=table.astype(int),
        texttemplate="%{text:,}" if table.size <= 400 else None,
        customdata=[[(g, a, int(n)) for a, n in zip(answered, row, strict=True)] for g, row in lines],
        hovertemplate="gold %{customdata[0]}<br>answered %{customdata[1]}<br>%{customdata[2]:,} records, %{z:.1f} %"
        "<extra></extra>",
        colorscale=scale(colours.ramp),
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        showscale=False,
    )
    _named_axis(figure, "xaxis", counts.columns)
    return _named_axis(figure, "yaxis", counts.index).update_layout(yaxis={"autorange": "reversed", "showgrid": False})


def agreement(pairs: pd.DataFrame, names: Sequence[str], dark: bool = False) -> go.Figure:
    """Heat map of how often two of `names` answer alike. pairs: first, second, share in 0-1, kappa."""
    table = pd.DataFrame(np.nan, index=list(names), columns=list(names))
    kappa = table.copy()
    for first, second, share, value in pairs[["first", "second", "share", "kappa"]].itertuples(index=False):
        table.loc[first, second] = table.loc[second, first] = 100 * share
        kappa.loc[first, second] = kappa.loc[second, first] = value
    figure = blank(dark, "", "")
    figure.add_heatmap(
        z=table.to_numpy(),
        text=table.map(lambda share: "" if np.isnan(share) else f"{share:.0f} %").to_numpy(),
        texttemplate="%{text}",
        customdata=kappa.to_numpy(),
        hovertemplate="alike on %{z:.1f} % of the records<br>Cohen's kappa %{customdata:.2f}<extra></extra>",
        hoverongaps=False,
        colorscale=scale(palette(dark).ramp),
        zmin=0,
        zmax=100,
        xgap=1,
        ygap=1,
        showscale=False,
    )
    _named_axis(figure, "xaxis", names)
    _named_axis(figure, "yaxis", names).update_layout(yaxis={"autorange": "reversed", "showgrid": False})
    return figure.update_layout(margin_t=10)


def bin_similarity(values: ArrayLike) -> pd.DataFrame:
    """Counts over 40 equal bins of cosine similarity: left, right, records. NaN falls out."""
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    edges = np.linspace(min(0.0, float(x.min(initial=0.0))), max(1.0, float(x.max(initial=1.0))), 40 + 1)
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "records": np.histogram(x, edges)[0]})


def similarity_histogram(bins: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Bars of `bin_similarity`: how near the pool's records are to their nearest labeled one."""
    figure = blank(dark, "Similarity to the nearest labeled record", "Records", bargap=0.04, showlegend=False)
    return figure.add_bar(
        x=(bins["left"] + bins["right"]) / 2,
        y=bins["records"],
        width=bins["right"] - bins["left"],
        name="records",
        marker={"color": palette(dark).accent},
        customdata=bins[["left", "right"]].to_numpy(),
        hovertemplate="%{customdata[0]:.3f} to %{customdata[1]:.3f}<br>%{y:,} records<extra></extra>",
    )


def accuracy_bars(scores: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Accuracy with intervals: bars of a group are side by side, bars of a kind look alike.

    scores: group, kind, accuracy, low, high, the last three shares in 0-1; the lines of a group follow each other.
    """
    colours = palette(dark)
    scale = {"tickvals": list(range(0, 101, 20)), "range": [0, 112]}
    figure = blank(dark, "", "Accuracy, %", yaxis={**PERCENT, **scale}, bargap=0)
    new = scores["group"].ne(scores["group"].shift()).cumsum().to_numpy()
    shown = scores.assign(x=np.arange(len(scores)) + GROUP_GAP * (new - 1), part=new)
    shown[["accuracy", "low", "high"]] *= 100
    for position, (kind, bars) in enumerate(shown.groupby("kind", sort=False)):
        reach = {"array": bars["high"] - bars["accuracy"], "arrayminus": bars["accuracy"] - bars["low"]}
        figure.add_bar(
            x=bars["x"],
            y=bars["accuracy"],
            width=0.86,
            name=label(kind),
            marker={"color": cycle(colours.series, position), "pattern": _hatch(position, colours)},
            error_y={**reach, "color": colours.text, "thickness": 1.5, "width": 5},
            customdata=list(zip([label(name) for name in bars["group"]], bars["low"], bars["high"], strict=True)),
            hovertemplate="%{customdata[0]}<br>%{y:.1f} %, 95 % interval %{customdata[1]:.1f} to %{customdata[2]:.1f} %"
            "<extra>%{fullData.name}</extra>",
        )
    figure.add_scatter(
        x=shown["x"],
        y=shown["high"],
        mode="markers+text",
        marker={"size": 8, "opacity": 0},  # keeps the text off the end of the interval
        text=[f"{value:.1f}" for value in shown["accuracy"]],
        textposition="top center",
        textfont={"size": 12},
        hoverinfo="skip",
        showlegend=False,
    )
    groups = shown.groupby("part", sort=False).agg(x=("x", "mean"), name=("group", "first"))
    _named_axis(figure, "xaxis", groups["name"])
    fold = textwrap.TextWrapper(14, break_long_words=False, break_on_hyphens=False)
    names = ["<br>".join(fold.wrap(label(name, 30))) for name in groups["name"]]
    return figure.update_layout(xaxis_tickvals=groups["x"].tolist(), xaxis_ticktext=names, xaxis_tickangle=0)


def arms(scores: pd.DataFrame, dark: bool = False) -> go.Figure:
    """Accuracy of every arm of a study as a point with its interval, the first arm on top.

    scores: arm, accuracy, low, high (shares), strong (whether the arm is marked as the main one).
    """
    colours = palette(dark)
    shown = scores.assign(**{name: 100 * scores[name] for name in ("accuracy", "low", "high")})[::-1]
    figure = blank(dark, "Accuracy", "", xaxis=PERCENT, showlegend=False)
    for strong, points in shown.groupby("strong"):
        reach = {"array": points["high"] - points["accuracy"], "arrayminus": points["accuracy"] - points["low"]}
        figure.add_scatter(
            x=points["accuracy"],
            y=[label(name) for name in points["arm"]],
            mode="markers",
            marker={"size": 12 if strong else 9, "symbol": "diamond" if strong else "circle"}
            | {"color": colours.series[0 if strong else 1]},
            error_x={**reach, "color": colours.text, "thickness": 1.5, "width": 5},
            hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
        )
    order = [label(name) for name in shown["arm"]]
    return figure.update_yaxes(categoryorder="array", categoryarray=order, automargin=True)


def blank(dark: bool, x: str, y: str, **layout: Any) -> go.Figure:
    """A figure without data in the one look; x, y: titles of the axes."""
    return go.Figure(layout={"template": template(dark), "xaxis_title_text": x, "yaxis_title_text": y, **layout})


def _named_axis(figure: go.Figure, axis: str, names: Sequence[object] | pd.Index | pd.Series) -> go.Figure:
    """Names at positions 0, 1, …: unlike a category axis this keeps two names apart that look the same shortened."""
    ticks = {"tickvals": list(range(len(names))), "ticktext": _short(names), "showgrid": False}
    if axis == "xaxis":  # turned names end at their bars: the last one of those that begin there would be cut off
        ticks["autotickangles"] = [0, -40, -90]
    return figure.update_layout({axis: ticks})


def _short(names: Sequence[object] | pd.Index | pd.Series, longest: int = 24) -> list[str]:
    """The names as `label` shortens them; those that would look the same show their ends, too."""
    cut = [label(name, longest) for name in names]
    half = longest // 2
    lines = [" ".join(str(name).split()) for name in names]
    return [
        short if cut.count(short) == 1 else label(f"{line[: half - 1]}…{line[-half:]}", longest)
        for short, line in zip(cut, lines, strict=True)
    ]


def _hatch(position: int, colours: Palette) -> dict[str, Any]:
    look = {"fgcolor": colours.background, "fgopacity": 0.75, "size": 6, "fillmode": "overlay"}
    return {"shape": cycle(HATCHES, position), **look}


def scale(shades: Sequence[str]) -> list[list[Any]]:
    """A colour ramp from these shades."""
    return [[position / (len(shades) - 1), shade] for position, shade in enumerate(shades)]


def _faint(shade: str) -> str:
    red, green, blue = (int(shade[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"


def cycle(choices: Sequence[str], position: int) -> str:
    """The choice at this position; after the last comes the first again."""
    return choices[position % len(choices)]
