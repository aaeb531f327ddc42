"""Tables and a mapping to the records of a dataset version, with a report of every row that did not become one.

physical = accepted + rejected + removed in every split. Nothing is written anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Tables
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.errors import UserError
from semievol.importing.accepted import AcceptedRows, Records, RowsWriter
from semievol.importing.carried_over import MAPPING, Kept
from semievol.importing.checks import SHOWN, Finding, check, refuse
from semievol.importing.fingerprints import Tracer
from semievol.importing.mapping import Mapping, check_mapping
from semievol.importing.near_duplicates import MOST, Watch, small_edits, unwatched
from semievol.importing.readers.overrides import refuse_guesses
from semievol.importing.rows import Reading, answers, form_of, rows_of
from semievol.importing.splits import split_off_test
from semievol.importing.table import Reject, Table, snippet
from semievol.records import SPLITS, Split, Task

_ROWS_SHOWN = 20
_TOLD_EVERY = 5_000


@dataclass
class SplitReport:
    """What became of one file, or of what is kept of an earlier version.

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

    def as_dict(self) -> dict[str, Any]:
        """Counts, notes and the first rejected rows."""
        return {
            "file": self.name,
            "physical": self.physical,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "removed": self.removed,
            "rejects": [reject.as_dict() for reject in self.rejects[:_ROWS_SHOWN]],
            "notes": list(self.notes),
        }


@dataclass
class Imported:
    """What the files come to, with what is kept of an earlier version.

    accepted: every row that became a record, in the order labeled, unlabeled, test; findings speak of its positions.
    taken: kinds of the findings whose remedy is taken. test_share: of the labeled records, to be split off as test.
    report: per split, with those that left it counted as removed. sizes: int64, bytes of every accepted row's text.
    base: number of the first option where answers are numbers.
    edited: what comparing the splits found (see `near.small_edits`), None where there are too many records for it.
    """

    task: Task
    accepted: Records
    sizes: np.ndarray
    report: dict[Split, SplitReport]
    findings: list[Finding]
    hides_gold: bool
    base: int
    edited: dict[int, int] | None = None
    taken: frozenset[str] = frozenset()
    test_share: float = 0.0

    def decided(self, taken: Iterable[str], test_share: float = 0.0) -> Imported:
        """The same files with these remedies taken and this share split off.

        UserError where a split is left without a single record.
        """
        decided = replace(self, taken=frozenset(taken), test_share=test_share, report=dict(self.report))
        for split, known in self.report.items():
            kept = decided.records.size(split)
            moved = replace(known, accepted=kept, removed=known.accepted + known.removed - kept)
            _refuse_empty(split, moved, decided._taking_from(split))
            decided.report[split] = moved
        return decided

    def _taking_from(self, split: Split) -> list[str]:
        """The remedies taken that make records of this split leave, in the words of their buttons."""
        of_split = self.accepted.splits == SPLITS.index(split)
        found = ((finding, int(of_split[finding.leaves].sum())) for finding in self.findings)
        return [f'"{finding.offer}" ({times:,})' for finding, times in found if times and finding.kind in self.taken]

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

    @property
    def hidden_gold(self) -> dict[str, str]:
        """Record id -> answer that is kept for measuring only."""
        return dict(self.gold())

    def rejected(self) -> Iterator[tuple[Split, Reject]]:
        """Every row that became no record, file by file."""
        return ((split, reject) for split, report in self.report.items() for reject in report.rejects)

    def as_dict(self) -> dict[str, Any]:
        return {
            "splits": {split: report.as_dict() for split, report in self.report.items()},
            "findings": self.told(),
        }

    def told(self) -> list[dict[str, Any]]:
        """The findings as plain data, each with what was done about it."""
        return [
            finding.as_dict()
            | ({"done": finding.offer if finding.kind in self.taken else "Kept"} if len(finding.leaves) else {})
            for finding in self.findings
        ]


def build_records(
    tables: Tables[Split, Table],
    mapping: Mapping,
    task: Task,
    hide_gold: bool = False,
    strict: bool = False,
    base: int | None = None,
    watch: Watch = unwatched,
) -> Imported:
    """Records of all splits given, with the suggested remedies taken; see `check_tables`.

    strict: UserError naming all that a person would be asked about, instead of taking the suggestions, and what was
    guessed in reading.
    UserError also where a split is left without a single record.
    """
    if strict:
        refuse_guesses({split: (table.read_as, table.guessed) for split, table in tables.items()})
    checked = check_tables(tables, mapping, task, hide_gold, base, watch)
    if strict:
        refuse(checked.findings, {split: report.rejected for split, report in checked.report.items()})
    return checked.decided(finding.kind for finding in checked.findings if finding.taken)


