"""The shift check: silent where both sides are alike as often as it claims, loud where they differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats import fisher_exact as scipys_fisher
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, cross_val_predict

from semievol.evidence import shift


def test_held_out_predictions_are_those_of_five_refits() -> None:
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(60, 12)), rng.integers(0, 2, size=(60, 1)).astype(float)
    ours = shift._cross_validated(vectors, labels)[:, 0]
    centred = np.column_stack([vectors - vectors.mean(axis=0), np.ones(60)])
    refitted = cross_val_predict(Ridge(1.0, fit_intercept=False), centred, labels[:, 0], cv=KFold(5))
    assert np.allclose(ours, refitted)
    assert shift._areas(ours[:, None], labels)[0] == roc_auc_score(labels[:, 0], ours)


def test_alike_sides_are_told_apart_no_more_often_than_chance() -> None:
    rng = np.random.default_rng(1)
    runs = 40
    false_alarms = sum(
        found.p_value <= 0.05
        for seed in range(runs)
        if (found := shift.text_shift(rng.normal(size=(40, 16)), rng.normal(size=(120, 16)), seed)) is not None
    )
    assert false_alarms <= binom.ppf(0.999, runs, 0.05)


def test_sides_that_differ_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    found = shift.text_shift(rng.normal(size=(100, 16)) + 0.4, rng.normal(size=(400, 16)))
    assert found is not None
    assert found.auc > 0.8
    assert found.p_value == 1 / (1 + shift.PERMUTATIONS)
    assert (found.labeled, found.pool) == (100, 400)


def test_a_handful_of_records_tells_nothing() -> None:
    assert shift.text_shift(np.ones((9, 3)), np.ones((500, 3))) is None
    assert shift.class_shift(np.array([[0, 0], [1, 1]])) is None
    assert shift.class_shift(np.array([[2], [1]])) is None


def test_records_are_drawn_with_the_seed() -> None:
    first, again = shift.drawn(1_500, 100, 3), shift.drawn(1_500, 100, 3)
    assert first == again
    assert len(set(first[0])) == shift.LARGEST[0]
    assert first[1] == list(range(100))
    assert shift.drawn(1_500, 100, 4) != first


def test_another_class_mix_is_seen_with_many_classes_and_with_two() -> None:
    same = shift.class_shift(np.array([[50, 30, 20], [500, 300, 200]]))
    other = shift.class_shift(np.array([[50, 30, 20], [200, 300, 500]]))
    two = shift.class_shift(np.array([[45, 5], [100, 100]]))
    assert same is not None
    assert other is not None
    assert two is not None
    assert same > 0.9
    assert other < 1e-6
    assert two < 1e-6


def test_where_two_answers_are_left_once_rare_ones_are_pooled_the_test_is_exact() -> None:
    found = shift.class_shift(np.array([[40, 1, 2], [30, 3, 4]]))
    assert found == pytest.approx(scipys_fisher([[40, 3], [30, 7]]).pvalue)


def test_the_result_divides_alpha_by_its_three_looks() -> None:
    assert shift.result({"auc": 0.6, "p_value": 0.02}, 0.5).shifted == []
    assert shift.result({"auc": 0.6, "p_value": 0.016}, 0.5).shifted == ["texts"]
    assert shift.result(None, 0.001, 0.001).shifted == ["classes", "errors"]
    assert not shift.result(None, None).looked
    assert not shift.result({}, None).looked
