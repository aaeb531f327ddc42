"""How many of the records kept are wrong: bounds that hold for this finite pool (EVIDENCE.md §1 to §5).

The estimand is a count, so inference inverts the hypergeometric distribution; nothing is approximated by a binomial.
Counts in, counts out: `drawn` records of known correctness (calibration records that the policy keeps, or random
reviews), `wrong` of them wrong, `rest` kept records of unknown correctness. Knows nothing of policies or reviews.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

COVERAGES = tuple(tenth / 10 for tenth in range(1, 11))
"""Shares of the pool at which the band is computed, fixed before anybody looks (EVIDENCE.md §3)."""


def hypergeometric_cdf(x: ArrayLike, population: ArrayLike, wrong: ArrayLike, drawn: ArrayLike) -> np.ndarray:
    """P[H <= x], H the number wrong among `drawn` out of `population` records of which `wrong` are wrong.

    Elementwise over broadcast arrays. Sums whichever tail is shorter; memory is elements times longest tail.
    """
    x, population, wrong, drawn = np.broadcast_arrays(
        *(np.asarray(v, dtype=float) for v in (x, population, wrong, drawn))
    )
    least, most = np.maximum(0, drawn - (population - wrong)), np.minimum(drawn, wrong)
    below = np.clip(x - least + 1, 0, None)
    above = np.clip(most - x, 0, None)
    low_tail = below <= above
    start = np.where(low_tail, least, x + 1)
    length = np.where(low_tail, below, above)
    length = np.where((x < least) | (x >= most), 0, length)
    k = start[..., None] + np.arange(int(length.max(initial=0)))
    inside = k < (start + length)[..., None]
    k = np.where(inside, k, least[..., None])
    total = np.where(inside, _hypergeometric_pmf(k, population[..., None], wrong[..., None], drawn[..., None]), 0.0)
    tail = np.minimum(total.sum(axis=-1), 1.0)
    return np.where(x < least, 0.0, np.where(x >= most, 1.0, np.where(low_tail, tail, 1 - tail)))


def upper(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike, alpha: float = 0.05) -> np.ndarray:
    """Largest W in 0..rest with P[H(drawn + rest, W + wrong, drawn) <= wrong] > alpha: one-sided at 1 - alpha."""
    n, x, rest = _counts(drawn, wrong, rest)
    return _bisect(lambda w: hypergeometric_cdf(x, n + rest, w + x, n) > alpha, np.zeros_like(rest), rest)


def lower(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike, alpha: float = 0.05) -> np.ndarray:
    """Smallest W in 0..rest with P[H(drawn + rest, W + wrong, drawn) >= wrong] > alpha: one-sided at 1 - alpha."""
    n, x, rest = _counts(drawn, wrong, rest)
    found = _bisect(
        lambda right: 1 - hypergeometric_cdf(x - 1, n + rest, rest - right + x, n) > alpha, np.zeros_like(rest), rest
    )
    return rest - found


def bounds(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike, alpha: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided interval (low, high) for W, the number wrong among the `rest`, alpha/2 per side (EVIDENCE.md §1).

    Elementwise; integer arrays of the broadcast shape. Inverts the exact tests, so coverage is at least 1 - alpha.
    """
    return lower(drawn, wrong, rest, alpha / 2), upper(drawn, wrong, rest, alpha / 2)


@dataclass(frozen=True)
class Band:
    """Simultaneous bounds of the number wrong, at ten kept sets that grow into each other.

    kept: their sizes in the pool; low, high: with probability 1 - alpha all ten true counts lie between them.
    """

    kept: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def at(self, kept: int) -> tuple[int, int]:
        """Bounds for a nested kept set of any size: the next larger set's upper, the next smaller set's lower one."""
        larger, smaller = self.kept >= kept, self.kept <= kept
        high = int(self.high[larger].min()) if larger.any() else kept
        low = int(self.low[smaller].max()) if smaller.any() else 0
        return min(low, kept), min(high, kept)


