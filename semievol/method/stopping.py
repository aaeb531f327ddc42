"""Whether another round is worth its time, judged by calibration records and never by the test set.

Calibration records are held out of training in all rounds, and every round answers them as it answers the pool. So the
answers of a round and of its parent to them say whether the pseudo-labels that a next round would learn from still
improve. A recommendation, no more: docs/evidence.md, When to stop. Knows nothing of databases or screens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from semievol import wording
from semievol.method.ledger import Known
from semievol.method.metrics import Paired, paired_interval

WORTH = 0.02
"""The smallest gain in right answers that is worth another round."""
Advice = Literal["go on", "stop", "unclear", "ask again", "nothing to judge by"]


@dataclass(frozen=True)
class Verdict:
    """advice, and its evidence in a sentence. gain: the difference on calibration records, this round minus its parent,
    with its 95 % interval; None where there is no such comparison."""

    advice: Advice
    sentence: str
    gain: Paired | None = None


def verdict(now: Known, before: Known | None) -> Verdict:
    """Whether a round after `now` is to be recommended. before: its parent; None in a first round.

    Go on if the interval lies above 0, stop if it lies below `WORTH`, else it is unclear. The interval:
    `metrics.paired_interval`.
    """
    if not now.calibration:
        return Verdict(
            "nothing to judge by",
            "No calibration records are held out, and labeled records cannot be cross-fitted in a later round, since "
            "its start model has seen them all. So nothing can judge whether another round helps; the test set must "
            "not. A random review of both rounds can (“Guarantee by random review” on Selection).",
        )
    if before is None:
        records = wording.plural(len(now.calibration), "calibration record")
        return Verdict("ask again", f"After the next round, its answers to {records} will say whether it helped.")
    both = sorted(now.calibration.keys() & before.calibration.keys())
    if not both:
        none = f"Round {before.place} answered none of the calibration records, so nothing can judge this one."
        return Verdict("nothing to judge by", none)
    here, there = ([known.calibration[key] for key in both] for known in (now, before))
    better = sum(a and not b for a, b in zip(here, there, strict=True))
    worse = sum(b and not a for a, b in zip(here, there, strict=True))
    found = paired_interval(better, worse, len(both))
    said = (
        f"On {wording.plural(len(both), 'calibration record')}, which no round is trained on, the answers of round "
        f"{now.place} are right on {wording.percent(sum(here) / len(both))}, those of round {before.place} on "
        f"{wording.percent(sum(there) / len(both))}: {wording.points(found.difference)} points (between "
        f"{wording.points(found.low)} and {wording.points(found.high)})."
    )
    if found.low > 0:
        return Verdict("go on", f"{said} The answers still improve, so another round may help.", found)
    if found.high < WORTH:
        worth = f"No gain of {100 * WORTH:.0f} points or more is to be expected of another round: better stop here."
        return Verdict("stop", f"{said} {worth}", found)
    seen = "A gain is not shown" if found.difference > 0 else "No gain is seen"
    return Verdict(
        "unclear",
        f"{said} {seen}, but the records are too few to rule one out. New unlabeled records or decisions of experts "
        "promise more than another round of the same.",
        found,
    )
