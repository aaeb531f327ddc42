"""Where a policy's lines fall: candidates in groups, each ranked, and how far down every rule reaches.

A rule works inside groups: all candidates, or agreed and disputed apart, or every predicted class. Ties are kept or
dropped whole. A calibration record gets the place that its value has among the pool's, so that the same cut goes
through both. Knows nothing of decisions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy

from semievol.config import Policy, Rule
from semievol.evidence import precision

NEVER = np.iinfo(np.int64).max
ALPHA = 0.05
_ALIGNED = ("in_pool", "fresh", "wrong", "values")
"""Arrays that a part takes from all candidates as they are."""


@dataclass(frozen=True)
class Part:
    """Candidates of the pool and of the calibration split under one rule, as arrays with one entry for each.

    index: positions in the two tables, one below the other. in_pool: False for calibration records. fresh: no earlier
    round was trained on it; evidence counts only such. wrong: known of calibration records only, False for the pool.
    within: whether the quota of its class has room for it. group: -1 for none. place: how many pool candidates of its
    group have no larger value, so that a tie shares one place; NEVER for what cannot be accepted.
    sizes: pool candidates per group. alpha: chance of error that each group's target precision may spend.
    """

    name: str
    rule: Rule
    index: np.ndarray
    in_pool: np.ndarray
    fresh: np.ndarray
    wrong: np.ndarray
    values: np.ndarray
    within: np.ndarray
    group: np.ndarray
    place: np.ndarray
    sizes: np.ndarray
    alpha: float

    @property
    def groups(self) -> int:
        return len(self.sizes)

    def kept(self) -> np.ndarray:
        """Which candidates the rule keeps."""
        if self.rule.kind == "threshold":
            return (self.place < NEVER) & (self.values <= self.rule.value) & self.within
        if self.rule.kind == "fraction":
            return self._most_confident(np.full(self.groups, self.rule.value))
        return self._most_confident(np.array([self._proven_share(group) for group in range(self.groups)]))

    def next_ties(self) -> list[tuple[int, int, int]]:
        """Where a share cannot be reached, as the next tie is too large: for each such group the number of candidates
        that the share asks for, of those that it keeps, and of those in the tie."""
        if self.rule.kind != "fraction":
            return []
        found = []
        for group, asked in enumerate(_allowed(np.full(self.groups, self.rule.value), self.sizes).tolist()):
            places = self.place[(self.group == group) & self.in_pool & (self.place < NEVER)]
            kept, beyond = int((places <= asked).sum()), places[places > asked]
            if kept < asked and len(beyond):
                found.append((asked, kept, int(beyond.min()) - kept))
        return found

    def counts(self, mask: np.ndarray) -> tuple[int, int, int]:
        """Of the candidates in the mask: calibration records, wrong ones among these, fresh candidates of the pool."""
        fresh = mask & self.fresh
        return int((fresh & ~self.in_pool).sum()), int((fresh & self.wrong).sum()), int((fresh & self.in_pool).sum())

    def dials(self) -> list[Part]:
        """The part, or its groups one by one where each has a cut of its own that the others do not follow."""
        if self.rule.kind != "target_precision" or self.groups == 1:
            return [self]
        return [self.only(group) for group in range(self.groups)]

    def only(self, group: int) -> Part:
        """The part reduced to one of its groups."""
        members = self.group == group
        aligned: dict[str, Any] = {
            name: getattr(self, name)[members] for name in (*_ALIGNED, "index", "within", "place")
        }
        group_numbers = np.zeros(int(members.sum()), dtype=np.int64)
        return replace(self, **aligned, group=group_numbers, sizes=self.sizes[group : group + 1])

    def band(self, alpha: float) -> precision.Band:
        """Bounds at ten shares of the part's pool, fixed beforehand."""
        counts = [self.counts(self._most_confident(np.full(self.groups, c))) for c in precision.COVERAGES]
        drawn, wrong, rest = zip(*counts, strict=True)
        return precision.band(drawn, wrong, rest, alpha)

    def _most_confident(self, shares: np.ndarray) -> np.ndarray:
        if not self.groups:
            return np.zeros(len(self.values), dtype=bool)
        return (self.group >= 0) & (self.place <= _allowed(shares, self.sizes)[self.group]) & self.within

    def _proven_share(self, group: int) -> float:
        """Largest share of a group whose target precision calibration proves; 0 for none.

        The search starts where the first set has the share `start` of the fresh candidates. Spent candidates are mostly
        the most confident, and a first set with little else in it would stall the search.
        """
        alone = self.only(group)
        pool_place, known_place = alone.place[alone.in_pool & alone.fresh], alone.place[~alone.in_pool]
        order = np.argsort(known_place, kind="stable")
        errors = np.append(0, np.cumsum(alone.wrong[~alone.in_pool][order]))
        start = precision.start_coverage(self.rule.value, len(known_place), self.alpha)
        if start > 1:
            return 0.0
        shares = np.append(np.arange(start, 1, 0.01), 1.0)
        allowed = _allowed(shares, alone.sizes[0])
        rest = np.searchsorted(np.sort(pool_place), allowed, side="right")
        drawn = np.searchsorted(known_place[order], allowed, side="right")
        begun = (rest > 0) & (rest >= start * np.count_nonzero(pool_place < NEVER))
        shares, rest, drawn = shares[begun], rest[begun], drawn[begun]
        last = precision.target_precision(self.rule.value, drawn, errors[drawn], rest, self.alpha)
        return 0.0 if last is None else float(shares[last])


