"""Labels that look wrong: known records to whose label the models that never saw them give little probability.

Confident learning (Northcutt, Jiang & Chuang 2021, arXiv 1911.00068) on the averaged probabilities of calibration
records, or of cross-fitted labeled records. It only lists records: a person decides what their labels should be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semievol.method import earned_weights
from semievol.method.confidence import averaged
from semievol.records import Record, Response, Task
from semievol.task.answers import allowed_answers

Spread = Mapping[str, float]
_ROUNDING = 1e-6
"""By how much a probability may miss a threshold: the mean of equal numbers is not always that number."""


@dataclass(frozen=True)
class Suspect:
    """A record whose label looks wrong. spread: allowed answer -> averaged probability."""

    record: Record
    label: str
    likelier: str
    spread: Spread

    @property
    def probability(self) -> float:
        """Self-confidence: the probability of the label that the record has."""
        return self.spread[self.label]

    @property
    def margin(self) -> float:
        """Normalised margin, p(label) - the largest other probability; in [-1, 1], lower is more suspect."""
        return self.probability - max(value for answer, value in self.spread.items() if answer != self.label)


def spreads(
    task: Task, records: Sequence[Record], responses: Iterable[Response], fitted: Mapping[str, Any] | None
) -> dict[str, Spread]:
    """Record id -> averaged probability of every allowed answer, of the records that all collaborators gave one.

    responses: of models that never saw the records. fitted: the collaborators' weights as `earned_weights.stored` gives
    them; those of a record were fitted without it.
    """
    given: dict[str, list[Response]] = defaultdict(list)
    for response in responses:
        if not response.unread:
            given[response.record_id].append(response)
    found: dict[str, Spread] = {}
    for record in records:
        said, earned = given[record.id], None
        if fitted is not None:
            earned = earned_weights.for_record(fitted, record, known=True)
            said = earned_weights.with_weight(said, earned)
        if spread := averaged(allowed_answers(task, record), said, earned=earned):
            found[record.id] = spread
    return found


def suspects(task: Task, records: Sequence[Record], found: Mapping[str, Spread]) -> list[Suspect]:
    """The records off the diagonal of the confident joint, the lowest normalised margin first.

    A record is counted for the likeliest of the answers whose probability reaches the answer's threshold, which is the
    mean probability of the answer over the records that have it as label; it is listed where that answer is likelier
    than its label. Without this last condition an answer that one record has as label, with a low probability, would
    suspect every other record. Letters of multiple choice mean something else in every record, so they share one
    threshold. found: see `spreads`.
    """
    known = [(r, r.answer, found[r.id]) for r in records if r.id in found and r.answer in found[r.id]]
    of_class: dict[str, list[float]] = defaultdict(list)
    for _, label, spread in known:
        of_class[_class(task, str(label))].append(spread[str(label)])
    threshold = {name: float(np.mean(values)) - _ROUNDING for name, values in of_class.items()}
    listed = []
    for record, label, spread in known:
        reached = {a: p for a, p in spread.items() if p >= threshold.get(_class(task, a), np.inf)}
        likelier = max(reached, key=lambda answer: reached[answer], default=label)
        if spread[str(likelier)] > spread[str(label)]:
            listed.append(Suspect(record, str(label), str(likelier), spread))
    return sorted(listed, key=lambda one: (one.margin, one.record.id))


def _class(task: Task, answer: str) -> str:
    return "" if task.kind == "multiple_choice" else answer
