"""What a study says: accuracy of every arm, and how far the method is ahead of each, with intervals over seeds and
records.

The arms of a seed answer the same test records, so differences are paired. Intervals and p-values come from one
bootstrap crossed over seeds and records (`metrics.crossed_bootstrap`; Owen 2007). A difference is tested by the share
of its draws on the other side of 0 (Efron & Tibshirani 1993, §15.4); p-values are adjusted for the number of
differences (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from semievol.method import metrics
from semievol.study.arms import ARMS, EVOLVED

Right = Mapping[str, bool]
"""Test record id -> whether an arm has it right."""
FEW_SEEDS = 10
"""Seeds below which the interval rests mostly on test records: how far seeds differ is then hardly known."""
FEWEST_SEEDS = 5
"""Seeds below which no difference is called clear: with one or two, the interval knows nothing of how seeds differ."""


@dataclass(frozen=True)
class Difference:
    """The evolved model minus another arm, on the seeds that both have. p_holm: adjusted for all differences of the
    study. wins: seeds on which it is ahead."""

    found: metrics.Crossed
    p_holm: float
    wins: int
    seeds: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0 and the adjusted p-value is below 0.05, over seeds enough to say so."""
        return self.seeds >= FEWEST_SEEDS and self.p_holm < 0.05 and (self.found.low > 0 or self.found.high < 0)


def crossed(arm: Mapping[int, Right], other: Mapping[int, Right] | None = None) -> metrics.Crossed:
    """Accuracy of an arm, or its lead over another on the seeds that both have; both answer the same test records.

    arm, other: seed -> test record -> whether the answer was right.
    """
    seeds = [seed for seed in arm if other is None or seed in other]
    items = sorted({item for seed in seeds for item in arm[seed]})
    table = np.full((len(seeds), len(items)), np.nan)
    place = {item: column for column, item in enumerate(items)}
    for line, seed in zip(table, seeds, strict=True):
        for item, right in arm[seed].items():
            line[place[item]] = right - (other[seed][item] if other is not None else 0)
    return metrics.crossed_bootstrap(table)


def share(right: Right) -> float:
    return float(np.mean(list(right.values())))


def accuracies(found: Mapping[str, Mapping[int, Right]]) -> dict[str, metrics.Crossed]:
    """Arm -> its accuracy. found: arm -> seed -> its test records."""
    return {arm: crossed(found[arm]) for arm in ARMS if found.get(arm)}


def differences(found: Mapping[str, Mapping[int, Right]]) -> dict[str, Difference]:
    """Arm -> The evolved model minus this arm, where both have a seed in common. found: as in `accuracies`."""
    mine = found.get("evolved", {})
    others = [arm for arm in ARMS if arm != "evolved" and set(mine) & set(found.get(arm, {}))]
    made = [crossed(mine, found[arm]) for arm in others]
    adjusted = metrics.holm([one.p_value for one in made])
    result = {}
    for arm, one, p in zip(others, made, adjusted, strict=True):
        gains = [share(mine[seed]) - share(found[arm][seed]) for seed in mine if seed in found[arm]]
        result[arm] = Difference(one, p, sum(gain > 0 for gain in gains), len(gains))
    return result


def as_dict(
    found: Mapping[str, Mapping[int, Right]], pseudo: Mapping[str, Sequence[Mapping[str, float]]]
) -> dict[str, Any]:
    """`arms` (accuracy, and the means of the figures of pseudo-labels) and `differences`, as plain numbers."""
    arms: dict[str, Any] = {}
    for arm, one in accuracies(found).items():
        each = [share(right) for right in found[arm].values()]
        arms[arm] = {name: value for name, value in asdict(one).items() if name != "p_value"}
        arms[arm] |= {"seeds": len(each), "by_seed": {str(seed): share(right) for seed, right in found[arm].items()}}
        if pseudo.get(arm):
            names = {name for figures in pseudo[arm] for name in figures}
            means = {name: float(np.mean([f[name] for f in pseudo[arm] if name in f])) for name in sorted(names)}
            arms[arm]["pseudo"] = means
    differ = {
        arm: asdict(one.found) | {"p_holm": one.p_holm, "wins": one.wins, "seeds": one.seeds, "clear": one.clear}
        for arm, one in differences(found).items()
    }
    return {"arms": arms, "differences": differ}


def sentence(found: Mapping[str, Difference], titles: Mapping[str, str] = ARMS) -> str:
    """Which differences are clear, in plain words; empty where the evolved model is compared with nothing.

    titles: arm -> its name.
    """
    if not found:
        return ""
    seeds = max(one.seeds for one in found.values())
    if seeds < FEWEST_SEEDS:
        return (
            f"With fewer than {FEWEST_SEEDS} seeds no difference is called clear: chance in the draws is not known yet."
        )
    against = {arm: one for arm, one in found.items() if arm not in EVOLVED}
    better = [titles[arm] for arm, one in against.items() if one.clear and one.found.mean > 0]
    worse = [titles[arm] for arm, one in against.items() if one.clear and one.found.mean < 0]
    open_ = [titles[arm] for arm, one in against.items() if not one.clear]
    parts = []
    if better:
        parts.append(f"The evolved model is clearly ahead of: {', '.join(better)}.")
    if worse:
        parts.append(f"{'It' if better else 'The evolved model'} is clearly behind: {', '.join(worse)}.")
    if open_:
        parts.append(f"Too close to call: {', '.join(open_)}.")
    if seeds < FEW_SEEDS:
        parts.append(f"With fewer than {FEW_SEEDS} seeds, how far seeds differ is hardly known.")
    return " ".join(parts)
