"""Makes a frozen selection: the accepted answers, their origins, and what was known of them at that moment.

The Selection page's button, a run's `select` stage and the command line all freeze what `accepted` finds. Knows nothing
of databases.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from semievol.config import Policy
from semievol.evidence import summary
from semievol.evidence.reviews import Review
from semievol.records import Origin, Task
from semievol.selection.candidates import measures_of
from semievol.selection.policy import Cut


@dataclass(frozen=True)
class Considered:
    """What a selection of a round is made from.

    pool, calibration: see `selection.candidates`. texts: how labeled and unlabeled texts compare, the fields of
    `shift.TextShift`; None where they were not compared. reviews: the round's random reviews, oldest first. in_bulk:
    content hashes of bulk decisions.
    """

    task: Task
    pool: pd.DataFrame
    calibration: pd.DataFrame
    texts: Mapping[str, Any] | None = None
    reviews: Sequence[Review] = ()
    in_bulk: Collection[str] = ()


@dataclass(frozen=True)
class Accepted:
    """answers, origins: by record id. evidence: see the function of this name; None where nothing is known.
    reason: one sentence saying why nothing is accepted; empty where something is."""

    answers: Mapping[str, str]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    evidence: Mapping[str, Any] | None = None
    reason: str = ""


def accepted(policy: Policy, found: Considered) -> Accepted:
    """What the policy keeps, overridden by the experts' decisions, and what is known of it."""
    cut = Cut(policy, found.pool, found.calibration)
    answers, origins = cut.accepted()
    by_hand = "Every candidate that the policy keeps was rejected by hand."
    return Accepted(answers, origins, evidence(cut, found), "" if answers else cut.reason() or by_hand)


def evidence(cut: Cut, found: Considered) -> dict[str, Any]:
    """What is known of what the cut keeps: shift, shifted (names of the looks that found one), measures (how many a
    policy may choose from), cross_fitted; estimated and verified where there is something to say."""
    pool, calibration, measures = found.pool, found.calibration, len(measures_of(found.pool))
    classes = summary.class_shift(found.task, pool, calibration)
    looks = summary.compared(found.texts, classes, found.reviews, cut, pool, calibration)
    known: dict[str, Any] = {"shift": None if found.texts is None else dict(found.texts), "shifted": looks.shifted}
    known |= {"measures": measures, "cross_fitted": bool(calibration["cross_fitted"].any())}
    if (estimated := cut.evidence(measures_tried=measures)) is not None:
        known["estimated"] = asdict(estimated)
    if (best := summary.verified(found.reviews, cut, pool, found.in_bulk)) is not None:
        known["verified"] = {"review": best.review.number, "wrong_at_most": best.most, "outside": best.outside}
    return known
