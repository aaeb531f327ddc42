"""Random reviews, which give a guarantee: the records drawn, the next question, and what the answers prove.

Every record has a permanent random number. A review draws the lowest inside the kept set: a simple random sample,
whichever set was chosen (docs/evidence.md, Random reviews). Knows nothing of screens or databases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from semievol.config import Policy
from semievol.evidence import precision
from semievol.records import Task
from semievol.selection.decisions import ASSERTS
from semievol.task.answers import same

Mode = Literal["fixed", "any_time"]
ALPHA = 0.05
_FIRST, _NEXT = 0.75, 0.25
REPEAT_EVERY = 10
"""One in so many questions comes a second time, to see how steady the reviewer is."""


def permanent_number(record_id: str, content_hash: str) -> int:
    """The record's own uniform random number, 64 bits: the same in every round, whatever any model answers."""
    digest = hashlib.sha256(f"evidence review\n{content_hash}\n{record_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def level(number: int) -> float:
    """The probability with which the bound of a round's `number`-th random review, from 1, may be wrong.

    The first gets three quarters of 5 %, each next one a quarter of the share before it. Together they never exceed
    5 %, however many are begun and for whatever reason: often because the one before proved too little.
    """
    return ALPHA * _FIRST * _NEXT ** (number - 1)


def drawing_order(records: Mapping[str, str]) -> list[str]:
    """Record ids (id -> content hash) by permanent random number: any beginning is a simple random sample."""
    return sorted(records, key=lambda record_id: (permanent_number(record_id, records[record_id]), record_id))


@dataclass(frozen=True)
class Seen:
    """One answer of a blind review. action: accept, edit, ambiguous or skip; answer: what the reviewer says it is."""

    record_id: str
    action: str
    answer: str | None
    repeat: bool = False


@dataclass(frozen=True)
class Sample:
    """The records of a random review, and the answers so far.

    order: ids of the records drawn, as they are asked about; for `any_time` as many as may be asked at most.
    shown: the model's answer to each. kept: size of the kept set they were drawn from. seen: the answers so far,
    oldest first. reached: how many of `order` were ever answered, whether or not the answer was taken back.
    """

    task: Task
    mode: Mode
    kept: int
    order: Sequence[str]
    shown: Mapping[str, str | None]
    seen: Sequence[Seen]
    reached: int = 0

    @property
    def first(self) -> dict[str, Seen]:
        """The first answer about every record, in the order they were given."""
        return {one.record_id: one for one in reversed(self.seen) if not one.repeat}

    @property
    def repeats(self) -> dict[str, Seen]:
        return {one.record_id: one for one in self.seen if one.repeat}

    @property
    def complete(self) -> bool:
        """Whether every record has an answer; some may still be asked about again."""
        return all(i in self.first for i in self.order)

    @property
    def done(self) -> bool:
        """Whether nothing is left to ask."""
        return self.next_question() is None

    def upcoming(self, count: int) -> list[tuple[str, bool]]:
        """The next questions as (record id, whether it was asked before), if all are answered in this order."""
        found: list[tuple[str, bool]] = []
        sample = self
        while len(found) < count:
            question = sample.next_question()
            if question is None:
                break
            found.append(question)
            answered = [*sample.seen, Seen(question[0], "skip", None, question[1])]
            sample = replace(sample, seen=answered)
        return found

    def next_question(self) -> tuple[str, bool] | None:
        """What to ask now. After every tenth record one of those ten comes again, never the one just seen."""
        known, again = self.first, self.repeats
        drawn = [i for i in self.order if i in known]
        due = len(drawn) // REPEAT_EVERY
        if len(again) < due:
            tens = drawn[len(again) * REPEAT_EVERY : (len(again) + 1) * REPEAT_EVERY]
            for record_id in sorted(tens[:-1], key=lambda i: permanent_number(i, "again")):
                if record_id not in again:
                    return record_id, True
        return next(((i, False) for i in self.order if i not in known), None)

    @property
    def skips(self) -> int:
        """How many records were passed over at first: nothing is known of them, so they count as wrong."""
        return sum(one.action == "skip" for one in self.first.values())

    def unsteady(self) -> list[str]:
        """Records that were answered in two ways."""
        first = self.first
        return [i for i, again in self.repeats.items() if i in first and not self._alike(first[i], again)]

    def wrong(self) -> list[bool]:
        """For every record drawn so far, in order: whether the model's answer is taken to be wrong.

        A skip and "none fits" count as wrong, and so does what was answered in two ways, or was taken back and not
        answered again: what was drawn stays drawn.
        """
        first, unsteady = self.first, set(self.unsteady())
        last = max((place for place, i in enumerate(self.order, start=1) if i in first), default=0)
        drawn = self.order[: max(last, self.reached)]
        return [i not in first or i in unsteady or not self._right(first[i]) for i in drawn]

    def judged(self, without: Collection[str] = ()) -> list[bool]:
        """As `wrong`, of what was plainly answered alone: what tells something about the model."""
        first, left_out = self.first, {*self.unsteady(), *without}
        return [not self._right(one) for i, one in first.items() if i not in left_out and one.action != "skip"]

    def agrees(self, record_id: str, answer: str | None) -> bool:
        """Whether an answer is the model's own, however it is written."""
        return same(self.task, answer, self.shown.get(record_id))

    def _right(self, one: Seen) -> bool:
        return one.action in ASSERTS and same(self.task, one.answer, self.shown.get(one.record_id))

    def _alike(self, one: Seen, other: Seen) -> bool:
        if one.action in ASSERTS and other.action in ASSERTS:
            return same(self.task, one.answer, other.answer)
        return one.action == other.action


@dataclass(frozen=True)
class Review:
    """A random review of a round.

    policy: the records were drawn from what this policy kept; keys: of the records in that kept set (the candidate
    table's record_key). prior: of the stop-any-time bound, fixed when the review began. ended: when it was stopped
    before all records were answered.
    """

    id: int
    round_id: int
    number: int
    policy: Policy
    keys: frozenset[int]
    prior: tuple[float, float]
    reviewer: str
    created: float
    ended: float | None
    sample: Sample

    @property
    def open(self) -> bool:
        return self.ended is None and not self.sample.done

    @property
    def proven(self) -> precision.Guarantee | None:
        """What it proves about its kept set, at its `level`; None while nothing may be said."""
        return proven(self.sample, self.prior, level(self.number))


def reserved(reviews: Iterable[Review]) -> frozenset[str]:
    """Records that an open review still asks about. Whoever sees them elsewhere first does not answer blind."""
    return frozenset(
        record_id for one in reviews if one.open for record_id in one.sample.order if record_id not in one.sample.first
    )


def proven(sample: Sample, prior: tuple[float, float] = (1.0, 1.0), alpha: float = ALPHA) -> precision.Guarantee | None:
    """What the sample proves about its kept set with probability 1 - alpha; None while nothing may be said.

    fixed: the exact bound, once all were answered; one that was ended early has the bound of the other kind.
    any_time: the prior-posterior-ratio sequence, valid after every answer. prior: from calibration, fixed beforehand.
    """
    wrong, kept = sample.wrong(), sample.kept
    if not wrong:
        return None
    if sample.mode == "fixed":
        return precision.guarantee(len(wrong), sum(wrong), kept, alpha) if sample.complete else None
    return precision.Guarantee(len(wrong), sum(wrong), kept, precision.anytime_upper(wrong, kept, prior, alpha))
