"""Finds problems in a dataset before it is used.

Compares traces (see `duplicates`) and reads records only to show examples; changes none. Exact comparisons are by
content hash (question and options as they are written).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

import numpy as np
import pandas as pd

from semievol.importing.accepted import Records
from semievol.importing.duplicates import CONTROL, INSTRUCTS, INVISIBLE, MOST, Traces, gives_way
from semievol.importing.findings import SHOWN, Finding, example
from semievol.importing.numbers import unit_of
from semievol.importing.table import snippet
from semievol.records import SPLITS, Split, Task
from semievol.task.answers import answer_text, parse_number
from semievol.wording import plural

LONG_BYTES = 8_000
FEW_RECORDS = 10
OF_ADDED = ("already_there", "new_answers")
"""Kinds of findings about records that a file adds to others."""
_PAIRS: tuple[tuple[Split, Split], ...] = (("labeled", "test"), ("unlabeled", "test"), ("labeled", "unlabeled"))
_NONE = np.empty(0, np.int64)


def check(
    task: Task, records: Records, traces: Traces, edited: Mapping[int, int] | None, added: np.ndarray = _NONE
) -> list[Finding]:
    """All findings about the accepted records of all splits, before any of them leaves.

    edited: what `duplicates.small_edits` found among these records; None where they are too many to look for.
    added: positions of the records that a file adds to a split of an earlier version.
    """
    looks = _Looks(task, records, traces)
    again, (later, earlier) = looks.there_before(added), looks.answered_otherwise(added)
    return [
        *looks.already_there(again),
        *looks.new_answers(later, earlier),
        *looks.overlaps(),
        *looks.duplicates(again, conflicts := looks.conflicts(earlier)),
        *looks.conflicting_labels(conflicts),
        *looks.near_copies(edited),
        *_labels(task, records),
        *looks.texts(),
    ]


class _Looks:
    """The comparisons. Arrays have one entry for each record."""

    def __init__(self, task: Task, records: Records, traces: Traces) -> None:
        self.task, self.records, self.traces = task, records, traces
        self.splits = records.splits
        self.keys = traces.digests[:, :8].copy().view("<i8").ravel()

    def overlaps(self) -> Iterator[Finding]:
        """Records with the same content in two splits; `count` is the number of records of the split named first."""
        for split, other in _PAIRS:
            mine, theirs = self._of(split), self._of(other)
            both = mine[np.isin(self.keys[mine], self.keys[theirs])]
            if not len(both):
                continue
            twins = [int(theirs[np.argmax(self.keys[theirs] == key)]) for key in self.keys[both[:SHOWN]]]
            shown = self._examples(both, [f"{other} row {self._row(twin)}" for twin in twins])
            what = f"Also in the {other} data: {plural(len(both), f'{split} record')}."
            kind, counts = f"overlap_{split}_{other}", {split: len(both)}
            if other == "test":
                remedy, offer = "A test on records that were trained on proves nothing.", f"Leave out of {split}"
                yield Finding(kind, len(both), what, remedy, shown, counts, True, leaves=both, offer=offer, taken=True)
            else:
                remedy = "Their answers are already known."
                leaves = theirs[np.isin(self.keys[theirs], self.keys[mine])]
                offer = f"Leave out of {other}"
                yield Finding(kind, len(both), what, remedy, shown, counts, asks=True, leaves=leaves, offer=offer)

    def there_before(self, added: np.ndarray) -> np.ndarray:
        """Those of the added records whose split has the same record with the same answer already, not from the file
        that adds them."""
        if not len(added):
            return added
        same = pd.DataFrame({"key": self.keys, "split": self.splits, "meaning": self.traces.meaning})
        before = np.setdiff1d(np.arange(len(same)), added)
        known = same.iloc[before].drop_duplicates()
        return np.sort(same.iloc[added].assign(place=added).merge(known)["place"].to_numpy())

    def answered_otherwise(self, added: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Added records that their split has with another answer already, and the earlier ones."""
        if not len(added):
            return added, added
        known = pd.DataFrame({"key": self.keys, "split": self.splits, "meaning": self.traces.meaning})
        known = known.assign(place=np.arange(len(known)))[known["meaning"] != 0]
        new = known["place"].isin(added)
        return _differing(known[new], known[~new]), _differing(known[~new], known[new])

    def new_answers(self, later: np.ndarray, earlier: np.ndarray) -> Iterator[Finding]:
        """Added records that the split has with another answer; the remedy leaves the earlier ones out."""
        what, remedy = "In the version in use with another answer", "With both answers the model learns neither."
        for finding in self._finding("new_answers", later, what, remedy, "Take the new answers", asks=True):
            yield replace(finding, leaves=earlier)

    def already_there(self, again: np.ndarray) -> Iterator[Finding]:
        """Added records that the split already has, with the same answer."""
        what, remedy = "Already in the version in use", "Added once more, they would count twice in training."
        for finding in self._finding("already_there", again, what, remedy, "Leave out"):
            yield replace(finding, taken=True)

    def duplicates(self, again: np.ndarray, conflicts: list[np.ndarray]) -> Iterator[Finding]:
        """Records that repeat an earlier one of the same split, but for those that other findings are about."""
        repeats = np.flatnonzero(pd.DataFrame({"key": self.keys, "split": self.splits}).duplicated())
        repeats = np.setdiff1d(repeats, np.concatenate([again, *conflicts]))
        first = [np.argmax((self.keys == self.keys[i]) & (self.splits == self.splits[i])) for i in repeats[:SHOWN]]
        notes = [f"same as row {self._row(int(one))}" for one in first]
        what, remedy = "Same as an earlier record of the same split", "Repeated records count twice in training."
        yield from self._finding("duplicates", repeats, what, remedy, "Keep one of each", notes)

    def conflicts(self, earlier: np.ndarray) -> list[np.ndarray]:
        """Groups of records with the same question and the same options in any order whose known answers differ.
        earlier: those that another finding replaces by a new answer."""
        meaning = self.traces.meaning
        known = np.setdiff1d(np.flatnonzero(meaning), earlier)
        alike = _groups(self.traces.question_keys[known], known)
        return [group for group in alike if len(np.unique(meaning[group])) > 1]

    def conflicting_labels(self, groups: list[np.ndarray]) -> Iterator[Finding]:
        """The finding about these `conflicts`."""
        if groups:
            members = np.sort(np.concatenate(groups))
            shown = tuple(
                self._example(group[0], "; ".join(self._answer_of(i) for i in group[:3].tolist()))
                for group in sorted(groups, key=lambda group: int(group[0]))[:SHOWN]
            )
            what = f"Same text but different labels: {plural(len(members), 'record')}."
            remedy, offer = "With both, a model learns neither. Correct the file to keep one.", "Leave all of them out"
            counts = self._counts(members)
            kind = "conflicting_labels"
            yield Finding(kind, len(members), what, remedy, shown, counts, asks=True, leaves=members, offer=offer)

    def near_copies(self, edited: Mapping[int, int] | None) -> Iterator[Finding]:
        """Records that are nearly one of another split: spelled differently, or with a few characters changed."""
        alike: dict[int, int] = {}
        for group in _groups(self.traces.spelled, np.arange(len(self.keys))):
            first: dict[int, int] = {}
            for i in group.tolist():
                first.setdefault(int(self.splits[i]), i)
            for i in group.tolist() if len(first) > 1 else ():
                others = [j for split, j in first.items() if gives_way(self._split(i), SPLITS[split])]
                twin = next((j for j in others if self.keys[i] != self.keys[j]), None)
                if twin is not None:
                    alike[i] = twin
        what = "Like a record of another split except for case, punctuation, look-alike letters or option order"
        yield from self._near("near_overlap", alike, what, asks=True)
        if edited is None:
            what = f"Slightly edited copies in other splits were not searched for: more than {MOST:,} records."
            yield Finding("edits_not_searched", len(self.records), what)
            return
        yield from self._near("edited_overlap", edited, "Like a record of another split except for a few characters")

    def texts(self) -> Iterator[Finding]:
        """Records whose text may do harm, or may not fit."""
        flags, sizes = self.traces.flags, self.traces.sizes
        orders = "Text that reads like instructions to a model"
        advice = "Read these records before you accept their answers."
        unseen, long = "Invisible or direction-changing characters", f"Longer than {LONG_BYTES:,} bytes"
        for kind, concerned, what, remedy in (
            ("control_tokens", flags & CONTROL, "Chat control tokens", "They are made harmless in every prompt."),
            ("instruction_like", flags & INSTRUCTS, orders, advice),
            ("invisible_characters", flags & INVISIBLE, unseen, "Check that the text is right."),
            ("long_text", sizes > LONG_BYTES, long, "They may not fit the model's context."),
        ):
            yield from self._finding(kind, np.flatnonzero(concerned), what, remedy, "Leave them out")

    def _near(self, kind: str, twins: Mapping[int, int], what: str, asks: bool = False) -> Iterator[Finding]:
        members = np.array(sorted(twins), np.int64)
        notes = [f"{self._split(twins[i])} row {self._row(twins[i])}" for i in members[:SHOWN].tolist()]
        tested = any(self._split(twin) == "test" for twin in twins.values())
        remedy = "They make a test easier than it should be." if tested else "Nearly the same question is asked twice."
        offer = f"Leave out of {' and '.join(self._counts(members))}"
        yield from self._finding(kind, members, what, remedy, offer, notes, asks)

    def _finding(
        self,
        kind: str,
        members: np.ndarray,
        what: str,
        remedy: str,
        offer: str,
        notes: Iterable[str] = (),
        asks: bool = False,
    ) -> Iterator[Finding]:
        """The finding about these records; nothing where there are none. notes: one for each example shown."""
        if len(members):
            what = f"{what}: {plural(len(members), 'record')}."
            shown, counts = self._examples(members, notes), self._counts(members)
            yield Finding(kind, len(members), what, remedy, shown, counts, asks, leaves=members, offer=offer)

    def _of(self, split: Split) -> np.ndarray:
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def _split(self, position: int) -> Split:
        return SPLITS[self.splits[position]]

    def _row(self, position: int) -> int:
        return self.records[int(position)].row

    def _answer_of(self, position: int) -> str:
        record = self.records[position]
        return f"{record.split} row {record.row}: {snippet(answer_text(self.task, record, record.answer or ''))}"

    def _examples(self, members: np.ndarray, notes: Iterable[str] = ()) -> tuple[dict[str, Any], ...]:
        all_notes = chain(notes, repeat(""))
        return tuple(self._example(i, note) for i, note in zip(members[:SHOWN], all_notes, strict=False))

    def _example(self, position: int, note: str) -> dict[str, Any]:
        record = self.records[int(position)]
        return example(record.split, record.row, record.question, note)

    def _counts(self, members: np.ndarray) -> dict[Split, int]:
        numbers, times = np.unique(self.splits[members], return_counts=True)
        return {SPLITS[number]: int(count) for number, count in zip(numbers, times, strict=True)}


