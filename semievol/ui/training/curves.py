"""The chart of the loss. It is made with ECharts, which keeps its canvas between polls, so that nothing flickers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.records import STAGES
from semievol.ui.shell import formats, parts

MOST_POINTS = 400
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
        lines.append(
            {
                "name": words,
                "type": "line",
                "showSymbol": held_out or len(part) < 3,
                "symbolSize": 5,
                "data": points(part),
                "lineStyle": {"width": 2, "type": "dashed" if held_out else "solid"},
                "color": shades.get(str(stage), ink["quiet"]),
            }
        )
    axis = {"axisLabel": {"color": ink["quiet"]}, "splitLine": {"lineStyle": {"color": ink["line"]}}}
    spec = {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 22, "containLabel": True},
        "legend": {"top": 0, "left": 0, "textStyle": {"color": ink["quiet"]}, "icon": "roundRect", "itemHeight": 4},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "name": "step", "nameLocation": "middle", "nameGap": 22, **axis},
        "yAxis": {"type": "value", "scale": True, **axis},
        "series": lines,
    }
    st.echarts_chart(spec, key=key, height=height, alt="Loss over training steps")
    for sentence in breaks:
        parts.note(f"{sentence} A lower learning rate usually helps.")


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
