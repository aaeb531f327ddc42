"""How many of the kept answers are right: for each tier one bar and one sentence, with the statistics folded away.

Estimated: from calibration records. Assumes that labeled and unlabeled data are alike; where they are not, nothing is
estimated. Verified: from random reviews of the pool. Assumes only that the reviewer is right (docs/evidence.md, Two
tiers). Computes nothing; see the package `semievol.evidence`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from semievol.evidence import shift
from semievol.evidence.reviews import Review
from semievol.selection import summary
from semievol.selection.policy import Cut, Evidence
from semievol.selection.summary import Verified
from semievol.store.decisions import decisions
from semievol.store.runs import rounds
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place

FEWEST = (
    14  # calibration records without an error that prove a precision of 80 % (one-sided 95 %); fewer show too little
)
LOOKS = {
    "texts": "a classifier can tell their texts apart",
    "classes": "their answers are distributed differently",
    "errors": "random reviews found another error rate than the checked records",
}
HELP = "Precision: right answers among the kept ones, divided by all kept ones."
CHECKED = (
    "Checked records (calibration records) are labeled records that were kept out of training. They were answered like "
    "the unlabeled ones, so it is known which of these answers are right."
)


@dataclass(frozen=True)
class Tier:
    """What one tier says. share: the least and the largest share that is right, in [0, 1], None where nothing may be
    said; details: the statistics behind it; warning: whether something is amiss."""

    title: str
    sentence: str
    share: tuple[float, float] | None = None
    details: tuple[str, ...] = ()
    warning: bool = False


def tiers(here: Place, cut: Cut, pool: pd.DataFrame, calibration: pd.DataFrame, measures: int, kept: int) -> None:
    """Draws both tiers for the present policy. measures: how many can be chosen; kept: number of records accepted."""
    why = cut.reason()
    if why:
        st.text(why)
    round_id = here.round.id
    past = state.reviews(here.store, round_id)
    shown = []
    if not why and len(calibration):
        fitted = bool(calibration["cross_fitted"].any())
        classes = state.class_shift(here.store, round_id, here.task)
        looks = summary.compared(rounds.shift(here.store, round_id), classes, past, cut, pool, calibration)
        shown.append(estimated(cut.evidence(measures_tried=measures), looks, measures, fitted))
    elif not why:
        shown.append(Tier("Estimated", _unchecked(here)))
    at_once = decisions.in_bulk(here.store, here.project.id) if past else ()
    shown.append(verified(summary.verified(past, cut, pool, at_once), kept, past))
    _draw(shown)


def _unchecked(here: Place) -> str:
    """Why there are no calibration records."""
    if here.round.parent_id is None:
        return "Cannot be estimated: no labeled records were held back for checking."
    if rounds.held(here.store, here.round.id):
        return "Cannot be estimated: earlier rounds have used up all checked records."
    return "Cannot be estimated: no records are held back for checking in this round."


def estimated(found: Evidence | None, compared: shift.ShiftResult, measures: int, fitted: bool) -> Tier:
    """The tier of the calibration records."""
    title = "Estimated, roughly" if fitted else "Estimated"
    if found is None or not found.drawn or not found.kept:
        trained = found is not None and found.earlier and not found.kept
        why = "an earlier round was trained on all these answers" if trained else "no checked record is among the kept"
        return Tier(title, f"Cannot be estimated: {why}.")
    if compared.shifted:
        reasons = formats.series([LOOKS[name] for name in compared.shifted])
        return Tier(
            title,
            f"Cannot be estimated: labeled and unlabeled records differ, as {reasons}.",
            details=(
                f"Calibration records say nothing about unlabeled records that are unlike them ({_figures(compared)}). "
                "A random review can verify the precision in any case.",
            ),
            warning=True,
        )
    low, high = 1 - found.high / found.kept, 1 - found.low / found.kept
    between = f"between {formats.percent(low)} and {formats.percent(high)}"
    alike = (
        f"The unlabeled records look like them ({_figures(compared)})."
        if compared.looked
        else "Whether the unlabeled records are like them was not checked."
    )
    judged = (
        f"Under this policy {'falls' if found.drawn == 1 else 'fall'} {formats.plural(found.drawn, 'checked record')}; "
        f"{found.wrong:,} of them {'is' if found.wrong == 1 else 'are'} answered wrongly."
    )
    details = [CHECKED, judged, alike]
    if fitted:
        details.append(
            "Here they are cross-fitted: models that never saw them answered them, each trained on fewer records than "
            "the round's own model, so the estimate is approximate."
        )
    details.append(
        f"With 95 % confidence, between {found.low:,} and {found.high:,} of the "
        f"{formats.plural(found.kept, 'candidate')} that the policy keeps are wrong, before your corrections. This "
        f"stays valid if you look for a good threshold and choose any of the {measures} measures."
    )
    if found.earlier:
        details.append(
            f"The policy also keeps {formats.plural(found.earlier, 'candidate')} that an earlier round was trained on. "
            "Calibration says nothing about them; a random review does."
        )
    if found.drawn < FEWEST:
        missing = FEWEST - found.drawn
        needed = f"at least {missing} more {'is' if missing == 1 else 'are'} needed"
        return Tier(title, f"Too few checked records to say; {needed}.", details=tuple(details))
    return Tier(
        title,
        f"Of the {found.kept:,} answers that the policy keeps, {between} are right, judged from {found.drawn:,} "
        "checked records.",
        (low, high),
        tuple(details),
    )


def _figures(compared: shift.ShiftResult) -> str:
    auc = f"AUC {formats.score(compared.auc, 2)}, " if compared.auc is not None else ""
    names = {"texts": "texts", "classes": "answers", "errors": "errors"}
    return auc + ", ".join(f"{names[name]} p {_p_value(p)}" for name, p in compared.p_values.items())


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {formats.score(p)}"


def verified(best: Verified | None, kept: int, past: Sequence[Review]) -> Tier:
    """The tier of the random reviews. kept: number of records accepted."""
    title = "Verified"
    if best is None:
        sentence = "Not verified yet. Check some at random under “I have time for 40”."
        if past:
            sentence = "No random review of this round has enough answers. Start another one."
        if any(review.open for review in past):
            sentence = "A random review is in progress. Its result appears here once it is valid."
        return Tier(title, sentence)
    found = (
        f"Random review {best.review.number}: of {best.reviewed:,} drawn at random, {best.wrong:,} "
        f"{'was' if best.wrong == 1 else 'were'} wrong."
    )
    if best.fixed:
        found += f" {formats.plural(best.fixed, 'error')} {'was' if best.fixed == 1 else 'were'} corrected since."
    details = (f"{found} This assumes only that the reviewer is right.",)
    if best.doubtful:
        sentence = "More errors were corrected than the random review allows for: it, or the corrections, are doubtful."
        return Tier(title, f"{sentence} Start another review.", details=details, warning=True)
    if best.outside:
        known = f"Of the others, at most {best.most:,} are wrong (95 % confidence). "
        return Tier(
            title,
            f"Known for a part only: {formats.plural(best.outside, 'kept record')} "
            f"{'was' if best.outside == 1 else 'were'} not in the set that was reviewed.",
            details=(known + details[0], "Start another random review, or make the policy stricter."),
        )
    if not kept:
        return Tier(title, "The policy keeps nothing.", details=details)
    least = math.floor(1000 * (1 - best.most / kept)) / 1000
    return Tier(
        title,
        f"Of the {kept:,} that you keep, at least {formats.percent(least)} are right, guaranteed with 95 % confidence.",
        (least, 1.0),
        (f"At most {best.most:,} of them are wrong.", *details),
    )


def _draw(shown: Sequence[Tier]) -> None:
    """Both tiers, one below the other, and the fold with what stands behind them."""
    head = f"<div class='sv-label' title='{HELP}'>How many of the kept answers are right</div>"
    parts.html(f"<div class='sv-tiers'>{head}{''.join(_markup(tier) for tier in shown)}</div>")
    with st.expander("How this is known"):
        for tier in shown:
            for detail in tier.details or ("Nothing is known yet.",):
                parts.note(f"{tier.title}: {detail}")


def _markup(tier: Tier) -> str:
    """The tier's title, bar (0 to 100 %), figure and sentence. The bar's text says the same without colour."""
    if tier.share is None:
        figure, words, fill = formats.DASH, "not known", ""
    else:
        low, high = (100 * share for share in tier.share)
        figure = f"{low:.1f} to {high:.1f} %" if high < 100 else f"{low:.1f} % or more"
        words, fill = f"{figure} right", f"<i style='left:{low:.2f}%;width:{max(high - low, 0.6):.2f}%'></i>"
    classes = "sv-tier sv-amiss" if tier.warning else "sv-tier"
    return (
        f"<div class='{classes}'><b>{escape(tier.title)}</b>"
        f"<div class='sv-interval{'' if fill else ' sv-unknown'}' role='img' "
        f"aria-label='{escape(tier.title)}: {escape(words)}, on a scale from 0 to 100 %'>{fill}"
        f"<span>0 %</span><span>50 %</span><span>100 %</span></div>"
        f"<b class='sv-figure'>{escape(figure)}</b><p>{escape(tier.sentence)}</p></div>"
    )


def sentences(known_then: Mapping[str, Any] | None) -> Sequence[str]:
    """What was known about a selection when it was frozen, for the table of selections."""
    if not known_then:
        return []
    found = []
    known = known_then.get("estimated")
    apart = known_then.get("shifted") or (known_then.get("shift") or {}).get("p_value", 1) <= shift.ALPHA / 3
    if known and known["kept"] and known["drawn"] >= FEWEST and not apart:
        tier = "estimated, approximate" if known_then.get("cross_fitted") else "estimated"
        of = (
            f" of {known['kept']:,}" if known.get("earlier") else ""
        )  # the estimate leaves out what was trained on before
        found.append(f"between {known['low']:,} and {known['high']:,}{of} wrong ({tier})")
    proven = known_then.get("verified")
    if proven and not proven["outside"]:
        found.append(f"at most {proven['wrong_at_most']:,} wrong (verified)")
    return found
