"""Vectors as places on a map: two coordinates each, so that alike texts lie close together.

t-SNE (van der Maaten & Hinton 2008) as openTSNE computes it, on at most `FITTED` vectors; the others are placed among
their nearest fitted ones, so that a map of 100,000 records takes a minute, not ten.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from openTSNE import TSNE
from openTSNE.callbacks import Callback
from sklearn.decomposition import PCA

from semievol.engines.vectors import Vectors

FITTED = 5_000
FEWEST = 12
"""Vectors below which t-SNE has too few neighbours; they are placed by their first two principal components."""
_PERPLEXITY = 30
_NEIGHBOURS = 15
_DIMENSIONS = 50
_EARLY, _LATE = 250, 500
"""Iterations in which clusters are drawn together, and those after; openTSNE's defaults."""
_EVERY = 25


class _Telling(Callback):
    """Reports the iterations of both phases as one progress."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress, self._done = progress, 0

    def __call__(self, iteration: int, error: float, embedding: Vectors) -> None:
        self._done += _EVERY
        self._progress(min(self._done, _EARLY + _LATE), _EARLY + _LATE)


def places(vectors: Vectors, seed: int, threads: int, progress: Callable[[int, int], None]) -> Vectors:
    """Two coordinates for every vector, float32[n, 2], each from -1 to 1 and using all of this room.

    vectors: float32[n, d], of length one. progress: is told the iterations done and all of them. Equal vectors get
    close places, not the same one.
    """
    if len(vectors) < FEWEST:
        return _scaled(_components(vectors, 2))
    short = _components(vectors, _DIMENSIONS)
    fitted = np.sort(np.random.default_rng(seed).permutation(len(short))[:FITTED])
    model = TSNE(
        perplexity=min(_PERPLEXITY, (len(fitted) - 1) / 3),
        metric="cosine",
        early_exaggeration_iter=_EARLY,
        n_iter=_LATE,
        n_jobs=threads,
        random_state=seed,
        callbacks=_Telling(progress),
        callbacks_every_iters=_EVERY,
    )
    drawn = model.fit(short[fitted])
    found = np.empty((len(short), 2), dtype=np.float32)
    found[fitted] = drawn
    rest = np.setdiff1d(np.arange(len(short)), fitted)
    if rest.size:
        found[rest] = drawn.prepare_partial(short[rest], initialization="median", k=_NEIGHBOURS)
    return _scaled(found)


def _components(vectors: Vectors, most: int) -> Vectors:
    """The first principal components, at most as many as there are; zeros where there are fewer than two."""
    count = min(most, *vectors.shape)
    found = np.zeros((len(vectors), max(count, 2)), dtype=np.float32)
    if count and len(vectors) > 1:
        found[:, :count] = PCA(count, svd_solver="randomized", random_state=0).fit_transform(vectors)
    return found


def _scaled(found: Vectors) -> Vectors:
    middle = (found.min(axis=0) + found.max(axis=0)) / 2
    reach = np.abs(found - middle).max(axis=0)
    return np.asarray((found - middle) / np.where(reach > 0, reach, 1), dtype=np.float32)
