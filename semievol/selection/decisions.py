"""What experts' decisions mean for a candidate. Every part of the Studio asks here.

A decision belongs to a record's content and to the answer that was shown. `accept`, `edit` and `ambiguous` speak about
the record, whatever a later round answers; `reject` and `skip` only about the answer shown. Knows nothing of where
decisions are stored; decisions that were taken back are not to be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pandas as pd

from semievol.records import Action, Decision, Task
from semievol.task.answers import same

ASSERTS = ("accept", "edit")
"""Actions that assert an answer."""
REMOVES = ("reject", "ambiguous")
"""Actions that remove a candidate."""
DECIDES = (*ASSERTS, *REMOVES)
"""Actions that count as a decision: a skip says nothing about the candidate."""
ABOUT_RECORD = (*ASSERTS, "ambiguous")
"""Actions that speak about the record, whatever its candidate answers."""


def effective(decisions: Sequence[Decision], allowed: Sequence[str] = ()) -> list[Decision]:
    """The decisions on one content that still count, the weakest first.

    Of those that apply to a candidate (see `applies`) the last one counts: a skip gives way to everything; what was
    said last about the record wins over a reject of another answer; an asserted answer falls when it is rejected later,
    and where it is not among the `allowed` ones, those of the dataset version at hand (empty: any).
    """
    ordered = sorted(decisions, key=lambda d: d.id)
    skipped = {d.answer_shown: d for d in ordered if d.action == "skip"}
    rejected = {d.answer_shown: d for d in ordered if d.action == "reject"}
    said = next((d for d in reversed(ordered) if d.action in ABOUT_RECORD), None)
    if said is not None:
        fallen = rejected.get(said.answer if said.action in ASSERTS else said.answer_shown)
        gone = bool(allowed) and said.action in ASSERTS and said.answer not in allowed
        if gone or (fallen is not None and fallen.id > said.id):
            said = None
    return [*skipped.values(), *rejected.values(), *([said] if said else [])]


def applies(decision: Decision, answer: str | None) -> bool:
    """Whether a decision speaks about a candidate with this answer."""
    return decision.action in ABOUT_RECORD or decision.answer_shown == answer


def standing_decision(
    decisions: Sequence[Decision], answer: str | None, allowed: Sequence[str] = ()
) -> Decision | None:
    """The decision on one content that counts for a candidate with this answer; allowed: see `effective`."""
    return next((d for d in reversed(effective(decisions, allowed)) if applies(d, answer)), None)


class Decided(Protocol):
    """A decision, or something that is to become one."""

    @property
    def action(self) -> Action: ...

    @property
    def answer(self) -> str | None: ...


def same_effect(task: Task, one: Decided, other: Decided) -> bool:
    """Whether two decisions about the same candidate come to the same."""
    if one.answer is not None and other.answer is not None:
        return same(task, one.answer, other.answer)
    return (one.action, one.answer) == (other.action, other.answer)


def asserted_answer(action: str, decided_answer: str | None, answer: str | None) -> str | None:
    """The answer that a standing decision asserts for a candidate with this `answer`; None if it asserts none.

    accept and edit assert `decided_answer`, or the candidate's own where there is none. A missing one is None or NaN.
    """
    asserted = answer if pd.isna(decided_answer) else decided_answer
    return None if action not in ASSERTS or pd.isna(asserted) else asserted


def removes(action: str, decided_answer: str | None, answer: str | None) -> bool:
    """Whether a standing decision removes a candidate with this `answer`; where it does not, the policy decides.

    ambiguous removes the candidate; reject removes it unless it names another answer. skip changes nothing.
    """
    return action == "ambiguous" or (action == "reject" and (pd.isna(decided_answer) or decided_answer == answer))
