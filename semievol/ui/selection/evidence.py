"""How many of the kept answers are wrong, in plain sentences, each with its basis (docs/evidence.md, Two tiers).

Estimated: from calibration records. Assumes that labeled and unlabeled data are alike; where they are not, nothing is
estimated. Verified: from random reviews of the pool. Assumes only that the reviewer is right. Computes nothing; see the
package `semievol.evidence`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
    "errors": "random reviews found another error rate than calibration",
}


def tiers(here: Place, cut: Cut, pool: pd.DataFrame, calibration: pd.DataFrame, measures: int, kept: int) -> None:
    """Draws both tiers for the present policy. measures: how many can be chosen; kept: number of records accepted."""
    why = cut.reason()
    if why:
        st.text(why)
    round_id = here.round.id
    past = state.reviews(here.store, round_id)
    if not why and len(calibration):
        fitted = bool(calibration["cross_fitted"].any())
        classes = state.class_shift(here.store, round_id, here.task)
        looks = summary.compared(rounds.shift(here.store, round_id), classes, past, cut, pool, calibration)
        _estimated(cut.evidence(measures_tried=measures), looks, measures, fitted)
    elif not why and here.round.parent_id is not None:
        gone = "Earlier rounds have used up all calibration records"
        none = gone if rounds.held(here.store, round_id) else "No calibration records are held out in this round"
        parts.note(
            f"Estimated precision: not enough evidence. {none}. A random review (below) can verify the precision "
            "instead."
        )
    bulk = decisions.in_bulk(here.store, here.project.id) if past else ()
    _verified(summary.verified(past, cut, pool, bulk), kept, past)


def _estimated(found: Evidence | None, compared: shift.ShiftResult, measures: int, fitted: bool) -> None:
    if found is None or not found.drawn or not found.kept:
        trained = found is not None and found.earlier and not found.kept
        why = (
            "An earlier round was trained on all of these candidates"
            if trained
            else "The policy keeps no calibration record"
        )
        parts.html(
            f"<p class='sv-note'><b>Estimated precision: not enough evidence.</b> {why}. A random review (below) can "
            "verify the precision instead.</p>"
        )
        return
    if compared.shifted:
        reasons = formats.series([LOOKS[name] for name in compared.shifted])
        parts.html(
            f"<div class='sv-warn'><b>Labeled and unlabeled records differ: {reasons}</b> ({_figures(compared)}). "
            "Calibration records therefore say nothing about the unlabeled records, and no precision is estimated. A "
            "random review (below) can verify it in any case.</div>"
        )
        return
    low, high = 1 - found.high / max(found.kept, 1), 1 - found.low / max(found.kept, 1)
    enough = found.drawn >= FEWEST
    title = "Estimated precision, approximate" if fitted else "Estimated precision"
    kind = "cross-fitted record" if fitted else "calibration record"
    between = f"between {formats.percent(low)} and {formats.percent(high)} (95 % confidence)"
    head = between if enough else "not enough evidence"
    alike = (
        f"The unlabeled records look like them ({_figures(compared)})"
        if compared.looked
        else "Whether the unlabeled records are like them was not checked"
    )
    before = (
        f" The policy also keeps {formats.plural(found.earlier, 'candidate')} that an earlier round was trained on. "
        "Calibration says nothing about them; a random review does."
        if found.earlier
        else ""
    )
    fewest = formats.plural(FEWEST - found.drawn, f"more {kind}")
    more = "" if enough else f" For a statement, at least {fewest} without an error would be needed."
    parts.html(
        f"<p class='sv-note'><b>{title}: {head}.</b> "
        f"Of the {formats.plural(found.kept, 'candidate')} that the policy keeps, between {found.low:,} and "
        f"{found.high:,} are wrong, before your corrections. This is judged from "
        f"{formats.plural(found.drawn, kind)}, of which {found.wrong:,} {'is' if found.wrong == 1 else 'are'} wrong. "
        f"{alike}.{more} The interval stays valid if you look for a good threshold and choose any of the {measures} "
        f"measures.{before}</p>"
    )


def _figures(compared: shift.ShiftResult) -> str:
    auc = f"AUC {formats.score(compared.auc, 2)}, " if compared.auc is not None else ""
    names = {"texts": "texts", "classes": "answers", "errors": "errors"}
    return auc + ", ".join(f"{names[name]} p {_p_value(p)}" for name, p in compared.p_values.items())


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {formats.score(p)}"


def _verified(best: Verified | None, kept: int, past: Sequence[Review]) -> None:
    if best is None:
        none = "this round has no random review yet. Start one below, under “I have time for 40”."
        if past:
            none = "no random review of this round has enough answers. Start another one under “I have time for 40”."
        if any(review.open for review in past):
            none = "a random review is in progress. Its result appears here once it is valid."
        parts.note(f"Verified precision: {none}")
        return
    rest = f"of {best.reviewed} drawn at random, {best.wrong} {'was' if best.wrong == 1 else 'were'} wrong"
    rest += f" (random review {best.review.number})"
    if best.fixed:
        rest += f", and {formats.plural(best.fixed, 'error')} {'was' if best.fixed == 1 else 'were'} corrected since"
    if best.doubtful:
        parts.html(
            "<div class='sv-warn'><b>More errors were corrected than the random review allows for.</b> Its answers or "
            f"the corrections are doubtful: {rest}. Start another random review.</div>"
        )
    elif best.outside:
        parts.html(
            f"<p class='sv-note'><b>Verified precision: only for a part.</b> The reviewed set did not contain "
            f"{best.outside:,} of the records kept now. Of those that it contained, at most {best.most:,} are wrong "
            f"(95 % confidence): {rest}. Start another random review, or make the policy stricter.</p>"
        )
    else:
        share = f"{math.floor(1000 * (1 - best.most / kept)) / 10:.1f} %" if kept else formats.DASH
        parts.html(
            f"<p class='sv-note'><b class='sv-good'>Verified precision: at least {share} (guaranteed with 95 % "
            f"confidence).</b> Of the {kept:,} you keep, at most {best.most:,} are wrong: {rest}. This assumes only "
            "that the reviewer is right.</p>"
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
    verified = known_then.get("verified")
    if verified and not verified["outside"]:
        found.append(f"at most {verified['wrong_at_most']:,} wrong (verified)")
    return found
