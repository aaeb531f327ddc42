"""The evolved model against every other row of an evaluation, on the same test records.

The comparison with plain fine-tuning is the question that was asked beforehand, so its p-value stands as it is where it
stands alone. In the table of all rows Holm's correction holds for the family shown. Knows nothing of how an evaluation
is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

from semievol import wording
from semievol.method import metrics

ALPHA = 0.05


@dataclass(frozen=True)
class Compared:
    """The evolved model minus `row`: difference of the accuracies (shares)
    with its paired 95 % interval, how many test records the evolved model alone has right (gained) and `row` alone
    (lost), the mid-p McNemar p-value, and the same after Holm's correction (adjusted)."""

    row: str
    difference: float
    low: float
    high: float
    gained: int
    lost: int
    p_value: float
    adjusted: float

    @property
    def verdict(self) -> str:
        """In plain words what may be said after the correction."""
        if self.adjusted >= ALPHA:
            return "too close to call"
        return "evolved is better" if self.gained > self.lost else "evolved is worse"

    @property
    def interval(self) -> str:
        """In points: "+2.0 to +9.0", with true minus signs."""
        return f"{100 * self.low:+.1f} to {100 * self.high:+.1f}".replace("-", "−")

    @property
    def chance(self) -> str:
        """The corrected p-value: "0.007", "below 0.001"; "just below 0.05" where three digits would say 0.050."""
        if self.adjusted < 0.001:
            return "below 0.001"
        shown = wording.score(self.adjusted)
        return "just below 0.05" if self.adjusted < ALPHA <= float(shown) else shown

    @property
    def told(self) -> str:
        """As `chance`, to stand behind "p" in a sentence: "= 0.007", "below 0.001"."""
        return f"= {self.chance}" if self.chance[0].isdigit() else self.chance


def paired(before: Sequence[bool], after: Sequence[bool]) -> dict[str, float]:
    """Records that turned right (gained) and wrong (lost) from one model to the other, and the mid-p McNemar test."""
    pairs = list(zip(before, after, strict=True))
    gained, lost = sum(a and not b for b, a in pairs), sum(b and not a for b, a in pairs)
    return {"p_value": metrics.mcnemar_midp(gained, lost), "gained": gained, "lost": lost}


def against_every_row(figures: Mapping[str, Any]) -> list[Compared]:
    """One comparison per row that answered beside the evolved model, in the order of display. The ensembles are made of
    other rows and have their own sentence; left out here, they do not raise the p-values of the others.

    figures: as `comparison.evaluation` gives them; n > 0 where there is a row.
    """
    found = figures.get("against", {})
    rows = [row for row in wording.row_words() if row in found and not row.endswith(wording.ENSEMBLE)]
    adjusted = metrics.holm([found[row]["p_value"] for row in rows])
    compared = []
    for row, corrected in zip(rows, adjusted, strict=True):
        gained, lost, p_value = (found[row][key] for key in ("gained", "lost", "p_value"))
        apart = metrics.paired_difference(gained, lost, figures["n"])
        difference = figures["evolved"]["accuracy"] - figures[row]["accuracy"]
        compared.append(Compared(row, difference, apart.low, apart.high, gained, lost, p_value, corrected))
    return compared


@cache
def fewest_gained() -> int:
    """Test records that have to be newly right, with none newly wrong, before the test is below `ALPHA`."""
    return next(gained for gained in count(1) if metrics.mcnemar_midp(gained, 0) < ALPHA)


def shows_nothing(n: int) -> str:
    """One sentence where so few test records show no difference, however large it is; else empty."""
    if n >= fewest_gained():
        return ""
    return f"With {wording.plural(n, 'test record')} no difference between two models can be shown."


def smallest_gain(figures: Mapping[str, Any]) -> str:
    """One sentence on the smallest gain over plain fine-tuning that the test set shows four times in five; empty where
    the two differ on no record. The share of records on which they differ is the observed one. A gain of fewer records
    than `fewest_gained` is never shown, however few these are."""
    n, differing = figures.get("n", 0), figures.get("gained", 0) + figures.get("lost", 0)
    if not n or not differing:
        return ""
    if too_few := shows_nothing(n):
        return too_few
    points = 100 * max(metrics.smallest_detectable_gain(n, differing / n), fewest_gained() / n)
    return f"With {wording.plural(n, 'test record')}, a gain below {points:.1f} points can easily go unseen."
