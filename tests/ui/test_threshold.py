"""Binning for the threshold histogram."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semievol.ui.selection import threshold


def test_every_candidate_with_a_value_is_in_one_bin() -> None:
    values = np.r_[np.random.default_rng(0).exponential(0.3, 5000), np.nan]
    agreed = np.r_[np.arange(5000) % 3 > 0, True]
    found = threshold.bins(pd.DataFrame({"answer_nll": values, "agreed": agreed}), "answer_nll")
    assert sum(found["agreed"]) == int(agreed[:-1].sum())
    assert sum(found["agreed"]) + sum(found["disputed"]) == 5000
    assert found["largest"] == np.nanmax(values)


def test_a_measure_that_is_absent_or_zero_still_draws() -> None:
    frame = pd.DataFrame({"answer_nll": [0.0, 0.0], "agreed": [True, False]})
    assert sum(threshold.bins(frame, "answer_nll")["agreed"]) == 1
    assert sum(threshold.bins(frame, "mean_nll")["agreed"]) == 0
