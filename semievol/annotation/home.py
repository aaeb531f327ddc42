"""Coming home: which decisions the annotators made, and which records nothing can be stored about, and why.

Records are known by their id and the hash of their content, never by their place in the file. Of several annotators the
answer that most of them gave counts; where two answers have as many, none does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from semievol.annotation.passing import Returned, understood
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
"""Reason -> what the records that are left out are; what a person may want to look into comes first."""


@dataclass(frozen=True)
class Verdict:
    """What the annotators say about a record, as a decision. votes: how many say so, of `voices`."""

    record: Record
    action: Action
    answer_shown: str | None
    answer: str | None
    votes: int
    voices: int


@dataclass(frozen=True)
class _Outcome:
    action: Action
    answer: str | None = None


@dataclass
class Home:
    """What an export comes to. verdicts: the decisions to store. left_out: reason -> the records nothing is stored
    about, each as a person knows it. replaced: how many verdicts overrule a decision made here."""

    verdicts: list[Verdict] = field(default_factory=list)
    left_out: dict[Reason, list[str]] = field(default_factory=lambda: defaultdict(list))
    replaced: int = 0

    def leave(self, reason: Reason, record_id: str, question: str) -> None:
        named, words = _line(record_id), _line(question)
        self.left_out[reason].append(f"{named} ({words})" if named and words else named or words)


def _line(text: str) -> str:
    """The beginning of a text in one line that a terminal shows as it is."""
    return shorten("".join(one if one.isprintable() else " " for one in text[:_READ]), _LONGEST_NAME)


def verdicts(task: Task, records: Mapping[str, Record], returned: Iterable[Returned]) -> Home:
    """The annotators' decisions. records: those that may come home, by id."""
    home = Home()
    seen: set[str] = set()
    for one in returned:
        record = records.get(one.record_id)
        reason = _refused(record, one, seen)
        if reason is not None or record is None:
            home.leave(reason or "unknown", one.record_id, one.question)
            continue
        seen.add(record.id)
        said = _counted(task, record, one)
        if isinstance(said, Verdict):
            home.verdicts.append(said)
        else:
            home.leave(said, record.id, record.question)
    return home


def compared(
    task: Task,
    home: Home,
    standing: Mapping[str, Sequence[Decision]],
    reserved: Collection[str] = (),
    replace: bool = False,
) -> Home:
    """What is left to store, given the decisions that were made here: content hash -> those that stand.

    reserved: ids of records that an open random review asks about; whoever saw a suggestion does not answer blind.
    replace: overrule decisions made here.
    """
    found = Home(left_out=home.left_out)
    for verdict in home.verdicts:
        record = verdict.record
        before = standing_decision(
            standing.get(record.content_hash, ()), verdict.answer_shown, allowed_answers(task, record)
        )
        if before is not None and before.action == "skip":
            before = None
        if record.id in reserved:
            found.leave("reserved", record.id, record.question)
        elif before is not None and same_effect(task, before, verdict):
            found.leave("known", record.id, record.question)
        elif before is not None and not replace:
            found.leave("contrary", record.id, record.question)
        else:
            found.verdicts.append(verdict)
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


def _counted(task: Task, record: Record, one: Returned) -> Verdict | Reason:
    """The verdict that most annotators give, or why there is none."""
    voices = {voice.annotator: voice for voice in one.voices}.values()
    speaking = [voice for voice in voices if voice.said != "skip"]
    if not speaking:
        return "skipped" if voices else "unanswered"
    read = (understood(task, record, voice.answer or "") for voice in speaking if voice.said == "answer")
    groups = _alike(task, [answer for answer in read if answer is not None])
    votes = Counter[_Outcome]()
    for group in groups:
        votes[_confirmed_or_corrected(task, group, one.suggested)] += len(group)
    votes.update(_Outcome(voice.said) for voice in speaking if voice.said in _OTHERWISE)
    first = leading(votes)
    if first is None:
        return "tied" if votes else "unreadable"
    return Verdict(record, first.action, one.suggested, first.answer, votes[first], len(speaking))


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