def band(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike, alpha: float = 0.05) -> Band:
    """Bounds over nested kept sets fixed beforehand, smallest first, alpha / (2 x their number) per side.

    With `COVERAGES` that is the alpha/20 per side of EVIDENCE.md §3 (Bonferroni). Wrong records only accumulate, so an
    upper bound of a larger set also bounds the smaller one, and a lower bound of a smaller one the larger.
    """
    n, x, rest = _counts(drawn, wrong, rest)
    low, high = bounds(n, x, rest, alpha / max(rest.size, 1))
    return Band(rest, np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1])


def start_coverage(target: float, calibration: int, alpha: float = 0.05) -> float:
    """Share of the pool at which the search for a target precision starts: 1.4 n_min / n_cal; above 1 it is hopeless.

    Starting at the strictest threshold always stalls, since a handful of records can prove nothing (EVIDENCE.md §3).
    """
    needed = needed_reviews(target, alpha=alpha)
    return math.inf if needed is None or calibration <= 0 else 1.4 * needed / calibration


def target_precision(
    target: float, drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike, alpha: float = 0.05
) -> int | None:
    """Index of the loosest kept set whose precision is proven to be at least `target`; None if there is none.

    Fixed-sequence learn-then-test (Angelopoulos et al., arXiv 2110.01052, §3.2) along kept sets in the order given,
    from `start_coverage` on, until the first failure: set t passes if P[H(n + N, w0 + x, n) <= x] <= alpha with
    w0 = floor((1 - target) N) + 1, the smallest number of wrong records among N that misses the target. Leading sets
    that could not pass even with x = 0 are skipped; that depends on sizes alone, so the sequence stays fixed.
    """
    n, x, rest = _counts(drawn, wrong, rest)
    missing = np.floor((1 - target) * rest + 1e-9).astype(np.int64) + 1
    possible = missing <= rest
    missing = np.where(possible, missing, rest)
    provable = (hypergeometric_cdf(0, n + rest, missing, n) <= alpha) | ~possible
    passed = (hypergeometric_cdf(x, n + rest, missing + x, n) <= alpha) | ~possible
    if not provable.any():
        return None
    first = int(np.argmax(provable))
    failed = np.flatnonzero(~passed[first:])
    length = int(failed[0]) if failed.size else passed.size - first
    return first + length - 1 if length else None


def needed_reviews(target: float, kept: int | None = None, alpha: float = 0.05) -> int | None:
    """Random reviews, all right, that prove a precision of `target`: ceil(ln alpha / ln target); 59 for 95 %.

    kept: size of the kept set; a small set needs fewer, since it is finite. None where no number suffices.
    """
    if not 0 <= target <= 1:
        raise ValueError(f"expected a precision between 0 and 1, found {target}")
    if kept is not None:
        low, high = 0, kept
        while low < high:
            middle = (low + high) // 2
            proven = guarantee(middle, 0, kept, alpha).wrong_at_most <= (1 - target) * kept + 1e-9
            low, high = (low, middle) if proven else (middle + 1, high)
        return low
    if target == 0:
        return 0
    return None if target == 1 else math.ceil(math.log(alpha) / math.log(target))


@dataclass(frozen=True)
class Guarantee:
    """What a random review of a kept set proves, each with probability 1 - alpha.

    remaining: most wrong records among those not reviewed, which is what is left once the reviewed ones are corrected.
    wrong_at_most: the same with the wrong ones that the review found. share: `wrong_at_most` of the kept set.
    """

    reviewed: int
    wrong: int
    kept: int
    remaining: int
    wrong_at_most: int
    share: float


def guarantee(reviewed: int, wrong: int, kept: int, alpha: float = 0.05) -> Guarantee:
    """One-sided bound from a simple random sample whose size was fixed beforehand (EVIDENCE.md §5).

    kept: size of the whole kept set, the reviewed records included. A skipped record counts as wrong.
    """
    remaining = int(upper(reviewed, wrong, kept - reviewed, alpha))
    return Guarantee(reviewed, wrong, kept, remaining, remaining + wrong, (remaining + wrong) / kept if kept else 0.0)


