"""What a frozen selection holds: the accepted answers, where each is from, and what was known of them at that moment.

The Selection page's button, a run's `select` stage and the command line all freeze what `accepted` finds. Knows nothing
of databases.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
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
    """What a round holds when a selection is made.

    pool, calibration: see `selection.candidates`. texts: how labeled and unlabeled texts compare, the fields of
    `shift.TextShift`; None where nobody looked. reviews: the round's random reviews, oldest first. in_bulk: content
    hashes of bulk decisions.
    """

    task: Task
    pool: pd.DataFrame
    calibration: pd.DataFrame
    texts: Mapping[str, Any] | None = None
    reviews: Sequence[Review] = ()
    in_bulk: Collection[str] = ()


@dataclass(frozen=True)
class Accepted:
    """answers, origins: by record id. evidence: see `evidence.summary.at_this_moment`; None where nothing is known.
    reason: one sentence saying why nothing is accepted; empty where something is."""

    answers: Mapping[str, str]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    evidence: Mapping[str, Any] | None = None
    reason: str = ""


def accepted(policy: Policy, found: Considered) -> Accepted:
    """What the policy keeps, overridden by the experts' decisions, and what is known of it."""
    cut = Cut(policy, found.pool, found.calibration)
    answers, origins = cut.accepted()
    evidence = summary.at_this_moment(
        found.task,
        cut,
        found.pool,
        found.calibration,
        found.texts,
        measures_tried=len(measures_of(found.pool)),
        reviews=found.reviews,
        in_bulk=found.in_bulk,
    )
    by_hand = "Every candidate that the policy keeps was rejected by hand."
    return Accepted(answers, origins, evidence, "" if answers else cut.reason() or by_hand)
