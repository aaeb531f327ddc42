"""Figures of the evaluation: interval of an accuracy, paired test, macro-F1.

Arrays in, numbers out. Knows nothing of runs or records. docs/evidence.md, Did it help, says when which is used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy  # `scipy.special` loads at its first use: most pages need none of it


def wilson(k: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion, k successes of n (Wilson 1927, eq. 4); (0, 1) for n = 0.

    (p + z²/2n ± z sqrt(p(1 - p)/n + z²/4n²)) / (1 + z²/n), p = k/n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, found k = {k}, n = {n}")
    if n == 0:
        return 0.0, 1.0
    z = float(scipy.special.ndtri(0.975))
    share, ratio = k / n, z * z / n
    middle = share + ratio / 2
    half = z * math.sqrt(share * (1 - share) / n + ratio / (4 * n))
    low = 0.0 if k == 0 else (middle - half) / (1 + ratio)
    high = 1.0 if k == n else (middle + half) / (1 + ratio)
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


def macro_f1(gold: Sequence[str], predicted: Sequence[str | None]) -> float:
    """Mean F1, 2 tp / (2 tp + fp + fn), over the classes in gold or predictions (as scikit-learn's); NaN for none.

    None, an answer that could not be parsed, counts as wrong but is no class.
    """
    right = Counter(answer for answer, other in zip(gold, predicted, strict=True) if answer == other)
    occurrences = Counter(gold) + Counter(answer for answer in predicted if answer is not None)
    scores = [2 * right[label] / occurrences[label] for label in sorted(occurrences)]
    return float(np.mean(scores)) if scores else math.nan
