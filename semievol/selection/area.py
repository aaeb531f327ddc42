"""A part of a picture of records, drawn by hand: a polygon that an address can hold, and what lies in it.

The pictures are the map, and the board of agreement and confidence (`board_place`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

MOST = 40
"""Corners that are kept of a line drawn by hand; more would make the address long and change next to nothing."""
_DECIMALS = 3
Picture = Literal["map", "board"]
_BOARD = "board~"


@dataclass(frozen=True)
class Area:
    """A polygon; its last corner is joined to the first. on: the picture that it is drawn on."""

    corners: tuple[tuple[float, float], ...]
    on: Picture = "map"

    @classmethod
    def of(cls, x: Iterable[float], y: Iterable[float], on: Picture = "map") -> Area | None:
        """From the corners of a lasso, or from two opposite ones of a box; None where they enclose nothing."""
        drawn = [(float(a), float(b)) for a, b in zip(x, y, strict=False)]
        if len(drawn) == 2:
            (left, low), (right, high) = drawn
            drawn = [(left, low), (right, low), (right, high), (left, high)]
        step = max(1, -(-len(drawn) // MOST))
        corners = tuple((round(a, _DECIMALS), round(b, _DECIMALS)) for a, b in drawn[::step])
        return cls(corners, on) if len(set(corners)) > 2 and np.isfinite(corners).all() else None

    @classmethod
    def read(cls, text: str | None) -> Area | None:
        """From an address, as `written` wrote it; None for anything else."""
        on: Picture = "board" if (text or "").startswith(_BOARD) else "map"
        written = (text or "").removeprefix(_BOARD).split("~")
        try:
            x, y = zip(*(map(float, corner.split("_")) for corner in written[: MOST + 1]), strict=True)
            return cls.of(x, y, on) if len(written) > 2 else None
        except (ValueError, TypeError):
            return None

    def written(self) -> str:
        """For an address: corners joined by ~, their coordinates by _, which need no escaping there."""
        return (_BOARD if self.on == "board" else "") + "~".join(f"{x:g}_{y:g}" for x, y in self.corners)

    @property
    def path(self) -> str:
        """The outline as an SVG path."""
        return "M" + "L".join(f"{x},{y}" for x, y in self.corners) + "Z"

    def holds(self, x: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Which points lie inside, bool[n], by the even-odd rule; a point without a place (NaN) never does."""
        across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        inside = np.zeros(across.shape, dtype=bool)
        for (x1, y1), (x2, y2) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if y1 != y2:
                crossed = (y1 > up) != (y2 > up)
                inside ^= crossed & (across < (x2 - x1) * (up - y1) / (y2 - y1) + x1)
        return inside


def board_place(vote_entropy: ArrayLike, answer_nll: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Where candidates lie on the board; NaN where that is not known.

    Across: how many answers the collaborators effectively gave, exp(vote entropy), from 1. Up: the averaged probability
    of the candidate's answer, exp(-answer NLL), in percent.
    """
    return np.exp(np.asarray(vote_entropy, dtype=float)), 100 * np.exp(-np.asarray(answer_nll, dtype=float))
