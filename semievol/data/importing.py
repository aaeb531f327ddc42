"""Tables and a mapping to the records of a dataset version, with a report of every row that did not become one.

physical = accepted + rejected + removed in every split. Nothing is written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as Tables
from dataclasses import dataclass, field, replace
from typing import Any

from semievol.data.answers import AnswerForm, answer_form, checked_options, parse_options, read_answer, written_as
from semievol.data.checks import SHOWN, Finding, check, refuse
from semievol.data.mapping import Mapping, check_mapping
from semievol.data.tables import Reject, Table, snippet
from semievol.errors import UserError
from semievol.method.tasks import LETTERS
from semievol.records import Record, Split, Task

ORDER: tuple[Split, ...] = ("labeled", "unlabeled", "test")
_ROWS_SHOWN = 20


@dataclass
class SplitReport:
    """What became of one file. removed: records that also stand in test and therefore left this split."""

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
    """Records in the order labeled, unlabeled, test; hidden gold by record id; the report and the findings."""

    records: list[Record]
    hidden_gold: dict[str, str]
    report: dict[Split, SplitReport]
    findings: list[Finding]

    def as_dict(self) -> dict[str, Any]:
        return {
            "splits": {split: report.as_dict() for split, report in self.report.items()},
            "findings": [finding.as_dict() for finding in self.findings],
        }


@dataclass
class _Row:
    """A row on its way to a record: options read, answer still as it stands in the cell."""

    split: Split
    number: int
    question: str
    options: tuple[str, ...]
    cell: str


def build_records(
    tables: Tables[Split, Table], mapping: Mapping, task: Task, hide_gold: bool = False, strict: bool = False
) -> Imported:
    """Records of all splits given.

    hide_gold: answers of the unlabeled table become hidden gold; else they are ignored.
    strict: UserError naming all that a person would be asked about, instead of taking the suggestions.
    UserError also where a split is left without a single record.
    """
    check_mapping(mapping, tables)
    if mapping.answer is None and ("labeled" in tables or "test" in tables):
        raise UserError("No column is mapped to the answer.", "mapping", "Map the column with the known answers.")
    report = {
        split: SplitReport(t.name, t.physical, rejects=list(t.rejected), notes=list(t.notes))
        for split, t in sorted(tables.items(), key=lambda item: ORDER.index(item[0]))
    }
    rows = [row for split in report for row in _rows(split, tables[split], mapping, task, report[split])]
    read = [row for row in rows if row.cell and (row.split != "unlabeled" or hide_gold)]
    form = answer_form((row.options, row.cell) for row in read if row.options)
    reading = _Reading(task, mapping, form, hide_gold, report)
    records = [record for row in rows if (record := reading.record(row)) is not None]
    hashes = [record.content_hash for record in records]
    findings = [
        *check(task, records, hashes),
        *reading.findings(),
        *_duplicate_ids(tables, mapping),
        *_piped_options(tables, mapping),
        *_ignored_gold(tables, mapping, hide_gold),
    ]
    kept = _named(_without_test(records, hashes, report))
    for split, split_report in report.items():
        split_report.rejects.sort(key=lambda reject: reject.row)
        split_report.accepted = sum(record.split == split for record in kept)
        _refuse_empty(split, split_report)
    if strict:
        refuse(findings, {split: split_report.rejected for split, split_report in report.items()})
    gold = {
        record.id: reading.gold[record.row]
        for record in kept
        if record.split == "unlabeled" and record.row in reading.gold
    }
    return Imported(kept, gold, report, findings)


def _rows(split: Split, table: Table, mapping: Mapping, task: Task, report: SplitReport) -> Iterator[_Row]:
    place = {column: i for i, column in enumerate(table.columns)}
    for number, cells in table.walk(table.columns):

        def cell(column: str | None, cells: tuple[str | None, ...] = cells) -> str:
            return cells[place[column]] or "" if column in place else ""

        question = cell(mapping.question)
        if not question.strip():
            reason = "The question is empty."
            report.rejects.append(Reject(number, mapping.question, "", reason, "Write it or delete the row."))
            continue
        try:
            options = _options(task, mapping, [cell(c) for c in mapping.choices], cell(mapping.options))
        except UserError as error:
            column = mapping.options or ", ".join(mapping.choices)
            value = cell(mapping.options) or " | ".join(cell(c) for c in mapping.choices)
            report.rejects.append(Reject(number, column, snippet(value), error.what, error.remedy))
            continue
        yield _Row(split, number, question, options, cell(mapping.answer).strip())


def _options(task: Task, mapping: Mapping, choices: list[str], cell: str) -> tuple[str, ...]:
    if not task.closed or not (mapping.options or mapping.choices):
        return ()
    if mapping.choices:
        while choices and not choices[-1].strip():
            choices.pop()
        options = checked_options(tuple(choices))
    elif task.kind == "classification" and not cell.strip():
        return ()
    else:
        options = parse_options(cell)
    if task.kind == "classification" and {option.strip() for option in options} != set(task.labels):
        raise UserError("The options differ from the task's label set.", "", "Write the same options in every row.")
    if task.kind == "multiple_choice" and len(options) > len(LETTERS):
        raise UserError(
            f"There are {len(options)} options; letters can name {len(LETTERS)}.", "", "Keep fewer options."
        )
    return options


class _Reading:
    """Reads the answers of the rows and remembers what is worth a finding."""

    def __init__(
        self, task: Task, mapping: Mapping, form: AnswerForm, hide_gold: bool, report: Tables[Split, SplitReport]
    ) -> None:
        self.task, self.mapping, self.form, self.hide_gold, self.report = task, mapping, form, hide_gold, report
        self.gold: dict[int, str] = {}
        self.unreadable: list[_Row] = []
        self.respelled: list[_Row] = []
        self.forms: dict[str, list[_Row]] = {"letter": [], "number": [], "text": []}

    def record(self, row: _Row) -> Record | None:
        """The record of a row; None if it is rejected."""
        answer = None
        if row.split == "unlabeled":
            if self.hide_gold and row.cell:
                try:
                    self.gold[row.number] = self._read(row)
                except UserError:
                    self.unreadable.append(row)
        else:
            try:
                if not row.cell:
                    raise UserError("The answer is empty.", "", "Fill it in, or move the row to the unlabeled file.")
                answer = self._read(row)
            except UserError as error:
                column = self.mapping.answer or ""
                reject = Reject(row.number, column, snippet(row.cell), error.what, error.remedy)
                self.report[row.split].rejects.append(reject)
                return None
        # A classification's options are the task's labels; they are not part of the record's content.
        options = row.options if self.task.kind == "multiple_choice" else ()
        return Record("", row.question, options, answer, row.split, row.number)

    def _read(self, row: _Row) -> str:
        answer = read_answer(self.task, row.options, row.cell, self.form)
        if self.task.kind == "classification" and answer != row.cell and answer.casefold() == row.cell.casefold():
            self.respelled.append(row)
        if self.task.closed and row.options:
            self.forms[written_as(row.options, row.cell, self.form)].append(row)
        return answer

    def findings(self) -> Iterator[Finding]:
        if digits := self.forms["number"]:
            what = f"Numbers read as positions counted from {self.form.base}: {_answers(len(digits))}."
            yield self._finding("digit_answers", digits, what, "Write letters if this is wrong.")
        used = {form: rows for form, rows in self.forms.items() if rows}
        if len(used) > 1 and "text" in used:
            rarest = min(used.values(), key=len)
            told = ", ".join(f"{len(rows):,} by {form}" for form, rows in used.items())
            yield self._finding("answer_forms", rarest, f"Answers are given in several forms: {told}.", "Use one form.")
        if self.respelled:
            what = f"Differing from the label only in case, and read as the same: {_answers(len(self.respelled))}."
            yield self._finding("label_spelling", self.respelled, what, "Write each label in one way.")
        if self.unreadable:
            what = f"Unreadable, and left out of the hidden gold: {_answers(len(self.unreadable))}."
            yield self._finding("unreadable_gold", self.unreadable, what, "Correct them if they should be measured.")

    def _finding(self, kind: str, rows: list[_Row], what: str, remedy: str) -> Finding:
        examples = tuple({"split": r.split, "row": r.number, "value": snippet(r.cell)} for r in rows[:SHOWN])
        return Finding(kind, len(rows), what, remedy, examples, Counter(row.split for row in rows))


def _answers(number: int) -> str:
    return f"{number:,} answer{'' if number == 1 else 's'}"


def _without_test(
    records: list[Record], hashes: list[str], report: Tables[Split, SplitReport]
) -> list[tuple[Record, str]]:
    """Records and hashes without those of other splits that also stand in test, which are counted as removed."""
    test = {key for record, key in zip(records, hashes, strict=True) if record.split == "test"}
    kept = []
    for record, key in zip(records, hashes, strict=True):
        if record.split != "test" and key in test:
            report[record.split].removed += 1
        else:
            kept.append((record, key))
    return kept


def _named(kept: list[tuple[Record, str]]) -> list[Record]:
    """The records with their ids: 16 digits of the content hash, and -2, -3 for repeats in the version."""
    times: Counter[str] = Counter()
    named = []
    for record, key in kept:
        name = key[:16]
        times[name] += 1
        named.append(replace(record, id=name if times[name] == 1 else f"{name}-{times[name]}"))
    return named


def _refuse_empty(split: Split, report: SplitReport) -> None:
    if report.accepted:
        return
    if not report.rejects:
        raise UserError(f"Every {split} record also stands in the test data.", report.name, "Choose other files.")
    first = report.rejects[0]
    raise UserError(
        f"Not one of the {report.physical:,} {split} rows can be used; the first: {first.reason}",
        f"{report.name}, row {first.row}" + (f", column {first.column}" if first.column else ""),
        first.remedy,
    )


def _duplicate_ids(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    seen: set[str] = set()
    repeated: list[dict[str, Any]] = []
    for split, table in tables.items():
        if mapping.id in table.columns:
            for number, value in zip(table.numbers, table.column(mapping.id), strict=True):
                if value and value in seen:
                    repeated.append({"split": split, "row": number, "value": snippet(value)})
                seen.add(value or "")
    if repeated:
        what = f"Ids that stand further up already: {len(repeated):,}."
        yield Finding("duplicate_ids", len(repeated), what, "Give every row its own id.", tuple(repeated[:SHOWN]))


def _piped_options(tables: Tables[Split, Table], mapping: Mapping) -> Iterator[Finding]:
    given = [table.column(mapping.options) for table in tables.values() if mapping.options in table.columns]
    piped = sum((cell or "").strip()[:1] not in ("", "[", "{", "(") for cells in given for cell in cells)
    if piped:
        yield Finding("piped_options", piped, f'Options separated by "|": {piped:,} cells.', "Check one of them.")


def _ignored_gold(tables: Tables[Split, Table], mapping: Mapping, hide_gold: bool) -> Iterator[Finding]:
    table = tables.get("unlabeled")
    if table is None or hide_gold or mapping.answer not in table.columns:
        return
    given = sum(bool(value and value.strip()) for value in table.column(mapping.answer))
    if given:
        what = f"Ignored, because the records are unlabeled: {_answers(given)}."
        remedy = "Keep it as hidden gold to measure the pseudo-labels with it."
        yield Finding("unlabeled_answers", given, what, remedy)
