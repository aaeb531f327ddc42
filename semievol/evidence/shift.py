"""Are labeled and unlabeled records alike? What an estimate from calibration records assumes (docs/evidence.md,
Shift).

Three looks, each at a third of alpha: at the texts (can a classifier tell the two apart?), at the answers given (is the
class mix the same?), and at the errors (are as many wrong among random reviews as among calibration records?).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from semievol.evidence.precision import fisher_exact

ALPHA = 0.05
FOLDS = 5
PERMUTATIONS = 999
LARGEST = (1_000, 2_000)
"""Labeled and pool records compared at most: enough to see any shift that matters, in seconds."""
_RIDGE = 1.0


@dataclass(frozen=True)
class TextShift:
    """auc: cross-validated area under the ROC curve of the classifier, 0.5 where nothing tells the sides apart.
    p_value: share of permuted labellings that are told apart at least as well. labeled, pool: records compared."""

    auc: float
    p_value: float
    labeled: int
    pool: int


def drawn(labeled: int, pool: int, seed: int = 0) -> list[list[int]]:
    """Of this many labeled and pool records the places, in order, of those that are compared: at most `LARGEST`, drawn
    with the seed."""
    rng = np.random.default_rng(seed)
    return [
        list(range(size)) if size <= most else np.sort(rng.choice(size, most, replace=False)).tolist()
        for size, most in zip((labeled, pool), LARGEST, strict=True)
    ]


def text_shift(labeled: npt.ArrayLike, pool: npt.ArrayLike, seed: int = 0) -> TextShift | None:
    """Classifier two-sample test (Lopez-Paz & Oquab 2017): ridge regression on unit vectors, five folds.

    labeled, pool: embeddings [n, d]. The folds' predictions come from one hat matrix in closed form, so that 999
    permutations, each cross-validated anew, cost a few matrix products. None where either side has under ten records.
    """
    rng = np.random.default_rng(seed)
    sides = [np.asarray(side, dtype=np.float64) for side in (labeled, pool)]
    sizes = [len(side) for side in sides]
    if min(sizes) < 2 * FOLDS:
        return None
    order = rng.permutation(sum(sizes))
    vectors = np.concatenate(sides)[order]
    labels = np.repeat([1.0, 0.0], sizes)[order]
    permuted = np.stack([labels, *(rng.permutation(labels) for _ in range(PERMUTATIONS))], axis=1)
    areas = _areas(_cross_validated(vectors, permuted), permuted)
    at_least = 1 + int((areas[1:] >= areas[0] - 1e-12).sum())
    return TextShift(float(areas[0]), at_least / (1 + PERMUTATIONS), *sizes)


def class_shift(counts: np.ndarray) -> float | None:
    """p-value that both sides give every answer with the same frequency: Pearson's chi-squared test (SciPy's), or
    Fisher's exact one where two answers are left once rare ones are pooled. None where one side has none, or only one
    answer was given.

    counts: int[2, answers], how often the model gave each answer to labeled and to pool records, no answer zero on both
    sides. Never gold, so that both sides have the same kind of errors.
    """
    if counts.shape[1] < 2 or (counts.sum(axis=1) == 0).any():
        return None
    table = counts if counts.shape[1] == 2 else _pooled_rare(counts)
    if table.shape[1] == 2:
        return fisher_exact(int(table[0, 0]), int(table[0].sum()), int(table[1, 0]), int(table[1].sum()))
    return float(scipy.stats.chi2_contingency(table).pvalue)


@dataclass(frozen=True)
class ShiftResult:
    """p_values: of the looks that were possible, by name. auc: see `TextShift`; None where texts were not compared."""

    auc: float | None
    p_values: dict[str, float]

    @property
    def looked(self) -> bool:
        return bool(self.p_values)

    @property
    def shifted(self) -> list[str]:
        """Names of the tests that found a difference, each at a third of alpha (Bonferroni)."""
        return [name for name, p in self.p_values.items() if p <= ALPHA / 3]


def result(texts: Mapping[str, Any] | None, classes: float | None, errors: float | None = None) -> ShiftResult:
    """texts: the fields of a `TextShift`; classes: of `class_shift`; errors: `precision.fisher_exact` on errors."""
    looks = {"texts": texts.get("p_value") if texts else None, "classes": classes, "errors": errors}
    return ShiftResult(texts.get("auc") if texts else None, {k: float(p) for k, p in looks.items() if p is not None})


def _cross_validated(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Held-out predictions [n, m] of ridge regression for the m columns of `labels`, by contiguous folds.

    The fit's residuals r and its hat matrix H give a fold's held-out residuals as (I - H_ff)^-1 r_f.
    """
    centred = np.column_stack([vectors - vectors.mean(axis=0), np.ones(len(vectors))])
    gram = centred @ centred.T
    hat = gram @ np.linalg.inv(gram + _RIDGE * np.eye(len(gram)))
    residuals = labels - hat @ labels
    predicted = np.empty_like(labels)
    for fold in np.array_split(np.arange(len(labels)), FOLDS):
        own = np.eye(len(fold)) - hat[np.ix_(fold, fold)]
        predicted[fold] = labels[fold] - np.linalg.solve(own, residuals[fold])
    return predicted


def _areas(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of every column (Mann-Whitney's U by mid-ranks)."""
    ranks = scipy.stats.rankdata(scores, axis=0)
    ones = labels.sum(axis=0)
    rank_sum = (ranks * labels).sum(axis=0)
    areas: np.ndarray = (rank_sum - ones * (ones + 1) / 2) / (ones * (len(labels) - ones))
    return areas


def _pooled_rare(counts: np.ndarray) -> np.ndarray:
    """Answers expected fewer than five times on one side put together, as the test's approximation wants it."""
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    rare = (expected < 5).any(axis=0)
    if rare.sum() < 2 or (~rare).sum() < 1:
        return counts
    return np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
