"""A part of the map of records, drawn by hand: a polygon that an address can hold, and what lies in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

MOST = 40
"""Corners that are kept of a line drawn by hand; more would make the address long and change next to nothing."""
_DECIMALS = 3


@dataclass(frozen=True)
class Area:
    """A polygon on a map whose coordinates lie between -1 and 1; the last corner is joined to the first."""

    corners: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, x: Iterable[float], y: Iterable[float]) -> Area | None:
        """From the corners of a lasso, or from two opposite ones of a box; None where they enclose nothing."""
        drawn = [(float(a), float(b)) for a, b in zip(x, y, strict=False)]
        if len(drawn) == 2:
            (left, low), (right, high) = drawn
            drawn = [(left, low), (right, low), (right, high), (left, high)]
        step = max(1, -(-len(drawn) // MOST))
        corners = tuple((round(a, _DECIMALS), round(b, _DECIMALS)) for a, b in drawn[::step])
        return cls(corners) if len(set(corners)) > 2 and np.isfinite(corners).all() else None

    @classmethod
    def read(cls, text: str | None) -> Area | None:
        """From an address, as `written` wrote it; None for anything else."""
        try:
            corners = [tuple(map(float, corner.split("_"))) for corner in (text or "").split("~")[: MOST + 1]]
            return cls.of(*zip(*corners, strict=True)) if len(corners) > 2 else None
        except (ValueError, TypeError):
            return None

    def written(self) -> str:
        """For an address: corners joined by ~, their coordinates by _, which need no escaping there."""
        return "~".join(f"{x:g}_{y:g}" for x, y in self.corners)

    def holds(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Which points lie inside, bool[n], by the even-odd rule; a point without a place (NaN) never does."""
        across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        inside = np.zeros(across.shape, dtype=bool)
        for (x1, y1), (x2, y2) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if y1 != y2:
                crossed = (y1 > up) != (y2 > up)
                inside ^= crossed & (across < (x2 - x1) * (up - y1) / (y2 - y1) + x1)
        return inside
