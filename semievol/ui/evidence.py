"""How many of the kept answers are wrong, in plain sentences, and what each rests on (EVIDENCE.md §2).

Two tiers, never pooled: Estimated from calibration records, which assumes that labeled and unlabeled data are alike and
says nothing where they are not; Verified from random reviews of this very pool, which assumes only the reviewer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.method import precision, shift
from semievol.method.reviewing import proven
from semievol.method.selection import Cut, Evidence
from semievol.method.tasks import same
from semievol.records import Task
from semievol.store import decisions, reviews, rounds
from semievol.store.database import Store
from semievol.store.reviews import Review
from semievol.store.rounds import Round
from semievol.ui import formats, parts, state
from semievol.ui.state import Place

FEWEST = 14  # error-free calibration records that prove 80 % (one-sided 95 %); below that nothing useful is known
LOOKS = {
    "texts": "the texts can be told apart",
    "classes": "the answers are of another mix",
    "errors": "random reviews found errors at another rate than calibration",
}


@dataclass(frozen=True)
class Verified:
    """What a random review says of what is kept now. most: still wrong at most; outside: kept records that it did not
    draw from, of which it says nothing; fixed: errors corrected since, one by one; doubtful: more than it allows."""

    review: Review
    reviewed: int
    wrong: int
    most: int
    outside: int
    fixed: int
    doubtful: bool


def tiers(here: Place, cut: Cut, pool: pd.DataFrame, calibration: pd.DataFrame, measures: int, kept: int) -> None:
    """Both tiers for what is kept now. measures: how many there are to choose from; kept: records accepted now."""
    why = cut.reason()
    if why:
        st.text(why)
    begun = reviews.reviews(here.store, here.this_round.id)
    if not why and len(calibration):
        fitted = bool(calibration["cross_fitted"].any())
        compared = _compared(here.store, here.this_round.id, here.task, cut, pool, calibration, begun)
        _estimated(cut.evidence(measures_tried=measures), compared, measures, fitted)
    _verified(verified(here.store, here.this_project.id, begun, cut, pool), kept)


def frozen(
    store: Store, round_: Round, task: Task, cut: Cut, pool: pd.DataFrame, calibration: pd.DataFrame, measures: int
) -> dict[str, Any]:
    """The evidence of this moment, to be kept with a frozen selection."""
    begun = reviews.reviews(store, round_.id)
    made = cut.evidence_then(rounds.shift(store, round_.id), measures)
    made["shifted"] = _compared(store, round_.id, task, cut, pool, calibration, begun).shifted
    made["cross_fitted"] = bool(len(calibration) and calibration["cross_fitted"].any())
    best = verified(store, round_.project_id, begun, cut, pool)
    if best is not None:
        made["verified"] = {"review": best.review.number, "wrong_at_most": best.most, "outside": best.outside}
    return made


def verified(
    store: Store, project_id: int, begun: Sequence[Review], cut: Cut, pool: pd.DataFrame, alpha: float = 0.05
) -> Verified | None:
    """The best that the round's random reviews say of what is kept now, alpha divided by how many were begun.

    A smaller kept set cannot hold more errors than the one reviewed, and errors found and fixed since are taken off
    (EVIDENCE.md §5); what a bulk decision removed was not looked at and is not.
    """
    if not begun:
        return None
    bulk = decisions.in_bulk(store, project_id)
    single = ~pool["content_hash"].isin(list(bulk)).to_numpy() if bulk else np.ones(len(pool), dtype=bool)
    keys, decision = pool["record_key"].to_numpy(), pool["decision"]
    asserted = decision.isin(["accept", "edit"]).to_numpy()
    removed = decision.isin(["reject", "ambiguous"]).to_numpy()
    open_ = cut.mask & ~asserted & ~removed
    found = []
    for review in begun:
        known = proven(review.sample, review.prior, alpha / len(begun))
        if known is None:
            continue
        drawn_from = np.isin(keys, list(review.keys))
        corrected = drawn_from & single & (decision == "edit").to_numpy()
        fixed = int((drawn_from & single & removed).sum())
        for place in np.flatnonzero(corrected):
            said, candidate = pool["decided_answer"].array[place], pool["answer"].array[place]
            fixed += not same(review.sample.task, said, candidate if isinstance(candidate, str) else None)
        left = known.wrong_at_most - fixed
        most = min(max(0, left), int((open_ & drawn_from).sum()))
        about = (known.reviewed, known.wrong, most, int((open_ & ~drawn_from).sum()), fixed, left < 0)
        found.append(Verified(review, *about))
    return min(found, key=lambda one: (one.outside, one.most), default=None)


def _compared(
    store: Store,
    round_id: int,
    task: Task,
    cut: Cut,
    pool: pd.DataFrame,
    calibration: pd.DataFrame,
    begun: Sequence[Review],
) -> shift.Verdict:
    """Whether calibration records look like the pool: their texts, the answers given to both, their errors.

    Errors are compared under the policy that the newest finished review drew from.
    """
    errors = None
    done = [one for one in begun if not one.open and one.sample.judged()]
    if done and len(calibration):
        then = cut if done[-1].policy == cut.policy else Cut(done[-1].policy, pool, calibration)
        known, judged = then.evidence(), done[-1].sample.judged()
        if known is not None and known.drawn:
            errors = precision.fisher_exact(known.wrong, known.drawn, sum(judged), len(judged))
    classes = state.class_shift(store, round_id) if task.closed else None
    return shift.verdict(rounds.shift(store, round_id), classes, errors)


def _estimated(found: Evidence | None, compared: shift.Verdict, measures: int, fitted: bool) -> None:
    if found is None or not found.drawn:
        parts.html(
            "<p class='sv-note'><b>Estimated precision: not enough evidence.</b> No calibration records stand under "
            "this line. A random review below can verify it instead.</p>"
        )
        return
    if compared.shifted:
        reasons = formats.series([LOOKS[name] for name in compared.shifted])
        parts.html(
            f"<div class='sv-warn'><b>Labeled and unlabeled records differ: {reasons}</b> ({_figures(compared)}). "
            "Calibration records then say nothing about this pool, so no precision is estimated. A random review below "
            "verifies it whatever the data are.</div>"
        )
        return
    low, high = 1 - found.high / max(found.kept, 1), 1 - found.low / max(found.kept, 1)
    enough = found.drawn >= FEWEST
    title = "Estimated precision, approximate" if fitted else "Estimated precision"
    kind = "cross-fitted record" if fitted else "calibration record"
    head = f"{formats.percent(low)} to {formats.percent(high)} (95 %)" if enough else "not enough evidence"
    alike = (
        f"your data look like them ({_figures(compared)})" if compared.looked else "nobody checked that your data do"
    )
    more = "" if enough else f" {FEWEST - found.drawn} more, all right, would be the least to say something."
    parts.html(
        f"<p class='sv-note'><b>{title}: {head}.</b> "
        f"Of the {found.kept:,} that the policy keeps, between {found.low:,} and {found.high:,} are wrong, before "
        f"corrections; judged from "
        f"{formats.plural(found.drawn, kind)} of which {found.wrong:,} are wrong; {alike}.{more} "
        f"It holds for a threshold found by looking and whichever of the {measures} measures you choose.</p>"
    )


def _figures(compared: shift.Verdict) -> str:
    auc = f"AUC {formats.score(compared.auc, 2)}, " if compared.auc is not None else ""
    names = {"texts": "texts", "classes": "answers", "errors": "errors"}
    return auc + ", ".join(f"{names[name]} p {_p_value(p)}" for name, p in compared.p_values.items())


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {formats.score(p)}"


def _verified(best: Verified | None, kept: int) -> None:
    if best is None:
        parts.note("Verified precision: no random review of this round yet. “I have time for 40” below buys one.")
        return
    rest = f"of {best.reviewed} drawn at random {best.wrong} were wrong (review {best.review.number})"
    rest += f", and {best.fixed:,} errors were fixed since" if best.fixed else ""
    if best.doubtful:
        parts.html(
            "<div class='sv-warn'><b>More was corrected than the random review allows for.</b> Its answers or the "
            f"corrections are doubtful: {rest}. Review again.</div>"
        )
    elif best.outside:
        parts.html(
            f"<p class='sv-note'><b>Verified precision: not for all of this.</b> {best.outside:,} of the records "
            f"kept now were not in the set that was reviewed; of those that were, at most {best.most:,} are wrong "
            f"(95 %): {rest}. Review again, or tighten the policy.</p>"
        )
    else:
        share = f"{math.floor(1000 * (1 - best.most / kept)) / 10:.1f} %" if kept else formats.DASH
        parts.html(
            f"<p class='sv-note'><b class='sv-good'>Verified precision: at least {share} (95 %, guaranteed).</b> "
            f"Of the {kept:,} you keep, at most {best.most:,} are wrong: {rest}. It assumes only that the reviewer "
            "is right.</p>"
        )


def sentences(evidence: Mapping[str, Any] | None) -> Sequence[str]:
    """What a frozen selection knew about itself, for the table of selections."""
    if not evidence:
        return []
    found = []
    known = evidence.get("estimated")
    apart = evidence.get("shifted") or (evidence.get("shift") or {}).get("p_value", 1) <= shift.ALPHA / 3
    if known and known["drawn"] >= FEWEST and not apart:
        tier = "estimated, approximate" if evidence.get("cross_fitted") else "estimated"
        found.append(f"{known['low']:,} to {known['high']:,} wrong ({tier})")
    verified = evidence.get("verified")
    if verified and not verified["outside"]:
        found.append(f"at most {verified['wrong_at_most']:,} wrong (verified)")
    return found
