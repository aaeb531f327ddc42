"""What may be said about the kept answers, in sentences: the same on the Selection page, in tables and in the report.

Estimated: from calibration records, unless labeled and unlabeled data differ. Verified: from random reviews of the pool
(docs/evidence.md, Two tiers). The figures come from the package `semievol.evidence`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from semievol import wording
from semievol.evidence import precision, shift
from semievol.evidence.reviews import Review, level
from semievol.selection.policy import Evidence
from semievol.selection.summary import Verified

FEWEST = (
    14  # calibration records without an error that prove a precision of 80 % (one-sided 95 %); fewer show too little
)
AIM = 0.95
"""Precision for which the page says how many random reviews would prove it."""
LOOKS = {
    "texts": "a classifier can tell their texts apart",
    "classes": "their answers are distributed differently",
    "errors": "random reviews found another error rate than the checked records",
}
CHECKED = (
    "Checked records (calibration records) are labeled records that were kept out of training. They were answered like "
    "the unlabeled ones, so it is known which of these answers are right."
)
CROSS_FITTED = (
    "Checked records are the labeled records. Each was answered by a model that was trained without it, on fewer "
    "records than the round's own model (cross-fitting). So it is known which of these answers are right, and the "
    "estimate is approximate."
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


def estimated(found: Evidence | None, compared: shift.ShiftResult, measures: int, fitted: bool) -> Tier:
    """The tier of the calibration records."""
    title = "Estimated, roughly" if fitted else "Estimated"
    if found is None or not found.drawn or not found.kept:
        trained = found is not None and found.earlier and not found.kept
        why = "an earlier round was trained on all these answers" if trained else "no checked record is among the kept"
        return Tier(title, f"Cannot be estimated: {why}.")
    if compared.shifted:
        reasons = wording.series([LOOKS[name] for name in compared.shifted])
        return Tier(
            title,
            f"Cannot be estimated: labeled and unlabeled records differ, as {reasons}.",
            details=(
                f"Calibration records say nothing about unlabeled records that are unlike them ({_figures(compared)}). "
                "A random review can verify the precision in any case.",
            ),
            warning=True,
        )
    low = 1000 * (found.kept - found.high) // found.kept / 1000  # rounded outward
    high = -(-1000 * (found.kept - found.low) // found.kept) / 1000
    between = f"between {wording.percent(low)} and {wording.percent(high)}"
    alike = (
        f"No test tells the unlabeled records from them ({_figures(compared)})."
        if compared.looked
        else "Whether the unlabeled records are like them was not checked."
    )
    judged = (
        f"Under this policy {'falls' if found.drawn == 1 else 'fall'} {wording.plural(found.drawn, 'checked record')}; "
        f"{found.wrong:,} of them {'is' if found.wrong == 1 else 'are'} answered wrongly."
    )
    details = [CROSS_FITTED if fitted else CHECKED, judged, alike]
    looking = f"This stays valid if you look for a good threshold and choose any of the {measures} measures."
    tested = found.target is not None and found.target > low
    if tested:
        details.append(
            "The rule tests one precision for one measure. Trying several and taking the best weakens that: with 95 % "
            f"confidence, at least {wording.percent(low)} are then right."
        )
    else:
        details.append(
            f"With 95 % confidence, between {found.low:,} and {found.high:,} of the "
            f"{wording.plural(found.kept, 'answer')} that the policy keeps are wrong. {looking}"
        )
    if found.earlier:
        details.append(
            f"The policy also keeps {wording.plural(found.earlier, 'candidate')} that an earlier round was trained on. "
            "Calibration says nothing about them; a random review does."
        )
    if found.drawn < FEWEST:
        missing = FEWEST - found.drawn
        needed = f"at least {missing} more {'is' if missing == 1 else 'are'} needed"
        return Tier(title, f"Too few checked records to say; {needed}.", details=tuple(details))
    if tested:
        by_looking, low, high = wording.percent(low), float(found.target or 0), 1.0
        between = f"at least {wording.percent(low)}"
    judged_from = f"judged from {found.drawn:,} checked records"
    if tested:
        judged_from += f" by the rule itself (if the line were chosen by looking: at least {by_looking})"
    return Tier(
        title,
        f"Before any decision the policy keeps {found.kept:,}. Of these, {between} are right, {judged_from}.",
        (low, high),
        tuple(details),
    )


def _figures(compared: shift.ShiftResult) -> str:
    auc = f"AUC {wording.score(compared.auc, 2)}, " if compared.auc is not None else ""
    names = {"texts": "texts", "classes": "answers", "errors": "errors"}
    return auc + ", ".join(f"{names[name]} p {_p_value(p)}" for name, p in compared.p_values.items())


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {wording.score(p)}"


def verified(best: Verified | None, kept: int, past: Sequence[Review]) -> Tier:
    """The tier of the random reviews. kept: number of records accepted."""
    title = "Verified"
    if best is None:
        sentence = "Not verified yet. Check some under “Guarantee by random review”."
        if past:
            sentence = "No random review of this round has enough answers. Start another one."
        if any(review.open for review in past):
            sentence = "A random review is in progress. Its result appears here once it is valid."
        return Tier(title, sentence)
    found = (
        f"Random review {best.review}: of {best.reviewed:,} drawn at random, {best.wrong:,} "
        f"{'was' if best.wrong == 1 else 'were'} wrong."
    )
    if best.fixed:
        found += f" {wording.plural(best.fixed, 'error')} {'was' if best.fixed == 1 else 'were'} corrected since."
    details = (f"{found} This assumes only that the reviewer is right.",)
    if best.doubtful:
        sentence = "More errors were corrected than the random review allows for: it, or the corrections, are doubtful."
        return Tier(title, f"{sentence} Start another review.", details=details, warning=True)
    if best.outside:
        known = f"Of the others, at most {best.most:,} are wrong (95 % confidence). "
        return Tier(
            title,
            f"Known for a part only: {wording.plural(best.outside, 'kept record')} "
            f"{'was' if best.outside == 1 else 'were'} not in the set that was reviewed.",
            details=(known + details[0], "Start another random review, or make the policy stricter."),
        )
    if not kept:
        return Tier(title, "The policy keeps nothing.", details=details)
    if best.decided:
        sentence = f"Experts decided on all {kept:,} that you keep, one by one. They are taken as right."
        return Tier(title, sentence, (1.0, 1.0), details)
    least = 1000 * (kept - best.most) // kept / 1000  # rounded down
    sentence = f"Of the {kept:,} that you keep, at least {wording.percent(least)} are right"
    sentence += ", guaranteed with 95 % confidence."
    if past and not best.wrong and least < AIM:
        needed = precision.needed_reviews(AIM, kept, level(len(past) + 1))
        few = f"{wording.plural(best.reviewed, 'record')} {'was' if best.reviewed == 1 else 'were'} reviewed, all right"
        sentence += (
            f" The bound is low as only {few}: {needed} in another random review, all right, would prove "
            f"{wording.percent(AIM, 0)}."
        )
    return Tier(
        title,
        sentence,
        (least, 1.0),
        (f"At most {best.most:,} of them are wrong.", *details),
    )


def measured(shares: tuple[float, float | None] | None) -> str:
    """What the hidden gold says of the candidates, see `summary.pseudo_accuracy`; empty without any."""
    if shares is None:
        return ""
    of_kept = "" if shares[1] is None else f", and {wording.percent(shares[1])} of those kept"
    return f"Measured with hidden gold, {wording.percent(shares[0])} of all candidates are right{of_kept}."


def from_gold(number: int) -> str:
    """Says that so many decisions were made from the hidden gold."""
    were = "decision was" if number == 1 else "decisions were"
    return (
        f"{number:,} {were} made from the hidden gold, by a made-up reviewer who knows it: they show what a review "
        "looks like, not what a person would have said."
    )


def remembered(known_then: Mapping[str, Any] | None, kept: int) -> list[Tier]:
    """Both tiers of a frozen selection, from what was known when it was frozen. kept: its records.

    known_then: see `summary.evidence`; selections frozen by older versions lack some of it.
    """
    known = dict(known_then or {})
    looks = dict(known.get("p_values") or dict.fromkeys(known.get("shifted") or (), 0.0))
    texts = known.get("shift") or {}
    if "p_values" not in known and "p_value" in texts:
        looks["texts"] = texts["p_value"]
    alike = shift.ShiftResult(texts.get("auc"), looks)
    found = Evidence(**known["estimated"]) if known.get("estimated") else None
    shown = []
    if found is not None:
        shown.append(estimated(found, alike, known.get("measures", 1), bool(known.get("cross_fitted"))))
    best = known.get("verified")
    if best is not None:
        older = {"reviewed": 0, "wrong": 0, "most": best["wrong_at_most"], "fixed": 0, "doubtful": False}
        named = {
            field.name: value for field in fields(Verified) if (value := (older | best).get(field.name)) is not None
        }
        shown.append(replace(verified(Verified(**named), kept, ()), details=()))
    return shown


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
        if (known.get("target") or 0) > 1 - known["high"] / known["kept"]:
            found.append(f"at least {wording.percent(known['target'])}{of} right ({tier})")
        else:
            found.append(f"between {known['low']:,} and {known['high']:,}{of} wrong ({tier})")
    proven = known_then.get("verified")
    if proven and not proven["outside"]:
        found.append(f"at most {proven['wrong_at_most']:,} wrong (verified)")
    return found