def _allowed(shares: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """ceil(share x size), safe from the last bit of a product such as 0.07 x 100."""
    return np.ceil(shares * sizes - 1e-9).astype(np.int64)


class _Candidates:
    """Pool and calibration candidates, one table below the other, as arrays; see `Part`."""

    def __init__(self, policy: Policy, frame: pd.DataFrame, calibration: pd.DataFrame | None) -> None:
        self._tables = [frame] if calibration is None or calibration.empty else [frame, calibration]
        self.size = sum(len(table) for table in self._tables)
        self.agreed = self._column("agreed", bool)
        self.values = self._column(policy.measure, float)
        self.in_pool = np.arange(self.size) < len(frame)
        self.wrong = np.zeros(self.size, dtype=bool)
        for known in self._tables[1:]:
            if known["cross_fitted"].any():
                pool, folds = self.values[: len(frame)], self.values[len(frame) :]
                kinds = [table["exactness"].to_numpy(dtype=object) for table in (frame, known)]
                if policy.measure == "vote_entropy":  # votes are exact, however exact the probabilities
                    kinds = [np.full(len(one), "exact", dtype=object) for one in kinds]
                mapped = np.full(len(folds), np.nan)
                for kind in set(kinds[1]):
                    mapped[kinds[1] == kind] = at_same_rank(folds[kinds[1] == kind], pool[kinds[0] == kind])
                self.values[len(frame) :] = mapped
            self.wrong[len(frame) :] = wrong_answers(known)
        self.fresh = np.append(~frame["spent"].to_numpy(dtype=bool), np.ones(self.size - len(frame), dtype=bool))
        self.eligible = np.concatenate([acceptable(policy, table) for table in self._tables]) & ~np.isnan(self.values)

    def codes(self, name: str) -> tuple[np.ndarray, int]:
        """Number of every candidate's value of this column, -1 for none, and how many values there are."""
        columns = [pd.Categorical(table[name]) for table in self._tables]
        found = sorted({value for column in columns for value in column.categories})
        places = [np.append(np.searchsorted(found, column.categories.to_numpy(object)), -1) for column in columns]
        codes = [place[column.codes] for place, column in zip(places, columns, strict=True)]
        return np.concatenate(codes).astype(np.int64), len(found)

    def _column(self, name: str, dtype: type) -> np.ndarray:
        return np.concatenate([table[name].to_numpy(dtype=dtype) for table in self._tables])


def acceptable(policy: Policy, table: pd.DataFrame) -> np.ndarray:
    """Which candidates the policy may accept if they have a value: those with an answer, which a collaborator gave
    unless the policy accepts others, and without a text that could steer the model."""
    usable = table["answer"].notna().to_numpy() & ~table["flagged"].to_numpy(dtype=bool)
    return usable if policy.ungiven else usable & table["given"].to_numpy(dtype=bool)


def wrong_answers(calibration: pd.DataFrame) -> np.ndarray:
    """Of the table of calibration records: which candidates are wrong."""
    return ~calibration["correct"].to_numpy(dtype=bool)


def at_same_rank(values: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """The pool's values at the ranks that `values` have among themselves, NaN where they are.

    The models of a fold are less confident than the round's, so their values are comparable by rank only
    (docs/evidence.md, Cross-fitting).
    """
    known, ordered = ~np.isnan(values), np.sort(pool[~np.isnan(pool)])
    mapped = np.full(len(values), np.nan)
    if known.any() and len(ordered):
        share = (scipy.stats.rankdata(values[known]) - 0.5) / known.sum()
        mapped[known] = ordered[np.minimum((share * len(ordered)).astype(int), len(ordered) - 1)]
    return mapped


def parts_of(policy: Policy, frame: pd.DataFrame, calibration: pd.DataFrame | None) -> list[Part]:
    """The policy's rules with the candidates under each: all together, agreed only, or agreed and disputed apart."""
    table = _Candidates(policy, frame, calibration)
    if policy.disputed == "together":
        members = [("all", policy.rule, np.arange(table.size))]
    else:
        members = [("agreed", policy.rule, np.flatnonzero(table.agreed))]
    if policy.disputed == "apart":
        members.append(("disputed", policy.disputed_rule, np.flatnonzero(~table.agreed)))
    within = _within_quota(policy, table)
    parts = []
    for name, rule, index in members:
        group, groups = _groups(policy, rule, table)
        group = group[index]
        aligned: dict[str, Any] = {name: getattr(table, name)[index] for name in _ALIGNED}
        in_pool = aligned["in_pool"]
        place = _places(aligned["values"], group, in_pool, table.eligible[index] & (group >= 0), groups)
        sizes = np.bincount(group[in_pool & (group >= 0)], minlength=groups)
        own = {"within": within[index], "group": group, "place": place, "sizes": sizes}
        parts.append(Part(name, rule, index, **aligned, **own, alpha=ALPHA))
    tested = sum(part.groups for part in parts if part.rule.kind == "target_precision")
    return [replace(part, alpha=ALPHA / max(tested, 1)) for part in parts]


def _within_quota(policy: Policy, table: _Candidates) -> np.ndarray:
    """Which candidates the quota has room for: the most confident of every class, among those a rule may keep."""
    if policy.quota is None:
        return np.ones(table.size, dtype=bool)
    codes, classes = table.codes("answer")
    vying = table.eligible & (table.agreed if policy.disputed == "drop" else True)
    return _places(table.values, codes, table.in_pool, vying, classes) <= policy.quota


def _groups(policy: Policy, rule: Rule, table: _Candidates) -> tuple[np.ndarray, int]:
    """Group number of every candidate (-1: none) and how many groups there are.

    One group, unless the policy cuts per predicted class (a threshold is the same in all), or exact values stand beside
    bounds, of which no common share can be taken.
    """
    keys = []
    if policy.per_class and rule.kind != "threshold":
        keys.append(table.codes("answer"))
    if rule.kind == "fraction" and policy.measure != "vote_entropy":
        keys.append(table.codes("exactness"))
    group, groups = np.zeros(table.size, dtype=np.int64), min(table.size, 1)
    for codes, found in keys:
        group = np.where((codes < 0) | (group < 0), -1, group * found + codes)
        groups *= found
    return group, groups


def _places(values: np.ndarray, group: np.ndarray, in_pool: np.ndarray, usable: np.ndarray, groups: int) -> np.ndarray:
    """`Part.place`; at least 1, so a calibration record before the whole pool shares the place of the pool's first."""
    place = np.full(len(values), NEVER)
    chosen = np.flatnonzero(usable)
    if not len(chosen):
        return place
    values, group = values[chosen], group[chosen]
    order = np.lexsort((values, group)) if groups > 1 else np.argsort(values)
    values, group = values[order], group[order]
    counted = np.cumsum(in_pool[chosen[order]])
    last = np.flatnonzero(np.append((values[1:] != values[:-1]) | (group[1:] != group[:-1]), True))
    per_group = np.bincount(group, weights=in_pool[chosen[order]], minlength=groups).astype(np.int64)
    before = np.cumsum(per_group) - per_group
    place[chosen[order]] = np.maximum(np.repeat(counted[last], np.diff(last, prepend=-1)) - before[group], 1)
    return place
