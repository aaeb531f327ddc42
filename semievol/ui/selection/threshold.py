"""The histogram of a confidence measure with a threshold line, which is dragged or moved with the arrow keys.

The candidates (up to 100,000) are binned here, so that the browser gets 48 bars only. It sends one message per drag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

BINS = 48

_histogram = st.components.v2.component(
    "semievol_threshold",
    html='<div class="sv-threshold"></div>',
    js=Path(__file__).with_name("threshold.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def bins(frame: pd.DataFrame, measure: str) -> dict[str, Any]:
    """Bin edges (evenly spaced on a square-root axis) and the counts of agreed and disputed candidates per bin."""
    values = frame[measure].to_numpy(dtype=float) if measure in frame else np.array([])
    agreed = frame["agreed"].to_numpy(dtype=bool) if measure in frame else np.array([], dtype=bool)
    known = np.isfinite(values)
    values, agreed = values[known], agreed[known]
    largest = float(values.max()) if len(values) and values.max() > 0 else 1.0
    edges = np.linspace(0, np.sqrt(largest), BINS + 1) ** 2
    edges[-1] = largest
    return {
        "edges": edges.tolist(),
        "agreed": np.histogram(values[agreed], edges)[0].tolist(),
        "disputed": np.histogram(values[~agreed], edges)[0].tolist(),
        "largest": largest,
    }


def histogram(
    frame: pd.DataFrame,
    measure: str,
    words: str,
    lines: Mapping[str, float],
    on_change: Callable[[float], None] | None,
    key: str,
) -> None:
    """Draws the histogram. on_change(value) is called when the line was moved; None makes the line fixed.

    lines: the threshold for each part (all, agreed, disputed); words: the name of the measure, for the axis.
    """
    data = bins(frame, measure) | {
        "lines": [{"part": part, "value": value} for part, value in lines.items()],
        "movable": on_change is not None,
        "words": f"{words}, lower is more confident",
        "label": f"Histogram of {words} with the threshold",
    }

    def moved() -> None:
        value = st.session_state[key]["threshold"]
        if on_change is not None and value is not None:
            on_change(float(value))

    _histogram(data=data, key=key, on_threshold_change=moved)
