"""Where a policy's lines fall: candidates in groups, each ranked, and how far down every rule reaches.

A rule works inside groups: all candidates, or agreed and disputed apart, or every predicted class. Ties are kept or
dropped whole. Calibration records stand at the place that their value has among the pool's, so that the same cut goes
through both. What that comes to for a round is `selection`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy

from semievol.config import Policy, Rule
from semievol.evidence import precision

NEVER = np.iinfo(np.int64).max
ALPHA = 0.05


@dataclass(frozen=True)
class Part:
    """Candidates under one rule: those of the pool (at `pool` in the table), then those of the calibration split.

    known: where the latter stand in their table. fresh: pool candidates that no earlier round trained on; evidence
    counts only them. values, group, place: of both, in this order; wrong: of the calibration split alone.
    within: whether the quota of its class has room for it. group: group of every candidate, -1 for none. place: how
    many pool candidates of its group have no larger value, so that a tie shares one place; NEVER for what cannot be
    accepted. sizes: pool candidates per group.
    alpha: chance of error that each group's target precision may spend.
    """

    name: str
    rule: Rule
    pool: np.ndarray
    known: np.ndarray
    fresh: np.ndarray
    values: np.ndarray
    within: np.ndarray
    group: np.ndarray
    place: np.ndarray
    sizes: np.ndarray
    wrong: np.ndarray
    alpha: float

    @property
    def groups(self) -> int:
        return len(self.sizes)

    def kept(self) -> np.ndarray:
        """Mask over the part's pool candidates."""
        return self.kept_all()[: len(self.pool)]

    def kept_all(self) -> np.ndarray:
        """Mask over pool and calibration candidates."""
        if self.rule.kind == "threshold":
            return (self.place < NEVER) & (self.values <= self.rule.value) & self.within
        if self.rule.kind == "fraction":
            return self._most_confident(np.full(self.groups, self.rule.value))
        return self._most_confident(np.array([self._proven_share(group) for group in range(self.groups)]))

    def inside(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The mask's pool half and its calibration half."""
        return mask[: len(self.pool)], mask[len(self.pool) :]

    def counted(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `inside`, of the pool only what is fresh."""
        pool, known = self.inside(mask)
        return pool & self.fresh, known

    def dials(self) -> list[Part]:
        """The part, or its groups one by one where each has a cut of its own that the others do not follow."""
        if self.rule.kind != "target_precision" or self.groups == 1:
            return [self]
        return [self.only(group) for group in range(self.groups)]

    def only(self, group: int) -> Part:
        """The part reduced to one of its groups."""
        members = self.group == group
        pool, known = self.inside(members)
        return replace(
            self,
            pool=self.pool[pool],
            known=self.known[known],
            fresh=self.fresh[pool],
            values=self.values[members],
            within=self.within[members],
            group=np.zeros(int(members.sum()), dtype=np.int64),
            place=self.place[members],
            sizes=self.sizes[group : group + 1],
            wrong=self.wrong[known],
        )

    def band(self, alpha: float) -> precision.Band:
        """Bounds at ten shares of the part's pool, fixed beforehand."""
        counts = [self.counted(self._most_confident(np.full(self.groups, c))) for c in precision.COVERAGES]
        drawn = [int(known.sum()) for _, known in counts]
        wrong = [int(self.wrong[known].sum()) for _, known in counts]
        return precision.band(drawn, wrong, [int(pool.sum()) for pool, _ in counts], alpha)

    def _most_confident(self, shares: np.ndarray) -> np.ndarray:
        if not self.groups:
            return np.zeros(len(self.values), dtype=bool)
        return (self.group >= 0) & (self.place <= _allowed(shares, self.sizes)[self.group]) & self.within

    def _proven_share(self, group: int) -> float:
        """Largest share of a group whose target precision calibration proves; 0 for none.

        The search starts where the first set holds that share of what is fresh: what is spent comes first, mostly, and
        a set with little else in it would stall the search.
        """
        alone = self.only(group)
        pool_place, known_place = alone.inside(alone.place)
        pool_place = pool_place[alone.fresh]
        order = np.argsort(known_place, kind="stable")
        errors = np.append(0, np.cumsum(alone.wrong[order]))
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
    """Pool and calibration candidates one below the other, as arrays; only of the latter is known what is `wrong`."""

    def __init__(self, measure: str, frame: pd.DataFrame, calibration: pd.DataFrame | None) -> None:
        self._tables = [frame] if calibration is None or calibration.empty else [frame, calibration]
        self.pool_size = len(frame)
        self.size = sum(len(table) for table in self._tables)
        self.agreed = self._column("agreed", bool)
        self.values = self._column(measure, float)
        self.in_pool = np.arange(self.size) < self.pool_size
        self.wrong = np.zeros(self.size, dtype=bool)
        for known in self._tables[1:]:
            if known["cross_fitted"].any():
                pool, folds = self.values[: len(frame)], self.values[len(frame) :]
                self.values[len(frame) :] = at_same_rank(folds, pool)
            self.wrong[len(frame) :] = wrong_answers(known)
        answered = np.concatenate([table["answer"].notna().to_numpy() for table in self._tables])
        self.fresh = ~frame["spent"].to_numpy(dtype=bool)
        self.eligible = answered & ~self._column("flagged", bool) & ~np.isnan(self.values)

    def codes(self, name: str) -> tuple[np.ndarray, int]:
        """Number of every candidate's value of this column, -1 for none, and how many values there are."""
        columns = [pd.Categorical(table[name]) for table in self._tables]
        found = sorted({value for column in columns for value in column.categories})
        places = [np.append(np.searchsorted(found, column.categories.to_numpy(object)), -1) for column in columns]
        codes = [place[column.codes] for place, column in zip(places, columns, strict=True)]
        return np.concatenate(codes).astype(np.int64), len(found)

    def _column(self, name: str, dtype: type) -> np.ndarray:
        return np.concatenate([table[name].to_numpy(dtype=dtype) for table in self._tables])


def wrong_answers(calibration: pd.DataFrame) -> np.ndarray:
    """Of the table of calibration records: which candidates are wrong."""
    return ~calibration["correct"].to_numpy(dtype=bool)


def at_same_rank(values: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """The pool's values at the ranks that `values` have among themselves, NaN where they are.

    A fold's models are less sure than the round's; what they say is comparable by rank only (docs/evidence.md,
    Cross-fitting).
    """
    known, ordered = ~np.isnan(values), np.sort(pool[~np.isnan(pool)])
    mapped = np.full(len(values), np.nan)
    if known.any() and len(ordered):
        share = (scipy.stats.rankdata(values[known]) - 0.5) / known.sum()
        mapped[known] = ordered[np.minimum((share * len(ordered)).astype(int), len(ordered) - 1)]
    return mapped


def parts_of(policy: Policy, frame: pd.DataFrame, calibration: pd.DataFrame | None) -> list[Part]:
    """The policy's rules with the candidates under each: all together, agreed only, or agreed and disputed apart."""
    table = _Candidates(policy.measure, frame, calibration)
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
        group, in_pool, values = group[index], table.in_pool[index], table.values[index]
        place = _places(values, group, in_pool, table.eligible[index] & (group >= 0), groups)
        sizes = np.bincount(group[in_pool & (group >= 0)], minlength=groups)
        pool, known = index[in_pool], index[~in_pool]
        part = Part(
            name=name,
            rule=rule,
            pool=pool,
            known=known - table.pool_size,
            fresh=table.fresh[pool],
            values=values,
            within=within[index],
            group=group,
            place=place,
            sizes=sizes,
            wrong=table.wrong[known],
            alpha=ALPHA,
        )
        parts.append(part)
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
    """`Part.place`; at least 1, so that a calibration record ahead of the whole pool stands beside its first."""
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
