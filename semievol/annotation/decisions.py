"""Imported decisions: which decisions the annotators made, and which records nothing can be stored about, and why.

Records are known by their id and the hash of their content, never by their place in the file. Of several annotators the
answer that most of them gave counts; where two answers have as many, none does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from semievol.annotation.exchange import Returned, understood
from semievol.annotation.votes import leading
from semievol.records import Action, Decision, Record, Task
from semievol.selection.decisions import same_effect, standing_decision
from semievol.task.answers import allowed_answers, same
from semievol.wording import shorten

_OTHERWISE: tuple[Literal["reject", "ambiguous"], ...] = ("reject", "ambiguous")
_LONGEST_NAME, _READ = 60, 1_000

Reason = Literal[
    "changed", "unknown", "unmarked", "tied", "unreadable", "contrary", "reserved", "known", "skipped", "unanswered"
]
REASONS: dict[Reason, str] = {
    "changed": "with another text than when they were exported",
    "unknown": "not among the unlabeled records of this round",
    "unmarked": "without a record id or a content hash, so no export of the Studio",
    "tied": "with a tie between annotators",
    "unreadable": "with an answer that the task does not allow",
    "contrary": "decided otherwise here; those decisions stay",
    "reserved": "asked about by an open random review",
    "known": "decided so already",
    "skipped": "skipped",
    "unanswered": "not answered yet",
}
"""Reason -> what the records are that nothing is stored about; what a person may want to look into comes first."""


@dataclass(frozen=True)
class Consensus:
    """What the annotators say about a record, as a decision. votes: how many say so, of `annotators`."""

    record: Record
    action: Action
    answer_shown: str | None
    answer: str | None
    votes: int
    annotators: int


@dataclass(frozen=True)
class _Outcome:
    action: Action
    answer: str | None = None


@dataclass
class ImportedDecisions:
    """What an export comes to. decisions: those to store. not_stored: reason -> the records nothing is stored about,
    each as a person knows it. replaced: how many of the decisions overrule a decision made here."""

    decisions: list[Consensus] = field(default_factory=list)
    not_stored: dict[Reason, list[str]] = field(default_factory=lambda: defaultdict(list))
    replaced: int = 0

    def refuse(self, reason: Reason, record_id: str, question: str) -> None:
        named, words = _line(record_id), _line(question)
        self.not_stored[reason].append(f"{named} ({words})" if named and words else named or words)


def _line(text: str) -> str:
    """The beginning of a text in one line that a terminal shows as it is."""
    return shorten("".join(one if one.isprintable() else " " for one in text[:_READ]), _LONGEST_NAME)


def imported_decisions(task: Task, records: Mapping[str, Record], returned: Iterable[Returned]) -> ImportedDecisions:
    """The annotators' decisions. records: those that may have been exported, by id."""
    imported = ImportedDecisions()
    seen: set[str] = set()
    for one in returned:
        record = records.get(one.record_id)
        reason = _refused(record, one, seen)
        if reason is not None or record is None:
            imported.refuse(reason or "unknown", one.record_id, one.question)
            continue
        seen.add(record.id)
        counted = _counted(task, record, one)
        if isinstance(counted, Consensus):
            imported.decisions.append(counted)
        else:
            imported.refuse(counted, record.id, record.question)
    return imported


def compared(
    task: Task,
    imported: ImportedDecisions,
    standing: Mapping[str, Sequence[Decision]],
    reserved: Collection[str] = (),
    replace: bool = False,
) -> ImportedDecisions:
    """What is left to store, given the decisions that were made here: content hash -> those that stand.

    reserved: ids of records that an open random review asks about; whoever saw a suggestion does not answer blind.
    replace: overrule decisions made here.
    """
    found = ImportedDecisions(not_stored=imported.not_stored)
    for consensus in imported.decisions:
        record = consensus.record
        before = standing_decision(
            standing.get(record.content_hash, ()), consensus.answer_shown, allowed_answers(task, record)
        )
        if before is not None and before.action == "skip":
            before = None
        if record.id in reserved:
            found.refuse("reserved", record.id, record.question)
        elif before is not None and same_effect(task, before, consensus):
            found.refuse("known", record.id, record.question)
        elif before is not None and not replace:
            found.refuse("contrary", record.id, record.question)
        else:
            found.decisions.append(consensus)
            found.replaced += before is not None
    return found


def _refused(record: Record | None, one: Returned, seen: Collection[str]) -> Reason | None:
    """Why the returned record is not taken for this one. Of two entries with one id, one was changed or copied."""
    if not one.record_id or not one.content_hash:
        return "unmarked"
    if record is None:
        return "unknown"
    as_exported = one.content_hash == record.content_hash == one.now
    return None if as_exported and record.id not in seen else "changed"


def _counted(task: Task, record: Record, one: Returned) -> Consensus | Reason:
    """The annotators' consensus, or why there is none."""
    annotations = {annotation.annotator: annotation for annotation in one.annotations}.values()
    responding = [annotation for annotation in annotations if annotation.kind != "skip"]
    if not responding:
        return "skipped" if annotations else "unanswered"
    read = (
        understood(task, record, annotation.answer or "") for annotation in responding if annotation.kind == "answer"
    )
    groups = _alike(task, [answer for answer in read if answer is not None])
    votes = Counter[_Outcome]()
    for group in groups:
        votes[_confirmed_or_corrected(task, group, one.suggested)] += len(group)
    votes.update(_Outcome(annotation.kind) for annotation in responding if annotation.kind in _OTHERWISE)
    first = leading(votes)
    if first is None:
        return "tied" if votes else "unreadable"
    return Consensus(record, first.action, one.suggested, first.answer, votes[first], len(responding))


def _confirmed_or_corrected(task: Task, group: Sequence[str], suggested: str | None) -> _Outcome:
    """Where words are corrected, even the case of a letter is a correction; a number may be written in several ways."""
    answer = Counter(group).most_common(1)[0][0]
    if answer == suggested or (task.kind == "numeric" and same(task, answer, suggested)):
        return _Outcome("accept", suggested)
    return _Outcome("edit", answer)


def _alike(task: Task, answers: Sequence[str]) -> list[list[str]]:
    """The answers in groups of those that count as the same."""
    groups: list[list[str]] = []
    for answer in answers:
        group = next((group for group in groups if answer == group[0] or same(task, answer, group[0])), None)
        if group is None:
            groups.append([answer])
        else:
            group.append(answer)
    return groups
