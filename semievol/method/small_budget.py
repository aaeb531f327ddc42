"""What to do with few labeled records: what helps first, what is not estimated, and what could be shown at best.

Every figure follows from the rules of other modules (folds, exact bounds, the paired test); none was measured on data.
Knows nothing of databases or screens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from semievol import wording
from semievol.config import Config
from semievol.evidence import precision
from semievol.evidence.reviews import level
from semievol.importing.splits import holds_out
from semievol.method import crossfit
from semievol.method.earned_weights import CROSS_FIT_FROM, independent, settled
from semievol.method.paired_tests import fewest_gained, shows_nothing
from semievol.records import Record, Task
from semievol.selection.claims import AIM, FEWEST

FEWEST_OF_LABEL = 2
"""Records of a label without which a fold of cross-fitting has none to learn from."""
_NAMED = 5


@dataclass(frozen=True)
class Advice:
    """labeled: how many labeled records there are, copies and groups counted once. recommended: what to do, and why, in
    a sentence or two. reasons: what follows from so few records, a paragraph each."""

    labeled: int
    recommended: str
    reasons: tuple[str, ...]

    @property
    def heading(self) -> str:
        return f"A new round with {wording.plural(self.labeled, 'labeled record')}"


def advice(config: Config, task: Task, labeled: Sequence[Record], pool: int, test: int) -> Advice | None:
    """None where there are enough labeled records. config: before `suited`, of a round that starts from a base model.
    pool, test: numbers of records."""
    known = independent(labeled)
    if known >= CROSS_FIT_FROM or holds_out(len(labeled), config.calibration, config.calibration_minimum):
        return None
    found = settled(config, task, labeled, later_round=False)
    reasons = (_rare_labels(task, labeled), *_checks(found, known, pool), _test_set(test))
    return Advice(known, _recommended(config, task, found, known), tuple(filter(None, reasons)))


def _recommended(config: Config, task: Task, found: Config, known: int) -> str:
    if found.cross_fit:
        return f"Recommended: label more. Every estimate gets narrower; from {known} records it is wide (see below)."
    if settled(config, task, _many(), later_round=False).cross_fit:
        return (
            f"Recommended: label {CROSS_FIT_FROM - known} more. From {CROSS_FIT_FROM} on, the labeled records are "
            "cross-fitted: each is answered by a model that was trained without it. Then collaborators count by how "
            "well they know the answers, and Selection estimates how many kept answers are right."
        )
    return (
        "Recommended: check the answers in a random review on Selection, and label more where you can. With these "
        "settings nothing else says how many kept answers are right."
    )


def _many() -> list[Record]:
    """As many labeled records as `auto` cross-fits from."""
    return [Record(str(number), str(number)) for number in range(CROSS_FIT_FROM)]


def _rare_labels(task: Task, labeled: Sequence[Record]) -> str:
    """Which labels have too few labeled records."""
    counts = Counter(record.answer for record in labeled)
    rare = [label for label in task.labels if counts[label] < FEWEST_OF_LABEL]
    if not rare:
        return ""
    names = [f"{label} ({counts[label]})" for label in rare[:_NAMED]]
    if more := len(rare) - len(names):
        names.append(f"{more} more")
    return (
        f"Label first what is rare: {wording.plural(len(rare), 'label')} {'has' if len(rare) == 1 else 'have'} fewer "
        f"than {FEWEST_OF_LABEL} labeled records: {wording.series(names)}. Of a label without any, nothing can be "
        "learned."
    )


def _checks(found: Config, known: int, pool: int) -> list[str]:
    """What checks the answers to the unlabeled records, and what such a check could show at best."""
    least = 1 - int(precision.upper(known, 0, pool)) / pool if pool else 0.0
    best = (
        f"Even if all {known} were answered rightly, it could say no more than that at least "
        f"{wording.percent(least)} of the kept answers are right (95 % confidence)."
    )
    if found.cross_fit:
        told = [
            f"The labeled records are cross-fitted in {found.cross_fit} folds: each is answered by a model that was "
            f"trained without its fold. This gives a rough estimate. {best}"
        ]
    else:
        told = [
            "With these settings nothing checks the answers to the unlabeled records: so few labeled records are "
            "needed for training, and none is held out. All collaborators count equally, and Selection shows no "
            "estimate."
        ]
        if not found.is_far and known >= max(FEWEST, crossfit.FEWEST * crossfit.FOLDS):
            told.append(
                f"A rough estimate from these {known} is possible: set cross_fit to {crossfit.FOLDS} (All settings "
                f"as YAML), or press "
                f"“Cross-fit” on Selection after propagating. It trains {crossfit.FOLDS} more models, each on fewer "
                f"records than the round's own, so it tends to say too little. {best}"
            )
    needed = precision.needed_reviews(AIM, pool, level(1))
    review = (
        f"A random review on Selection gives a guarantee: {needed:,} answers drawn at random of all {pool:,}, if all "
        f"are found right, prove that {wording.percent(AIM, 0)} are right."
    )
    return [*told, review] if needed else told


def _test_set(test: int) -> str:
    """The smallest gain that the test set can show at all."""
    if not test:
        return "There is no test set: it will not be known whether the evolved model is better."
    if too_few := shows_nothing(test):
        return too_few
    least = fewest_gained()
    return (
        f"With {test:,} test records, the evolved model has to be newly right on at least {least} and newly wrong on "
        f"none before chance does not explain it: a gain of {100 * least / test:.1f} points. Every record that it gets "
        "newly wrong asks for more."
    )
