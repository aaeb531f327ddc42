"""How many of the kept answers are wrong, in plain sentences, and what each rests on (EVIDENCE.md §2).

Two tiers, never pooled: Estimated from calibration records, which assumes that labeled and unlabeled data are alike and
says nothing where they are not; Verified from random reviews of this very pool, which assumes only the reviewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from semievol.method import precision, shift
from semievol.method.reviewing import proven
from semievol.method.selection import Cut, Evidence
from semievol.store import reviews, rounds
from semievol.store.database import Store
from semievol.store.reviews import Review
from semievol.ui import formats, parts, state
from semievol.ui.state import Place

FEWEST = 14  # error-free calibration records that prove 80 % (one-sided 95 %); below that nothing useful is known
LOOKS = {
    "texts": "the texts can be told apart",
    "classes": "the answers are of another mix",
    "errors": "random reviews found errors at another rate than calibration",
}


def tiers(here: Place, cut: Cut, pool: pd.DataFrame, calibration: pd.DataFrame, measures: int, kept: int) -> None:
    """Both tiers for what is kept now. measures: how many there are to choose from; kept: records accepted now."""
    why = cut.reason()
    if why:
        st.text(why)
    done = [one for one in reviews.reviews(here.store, here.this_round.id) if proven(one.sample, one.prior)]
    newest = done[-1] if done else None
    found = cut.evidence(measures_tried=measures)
    if not why and len(calibration):
        fitted = bool(calibration["cross_fitted"].any())
        _estimated(found, _compared(here, found, newest), measures, fitted)
    _verified(newest, cut, pool, kept)


def frozen(store: Store, round_id: int, cut: Cut, pool: pd.DataFrame, measures: int) -> dict[str, Any]:
    """The evidence of this moment, to be kept with a frozen selection."""
    made = cut.evidence_then(rounds.shift(store, round_id), measures)
    done = [one for one in reviews.reviews(store, round_id) if proven(one.sample, one.prior)]
    if done:
        bound, outside = _bound(done[-1], cut, pool)
        made["verified"] = {"review": done[-1].number, "wrong_at_most": bound, "outside": outside}
    return made


def _compared(here: Place, found: Evidence | None, newest: Review | None) -> shift.Verdict:
    """Whether calibration records look like the pool: their texts, the answers given to both, their errors."""
    classes = state.class_shift(here.store, here.this_round.id) if here.task.closed else None
    errors = None
    if newest is not None and found is not None and found.drawn:
        wrong = newest.sample.wrong()
        errors = precision.fisher_exact(found.wrong, found.drawn, sum(wrong), len(wrong))
    return shift.verdict(rounds.shift(here.store, here.this_round.id), classes, errors)


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
        f"Of the {found.kept:,} you keep, between {found.low:,} and {found.high:,} are wrong, judged from "
        f"{formats.plural(found.drawn, kind)} of which {found.wrong:,} are wrong; {alike}.{more} "
        f"It holds for a threshold found by looking and whichever of the {measures} measures you choose.</p>"
    )


def _figures(compared: shift.Verdict) -> str:
    auc = f"AUC {formats.score(compared.auc, 2)}, " if compared.auc is not None else ""
    names = {"texts": "texts", "classes": "answers", "errors": "errors"}
    return auc + ", ".join(f"{names[name]} p = {formats.score(p)}" for name, p in compared.p_values.items())


def _verified(newest: Review | None, cut: Cut, pool: pd.DataFrame, kept: int) -> None:
    if newest is None:
        parts.note("Verified precision: no random review of this round yet. “I have time for 40” below buys one.")
        return
    bound, outside = _bound(newest, cut, pool)
    found = proven(newest.sample, newest.prior)
    assert found is not None, "only reviews that prove something are shown"
    rest = f"of {found.reviewed} drawn at random {found.wrong} were wrong (review {newest.number})"
    if outside:
        parts.html(
            f"<p class='sv-note'><b>Verified precision: not for all of this.</b> {outside:,} of the records kept now "
            f"were not in the set that was reviewed; of those that were, at most {bound:,} are wrong (95 %): {rest}. "
            "Review again, or tighten the policy.</p>"
        )
        return
    share = formats.percent(1 - min(bound, kept) / kept) if kept else formats.DASH
    parts.html(
        f"<p class='sv-note'><b class='sv-good'>Verified precision: at least {share} (95 %, guaranteed).</b> Of the "
        f"{kept:,} you keep, at most {bound:,} are wrong: {rest}, less what was corrected since. It assumes only that "
        "the reviewer is right.</p>"
    )


def _bound(review: Review, cut: Cut, pool: pd.DataFrame) -> tuple[int, int]:
    """(most that are still wrong among what is kept now, how many kept records the review did not draw from).

    A smaller kept set cannot hold more errors than the one reviewed; errors fixed since are taken off (§5).
    """
    keys, decision = pool["record_key"].to_numpy(), pool["decision"]
    drawn_from = np.isin(keys, list(review.keys))
    asserted = decision.isin(["accept", "edit"]).to_numpy()
    outside = int((cut.mask & ~drawn_from & ~asserted).sum())
    other = (decision == "edit").to_numpy() & (pool["decided_answer"] != pool["answer"]).to_numpy()
    fixed = other | decision.isin(["reject", "ambiguous"]).to_numpy()
    found = proven(review.sample, review.prior)
    assert found is not None, "asked only of reviews that prove something"
    return max(0, found.wrong_at_most - int((fixed & drawn_from).sum())), outside


def sentences(evidence: Mapping[str, Any] | None) -> Sequence[str]:
    """What a frozen selection knew about itself, for the table of selections."""
    if not evidence:
        return []
    found = []
    known = evidence.get("estimated")
    if known and known["drawn"] >= FEWEST:
        found.append(f"{known['low']:,} to {known['high']:,} wrong (estimated)")
    verified = evidence.get("verified")
    if verified and not verified["outside"]:
        found.append(f"at most {verified['wrong_at_most']:,} wrong (verified)")
    return found
