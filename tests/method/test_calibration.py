"""What is said about stated probabilities, on models whose calibration is known."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import brier_score_loss

from semievol.method import calibration


def _model(surplus: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and answers that are right as often as these plus `surplus`."""
    draw = np.random.default_rng(1)
    stated = draw.uniform(0.5, 0.9, n)
    return stated, draw.random(n) < stated + surplus


def test_too_modest_too_sure_and_fitting_models_are_called_so() -> None:
    words = {surplus: calibration.of(*_model(surplus)) for surplus in (-0.15, 0.0, 0.1)}
    found = [one.sentence.partition(": ")[2] for one in words.values() if one is not None]
    assert found == ["too sure.", "on average this fits.", "too modest."]


def test_the_sentence_gives_both_shares() -> None:
    found = calibration.of([0.84] * 100, [True] * 93 + [False] * 7)
    assert found is not None
    assert found.sentence == "States 84 % on average and is right on 93 %: too modest."


def test_the_brier_score_is_scikit_learns_and_the_ece_needs_300_records() -> None:
    stated, right = _model(0.0)
    found, few = calibration.of(stated, right), calibration.of(stated[:299], right[:299])
    assert found is not None
    assert few is not None
    assert np.isclose(found.brier, brier_score_loss(right, stated))
    assert found.ece is not None
    assert few.ece is None


def test_answers_without_a_probability_are_left_out() -> None:
    found = calibration.of([np.nan, 1.0, 1.0], [False, True, True])
    assert found is not None
    assert (found.n, found.stated, found.sentence) == (
        2,
        1.0,
        "States 100 % on average and is right on 100 %: on average this fits.",
    )
    assert calibration.of([np.nan], [True]) is None
