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

from semievol.selection.decisions import DECIDES
from semievol.ui.shell import formats, parts

BINS = 48
KINDS = ("agreed", "disputed", "agreed_kept", "disputed_kept")

_histogram = st.components.v2.component(
    "semievol_threshold",
    html='<div class="sv-threshold"></div>',
    js=Path(__file__).with_name("threshold.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def bins(frame: pd.DataFrame, measure: str, kept: np.ndarray) -> dict[str, Any]:
    """Bin edges, evenly spaced on a square-root axis, and the counts per bin: of agreed and of disputed candidates
    (`agreed`, `disputed`), and of those among them that are kept (`agreed_kept`, `disputed_kept`). And of those that an
    expert decided on, whatever the policy says (`decided`)."""
    values = frame[measure].to_numpy(dtype=float) if measure in frame else np.full(len(frame), np.nan)
    known = np.isfinite(values)
    values = values[known]
    largest = float(values.max()) if len(values) and values.max() > 0 else 1.0
    place = np.minimum((np.sqrt(np.maximum(values, 0) / largest) * BINS).astype(np.int64), BINS - 1)
    disputed = ~frame["agreed"].to_numpy(dtype=bool)[known]
    counts = np.bincount(place * 4 + 2 * kept[known] + disputed, minlength=4 * BINS).reshape(BINS, 4)
    columns = (counts[:, 0] + counts[:, 2], counts[:, 1] + counts[:, 3], counts[:, 2], counts[:, 3])
    edges = np.linspace(0, np.sqrt(largest), BINS + 1) ** 2
    edges[-1] = largest
    decided = frame["decision"].isin(DECIDES).to_numpy()[known]
    return {name: column.tolist() for name, column in zip(KINDS, columns, strict=True)} | {
        "edges": edges.tolist(),
        "largest": largest,
        "decided": np.bincount(place[decided], minlength=BINS).tolist(),
    }


def histogram(
    frame: pd.DataFrame,
    measure: str,
    kept: np.ndarray,
    lines: Mapping[str, float],
    on_change: Callable[[float], None] | None,
    key: str,
) -> None:
    """Draws the histogram. kept: whether the policy keeps each candidate; lines: the threshold for each part (all,
    agreed, disputed). on_change(value) is called when the line was moved; None makes it fixed. It shows the
    policy alone; a sentence says on how many candidates experts decided."""
    data = bins(frame, measure, kept) | {
        "lines": [{"part": part, "value": value} for part, value in lines.items()],
        "movable": on_change is not None,
        "words": f"{formats.MEASURE_WORDS[measure]}, stretched at the confident end",
        "label": f"Histogram of the candidates by {formats.measure(measure)}, with the threshold",
        "probability": measure in formats.PROBABILITIES,
    }

    def moved() -> None:
        value = st.session_state[key]["threshold"]
        if on_change is not None and value is not None:
            on_change(float(value))

    _histogram(data=data, key=key, on_threshold_change=moved)
    if decided := sum(data["decided"]):
        parts.note(
            f"The figure shows what the policy alone does. Experts decided on {formats.plural(decided, 'candidate')}: "
            "that counts wherever the line stands."
        )
