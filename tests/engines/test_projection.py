"""The map: alike vectors lie close together, wherever they were fitted or placed afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from semievol.engines import projection


def _clusters(n: int, groups: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(5)
    group = draw.integers(0, groups, n)
    vectors = draw.normal(size=(groups, 20))[group] + 0.3 * draw.normal(size=(n, 20))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), group


@pytest.mark.parametrize("fitted", [projection.FITTED, 80])
def test_groups_stay_together_and_the_room_is_used(fitted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "FITTED", fitted)
    vectors, group = _clusters(160)
    told: list[tuple[int, int]] = []
    found = projection.places(vectors, 0, 1, lambda done, total: told.append((done, total)))
    assert found.shape == (160, 2)
    assert np.allclose([found.min(axis=0), found.max(axis=0)], [[-1, -1], [1, 1]])
    assert KNeighborsClassifier(5).fit(found[:100], group[:100]).score(found[100:], group[100:]) == 1.0
    assert told[-1][0] == told[-1][1]
    assert np.array_equal(found, projection.places(vectors, 0, 1, lambda done, total: None))


@pytest.mark.parametrize("n", [1, 2, projection.FEWEST - 1])
def test_a_few_records_have_places_too(n: int) -> None:
    found = projection.places(_clusters(12)[0][:n], 0, 1, lambda done, total: None)
    assert found.shape == (n, 2)
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1
