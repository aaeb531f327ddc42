"""What a policy and the experts' decisions keep, and what is known of it: together they make a selection.

The Selection page's button, a run's `select` stage and the command line all freeze what `accepted` finds. What is known
has two tiers, never pooled (docs/evidence.md): calibration records estimate, and only where they are like the pool;
random reviews of this very pool verify. Knows nothing of databases or screens.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from semievol.config import Policy
from semievol.evidence import precision, shift
from semievol.evidence.reviews import Review
from semievol.records import Origin, Task
from semievol.selection.candidates import measures_of
from semievol.selection.counts import counted
from semievol.selection.decisions import ASSERTS, REMOVES
from semievol.selection.policy import Cut
from semievol.task.answers import same


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
class Selection:
    """The accepted answers and their origins (pseudo or expert) by record id.

    policy: None where answers were chosen otherwise. evidence: see the function of this name; None where nothing is
    known. number: in its round, 0 until it is frozen.
    """

    policy: Policy | None
    answers: Mapping[str, str]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    evidence: Mapping[str, Any] | None = None
    number: int = 0


def accepted(policy: Policy, found: Considered) -> Selection:
    """What the policy keeps, overridden by the experts' decisions, and what is known of it."""
    cut = Cut(policy, found.pool, found.calibration)
    answers, origins = cut.accepted()
    return Selection(policy, answers, origins, evidence(cut, found))


def why_none(policy: Policy, found: Considered) -> str:
    """One sentence saying why nothing is accepted, where that is so."""
    reason = Cut(policy, found.pool, found.calibration).reason()
    return reason or "Every candidate that the policy keeps was rejected by hand."


def short(policy: Policy, found: Considered) -> str:
    """One sentence where ties make a share keep clearly fewer candidates than it asks for, else empty."""
    return Cut(policy, found.pool, found.calibration).short()


def evidence(cut: Cut, found: Considered) -> dict[str, Any]:
    """What is known of what the cut keeps: counts, shift, p_values of the looks for one, shifted (names of those that
    found one), measures (how many a policy may choose from), cross_fitted; estimated and verified where there is
    something to say. `claims.remembered` reads it."""
    pool, calibration, measures = found.pool, found.calibration, len(measures_of(found.pool))
    classes = class_shift(found.task, pool, calibration)
    looks = compared(found.texts, classes, found.reviews, cut, pool, calibration)
    known: dict[str, Any] = {"shift": None if found.texts is None else dict(found.texts), "shifted": looks.shifted}
    known |= {"measures": measures, "cross_fitted": bool(calibration["cross_fitted"].any())}
    known |= {"p_values": looks.p_values, "counts": asdict(counted(cut))}
    if (estimated := cut.evidence(measures_tried=measures)) is not None:
        known["estimated"] = asdict(estimated)
    if (best := verified(found.reviews, cut, pool, found.in_bulk)) is not None:
        known["verified"] = {**asdict(best), "wrong_at_most": best.most}
    return known


@dataclass(frozen=True)
class Verified:
    """What a random review proves about the records kept now.

    review: its number in the round. most: how many of them are still wrong at most. outside: kept records that were not
    in the set it drew from, about which it proves nothing. fixed: errors corrected since then, one by one. doubtful:
    whether more were fixed than the review allows to be wrong. decided: whether experts have decided on all that is
    kept, one by one: nothing is left to be proven.
    """

    review: int
    reviewed: int
    wrong: int
    most: int
    outside: int
    fixed: int
    doubtful: bool
    decided: bool = False


