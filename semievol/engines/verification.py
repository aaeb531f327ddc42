"""The verifier's model: a logistic regression from what is known of a candidate to whether its answer is right.

Knows nothing of records: numbers in, probabilities out.
"""

from __future__ import annotations

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

INVERSE_PENALTY = 0.3


def probability_right(known: np.ndarray, right: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Probability that each candidate of `asked` is right, float[m], by a regression on the `known` ones.

    known: float[n, d], asked: float[m, d], columns in the same order; NaN stands for "not known" and takes the column's
    median. right: bool[n], with both values among them. Columns are standardised, weights have an L2 penalty
    (scikit-learn, C = INVERSE_PENALTY), so that few records do not fit many columns by heart.
    """
    model = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=INVERSE_PENALTY, max_iter=2_000),
    )
    model.fit(known, np.asarray(right, dtype=int))
    return np.asarray(model.predict_proba(asked)[:, 1])
