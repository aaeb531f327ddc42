"""Agreement of reviewers beyond chance: Cohen's kappa for every two, Krippendorff's alpha for all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import krippendorff
import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Pair:
    """records: how many both decided on; agreed: on how many of these they agree; kappa: NaN where it is not defined
    (both always gave one and the same answer, or they share no record)."""

    left: str
    right: str
    records: int
    agreed: int
    kappa: float


def pairs(said: pd.DataFrame) -> list[Pair]:
    """Every two reviewers. said: a line per record, a column per reviewer, the decision as text, None for none."""
    found = []
    for left, right in combinations(said.columns, 2):
        both = said[[left, right]].dropna()
        a, b = both[left].to_numpy(dtype=object), both[right].to_numpy(dtype=object)
        found.append(Pair(str(left), str(right), len(both), int((a == b).sum()), cohen_kappa(a, b)))
    return found


def cohen_kappa(left: np.ndarray, right: np.ndarray) -> float:
    """(observed - expected) / (1 - expected) agreement, expected from the reviewers' own frequencies (Cohen 1960).

    Written out, since scikit-learn's takes the dashboard a second and 100 MB to load; the tests compare the two.
    """
    if not len(left):
        return math.nan
    names, codes = np.unique(np.concatenate([left, right]).astype(str), return_inverse=True)
    first, second = (np.bincount(side, minlength=len(names)) / len(left) for side in np.split(codes, 2))
    expected = float(first @ second)
    return math.nan if expected >= 1 else (float((left == right).mean()) - expected) / (1 - expected)


def alpha(said: pd.DataFrame) -> float:
    """Krippendorff's alpha, nominal, for any number of reviewers and gaps; NaN where it is not defined."""
    several = said[said.notna().sum(axis=1) >= 2]
    values = np.unique(several.to_numpy(dtype=object)[several.notna().to_numpy()].astype(str))
    if len(values) < 2:
        return math.nan
    codes = np.full(several.shape, np.nan)
    known = several.notna().to_numpy()
    codes[known] = np.searchsorted(values, several.to_numpy(dtype=object)[known].astype(str))
    return float(krippendorff.alpha(reliability_data=codes.T, level_of_measurement="nominal"))
