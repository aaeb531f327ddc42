"""The same cut said by another rule: which share a threshold keeps, and which threshold keeps a share.

For a person who changes the rule or the measure and means to keep what is kept. Values are as round as they can be
without keeping one candidate more or less. Knows nothing of screens.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd

from semievol.config import Measure, Policy, Rule
from semievol.selection.policy import Cut
from semievol.selection.ranking import acceptable

Field = Literal["rule", "disputed_rule"]
_FINEST = 15
"""Decimals from which on a value is taken as it is."""


def with_rule(
    policy: Policy, kind: Literal["fraction", "threshold"], pool: pd.DataFrame, calibration: pd.DataFrame
) -> Policy | None:
    """The policy with a rule of this kind that keeps as many candidates; None where the present one keeps none.

    The quota stays what it is and is not counted. With `per_class`, or where exact values stand beside bounds, several
    lines become one, so the number may differ. A target precision has no equivalent: it is a promise, and one that
    is chosen to fit the records that are to prove it proves nothing.
    """
    members, values, kept = _kept(policy, "rule", policy.measure, pool, calibration)
    if not kept:
        return None
    if kind == "threshold":
        return policy.model_copy(update={"rule": Rule(kind=kind, value=_between(values, kept))})
    ties = int(np.searchsorted(values, values[kept - 1], side="right"))
    larger = int(np.searchsorted(values, values[ties], side="right")) if ties < len(values) else members + 1
    share = _round_down((kept - 1) / members, min((larger - 1) / members, 1.0))
    return policy.model_copy(update={"rule": Rule(kind=kind, value=share)})


def with_measure(policy: Policy, measure: Measure, pool: pd.DataFrame, calibration: pd.DataFrame) -> Policy:
    """The policy with another measure: shares stay, a threshold becomes the one that keeps as many."""
    changed: dict[str, object] = {"measure": measure}
    fields: tuple[Field, ...] = ("rule", "disputed_rule")
    for field in fields:
        if getattr(policy, field).kind == "threshold":
            _, values, kept = _kept(policy, field, measure, pool, calibration)
            changed[field] = Rule(kind="threshold", value=_between(values, kept))
    return policy.model_copy(update=changed)


def share_below(policy: Policy, value: float, pool: pd.DataFrame) -> float:
    """The share that a threshold at `value` keeps, to 0.1 %: what a line in the histogram stands for."""
    members = _members(policy, "rule", pool)
    values = _values(policy, pool[members], policy.measure)
    return round(int(np.searchsorted(values, value, side="right")) / max(int(members.sum()), 1), 3)


def _kept(
    policy: Policy, field: Field, measure: Measure, pool: pd.DataFrame, calibration: pd.DataFrame
) -> tuple[int, np.ndarray, int]:
    """Of the candidates that the rule in this field is for: their number, the values of `measure` that those have which
    may be accepted, in order, and how many the rule keeps."""
    members = _members(policy, field, pool)
    kept = Cut(policy.model_copy(update={"quota": None}), pool, calibration).mask & members
    return int(members.sum()), _values(policy, pool[members], measure), int(kept.sum())


def _members(policy: Policy, field: Field, pool: pd.DataFrame) -> np.ndarray:
    agreed = pool["agreed"].to_numpy(dtype=bool)
    if field == "disputed_rule":
        return ~agreed
    return np.ones(len(agreed), dtype=bool) if policy.disputed == "together" else agreed


def _values(policy: Policy, frame: pd.DataFrame, measure: Measure) -> np.ndarray:
    """In order, the values of the candidates that the policy may accept."""
    values = frame[measure].to_numpy(dtype=float)[acceptable(policy, frame)]
    return np.sort(values[~np.isnan(values)])


def _between(values: np.ndarray, kept: int) -> float:
    """A threshold, rounded where it can be, that keeps the first `kept` of the ordered values and ties with them."""
    if not kept or not len(values):
        return 0.0
    low = float(values[min(kept, len(values)) - 1])
    following = values[values > low]
    high = float(following[0]) if following.size else math.inf
    for decimals in range(3, _FINEST):
        found = math.ceil(low * 10**decimals) / 10**decimals
        if low <= found < high:
            return found
    return low


def _round_down(low: float, high: float) -> float:
    """The number above `low` and up to `high` with the fewest decimals, at least two."""
    for decimals in range(2, _FINEST):
        found = math.floor(high * 10**decimals + 1e-9) / 10**decimals
        if low < found:
            return found
    return high
