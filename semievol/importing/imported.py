"""What files give: records, and a report of every row that did not become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Tables
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from semievol.errors import UserError
from semievol.importing.accepted import Records
from semievol.importing.findings import Finding
from semievol.importing.mapping import Mapping
from semievol.importing.splits import split_off_test
from semievol.importing.table import Reject, Table
from semievol.records import SPLITS, Split, Task

_ROWS_SHOWN = 20


@dataclass
class SplitReport:
    """How many rows of one file, of a split kept of an earlier version, or of both, became records.

    removed: records that left this split by a remedy, or for a test split cut from it.
    """

    name: str
    physical: int
    accepted: int = 0
    removed: int = 0
    rejects: list[Reject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return len(self.rejects)

    def joined(self, other: SplitReport) -> SplitReport:
        """The report of this source and another one of the same split."""
        return SplitReport(
            f"{self.name} and {other.name}",
            self.physical + other.physical,
            self.accepted + other.accepted,
            self.removed + other.removed,
            [*self.rejects, *other.rejects],
            [*self.notes, *other.notes],
        )

    def as_dict(self) -> dict[str, Any]:
        """Counts, notes and the first rejected rows."""
        return {
            "file": self.name,
            "physical": self.physical,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "removed": self.removed,
            "rejects": [asdict(reject) for reject in self.rejects[:_ROWS_SHOWN]],
            "notes": list(self.notes),
        }


@dataclass
class Imported:
    """The records that the files give, with those kept of an earlier version, and what was found about them. Nothing of
    it is stored yet.

    tables, mapping: the files, and what their columns mean. task: one with another instruction may replace it.
    accepted: every row that became a record, in the order labeled, unlabeled, test; the findings give positions in it.
    sizes: int64, bytes of every accepted row's text. report: per split, with the records that left it as removed.
    base: number of the first option where answers are numbers.
    taken: kinds of the findings whose remedy is taken. test_share: share of the labeled records to split off as test.
    edited: what comparing the splits found (`duplicates.small_edits`), None where there are too many records.
    read_as: what labels are read as, see `label_spellings.relabeled`.
    """

    tables: Tables[Split, Table]
    mapping: Mapping
    task: Task
    accepted: Records
    sizes: np.ndarray
    report: dict[Split, SplitReport]
    findings: list[Finding]
    hides_gold: bool
    base: int
    edited: dict[int, int] | None = None
    read_as: Tables[str, str] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()
    test_share: float = 0.0

    @property
    def counted(self) -> bool:
        """Whether some answers are numbers of options."""
        return any(finding.kind == "digit_answers" for finding in self.findings)

    def decided(self, taken: Iterable[str], test_share: float = 0.0) -> Imported:
        """The same files with these remedies taken and this share split off.

        UserError where a split is left without a single record.
        """
        decided = replace(self, taken=frozenset(taken), test_share=test_share, report=dict(self.report))
        for split, known in self.report.items():
            kept = decided.records.size(split)
            moved = replace(known, accepted=kept, removed=known.accepted + known.removed - kept)
            if not kept:
                decided._refuse_empty(split, moved)
            decided.report[split] = moved
        return decided

    def _refuse_empty(self, split: Split, report: SplitReport) -> NoReturn:
        """UserError saying why no record of this split is left."""
        if not report.removed:
            first = report.rejects[0]
            raise UserError(
                f"None of the {report.physical:,} {split} rows can be used. The first one: {first.reason}",
                f"{report.name}, row {first.row}" + (f", column {first.column}" if first.column else ""),
                first.remedy,
            )
        of_split = self.accepted.splits == SPLITS.index(split)
        left = [(one.offer, int(of_split[one.leaves].sum())) for one in self.findings if one.kind in self.taken]
        taken = " and ".join(f'"{offer}" ({times:,})' for offer, times in left if times)
        raise UserError(
            f"No {split} record is left: the chosen remedies take out {report.removed:,}"
            + (f", {report.rejected:,} cannot be read." if report.rejects else "."),
            report.name,
            f"Choose other files, or do not apply {taken or 'the split for testing'}.",
        )

    @cached_property
    def records(self) -> Records:
        """The records that are left, named."""
        stays = np.ones(len(self.accepted), bool)
        for finding in self.findings:
            if finding.kind in self.taken:
                stays[finding.leaves] = False
        left = self.accepted if stays.all() else self.accepted.only(stays)
        return split_off_test(left, self.test_share, seed=0) if self.test_share else left

    def gold(self) -> Iterator[tuple[str, str]]:
        """Record id and the answer that is kept for measuring only, of the records that have one."""
        if self.hides_gold:
            yield from ((record.id, gold) for record, gold in self.records.with_gold() if gold is not None)

    def rejected(self) -> Iterator[tuple[Split, Reject]]:
        """Every row that became no record, file by file."""
        return ((split, reject) for split, report in self.report.items() for reject in report.rejects)

    def findings_with_outcome(self) -> list[dict[str, Any]]:
        """The findings as plain data, each with what was done about it."""
        done = {one.kind: one.offer if one.kind in self.taken else "Kept" for one in self.findings if len(one.leaves)}
        return [one.as_dict() | ({"done": done[one.kind]} if len(one.leaves) else {}) for one in self.findings]