def check_tables(
    tables: Tables[Split, Table],
    mapping: Mapping,
    task: Task,
    hide_gold: bool = False,
    base: int | None = None,
    watch: Watch = unwatched,
    before: Imported | None = None,
    kept: Tables[Split, Kept] | None = None,
) -> Imported:
    """Every row of the tables read and checked, no remedy taken yet.

    kept: splits of an earlier version of this kind of task that no table replaces. They go through the same checks;
    only a label that the task no longer has rejects a record, or leaves its hidden gold out.

    hide_gold: answers of the unlabeled table become hidden gold; else they are ignored.
    base: number of the first option where answers are numbers; None where it is to be told from the answers.
    before: what was made of these files with other choices; the splits are compared anew only where what the records
    ask differs.
    """
    check_mapping(mapping, tables)
    if mapping.answer is None and ("labeled" in tables or "test" in tables):
        raise UserError("No column is mapped to the answer.", "mapping", "Map the column with the known answers.")
    ordered = sorted(tables.items(), key=lambda item: SPLITS.index(item[0]))
    earlier = dict(kept or {})
    everything = [*ordered, *((split, one.table) for split, one in earlier.items())]
    everything.sort(key=lambda item: SPLITS.index(item[0]))
    report = {s: SplitReport(t.name, t.physical, rejects=list(t.rejected), notes=t.notes) for s, t in everything}
    reading = Reading(task, mapping, form_of(ordered, mapping, task, hide_gold, base), hide_gold)
    tracer, parts, seen = Tracer(), list[AcceptedRows](), 0
    total = sum(table.physical for _, table in everything)
    for split, table in everything:
        known, rejects = earlier.get(split), report[split].rejects
        writer = RowsWriter(split, table, mapping if known is None else MAPPING)
        rows = rows_of(split, table, mapping, task, rejects) if known is None else known.rows()
        for row in rows:
            if row.place % _TOLD_EVERY == 0:
                watch("Checking", seen + row.place, total)
            if reject := reading.take(row, writer, tracer):
                rejects.append(reject)
        parts.append(writer.rows())
        report[split].accepted = len(writer.places)
        rejects.sort(key=lambda reject: reject.row)
        seen += table.physical
    traces = tracer.traces()
    accepted = Records(parts, traces.digests)
    edited = _edited(accepted, traces.spelled, before, watch)
    findings = [
        *check(task, accepted, traces, edited),
        *reading.findings(),
        *_duplicate_ids(parts),
        *_piped_options(tables, mapping),
        *_ignored_gold(tables, mapping, hide_gold),
    ]
    hides_gold = hide_gold or "unlabeled" in earlier
    return Imported(task, accepted, traces.sizes, report, findings, hides_gold, reading.form.base, edited)


def _edited(records: Records, spelled: np.ndarray, before: Imported | None, watch: Watch) -> dict[int, int] | None:
    """What comparing the splits finds, taken over where the same records stand in the same splits; None past `MOST`."""
    if len(records) > MOST:
        return None
    if before is not None and before.edited is not None and records.same(before.accepted):
        return before.edited
    return small_edits(records, spelled, watch)


def _refuse_empty(split: Split, report: SplitReport, taking: list[str]) -> None:
    if report.accepted:
        return
    if report.removed:
        raise UserError(
            f"No {split} record is left: the chosen remedies take out {report.removed:,}"
            + (f", {report.rejected:,} cannot be read." if report.rejects else "."),
            report.name,
            f"Choose other files, or do not apply {' and '.join(taking) or 'the split for testing'}.",
        )
    first = report.rejects[0]
    raise UserError(
        f"None of the {report.physical:,} {split} rows can be used. The first one: {first.reason}",
        f"{report.name}, row {first.row}" + (f", column {first.column}" if first.column else ""),
        first.remedy,
    )


def _duplicate_ids(parts: Iterable[AcceptedRows]) -> Iterator[Finding]:
    named = [part for part in parts if part.mapping.id in part.table.columns]
    if not named:
        return
    columns = [part.table.cells.column(part.mapping.id) for part in named]
    counted = pc.value_counts(pa.chunked_array([chunk for column in columns for chunk in column.chunks]))
    times = counted.field(1).to_numpy()
    repeated = set(counted.field(0).filter(pa.array(times > 1)).to_pylist()) - {None, ""}
    if not repeated:
        return
    examples: list[dict[str, Any]] = []
    seen: set[str] = set()
    count = 0
    for part in named:
        for number, (value,) in part.table.walk([str(part.mapping.id)]):
            if value in repeated:
                if value in seen:
                    count += 1
                    if len(examples) < SHOWN:
                        examples.append({"split": part.split, "row": number, "value": snippet(value)})
                seen.add(str(value))
    what = f"Ids that an earlier row already has: {count:,}."
    yield Finding("duplicate_ids", count, what, "Give every row its own id.", tuple(examples))


def _piped_options(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    given = [table.counts(mapping.options) for table in tables.values() if mapping.options in table.columns]
    piped = sum(
        n for cells in given for cell, n in cells.items() if (cell or "").strip()[:1] not in ("", "[", "{", "(")
    )
    if piped:
        yield Finding(
            "piped_options",
            piped,
            f'Options separated by "|": {piped:,} cells.',
            "Check whether they were separated correctly.",
        )


def _ignored_gold(tables: Tables[Split, Table], mapping: Mapping, hide_gold: bool) -> Iterator[Finding]:
    table = tables.get("unlabeled")
    column = mapping.answer_in("unlabeled")
    if table is None or hide_gold or column not in table.columns:
        return
    given = sum(times for value, times in table.counts(column).items() if value and value.strip())
    if given:
        what = f"Ignored, because the records are unlabeled: {answers(given)}."
        remedy = "Keep them as hidden gold to measure how many pseudo-labels are right."
        yield Finding("unlabeled_answers", given, what, remedy)
