"""Bounds on how many of the kept records are wrong, exact for a finite pool (docs/evidence.md).

The estimand is a count, so inference inverts the hypergeometric distribution; no binomial approximates it.
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

from semievol.evidence import hypergeometric

COVERAGES = tuple(tenth / 10 for tenth in range(1, 11))
"""Shares of the pool at which the band is computed, fixed before anybody looks."""


def upper(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike, alpha: float = 0.05) -> np.ndarray:
    """Largest W in 0..rest with P[H(drawn + rest, W + wrong, drawn) <= wrong] > alpha: one-sided at 1 - alpha."""
    n, x, rest = _counts(drawn, wrong, rest)
    return _bisect(lambda w: hypergeometric.cdf(x, n + rest, w + x, n) > alpha, np.zeros_like(rest), rest)


def bounds(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike, alpha: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided interval (low, high) for W, the number wrong among the `rest`, alpha/2 per side.

    Elementwise; integer arrays of the broadcast shape. Inverts the exact tests, so coverage is at least 1 - alpha.
    """
    n, x, rest = _counts(drawn, wrong, rest)
    top = np.array([True, False]).reshape(2, *[1] * n.ndim)  # both ends are searched at once

    def holds(moved: np.ndarray) -> np.ndarray:
        below = hypergeometric.cdf(np.where(top, x, x - 1), n + rest, np.where(top, moved, rest - moved) + x, n)
        return np.where(top, below, 1 - below) > alpha / 2

    found = _bisect(holds, np.zeros((2, *n.shape), dtype=np.int64), np.stack([rest, rest]))
    return rest - found[1], found[0]


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

    With `COVERAGES` that is alpha/20 per side (Bonferroni; docs/evidence.md, Many thresholds). Wrong records only
    accumulate, so an upper bound of a larger set also bounds the smaller one, and a lower bound of a smaller one the
    larger.
    """
    n, x, rest = _counts(drawn, wrong, rest)
    low, high = bounds(n, x, rest, alpha / max(rest.size, 1))
    return Band(rest, np.maximum.accumulate(low), np.minimum.accumulate(high[::-1])[::-1])


EARLIEST = 0.2
"""Share of the pool below which no search for a target precision starts."""


def start_coverage(target: float, calibration: int, alpha: float = 0.05) -> float:
    """Share of the pool at which the search for a target precision starts: 1.4 n_min / n_cal; above 1 it is hopeless.

    A search that starts at the strictest threshold always stalls, since a handful of records can prove nothing. For the
    same reason the start is never below `EARLIEST`: 1.4 n_min records allow for one error at most, however large the
    calibration split is, so more calibration records would not help.
    """
    needed = needed_reviews(target, alpha=alpha)
    return math.inf if needed is None or calibration <= 0 else max(1.4 * needed / calibration, EARLIEST)


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
    missing = _fewest_wrong_that_miss(target, rest)
    possible = missing <= rest
    missing = np.where(possible, missing, rest)
    provable = (hypergeometric.cdf(0, n + rest, missing, n) <= alpha) | ~possible
    passed = (hypergeometric.cdf(x, n + rest, missing + x, n) <= alpha) | ~possible
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
    if kept is None:
        if target == 0:
            return 0
        return None if target == 1 else math.ceil(math.log(alpha) / math.log(target))
    missed = _fewest_wrong_that_miss(target, np.array(kept))
    if missed > kept:
        return 0
    unseen = _bisect(
        lambda unseen: hypergeometric.cdf(0, kept, missed, kept - unseen) <= alpha, np.array(0), np.array(kept)
    )
    return kept - int(unseen)


def _fewest_wrong_that_miss(target: float, kept: np.ndarray) -> np.ndarray:
    """Smallest number of wrong records among `kept` with which the precision is below `target`."""
    return np.floor((1 - target) * kept + 1e-9).astype(np.int64) + 1


@dataclass(frozen=True)
class Guarantee:
    """What a random review of a kept set proves, each with probability 1 - alpha.

    reviewed: records reviewed, `wrong` of them wrong. kept: size of the kept set. wrong_at_most: most wrong records in
    the whole kept set, those found by the review included.
    """

    reviewed: int
    wrong: int
    kept: int
    wrong_at_most: int

    @property
    def share(self) -> float:
        """`wrong_at_most` as a share of the kept set."""
        return self.wrong_at_most / self.kept if self.kept else 0.0


def guarantee(reviewed: int, wrong: int, kept: int, alpha: float = 0.05) -> Guarantee:
    """One-sided bound from a simple random sample whose size was fixed beforehand.

    kept: size of the whole kept set, the reviewed records included. A skipped record counts as wrong.
    """
    return Guarantee(reviewed, wrong, kept, int(upper(reviewed, wrong, kept - reviewed, alpha)) + wrong)


def anytime_upper(
    wrong: Sequence[bool] | np.ndarray, kept: int, prior: tuple[float, float] = (1.0, 1.0), alpha: float = 0.05
) -> int:
    """Largest number wrong in the whole kept set that a random review, stopped at any moment, cannot exclude.

    wrong: what each review found, in the order of reviewing; kept: size of the whole kept set.
    """
    bounds = anytime_uppers(wrong, kept, prior, alpha)
    return int(bounds[-1]) if bounds.size else kept


def anytime_uppers(
    wrong: Sequence[bool] | np.ndarray, kept: int, prior: tuple[float, float] = (1.0, 1.0), alpha: float = 0.05
) -> np.ndarray:
    """The upper bound after every review, as the page shows it while they come in; it never rises.

    Prior-posterior-ratio sequence without replacement (Waudby-Smith & Ramdas 2020, Theorem 2.1): after each review the
    totals W with prior(W) / posterior(W) < 1 / alpha remain, the prior beta-binomial, and what one moment has excluded
    stays excluded. Valid whatever the prior; one from the calibration records, such as (1 + wrong, 1 + right), is
    tighter. Prior over posterior is the sequence's chance under the prior over its chance under W, which rises to one
    peak in W and falls: the end of what remains is found by bisection, at a cost that hardly grows with `kept`.
    """
    x = np.cumsum(np.asarray(wrong, dtype=bool))
    n = np.arange(1, x.size + 1)
    if x.size > kept:
        raise ValueError(f"expected at most {kept} reviews of {kept} kept records, found {x.size}")
    a, b = prior
    least = scipy.special.betaln(a + x, b + n - x) - scipy.special.betaln(a, b) + np.log(alpha)

    def remains(total: np.ndarray) -> np.ndarray:
        ways = hypergeometric.log_falling(total, x) + hypergeometric.log_falling(kept - total, n - x)
        return ways - hypergeometric.log_falling(kept, n) > least - 1e-9  # what ties stays, whatever the rounding

    peak = np.clip(x * (kept + 1) // np.maximum(n, 1), x, kept - (n - x))
    return np.maximum(np.minimum.accumulate(_bisect(remains, peak, kept - (n - x))), x)


def fisher_exact(wrong_a: int, drawn_a: int, wrong_b: int, drawn_b: int) -> float:
    """Two-sided p-value that two groups have the same share of wrong records (Fisher 1935); for the shift check.

    Sums the probabilities of all tables with these margins that are no more likely than the one found.
    """
    population, wrong = drawn_a + drawn_b, wrong_a + wrong_b
    k = np.arange(max(0, wrong - drawn_b), min(drawn_a, wrong) + 1, dtype=float)
    chance = hypergeometric.pmf(k, float(population), float(wrong), float(drawn_a))
    return float(min(1.0, chance[chance <= chance[wrong_a - int(k[0])] * (1 + 1e-7)].sum()))


def _counts(drawn: ArrayLike, wrong: ArrayLike, rest: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, x, others = np.broadcast_arrays(*(np.asarray(v, dtype=np.int64) for v in (drawn, wrong, rest)))
    if np.any((x < 0) | (x > n) | (others < 0)):
        raise ValueError(f"expected 0 <= wrong <= drawn and rest >= 0, found wrong {x}, drawn {n}, rest {others}")
    return n, x, others


def _bisect(holds: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Largest value in low..high for which `holds` is true, elementwise. It is true at `low` and turns false once."""
    low, high = low.copy(), high.copy()
    while np.any(low < high):
        middle = (low + high + 1) // 2
        true = holds(middle)
        low, high = np.where(true, middle, low), np.where(true, high, middle - 1)
    return low
