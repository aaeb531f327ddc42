"""What is worth knowing about a dataset before it is used: findings with a count, examples and a remedy.

Works on records; changes none. Exact comparisons are by content hash (question and options as they stand).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from semievol.data.tables import snippet
from semievol.errors import UserError
from semievol.method.prompts import has_control_tokens
from semievol.method.tasks import answer_text, parse_number
from semievol.records import Record, Split, Task

LONG_CHARACTERS = 8_000
FEW_RECORDS = 10
SHOWN = 5
_PAIRS: tuple[tuple[Split, Split], ...] = (("labeled", "test"), ("unlabeled", "test"), ("labeled", "unlabeled"))
_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|above|previous|prompts?|rules)\b"
    r"|\bignore instructions\b|\byou (?:are|must) now\b|\bsystem prompt\b|^\s*(?:system|assistant)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
# Cheaper than the pattern: a text without any of these words cannot match it.
_CUES = ("ignore", "disregard", "forget", "override", "you are now", "you must now", "system", "assistant")
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u2060\u202a-\u202e\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Finding:
    """Something to know about the data.

    count: how many records it concerns; counts: the same per split, where that is told apart.
    examples: at most five, each with split, row and value. asks: a person would be asked before going on, so that
    `--strict` refuses.
    """

    kind: str
    count: int
    what: str
    remedy: str = ""
    examples: tuple[dict[str, Any], ...] = ()
    counts: Mapping[Split, int] = field(default_factory=dict)
    asks: bool = False

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": self.kind, "count": self.count, "what": self.what, "remedy": self.remedy}
        found["examples"] = list(self.examples)
        if self.counts:
            found["counts"] = dict(self.counts)
        return found


def example(record: Record, note: str = "") -> dict[str, Any]:
    shown: dict[str, Any] = {"split": record.split, "row": record.row, "value": snippet(record.question)}
    return {**shown, "note": note} if note else shown


def check(task: Task, records: Sequence[Record], hashes: Sequence[str]) -> list[Finding]:
    """All findings about records of all splits (row and split set), before anything is removed.

    hashes: the records' content hashes, which the caller needs as well.
    """
    found = [
        *overlaps(records, hashes),
        duplicates(records, hashes),
        conflicting_labels(task, records),
        *_near(records, hashes),
        *_labels(task, records),
        *_texts(records),
    ]
    return [finding for finding in found if finding is not None]


def overlaps(records: Sequence[Record], hashes: Sequence[str]) -> list[Finding]:
    """Contents that stand in two splits; `count` is the number of records of the split named first."""
    first: dict[Split, dict[str, Record]] = defaultdict(dict)
    for record, key in zip(records, hashes, strict=True):
        first[record.split].setdefault(key, record)
    found = []
    for split, other in _PAIRS:
        both = [
            (record, first[other][key])
            for record, key in zip(records, hashes, strict=True)
            if record.split == split and key in first[other]
        ]
        if both:
            what = f"Also in the {other} data: {_count(len(both), split)}."
            remedy = (
                f"They stay in test and leave the {split} data."
                if other == "test"
                else "They stay in both; their known answers are in the labeled data."
            )
            shown = tuple(example(record, f"{other} row {twin.row}") for record, twin in both[:SHOWN])
            found.append(Finding(f"overlap_{split}_{other}", len(both), what, remedy, shown, asks=True))
    return found


def duplicates(records: Sequence[Record], hashes: Sequence[str]) -> Finding | None:
    """Records that repeat an earlier one of the same split."""
    seen: dict[tuple[Split, str], Record] = {}
    repeats: list[tuple[Record, Record]] = []
    for record, key in zip(records, hashes, strict=True):
        earlier = seen.setdefault((record.split, key), record)
        if earlier is not record:
            repeats.append((record, earlier))
    if not repeats:
        return None
    shown = tuple(example(record, f"as row {earlier.row}") for record, earlier in repeats[:SHOWN])
    counts = Counter(record.split for record, _ in repeats)
    what = f"Repeating an earlier record of the same split: {_count(len(repeats))}."
    return Finding("duplicates", len(repeats), what, "Keep one of each, or keep them on purpose.", shown, counts)


def conflicting_labels(task: Task, records: Sequence[Record]) -> Finding | None:
    """Records with the same question and the same options in any order whose known answers differ."""
    groups: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for record in records:
        if record.answer is not None:
            groups[(record.question.strip(), *sorted(option.strip() for option in record.options))].append(record)
    conflicts = [group for group in groups.values() if len(group) > 1 and len({_meaning(task, r) for r in group}) > 1]
    if not conflicts:
        return None
    shown = tuple(
        example(group[0], "; ".join(f"{r.split} row {r.row}: {_shown_answer(task, r)}" for r in group[:3]))
        for group in conflicts[:SHOWN]
    )
    count = sum(len(group) for group in conflicts)
    what = f"Same text but a different label: {_count(count)}."
    return Finding("conflicting_labels", count, what, "Decide which label is right.", shown, asks=True)


def label_distribution(records: Iterable[Record]) -> dict[Split, dict[str, int]]:
    """Split -> answer -> number of records with this known answer, most frequent first."""
    counts: dict[Split, Counter[str]] = defaultdict(Counter)
    for record in records:
        if record.answer is not None:
            counts[record.split][record.answer] += 1
    return {split: dict(counter.most_common()) for split, counter in counts.items()}


def refuse(findings: Iterable[Finding], rejected: Mapping[Split, int]) -> None:
    """UserError listing everything that a person would have been asked about, if there is anything (`--strict`)."""
    reasons = [f"Rejected: {_count(count, split)}" for split, count in rejected.items() if count]
    reasons += [finding.what.rstrip(".") for finding in findings if finding.asks]
    if reasons:
        raise UserError(
            f"This is for a person to decide: {'; '.join(reasons)}.",
            "--strict",
            "Correct the files, or import without --strict.",
        )


def _shown_answer(task: Task, record: Record) -> str:
    return snippet(answer_text(task, record, record.answer or ""))


def _meaning(task: Task, record: Record) -> str:
    """The answer independent of the order of the options."""
    return answer_text(task, record, record.answer or "").partition(". ")[2] if record.options else record.answer or ""


def _near(records: Sequence[Record], hashes: Sequence[str]) -> list[Finding]:
    """Contents of two splits that differ only in case, punctuation or spaces."""
    keys: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        words = tuple(" ".join(_WORD.findall(part.casefold())) for part in (record.question, *sorted(record.options)))
        if words[0]:
            keys[words].append(i)
    pairs = [
        (records[i], records[j])
        for group in keys.values()
        if len(group) > 1
        for i in group
        for j in group[:1]
        if hashes[i] != hashes[j] and records[i].split != records[j].split
    ]
    if not pairs:
        return []
    shown = tuple(example(record, f"{twin.split} row {twin.row}") for record, twin in pairs[:SHOWN])
    what = f"Like one of another split but for case, punctuation, spaces or option order: {_count(len(pairs))}."
    return [Finding("near_overlap", len(pairs), what, "Remove them from one of the splits.", shown)]


def _labels(task: Task, records: Sequence[Record]) -> list[Finding]:
    labeled = [record for record in records if record.split == "labeled"]
    found: list[Finding] = []
    if labeled and len(labeled) < FEW_RECORDS:
        what = f"Very little to learn from: {_count(len(labeled), 'labeled')}."
        found.append(Finding("few_records", len(labeled), what, f"Label at least {FEW_RECORDS}; hundreds work well."))
    known = Counter(record.answer for record in labeled if record.answer is not None)
    if task.closed and len(labeled) > 1 and len(known) == 1:
        what = f"Every labeled record has the same answer: {snippet(next(iter(known)))}."
        found.append(Finding("single_class", len(labeled), what, "Add records with other answers."))
    missing = [label for label in task.labels if labeled and not known[label]]
    if missing:
        what = f"No labeled record has the label {', '.join(snippet(label) for label in missing[:SHOWN])}."
        found.append(Finding("missing_class", len(missing), what, "Label some records of each class."))
    if task.kind == "classification":
        numbers = defaultdict(list)
        for label in task.labels:
            number = parse_number(label)
            if number is not None:
                numbers[number].append(label)
        alike = [", ".join(group) for group in numbers.values() if len(group) > 1]
        if alike:
            what = f"Labels that are the same number: {'; '.join(alike[:SHOWN])}."
            found.append(Finding("label_spelling", len(alike), what, "Write each label in one way."))
    return found


def _texts(records: Sequence[Record]) -> list[Finding]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        parts = (record.question, *record.options)
        if any(has_control_tokens(part) for part in parts):
            groups["control_tokens"].append(record)
        if any(_instructs(part) for part in parts):
            groups["instruction_like"].append(record)
        if any(not part.isprintable() and _INVISIBLE.search(part) for part in parts):
            groups["invisible_characters"].append(record)
        if sum(map(len, parts)) > LONG_CHARACTERS:
            groups["long_text"].append(record)
    told = {
        "control_tokens": ("Chat control tokens", "They are neutralised in every prompt."),
        "instruction_like": ("Text that reads like instructions to a model", "Read them before accepting answers."),
        "invisible_characters": ("Invisible or direction-changing characters", "Check that the text is right."),
        "long_text": (f"Longer than {LONG_CHARACTERS:,} characters", "They may not fit the model's context."),
    }
    return [
        Finding(
            kind,
            len(groups[kind]),
            f"{what}: {_count(len(groups[kind]))}.",
            remedy,
            tuple(example(record) for record in groups[kind][:SHOWN]),
            Counter(record.split for record in groups[kind]),
        )
        for kind, (what, remedy) in told.items()
        if groups[kind]
    ]


def _instructs(text: str) -> bool:
    folded = text.casefold()
    return any(cue in folded for cue in _CUES) and _INSTRUCTION.search(text) is not None


def _count(number: int, split: str = "") -> str:
    return f"{number:,} {split + ' ' if split else ''}record{'' if number == 1 else 's'}"
