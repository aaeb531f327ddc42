"""The chart of the loss. It is made with ECharts, which keeps its canvas between polls, so that nothing flickers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.palette import palette
from semievol.records import STAGES
from semievol.ui.shell import formats, parts, state

MOST_POINTS = 400
SYMBOLS = ("circle", "rect", "triangle", "diamond", "pin", "arrow")
WORDS = {"loss": "training loss", "held_out_loss": "held-out loss", "learning_rate": "learning rate"}


def loss(metrics: pd.DataFrame, key: str, height: int = 240) -> None:
    """Training and held-out loss of `warm_up` and `tune` over the steps. `metrics` as `runs.metrics` gives them."""
    kept = metrics[metrics["name"].str.endswith("loss")] if len(metrics) else metrics
    if kept.empty:
        parts.note("The loss appears here after the first training steps.")
        return
    ink = parts.colours()
    shades = {"warm_up": ink["amber"], "tune": ink["accent"]}
    lines: list[dict[str, Any]] = []
    breaks: list[str] = []
    found = set(zip(kept["stage"], kept["name"], strict=True))
    order = sorted(found, key=lambda one: (STAGES.index(one[0]), one[1] != "loss"))
    for stage, name in order:
        part = kept[(kept["stage"] == stage) & (kept["name"] == name)]
        part = part.sort_values("step")
        words = f"{formats.STAGE_WORDS.get(str(stage), str(stage))} {WORDS.get(str(name), str(name))}"
        broken = first_break(part)
        if broken is not None:
            breaks.append(f"The {words.lower()} became NaN (not a number) at step {broken:,}.")
        part = part.iloc[:: max(1, len(part) // MOST_POINTS)]
        held_out = name != "loss"
        line = _line(words, part, shades.get(str(stage), ink["quiet"]), "dashed" if held_out else "solid")
        lines.append(line | {"showSymbol": held_out or len(part) < 3, "symbolSize": 5})
    _draw(lines, key, height, "Loss over training steps")
    for sentence in breaks:
        parts.note(f"{sentence} A lower learning rate usually helps.")


def overlaid(runs: Mapping[str, pd.DataFrame], key: str, height: int = 260) -> None:
    """The losses of several runs in one chart. runs: name -> metrics of one stage; a name is text of our own."""
    colours = palette(state.dark()).series
    lines: list[dict[str, Any]] = []
    for number, (run, metrics) in enumerate(runs.items()):
        for name, dash in (("loss", "solid"), ("held_out_loss", "dashed")):
            part = metrics[metrics["name"] == name].sort_values("step")
            if len(part):
                part = part.iloc[:: max(1, len(part) // MOST_POINTS)]
                line = _line(f"{run}, {WORDS[name]}", part, colours[number % len(colours)], dash)
                mark = {"symbol": SYMBOLS[number % len(SYMBOLS)], "symbolSize": 7, "showSymbol": len(part) < 60}
                lines.append(line | mark)
    if lines:
        _draw(lines, key, height, "Losses of the compared runs over training steps")


def _line(name: str, part: pd.DataFrame, colour: str, dash: str) -> dict[str, Any]:
    look = {"lineStyle": {"width": 2, "type": dash}, "color": colour}
    return {"name": name, "type": "line", "data": points(part), **look}


def _draw(lines: list[dict[str, Any]], key: str, height: int, alt: str) -> None:
    ink = parts.colours()
    axis = {"axisLabel": {"color": ink["quiet"]}, "splitLine": {"lineStyle": {"color": ink["line"]}}}
    spec = {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 22, "containLabel": True},
        "legend": {"type": "scroll", "top": 0, "left": 0, "textStyle": {"color": ink["quiet"]}, "itemHeight": 6},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "name": "step", "nameLocation": "middle", "nameGap": 22, **axis},
        "yAxis": {"type": "value", "scale": True, **axis},
        "series": lines,
    }
    st.echarts_chart(spec, key=key, height=height, alt=alt)


def points(part: pd.DataFrame) -> list[list[float | None]]:
    """[step, value] of every line of metrics. A value that is not finite becomes None (a gap), as JSON has no NaN."""
    return [
        [int(step), round(float(value), 5) if math.isfinite(value) else None]
        for step, value in zip(part["step"], part["value"], strict=True)
    ]


def first_break(part: pd.DataFrame) -> int | None:
    """The first step whose value is not finite, None if all are finite."""
    steps = part["step"][~np.isfinite(part["value"])]
    return int(steps.min()) if len(steps) else None
