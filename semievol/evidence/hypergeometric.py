"""The hypergeometric distribution, elementwise over arrays, fast and small in memory for pools of any size.

H is the number wrong among `drawn` out of `population` records of which `wrong` are wrong. `scipy.stats` is not used,
since it is slow to import and sums whole tails. Knows nothing of what is drawn or why.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike

_CELLS = 1_000_000
"""Terms that are summed at a time: bounds the memory of `cdf` by some tens of megabytes."""


def cdf(x: ArrayLike, population: ArrayLike, wrong: ArrayLike, drawn: ArrayLike) -> np.ndarray:
    """P[H <= x] over broadcast arrays, to within 1e-8.

    Sums the tail on which the terms fall, away from the mode, and of it only what is within 10 standard deviations and
    40: H is a sum of independent Bernoullis (Vatutin & Mikhailov 1982), so by Bernstein's inequality less than
    exp(-49) is left out. Time and memory do not grow with the population.
    """
    arrays = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (x, population, wrong, drawn)))
    shape = arrays[0].shape
    x, population, wrong, drawn = (array.ravel() for array in arrays)
    least, most = np.maximum(0, drawn - (population - wrong)), np.minimum(drawn, wrong)
    inside = np.flatnonzero((x >= least) & (x < most))
    result = (x >= most).astype(float)
    if inside.size:
        part = np.stack([x, population, wrong, drawn, least, most])[:, inside]
        share = part[2] / part[1]
        spread = 10 * math.sqrt(float((part[3] * share * (1 - share)).max())) + 40
        width = int(min(spread, float((part[5] - part[4]).max())))
        rows = max(_CELLS // max(width, 1), 1)
        for begin in range(0, inside.size, rows):
            some = slice(begin, begin + rows)
            result[inside[some]] = _falling_tail(part[:, some], width)
    return result.reshape(shape)


def pmf(x: ArrayLike, population: ArrayLike, wrong: ArrayLike, drawn: ArrayLike) -> np.ndarray:
    """P[H = x], for x inside the support."""
    x, population, wrong, drawn = (np.asarray(v, dtype=float) for v in (x, population, wrong, drawn))
    return np.exp(_log_choose(wrong, x) + _log_choose(population - wrong, drawn - x) - _log_choose(population, drawn))


def log_falling(n: ArrayLike, k: ArrayLike) -> np.ndarray:
    """log n (n - 1) … (n - k + 1)."""
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    return scipy.special.gammaln(n + 1) - scipy.special.gammaln(n - k + 1)


def _falling_tail(part: np.ndarray, width: int) -> np.ndarray:
    """P[H <= x] for least <= x < most, from at most `width` + 1 terms of the lower or the upper tail.

    part: rows x, population, wrong, drawn, least, most.
    """
    x, population, wrong, drawn, least, most = part
    below = x < (drawn + 1) * (wrong + 1) / (population + 2)  # up to the mode the terms rise
    # A lower tail of the wrong is an upper tail of the right, so the terms are always summed upwards from `start`.
    odd = np.where(below, population - wrong, wrong)
    start = np.where(below, drawn - x, x + 1)
    end = np.where(below, drawn - least, most)
    k = start[:, None] + np.arange(width)
    ratio = (odd[:, None] - k) * (drawn[:, None] - k) / ((k + 1) * ((population - odd - drawn)[:, None] + k + 1))
    ratio[k >= end[:, None]] = 0
    np.cumprod(ratio, axis=1, out=ratio)
    tail = np.minimum(pmf(start, population, odd, drawn) * (1 + ratio.sum(axis=1)), 1.0)
    return np.where(below, tail, 1 - tail)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return log_falling(n, k) - scipy.special.gammaln(k + 1)
