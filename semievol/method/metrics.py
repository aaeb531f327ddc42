"""How good answers are and how sure one may be of it: accuracy, intervals, paired tests, calibration, risk-coverage.

Arrays in, numbers and arrays out. Knows nothing of runs, records or figures. The procedures and when to use which are
in docs/evidence.md, Did it help; p-values and intervals come from `scipy.special`, which `import scipy` loads at its
first use: most visits of a page need none of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Score interval of a proportion, k successes of n (Wilson 1927, eq. 4); (0, 1) for n = 0.

    (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n), p = k/n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, found k = {k}, n = {n}")
    if n == 0:
        return 0.0, 1.0
    z = _normal_quantile(level)
    share, ratio = k / n, z * z / n
    middle = share + ratio / 2
    half = z * math.sqrt(share * (1 - share) / n + ratio / (4 * n))
    low = 0.0 if k == 0 else (middle - half) / (1 + ratio)
    high = 1.0 if k == n else (middle + half) / (1 + ratio)
    return low, high


def clopper_pearson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion, k successes of n (Clopper & Pearson 1934); (0, 1) for n = 0.

    Its ends are the (1 - level)/2 quantile of Beta(k, n - k + 1) and the (1 + level)/2 quantile of Beta(k + 1, n - k).
    """
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, found k = {k}, n = {n}")
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(scipy.stats.beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(scipy.stats.beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def mcnemar_midp(b: int, c: int) -> float:
    """Two-sided mid-p McNemar test; b and c count the pairs in which only the first or only the second is right.

    2 P[X <= m] - P[X = m], X ~ Bin(b + c, 1/2), m = min(b, c) (Fagerland, Lydersen & Laake 2013, eq. 4); 1 for b = c.
    """
    if min(b, c) < 0:
        raise ValueError(f"expected counts, found b = {b}, c = {c}")
    n, m = b + c, min(b, c)
    if b == c:
        return 1.0
    log_ways = scipy.special.gammaln(n + 1) - scipy.special.gammaln(m + 1) - scipy.special.gammaln(n - m + 1)
    point = math.exp(log_ways - n * math.log(2))
    return float(min(1.0, 2 * scipy.special.bdtr(m, n, 0.5) - point))


def holm(p_values: Sequence[float]) -> list[float]:
    """Step-down adjusted p-values in the order given (Holm 1979): max over j <= i of min(1, (m - j + 1) p_(j))."""
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values, kind="stable")
    stepped = np.minimum(1.0, values[order] * (values.size - np.arange(values.size)))
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted.tolist()


def smallest_detectable_gain(n: int, discordance: float, power: float = 0.8, level: float = 0.95) -> float:
    """Smallest difference of two paired accuracies that n test records show with this power.

    McNemar's normal approximation (Miettinen 1968; Connor 1987): the d with
    n d² = (z_level sqrt(psi) + z_power sqrt(psi - d²))², psi the share of records on which the two differ.
    power 0.5 gives the gain that would just reach significance if observed. At most psi itself; NaN for n = 0.
    """
    if n <= 0 or discordance <= 0:
        return math.nan
    z_level, z_power = _normal_quantile(level), float(scipy.special.ndtri(power))
    low, high = 0.0, discordance
    for _ in range(60):
        gain = (low + high) / 2
        needed = z_level * math.sqrt(discordance) + z_power * math.sqrt(max(discordance - gain * gain, 0.0))
        low, high = (gain, high) if math.sqrt(n) * gain < needed else (low, gain)
    return high


@dataclass(frozen=True)
class Paired:
    """Difference of two accuracies on the same records (first minus second), with its percentile interval."""

    difference: float
    low: float
    high: float


def paired_difference(
    only_a: int, only_b: int, n: int, seed: int = 0, draws: int = 10_000, level: float = 0.95
) -> Paired:
    """Bootstrap over n records of the difference of two accuracies (Efron & Tibshirani 1993, §13.3), from the counts of
    records that only the first or only the second has right.

    A record contributes -1, 0 or 1, so a draw of n records is one multinomial over these three: exact and fast.
    """
    if n == 0:
        return Paired(math.nan, math.nan, math.nan)
    shares = np.array([only_a, only_b, n - only_a - only_b]) / n
    counts = np.random.default_rng(seed).multinomial(n, shares, size=draws)
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [(1 - level) / 2, (1 + level) / 2])
    return Paired((only_a - only_b) / n, float(low), float(high))


def paired_interval(only_a: int, only_b: int, n: int, level: float = 0.95) -> Paired:
    """As `paired_difference`, with an interval that has a width even where the two agree on every record.

    (b' - c') ± z sqrt((b' + c' - (b' - c')²) / (n + 2)), b' = (only_a + 1)/(n + 2), c' = (only_b + 1)/(n + 2), cut to
    [-1, 1]: Bonett & Price 2012; recommended by Fagerland, Lydersen & Laake 2014.
    """
    if n == 0:
        return Paired(math.nan, math.nan, math.nan)
    b, c = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    half = _normal_quantile(level) * math.sqrt((b + c - (b - c) ** 2) / (n + 2))
    return Paired((only_a - only_b) / n, max(b - c - half, -1.0), min(b - c + half, 1.0))


@dataclass(frozen=True)
class Crossed:
    """Mean over repetitions and items with its percentile interval, and what either alone adds to its spread.

    p_value: of the mean being 0, twice the smaller share of draws on either side of it; below 0.05 where the 95 %
    interval leaves out 0, but for a draw or two.
    """

    mean: float
    low: float
    high: float
    se_seeds: float
    se_items: float
    p_value: float


