"""Whether a model's stated probabilities may be believed: a sentence and the figures behind it.

The procedures are in `metrics`; docs/evidence.md, Calibration of confidences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from semievol import wording
from semievol.method import metrics


@dataclass(frozen=True)
class Calibration:
    """Of n answers with a stated probability: its mean, the share that is right, the Brier score, the reliability curve
    with its null band; ece is None below `metrics.ECE_MINIMUM` answers. z: see `of`."""

    n: int
    stated: float
    right: float
    z: float
    brier: float
    ece: float | None
    curve: metrics.Reliability

    @property
    def sentence(self) -> str:
        """The stated and the true share, and whether chance alone could explain that they differ."""
        said = f"States {wording.percent(self.stated, 0)} on average and is right on {wording.percent(self.right, 0)}"
        if abs(self.z) < 1.96:
            return f"{said}: on average this fits."
        return f"{said}: too {'sure' if self.z < 0 else 'modest'}."


def of(probability: ArrayLike, correct: ArrayLike) -> Calibration | None:
    """Answers without a probability (NaN) are left out; None if none has one.

    z: right answers minus stated ones in standard deviations of a perfectly calibrated model,
    sum (y - p) / sqrt(sum p (1 - p)) (calibration-in-the-large; Cox 1958).
    """
    p, right = np.asarray(probability, dtype=float), np.asarray(correct, dtype=float)
    p, right = p[~np.isnan(p)], right[~np.isnan(p)]
    if not p.size:
        return None
    surplus, spread = float((right - p).sum()), math.sqrt(float((p * (1 - p)).sum()))
    z = surplus / spread if spread else math.copysign(math.inf, surplus) if abs(surplus) > 1e-9 else 0.0
    curve = metrics.reliability(p, right)
    ece = curve.ece if p.size >= metrics.ECE_MINIMUM else None
    return Calibration(p.size, float(p.mean()), float(right.mean()), z, metrics.brier(p, right), ece, curve)
