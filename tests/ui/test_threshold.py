"""Binning for the threshold histogram."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semievol.ui.selection import threshold


def test_every_candidate_with_a_value_is_in_one_bin() -> None:
    values = np.r_[np.random.default_rng(0).exponential(0.3, 5000), np.nan]
    agreed = np.r_[np.arange(5000) % 3 > 0, True]
    kept = values <= 0.2
    found = threshold.bins(pd.DataFrame({"answer_nll": values, "agreed": agreed, "decision": None}), "answer_nll", kept)
    assert sum(found["agreed"]) == int(agreed[:-1].sum())
    assert sum(found["agreed"]) + sum(found["disputed"]) == 5000
    assert sum(found["agreed_kept"]) == int((agreed & kept).sum())
    assert sum(found["disputed_kept"]) == int((~agreed & kept).sum())
    counts, _ = np.histogram(values[:-1], found["edges"])
    assert np.abs(np.array(found["agreed"]) + found["disputed"] - counts).sum() <= 2  # the last bit at an edge
    assert found["largest"] == np.nanmax(values)


def test_a_measure_that_is_absent_or_zero_still_draws() -> None:
    frame = pd.DataFrame({"answer_nll": [0.0, 0.0], "agreed": [True, False], "decision": None})
    everything = np.array([True, True])
    assert sum(threshold.bins(frame, "answer_nll", everything)["agreed"]) == 1
    assert sum(threshold.bins(frame, "mean_nll", everything)["agreed"]) == 0


def test_what_is_kept_is_told_bin_by_bin_whatever_keeps_it() -> None:
    """A rule per class has no line; the bars still say what it keeps."""
    frame = pd.DataFrame({"answer_nll": [0.1, 0.1, 0.4, 0.4], "agreed": [True, False, True, False]})
    frame["decision"] = ["skip", "accept", None, "edit"]
    found = threshold.bins(frame, "answer_nll", np.array([True, False, False, True]))
    assert (found["agreed_kept"][24], found["disputed_kept"][24]) == (1, 0)
    assert (found["agreed_kept"][-1], found["disputed_kept"][-1]) == (0, 1)
    assert (found["decided"][24], found["decided"][-1]) == (1, 1), "a skip decides nothing"
