"""How many of the kept answers are wrong, in plain sentences, and what each rests on (docs/evidence.md, Two tiers).

Estimated from calibration records, which assumes that labeled and unlabeled data are alike and says nothing where they
are not; Verified from random reviews of this very pool, which assumes only the reviewer. Computes nothing; see
`method.evidence`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semievol.evidence import shift, summary
from semievol.evidence.reviews import Review
from semievol.evidence.summary import Verified
from semievol.selection.policy import Cut, Evidence
from semievol.store.decisions import decisions
from semievol.store.runs import rounds
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place

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
    round_id = here.this_round.id
    begun = state.reviews(here.store, round_id)
    if not why and len(calibration):
        fitted = bool(calibration["cross_fitted"].any())
        classes = state.class_shift(here.store, round_id, here.task)
        looks = summary.compared(rounds.shift(here.store, round_id), classes, begun, cut, pool, calibration)
        _estimated(cut.evidence(measures_tried=measures), looks, measures, fitted)
    elif not why and here.this_round.parent_id is not None:
        gone = "are left that earlier rounds did not use up"
        none = gone if rounds.held(here.store, round_id) else "are held out in this round"
        parts.note(
            f"Estimated precision: not enough evidence. No calibration records {none}; a random review below can "
            "verify it instead."
        )
    bulk = decisions.in_bulk(here.store, here.this_project.id) if begun else ()
    _verified(summary.verified(begun, cut, pool, bulk), kept, begun)


def _estimated(found: Evidence | None, compared: shift.Verdict, measures: int, fitted: bool) -> None:
    if found is None or not found.drawn or not found.kept:
        trained = found is not None and found.earlier and not found.kept
        why = (
            "An earlier round was trained on all of this" if trained else "No calibration records stand under this line"
        )
        parts.html(
            f"<p class='sv-note'><b>Estimated precision: not enough evidence.</b> {why}. A random review below can "
            "verify it instead.</p>"
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
    before = (
        f" {found.earlier:,} more are kept that an earlier round was trained on: calibration says nothing about them, "
        "a random review does."
        if found.earlier
        else ""
    )
    more = "" if enough else f" {FEWEST - found.drawn} more, all right, would be the least to say something."
    parts.html(
        f"<p class='sv-note'><b>{title}: {head}.</b> "
        f"Of the {found.kept:,} that the policy keeps, between {found.low:,} and {found.high:,} are wrong, before "
        f"corrections; judged from "
        f"{formats.plural(found.drawn, kind)} of which {found.wrong:,} are wrong; {alike}.{more} "
        f"It holds for a threshold found by looking and whichever of the {measures} measures you choose.{before}</p>"
    )


def _figures(compared: shift.Verdict) -> str:
    auc = f"AUC {formats.score(compared.auc, 2)}, " if compared.auc is not None else ""
    names = {"texts": "texts", "classes": "answers", "errors": "errors"}
    return auc + ", ".join(f"{names[name]} p {_p_value(p)}" for name, p in compared.p_values.items())


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {formats.score(p)}"


def _verified(best: Verified | None, kept: int, begun: Sequence[Review]) -> None:
    if best is None:
        none = "no random review of this round yet. “I have time for 40” below buys one."
        if begun:
            none = "no random review of this round has answers enough. “I have time for 40” below buys another."
        if any(review.open for review in begun):
            none = "a random review is under way; what it proves stands here as soon as it may be said."
        parts.note(f"Verified precision: {none}")
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


def sentences(known_then: Mapping[str, Any] | None) -> Sequence[str]:
    """What a frozen selection knew about itself, for the table of selections."""
    if not known_then:
        return []
    found = []
    known = known_then.get("estimated")
    apart = known_then.get("shifted") or (known_then.get("shift") or {}).get("p_value", 1) <= shift.ALPHA / 3
    if known and known["kept"] and known["drawn"] >= FEWEST and not apart:
        tier = "estimated, approximate" if known_then.get("cross_fitted") else "estimated"
        of = f" of {known['kept']:,}" if known.get("earlier") else ""  # nothing is said of what was trained on before
        found.append(f"{known['low']:,} to {known['high']:,}{of} wrong ({tier})")
    verified = known_then.get("verified")
    if verified and not verified["outside"]:
        found.append(f"at most {verified['wrong_at_most']:,} wrong (verified)")
    return found