def crossed_bootstrap(values: ArrayLike, seed: int = 0, draws: int = 4_000, level: float = 0.95) -> Crossed:
    """Bootstrap crossed over seeds and items, each drawn anew by itself (Owen 2007, "The pigeonhole bootstrap").

    values: [seeds, items]; NaN where a seed does not hold an item. Seeds share items, so that neither alone is enough.
    """
    table = np.asarray(values, dtype=float)
    present = ~np.isnan(table)
    if not present.any():
        return Crossed(*[math.nan] * 6)
    filled, there = np.where(present, table, 0.0), present.astype(float)
    rows, columns = _drawn_again(*table.shape, seed, draws)
    totals, counts = columns @ filled.T, columns @ there.T  # [draws, seeds]
    drawn = (rows * totals).sum(1) / np.maximum((rows * counts).sum(1), 1.0)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    over_seeds = rows @ filled.sum(1) / np.maximum(rows @ there.sum(1), 1.0)
    over_items = totals.sum(1) / np.maximum(counts.sum(1), 1.0)
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p_value = min(1.0, 2 * (1 + rarer) / (1 + draws))  # with the data themselves as one more draw, so never 0
    mean, spread = filled.sum() / there.sum(), (over_seeds.std(), over_items.std())
    return Crossed(float(mean), float(low), float(high), float(spread[0]), float(spread[1]), float(p_value))


@lru_cache(maxsize=2)
def _drawn_again(seeds: int, items: int, seed: int, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each seed and each item is drawn, [draws, seeds] and [draws, items]; tables of one shape share them."""
    draw = np.random.default_rng(seed)
    rows, columns = (draw.multinomial(n, np.full(n, 1 / n), size=draws).astype(float) for n in (seeds, items))
    return rows, columns


def confusion_matrix(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> np.ndarray:
    """(len(labels), len(labels) + 1) counts, rows gold; the last column counts answers outside `labels` (or None)."""
    place = {label: i for i, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels) + 1), dtype=int)
    rows = [place[answer] for answer in gold]
    columns = [len(labels) if answer is None else place.get(answer, len(labels)) for answer in predicted]
    np.add.at(matrix, (rows, columns), 1)
    return matrix


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of one class; a ratio 0/0 counts as 0. `support`: gold records of the class."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


def per_class(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> list[ClassScores]:
    """One `ClassScores` per label, in order: tp / (tp + fp), tp / (tp + fn), 2 tp / (2 tp + fp + fn)."""
    matrix = confusion_matrix(gold, predicted, labels)
    right, answered, support = np.diag(matrix[:, :-1]), matrix[:, :-1].sum(axis=0), matrix.sum(axis=1)
    return [
        ClassScores(label, _ratio(r, a), _ratio(r, s), _ratio(2 * r, a + s), int(s))
        for label, r, a, s in zip(labels, right, answered, support, strict=True)
    ]


def macro_f1(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str] = ()) -> float:
    """Mean F1 over the classes that occur in gold or predictions (as scikit-learn's); NaN without records.

    labels: the classes to look at; by default all that occur.
    """
    occurring = {*gold, *(answer for answer in predicted if answer is not None)}
    classes = [label for label in labels if label in occurring] if labels else sorted(occurring)
    known = sorted({*gold} - {*classes})
    scores = [score.f1 for score in per_class(gold, predicted, [*classes, *known]) if score.label in set(classes)]
    return float(np.mean(scores)) if scores else math.nan


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


ECE_MINIMUM = 300
"""Records below which a bare ECE misleads: a perfect model shows 0.076 with 90 of them."""


def reliability(
    probability: ArrayLike, correct: ArrayLike, bins: int = 10, level: float = 0.95, draws: int = 2_000, seed: int = 0
) -> Reliability:
    """Reliability curve with the band in which `level` of perfectly calibrated models of this size would fall.

    The null draws correctness from the probabilities themselves (consistency resampling, Bröcker & Smith 2007).
    ece: sum_b (n_b / n) |accuracy_b - confidence_b| (Naeini et al. 2015); null_ece: its mean under the null. Equal
    probabilities may fall into several bins: each of them counts with the share of all of them that is right, so that
    the order of the records changes nothing.
    """
    p, right = _pair(probability, correct)
    edges = np.linspace(0, p.size, min(bins, p.size) + 1).round().astype(int)
    order = np.argsort(p, kind="stable")
    p, count = p[order], np.diff(edges)
    if not p.size:
        nothing = np.empty(0)
        return Reliability(nothing, nothing, count, nothing, nothing, math.nan, math.nan)
    ties = np.flatnonzero(np.diff(p, prepend=math.nan))
    sizes = np.diff(ties, append=p.size)

    def binned(hits: np.ndarray) -> np.ndarray:
        even = hits if ties.size == p.size else np.repeat(np.add.reduceat(hits, ties) / sizes, sizes)
        return np.add.reduceat(even, edges[:-1]) / count

    confidence, observed = np.add.reduceat(p, edges[:-1]) / count, binned(right[order])
    draw = np.random.default_rng(seed)
    draws = max(min(draws, 20_000_000 // p.size), 200)
    null = np.empty((draws, count.size))
    for i in range(draws):
        null[i] = binned((draw.random(p.size) < p).astype(float))
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


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _normal_quantile(level: float) -> float:
    """z with P[|Z| <= z] = level."""
    return float(scipy.special.ndtri((1 + level) / 2))
