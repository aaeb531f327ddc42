"""Fits the collaborators' weights from the probabilities that they gave to known answers; arrays in, arrays out.

The pool of the collaborators is linear, p(answer) = sum_c w_c p_c(answer), w on the simplex. Knows nothing of records.
"""

from __future__ import annotations

import hashlib
import sys

import numpy as np
from numpy.typing import ArrayLike

ITERATIONS = 50
LEAST = 0.05
"""A collaborator with less weight than this is left out."""
FEWEST = 30
"""Known answers that a fit needs at least; weights from fewer would be noise."""
FOLDS = 5


def fit(gold: ArrayLike, iterations: int = ITERATIONS) -> np.ndarray:
    """Weights float[c], that maximise sum_i log sum_c w_c p_ic, by expectation maximisation from equal weights.

    gold: float[n, c], the probability that collaborator c gave to record i's known answer. The mixture proportions'
    update, w_c <- mean_i w_c p_ic / sum_d w_d p_id (Dempster, Laird & Rubin 1977, §4.3), never lowers the likelihood,
    which is concave in w.
    """
    table = np.maximum(np.asarray(gold, dtype=float), sys.float_info.min)
    if table.ndim != 2 or not table.size:
        raise ValueError(f"expected a table of records by collaborators, found shape {table.shape}")
    weights = np.full(table.shape[1], 1 / table.shape[1])
    for _ in range(iterations):
        joint = table * weights
        weights = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights


def without_small(weights: ArrayLike) -> np.ndarray:
    """The weights with those under LEAST set to 0, the others scaled to sum to 1; the largest always stays."""
    found = np.asarray(weights, dtype=float)
    kept = np.where((found >= LEAST) | (found == found.max()), found, 0.0)
    return kept / kept.sum()


def earned(gold: ArrayLike) -> np.ndarray:
    """Weights float[c] as they are used: fitted, small ones set to 0."""
    return without_small(fit(gold))


def cross_earned(gold: ArrayLike, folds: ArrayLike) -> list[np.ndarray]:
    """For every fold the weights fitted on the records of the other folds; on all records if there are no others.

    folds: int[n], see `fold_of`. A record is judged by its fold's weights, to which it did not contribute.
    """
    table, part = np.asarray(gold, dtype=float), np.asarray(folds)
    return [earned(table[part != fold] if bool(np.any(part != fold)) else table) for fold in range(FOLDS)]


def fold_of(content_hash: str) -> int:
    """The fold of a record, by a hash of its content: the same in every run and for every copy of the record."""
    return int.from_bytes(hashlib.sha256(content_hash.encode()).digest()[:8]) % FOLDS
