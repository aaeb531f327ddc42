"""How many of the kept answers are right: for each tier one bar and one sentence, with the statistics folded away.

Estimated: from calibration records. Assumes that labeled and unlabeled data are alike; where they are not, nothing is
estimated. Verified: from random reviews of the pool. Assumes only that the reviewer is right (docs/evidence.md, Two
tiers). What is said stands in `selection.claims`; here it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from semievol.selection import claims, summary
from semievol.selection.claims import Tier
from semievol.selection.policy import Cut
from semievol.store.decisions import decisions
from semievol.store.runs import rounds
from semievol.ui.shell import formats, parts, state
from semievol.ui.shell.state import Place

HELP = "Precision: right answers among the kept ones, divided by all kept ones."


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
        shown.append(claims.estimated(cut.evidence(measures_tried=measures), looks, measures, fitted))
    elif not why:
        shown.append(Tier("Estimated", _unchecked(here)))
    at_once = decisions.in_bulk(here.store, here.project.id) if past else ()
    shown.append(claims.verified(summary.verified(past, cut, pool, at_once), kept, past))
    _draw(shown)


def _unchecked(here: Place) -> str:
    """Why there are no calibration records."""
    if here.round.parent_id is None:
        return "Cannot be estimated: no labeled records were held back for checking."
    if rounds.held(here.store, here.round.id):
        return "Cannot be estimated: earlier rounds have used up all checked records."
    return "Cannot be estimated: no records are held back for checking in this round."


def _draw(shown: Sequence[Tier]) -> None:
    """Both tiers, one below the other, and the fold with what stands behind them."""
    head = f"<div class='sv-label' title='{HELP}'>How many of the kept answers are right</div>"
    parts.html(f"<div class='sv-tiers'>{head}{''.join(_markup(tier) for tier in shown)}</div>")
    with st.expander("How this is known"):
        for tier in shown:
            parts.html(f"<b class='sv-label'>{escape(tier.title)}</b>")
            for detail in tier.details or ("Nothing is known yet.",):
                parts.note(detail)


def _markup(tier: Tier) -> str:
    """The tier's title, bar (0 to 100 %), figure and sentence. The bar's text says the same without colour."""
    if tier.share is None:
        figure, words, fill = formats.DASH, "not known", ""
    else:
        low, high = (100 * share for share in tier.share)
        figure = f"{low:.1f} to {high:.1f} %" if high < 100 else f"{low:.1f} % or more" if low < 100 else "all"
        words, fill = f"{figure} right", f"<i style='left:{low:.2f}%;width:{max(high - low, 0.6):.2f}%'></i>"
    classes = "sv-tier sv-amiss" if tier.warning else "sv-tier"
    return (
        f"<div class='{classes}'><b>{escape(tier.title)}</b>"
        f"<div class='sv-interval{'' if fill else ' sv-unknown'}' role='img' "
        f"aria-label='{escape(tier.title)}: {escape(words)}, on a scale from 0 to 100 %'>{fill}"
        f"<span>0 %</span><span>50 %</span><span>100 %</span></div>"
        f"<b class='sv-figure'>{escape(figure)}</b><p>{escape(parts.unbroken(tier.sentence))}</p></div>"
    )