def anytime_upper(
    wrong: Sequence[bool] | np.ndarray, kept: int, prior: tuple[float, float] = (1.0, 1.0), alpha: float = 0.05
) -> int:
    """Largest number wrong in the whole kept set that a random review, stopped at any moment, cannot exclude.

    wrong: what each review found, in the order of reviewing; kept: size of the whole kept set.
    Prior-posterior-ratio sequence without replacement (Waudby-Smith & Ramdas 2020, Theorem 2.1): after each review the
    totals W with prior(W) / posterior(W) < 1 / alpha remain, the prior beta-binomial, and the sets of all moments are
    intersected. Valid whatever the prior; one from the calibration records, such as (1 + wrong, 1 + right), is tighter.
    """
    total = np.arange(kept + 1, dtype=float)
    a, b = prior
    log_beta = scipy.special.betaln
    log_prior = _log_choose(kept, total) + log_beta(total + a, kept - total + b) - log_beta(a, b)
    remaining = np.ones(kept + 1, dtype=bool)
    x = 0
    for n, found in enumerate(wrong, start=1):
        x += bool(found)
        possible = (total >= x) & (kept - total >= n - x)
        likelihood = np.full(kept + 1, -np.inf)
        likelihood[possible] = _log_hypergeometric_pmf(x, kept, total[possible], n)
        remaining &= scipy.special.logsumexp(log_prior + likelihood) - likelihood < -np.log(alpha)
    return int(total[remaining].max(initial=x))


def fisher_exact(wrong_a: int, drawn_a: int, wrong_b: int, drawn_b: int) -> float:
    """Two-sided p-value that two groups have the same share of wrong records (Fisher 1935); for the shift check.

    Sums the probabilities of all tables with these margins that are no more likely than the one found.
    """
    population, wrong = drawn_a + drawn_b, wrong_a + wrong_b
    k = np.arange(max(0, wrong - drawn_b), min(drawn_a, wrong) + 1, dtype=float)
    chance = _hypergeometric_pmf(k, float(population), float(wrong), float(drawn_a))
    return float(min(1.0, chance[chance <= chance[wrong_a - int(k[0])] * (1 + 1e-7)].sum()))


def _hypergeometric_pmf(k: ArrayLike, population: ArrayLike, wrong: ArrayLike, drawn: ArrayLike) -> np.ndarray:
    return np.exp(_log_hypergeometric_pmf(k, population, wrong, drawn))


def _log_hypergeometric_pmf(k: ArrayLike, population: ArrayLike, wrong: ArrayLike, drawn: ArrayLike) -> np.ndarray:
    """log P[H = k] for k inside the support."""
    k, population, wrong, drawn = (np.asarray(v, dtype=float) for v in (k, population, wrong, drawn))
    return _log_choose(wrong, k) + _log_choose(population - wrong, drawn - k) - _log_choose(population, drawn)


def _log_choose(n: ArrayLike, k: ArrayLike) -> np.ndarray:
    n, k = np.asarray(n, dtype=float), np.asarray(k, dtype=float)
    return scipy.special.gammaln(n + 1) - scipy.special.gammaln(k + 1) - scipy.special.gammaln(n - k + 1)


def _counts(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, x, others = np.broadcast_arrays(*(np.asarray(v, dtype=np.int64) for v in (drawn, wrong, rest)))
    if np.any((x < 0) | (x > n) | (others < 0)):
        raise ValueError(f"expected 0 <= wrong <= drawn and rest >= 0, found wrong {x}, drawn {n}, rest {others}")
    return n, x, others


def _bisect(holds: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Largest value in low..high for which `holds` is true, elementwise; it is true at `low` and turns false once."""
    low, high = low.copy(), high.copy()
    while np.any(low < high):
        middle = (low + high + 1) // 2
        true = holds(middle)
        low, high = np.where(true, middle, low), np.where(true, high, middle - 1)
    return low