def verified(reviews: Sequence[Review], cut: Cut, pool: pd.DataFrame, in_bulk: Collection[str] = ()) -> Verified | None:
    """The best bound that the round's random reviews prove of the records kept now; None where none proves one.

    Together the bounds hold with 95 % confidence, see `reviews.level`. pool: with the decisions as they are now.
    in_bulk: content hashes of bulk decisions. Nobody looked at these records one by one, so what was removed is no
    correction, and what was accepted may be wrong. A smaller kept set cannot hold more errors than the one reviewed,
    and errors fixed since then are subtracted (docs/evidence.md, Random reviews).
    """
    keys, decision = pool["record_key"].to_numpy(), pool["decision"]
    single = ~pool["content_hash"].isin(list(in_bulk)).to_numpy()
    removed = decision.isin(REMOVES).to_numpy()
    asserted = decision.isin(ASSERTS).to_numpy()
    open_ = (cut.mask & ~removed | asserted) & ~(asserted & single)
    found = []
    for review in reviews:
        if (known := review.proven) is None:
            continue
        drawn_from = np.isin(keys, list(review.keys))
        fixed = int((drawn_from & single & removed).sum())
        for place in np.flatnonzero(drawn_from & single & (decision == "edit").to_numpy()):
            said, candidate = pool["decided_answer"].array[place], pool["answer"].array[place]
            fixed += not same(review.sample.task, said, candidate if isinstance(candidate, str) else None)
        left = known.wrong_at_most - fixed
        most = min(max(0, left), int((open_ & drawn_from).sum()))
        outside = int((open_ & ~drawn_from).sum())
        judged = review.number, known.reviewed, known.wrong
        found.append(Verified(*judged, most, outside, fixed, doubtful=left < 0, decided=not open_.any()))
    return min(found, key=lambda one: (one.outside, one.most), default=None)


def class_shift(task: Task, pool: pd.DataFrame, calibration: pd.DataFrame) -> float | None:
    """As `shift.class_shift`, of the answers that the model gave to both; None where the task has no classes.

    Spent records of the pool are left out, as they are missing from the calibration records, too; with them the pool
    would have another mix.
    """
    if not task.closed or calibration.empty:
        return None
    fresh = pool[~pool["spent"]]
    codes, names = pd.factorize(pd.concat([calibration["answer"], fresh["answer"]]), use_na_sentinel=False)
    sides = codes[: len(calibration)], codes[len(calibration) :]
    return shift.class_shift(np.stack([np.bincount(side, minlength=len(names)) for side in sides]))


def compared(
    texts: Mapping[str, Any] | None,
    classes: float | None,
    reviews: Sequence[Review],
    cut: Cut,
    pool: pd.DataFrame,
    calibration: pd.DataFrame,
) -> shift.ShiftResult:
    """Whether calibration records look like the pool: their texts, the answers given to both, their errors.

    texts: fields of a `shift.TextShift`; classes: of `class_shift`. Errors are compared under the policy that the
    newest finished review drew from, of what was plainly answered.
    """
    errors = None
    spent = set(pool.index[pool["spent"]])
    done = [one for one in reviews if not one.open and one.sample.judged(spent)]
    if done and len(calibration):
        newest = done[-1]
        then = cut if newest.policy == cut.policy else Cut(newest.policy, pool, calibration)
        known, judged = then.evidence(), newest.sample.judged(spent)
        if known is not None and known.drawn:
            errors = precision.fisher_exact(known.wrong, known.drawn, sum(judged), len(judged))
    return shift.result(texts, classes, errors)


def pseudo_accuracy(task: Task, pool: pd.DataFrame, accepted: Mapping[str, str]) -> tuple[float, float | None] | None:
    """Shares of right answers by the hidden gold: of all candidates, and of the accepted answers (record id -> answer).

    pool: the round's `candidate_frame`. None without hidden gold; the second is None if no accepted record has any.
    """
    gold = pool["gold"].dropna()
    if gold.empty:
        return None
    right = [same(task, answer, gold[i]) for i, answer in pool.loc[gold.index, "answer"].items()]
    kept = [same(task, answer, gold[i]) for i, answer in accepted.items() if i in gold.index]
    return sum(right) / len(right), sum(kept) / len(kept) if kept else None
