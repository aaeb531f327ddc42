"""How near an open answer is to the known one, where right or wrong says too little: token F1, relative error.

Text is compared as in SQuAD (Rajpurkar et al. 2016, §6.1, and the evaluation script of version 1.1). Whether an answer
counts as right is decided by `task.answers.same`.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np
import scipy

from semievol.task.answers import parse_number

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def tokens(text: str) -> list[str]:
    """Words in lower case, without ASCII punctuation and without English articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def token_f1(answer: str | None, gold: str) -> float:
    """2PR / (P + R) over the tokens that both have, each as often as both have it; no answer is 0.

    If one of the two has no tokens, 1 where the other has none either, else 0.
    """
    if answer is None:
        return 0.0
    given, known = tokens(answer), tokens(gold)
    if not given or not known:
        return float(given == known)
    shared = sum((Counter(given) & Counter(known)).values())
    return 2 * shared / (len(given) + len(known))


def relative_error(answer: str | None, gold: str) -> float:
    """|answer - gold| / |gold|; infinite without an answer, NaN where gold is 0 or no number."""
    known = parse_number(gold)
    if known is None or known == 0:
        return math.nan
    given = None if answer is None else parse_number(answer)
    return math.inf if given is None else float(abs((given - known) / known))


def mean_interval(values: Sequence[float], draws: int = 2_000, seed: int = 0) -> tuple[float, float, float]:
    """Mean, and its 95 % percentile interval by the bootstrap over records (Efron & Tibshirani 1993, §13.3)."""
    known = np.asarray(values, dtype=float)
    if not known.size:
        return math.nan, math.nan, math.nan
    draw = np.random.default_rng(seed)
    means = [known[draw.integers(known.size, size=known.size)].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(known.mean()), float(low), float(high)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median of the values that are no NaN, and its exact 95 % interval between two of them, by the binomial
    distribution of how many lie below (David & Nagaraja 2003, §7.1); NaN below six values, which allow no interval."""
    known = np.sort(np.asarray([value for value in values if not math.isnan(value)], dtype=float))
    outside = int((scipy.special.bdtr(np.arange(known.size), known.size, 0.5) <= 0.025).sum())
    if not outside:
        return float(np.median(known)) if known.size else math.nan, math.nan, math.nan
    return float(np.median(known)), float(known[outside - 1]), float(known[known.size - outside])
