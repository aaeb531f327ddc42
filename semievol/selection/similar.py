"""Records that read alike, without an embedder: cosine of their words weighted by rarity.

For the dashboard, which offers a correction to similar records at once, and shows what a changed test record resembles.
Demonstrations are found in another way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import scipy

_WORD = re.compile(r"\w+")


def similarities(text: str, others: Sequence[str]) -> np.ndarray:
    """Cosine in [0, 1] of `text` to each of `others`, words weighted by inverse document frequency among them all."""
    numbers: dict[str, int] = {}
    rows, columns = [], []
    for row, words in enumerate(set(_WORD.findall(one.casefold())) for one in (text, *others)):
        columns += [numbers.setdefault(word, len(numbers)) for word in words]
        rows += [row] * len(words)
    shape = (1 + len(others), max(len(numbers), 1))
    present = scipy.sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    weights = np.log((1 + shape[0]) / (1 + present.sum(axis=0))) + 1
    weighted = present.multiply(weights).tocsr()
    lengths = np.sqrt(weighted.multiply(weighted).sum(axis=1))
    products = (weighted[1:] @ weighted[[0]].T).toarray()[:, 0]
    scale = lengths[1:] * lengths[0]
    return np.divide(products, scale, out=np.zeros(len(others)), where=scale > 0)
