"""Figures of a study: intervals over seeds and records, calibration, risk and coverage, what a test set can show.

Arrays in, numbers and arrays out. The procedures and their sources are in docs/evidence.md, Did it help. The dashboard
shows none of these, so they stand beside the studies that print them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri


def smallest_detectable_gain(n: int, discordance: float, power: float = 0.8) -> float:
    """Smallest difference of two paired accuracies that n test records show with this power.

    McNemar's normal approximation (Miettinen 1968; Connor 1987): the d with
    n d² = (z_95 sqrt(psi) + z_power sqrt(psi - d²))², psi the share of records on which the two differ.
    power 0.5 gives the gain that would just reach significance if observed. At most psi itself; NaN for n = 0.
    """
    if n <= 0 or discordance <= 0:
        return math.nan
    z_95, z_power = float(ndtri(0.975)), float(ndtri(power))
    low, high = 0.0, discordance
    for _ in range(60):
        gain = (low + high) / 2
        needed = z_95 * math.sqrt(discordance) + z_power * math.sqrt(max(discordance - gain * gain, 0.0))
        low, high = (gain, high) if math.sqrt(n) * gain < needed else (low, gain)
    return high


@dataclass(frozen=True)
class Crossed:
    """Mean over repetitions and items with its percentile interval, and what either alone adds to its spread."""

    mean: float
    low: float
    high: float
    se_seeds: float
    se_items: float


def crossed_bootstrap(values: ArrayLike, seed: int = 0, draws: int = 4_000, level: float = 0.95) -> Crossed:
    """Bootstrap crossed over seeds and items, each drawn anew by itself (Owen 2007, "The pigeonhole bootstrap").

    values: [seeds, items]; NaN where a seed does not hold an item. Seeds share items, so that neither alone is enough.
    """
    table = np.asarray(values, dtype=float)
    present = ~np.isnan(table)
    if not present.any():
        return Crossed(*[math.nan] * 5)
    filled, there = np.where(present, table, 0.0), present.astype(float)
    draw = np.random.default_rng(seed)
    rows, columns = (draw.multinomial(n, np.full(n, 1 / n), size=draws).astype(float) for n in table.shape)

    def means(by_row: np.ndarray, by_column: np.ndarray) -> np.ndarray:
        total = ((by_row @ filled) * by_column).sum(1)
        return np.asarray(total / np.maximum(((by_row @ there) * by_column).sum(1), 1.0))

    low, high = np.quantile(means(rows, columns), [(1 - level) / 2, (1 + level) / 2])
    spread = means(rows, np.ones_like(columns)).std(), means(np.ones_like(rows), columns).std()
    return Crossed(float(filled.sum() / there.sum()), float(low), float(high), float(spread[0]), float(spread[1]))


def brier(probability: ArrayLike, correct: ArrayLike) -> float:
    """Mean squared distance of the probability given to the answer from its being right (Brier 1950), in [0, 1]."""
    p, right = _pair(probability, correct)
    return float(np.mean((p - right) ** 2)) if p.size else math.nan


@dataclass(frozen=True)
class Reliability:
    """Equal-count bins of a reliability curve; a perfectly calibrated model falls between the null bounds."""

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    null_low: np.ndarray
    null_high: np.ndarray
    ece: float
    null_ece: float


def reliability(
    probability: ArrayLike, correct: ArrayLike, bins: int = 10, level: float = 0.95, draws: int = 2_000, seed: int = 0
) -> Reliability:
    """Reliability curve with the band in which `level` of perfectly calibrated models of this size would fall.

    The null draws correctness from the probabilities themselves (consistency resampling, Bröcker & Smith 2007).
    ece: sum_b (n_b / n) |accuracy_b - confidence_b| (Naeini et al. 2015); null_ece: its mean under the null.
    """
    p, right = _pair(probability, correct)
    edges = np.linspace(0, p.size, min(bins, p.size) + 1).round().astype(int)
    order = np.argsort(p, kind="stable")
    p, right, count = p[order], right[order], np.diff(edges)
    if not p.size:
        nothing = np.empty(0)
        return Reliability(nothing, nothing, count, nothing, nothing, math.nan, math.nan)
    confidence = np.add.reduceat(p, edges[:-1]) / count
    observed = np.add.reduceat(right, edges[:-1]) / count
    draw = np.random.default_rng(seed)
    draws = max(min(draws, 20_000_000 // p.size), 200)
    null = np.empty((draws, count.size))
    for i in range(draws):
        null[i] = np.add.reduceat((draw.random(p.size) < p).astype(float), edges[:-1]) / count
    low, high = np.quantile(null, [(1 - level) / 2, (1 + level) / 2], axis=0)
    weight = count / p.size
    null_ece = float((np.abs(null - confidence) @ weight).mean())
    return Reliability(confidence, observed, count, low, high, float(np.abs(observed - confidence) @ weight), null_ece)


@dataclass(frozen=True)
class RiskCoverage:
    """Share of wrong answers among the most confident, by the share kept; `area` is its mean over all coverages."""

    coverage: np.ndarray
    risk: np.ndarray
    area: float


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """Risk-coverage curve (El-Yaniv & Wiener 2010; area: Geifman, Uziel & El-Yaniv 2019).

    confidence: a measure of `confidence`, lower is more confident; NaN is never kept. Records of equal value enter
    together: one point per distinct value, and inside a tie the area takes the expected risk.
    """
    values, right = _pair(confidence, correct)
    total = values.size
    seen = ~np.isnan(values)
    values, wrong = values[seen], 1 - right[seen]
    if not values.size:
        return RiskCoverage(np.empty(0), np.empty(0), math.nan)
    order = np.argsort(values, kind="stable")
    values, wrong = values[order], wrong[order]
    ends = np.append(np.flatnonzero(np.diff(values)) + 1, values.size)
    errors, sizes = np.cumsum(wrong)[ends - 1], np.diff(ends, prepend=0)
    per_tie = np.diff(errors, prepend=0.0) / sizes
    expected = np.cumsum(np.repeat(per_tie, sizes)) / np.arange(1, values.size + 1)
    return RiskCoverage(ends / total, errors / ends, float(expected.mean()))


def _pair(left: ArrayLike, right: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"expected two lists of one length, found shapes {a.shape} and {b.shape}")
    return a, b
