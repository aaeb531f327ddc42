"""What an evaluation says, in sentences: whether the method helped, by how much, and what to keep in mind.

`figures` are everywhere those of `comparison.evaluation`. A loss or a draw is told as plainly as a win.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from semievol import wording
from semievol.method import metrics
from semievol.method.comparison import ARMS, ENSEMBLES, SIMPLER
from semievol.method.paired_tests import ALPHA, against_every_row, smallest_gain
from semievol.method.voters import TUNED_REGRESSION

FEW = 200
"""Test records below which it is said how uncertain an accuracy is: about 6 points or more."""
NAMED = {
    "majority": "The most frequent label",
    "neighbours": "The vote of the nearest labeled records",
    "regression": "A logistic regression on the embedder's vectors",
    TUNED_REGRESSION: "A logistic regression on the vectors of the fine-tuned embedder",
}


@dataclass(frozen=True)
class Gain:
    """The evolved model's accuracy, that of the model it has to beat, and the paired 95 % interval of their difference,
    all as shares. clear: the interval leaves out 0 and the paired test is below 0.05."""

    evolved: float
    before: float
    low: float
    high: float
    clear: bool

    @property
    def difference(self) -> float:
        """Of the shares, not of the rounded percentages: it is what the records turned right and wrong come to."""
        return self.evolved - self.before


def gain(figures: Mapping[str, Any]) -> Gain | None:
    """What fine-tuning on the selection brought over plain fine-tuning; None where one of the two did not answer.

    The interval: `metrics.paired_difference`.
    """
    if not {"evolved", "warm_up", "p_value"} <= figures.keys() or not figures["n"]:
        return None
    found = metrics.paired_difference(figures["gained"], figures["lost"], figures["n"])
    clear = figures["p_value"] < 0.05 and (found.low > 0 or found.high < 0)
    return Gain(figures["evolved"]["accuracy"], figures["warm_up"]["accuracy"], found.low, found.high, clear)


def outcome(figures: Mapping[str, Any], later_round: bool = False) -> str:
    """The result in one sentence, a loss or a draw as plainly as a win; empty where there is nothing to compare.

    later_round: what stands as warm-up is the evolved model of the round before.
    """
    found = gain(figures)
    if found is None:
        return ""
    before = _before(later_round)
    if not figures["gained"] and not figures["lost"]:
        return f"{100 * found.evolved:.1f} % right, and {before} is right on the very same records."
    difference, low, high = (wording.points(value) for value in (found.difference, found.low, found.high))
    numbers = (
        f"{100 * found.evolved:.1f} % right, {before} {100 * found.before:.1f} %: {difference} points "
        f"(between {low} and {high})"
    )
    if not found.clear:
        return f"{numbers}, too close to call."
    return f"{numbers}." if found.difference > 0 else f"{numbers}. That is a loss."


def _before(later_round: bool) -> str:
    """What the evolved model is compared with."""
    return "the round before" if later_round else "plain fine-tuning"


def caveats(figures: Mapping[str, Any], later_round: bool = False, by_expert: int = 0, from_gold: int = 0) -> list[str]:
    """What to keep in mind beside the figures, a sentence each.

    by_expert: answers of experts that the evolved model learned from; from_gold: those of them that were taken from the
    hidden gold.
    """
    found = []
    shown = next((figures[arm] for arm in reversed(ARMS) if arm in figures), None)
    if shown is not None and figures["n"] < FEW:
        records, between = (
            wording.plural(figures["n"], "record"),
            [wording.percent(shown[end]) for end in ("low", "high")],
        )
        found.append(
            f"The test set has only {records}: on many more, the same model may be right on anything between "
            f"{' and '.join(between)}."
        )
    if _guesses(figures):
        found.append(
            "The evolved model is not clearly better than the most frequent answer to every record. It may be too "
            "small for this task: a larger one may know more, also behind an endpoint, as the model or as a "
            "collaborator."
        )
    if later_round:
        found.append(
            "In the place of plain fine-tuning stands the evolved model of the round before, from which this one "
            "started."
        )
    if by_expert:
        which = "All" if from_gold == by_expert else f"{from_gold:,}"
        gold = f" {which} of them were taken from the hidden gold." if from_gold else ""
        others = (
            "; the round before may have had some of them" if later_round else ", which plain fine-tuning never saw"
        )
        found.append(
            f"The evolved model also learned from {wording.plural(by_expert, 'answer')} given or confirmed by experts"
            f"{others}.{gold} The difference is due to these answers as well as to the method."
        )
    return found


def _guesses(figures: Mapping[str, Any]) -> bool:
    """Whether the test does not tell the evolved model from a label that is given without looking."""
    evolved, majority = figures.get("evolved"), figures.get("majority")
    if evolved is None or majority is None:
        return False
    return bool(evolved["accuracy"] <= majority["accuracy"] or figures["against"]["majority"]["p_value"] >= ALPHA)


def paired(figures: Mapping[str, Any], later_round: bool = False) -> str:
    """How many test records the evolved model turned right and wrong, the paired test, and the smallest gain that
    the test set can show; empty without two models."""
    if "p_value" not in figures:
        return ""
    gained, lost, p = figures.get("gained", 0), figures.get("lost", 0), figures["p_value"]
    if not gained and not lost:
        same = f"The evolved model is right on the same test records as {_before(later_round)}"
        return f"{same} (mid-p McNemar test, p = {p:.3g})."
    chance = "Chance alone rarely produces such a difference." if p < 0.05 else "Chance alone could explain it."
    right = wording.plural(gained, "test record")
    return (
        f"Compared with {_before(later_round)}, the evolved model is newly right on {right} and newly wrong on "
        f"{lost:,} (mid-p McNemar test of this comparison alone, p = {p:.3g}). {chance} {smallest_gain(figures)}"
    )


def best_simpler(figures: Mapping[str, Any]) -> str | None:
    """The simpler model that is right most often; None where none answered."""
    return max((row for row in SIMPLER if row in figures), key=lambda row: figures[row]["accuracy"], default=None)


def ahead(figures: Mapping[str, Any]) -> str:
    """One sentence if a simpler model is right more often than the evolved model, else empty. It is chosen among all
    rows after a look at them, so its p-value is the corrected one."""
    evolved, best = figures.get("evolved"), best_simpler(figures)
    if not evolved or best is None:
        return ""
    found = figures[best]["accuracy"]
    if found <= evolved["accuracy"]:
        return ""
    against = next(one for one in against_every_row(figures) if one.row == best)
    chance = "" if against.adjusted < ALPHA else "; chance alone could explain it"
    return (
        f"{NAMED[best]} is right on {100 * found:.1f} %, the evolved model on {100 * evolved['accuracy']:.1f} %: "
        f"the simpler model is ahead here (mid-p McNemar with Holm's correction, p {against.told}{chance})."
    )


def better_in_ensemble(figures: Mapping[str, Any]) -> str:
    """One sentence if the evolved model is right more often together with the simple models, else empty."""
    alone, ensembled = figures.get("evolved"), figures.get(ENSEMBLES["evolved"])
    if not alone or not ensembled or ensembled["accuracy"] <= alone["accuracy"]:
        return ""
    p = figures["against"][ENSEMBLES["evolved"]]["p_value"]
    chance = "" if p < 0.05 else "; chance alone could explain it"
    return (
        "Averaged with the simple models (ensemble), the evolved model is right on "
        f"{100 * ensembled['accuracy']:.1f} %, alone on {100 * alone['accuracy']:.1f} % "
        f"(mid-p McNemar, p = {p:.3g}{chance})."
    )


def beside_simple_models(figures: Mapping[str, Any]) -> list[str]:
    """Those sentences of `ahead` and `better_in_ensemble` that apply."""
    return [sentence for sentence in (ahead(figures), better_in_ensemble(figures)) if sentence]