def _differing(some: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Places of those that one of the others of equal content and split gives another meaning."""
    answers = others[["key", "split", "meaning"]].drop_duplicates()  # else many copies of one record multiply
    both = some.merge(answers, on=["key", "split"], suffixes=("", "_other"))
    return np.unique(both.loc[both["meaning"] != both["meaning_other"], "place"].to_numpy())


def _groups(keys: np.ndarray, members: np.ndarray) -> Iterator[np.ndarray]:
    """Members (ascending) of every key that more than one of them has."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    for start, stop in zip(edges[:-1][np.diff(edges) > 1], edges[1:][np.diff(edges) > 1], strict=True):
        yield members[order[start:stop]]


def _labels(task: Task, records: Records) -> list[Finding]:
    labeled = records.size("labeled")
    found: list[Finding] = []
    if labeled and labeled < FEW_RECORDS:
        what = f"Very little to learn from: {plural(labeled, 'labeled record')}."
        remedy = f"Label at least {FEW_RECORDS} records; a few hundred work well."
        found.append(Finding("few_records", labeled, what, remedy, counts={"labeled": labeled}))
    known: Counter[str] = records.answers().get("labeled", Counter())
    if task.closed and labeled > 1 and len(known) == 1:
        what = f"Every labeled record has the same answer: {snippet(next(iter(known)))}."
        counts: dict[Split, int] = {"labeled": labeled}
        found.append(Finding("single_class", labeled, what, "Add records with other answers.", counts=counts))
    missing = [label for label in task.labels if labeled and not known[label]]
    if missing:
        what = f"No labeled record has the label {', '.join(snippet(label) for label in missing[:SHOWN])}."
        remedy = "Label some records of each class."
        found.append(Finding("missing_class", len(missing), what, remedy, counts={"labeled": len(missing)}))
    if task.kind == "classification":
        numbers = defaultdict(list)
        for label in task.labels:
            plain = unit_of(label) is not None or label.strip().isdecimal()  # "room 1" and "floor 1" differ
            if plain and (number := parse_number(label)) is not None:
                numbers[number].append(label)
        alike = [", ".join(group) for group in numbers.values() if len(group) > 1]
        if alike:
            what = f"Labels that are the same number: {'; '.join(alike[:SHOWN])}."
            found.append(Finding("label_spelling", len(alike), what, "Write each label in one way."))
    return found
