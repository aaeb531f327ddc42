"""Agreement between reviewers against scikit-learn and by hand; similarity against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import cohen_kappa_score
from sklearn.metrics.pairwise import cosine_similarity

from semievol.evidence import agreement
from semievol.selection.similar import similarities


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left = rng.choice(["x", "y", "z"], 40).astype(object)
    right = np.where(rng.random(40) < 0.6, left, rng.choice(["x", "y", "z"], 40)).astype(object)
    assert agreement.cohen_kappa(left, right) == pytest.approx(cohen_kappa_score(left, right))


def test_kappa_is_undefined_where_both_say_one_thing() -> None:
    same = np.array(["x"] * 4, dtype=object)
    assert math.isnan(agreement.cohen_kappa(same, same))
    assert math.isnan(agreement.cohen_kappa(same[:0], same[:0]))


def test_alpha_of_krippendorffs_own_example() -> None:
    """Krippendorff (2011), "Computing Krippendorff's alpha-reliability", section C: nominal alpha is 0.743."""
    rows = {
        "A": ["1", "2", "3", "3", "2", "1", "4", "1", "2", None, None, None],
        "B": ["1", "2", "3", "3", "2", "2", "4", "1", "2", "5", None, "3"],
        "C": [None, "3", "3", "3", "2", "3", "4", "2", "2", "5", "1", None],
        "D": ["1", "2", "3", "3", "2", "4", "4", "1", "2", "5", "1", None],
    }
    assert agreement.alpha(pd.DataFrame(rows)) == pytest.approx(0.743, abs=5e-4)


def test_pairs_count_what_both_decided() -> None:
    said = pd.DataFrame({"Ada": ["x", "y", None, "x"], "Bob": ["x", "x", "y", None]})
    (found,) = agreement.pairs(said)
    assert (found.left, found.right, found.records, found.agreed) == ("Ada", "Bob", 2, 1)
    assert math.isnan(agreement.alpha(pd.DataFrame({"Ada": ["x"], "Bob": [None]})))


def test_similarity_is_the_cosine_of_rare_words() -> None:
    texts = ["Street light is broken", "the street LIGHT broken again", "bins were not emptied", ""]
    found = similarities(texts[0], texts)
    learnt = TfidfVectorizer(binary=True, token_pattern=r"\w+").fit([texts[0], *texts])
    expected = cosine_similarity(learnt.transform(texts[:1]), learnt.transform(texts))[0]
    assert found == pytest.approx(expected)
    assert similarities("", ["a", ""]).tolist() == [0, 0]
