"""The histogram of a confidence measure with a threshold line that is dragged or moved with the arrow keys.

100,000 candidates are binned here; the browser sees 48 bars. One message per drag comes back.
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
    """Edges (even on a square-root axis) with the counts of agreed and disputed candidates that have a value."""
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
    """Draws the histogram; `on_change(value)` is called when the hand has moved the line, None keeps it fixed.

    lines: where the cut stands, by part (all, agreed, disputed). words: the axis title.
    """
    data = bins(frame, measure) | {
        "lines": [{"part": part, "value": value} for part, value in lines.items()],
        "movable": on_change is not None,
        "words": f"{words}, lower is more confident",
        "label": f"Histogram of {words} with the threshold in it",
    }

    def moved() -> None:
        value = st.session_state[key]["threshold"]
        if on_change is not None and value is not None:
            on_change(float(value))

    _histogram(data=data, key=key, on_threshold_change=moved)
