"""Reads question, options and answer of one row at a time, or gives the reason why the row cannot be read.

Knows nothing of other rows, except the form in which the whole column writes its answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Tables
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pyarrow as pa

from semievol.errors import UserError
from semievol.importing.accepted import AcceptedRows, ReadCells, join_context
from semievol.importing.answer_cells import (
    AnswerForm,
    answer_form,
    by_key,
    checked_options,
    parse_options,
    read_answer,
    written_as,
)
from semievol.importing.duplicates import Tracer
from semievol.importing.findings import SHOWN, Finding, example
from semievol.importing.mapping import Mapping
from semievol.importing.numbers import decimal_comma
from semievol.importing.table import Reject, Table, snippet
from semievol.importing.task_kind import known_answers
from semievol.records import Message, Split, Task, earlier_turns
from semievol.task.answers import LETTERS, fold
from semievol.wording import plural


@dataclass
class Row:
    """A row whose question and options were read; its answer is still the text of the cell.

    place: position in the table. number: physical row. kept: whether it is a record of an earlier version, whose answer
    (or hidden gold) was read before.
    """

    split: Split
    place: int
    number: int
    question: str
    options: tuple[str, ...]
    cell: str
    kept: bool = False
    earlier: tuple[Message, ...] = ()


def form_of(
    tables: Tables[Split, Table], mapping: Mapping, task: Task, hide_gold: bool, base: int | None
) -> AnswerForm:
    """How the answers are written, found from all of them. base: number of the first option, if a person gave it."""
    if task.kind == "numeric":
        return AnswerForm(comma=decimal_comma(known_answers(tables, mapping)))
    if not task.closed or not (mapping.options or mapping.choices):
        return AnswerForm()
    read = (
        (row.options, row.cell)
        for split, table in tables.items()
        if split != "unlabeled" or hide_gold
        for row in rows_of(split, table, mapping, task, [])
        if row.cell and row.options
    )
    form = answer_form(read)
    return form if base is None else replace(form, base=base)


def rows_of(split: Split, table: Table, mapping: Mapping, task: Task, rejects: list[Reject]) -> Iterator[Row]:
    """The rows whose question and options can be read; the others are appended to `rejects`."""
    roles = [mapping.question, mapping.context, mapping.answer_in(split), mapping.options, mapping.earlier]
    there = [role if role in table.columns else None for role in roles]
    needed = list(dict.fromkeys([name for name in there if name is not None] + list(mapping.choices)))
    at = [needed.index(name) if name is not None else None for name in there]
    choices = [needed.index(name) for name in mapping.choices]
    unreadable = {one.row: one for one in table.unreadable[::-1] if one.column in needed}
    for place, (number, cells) in enumerate(table.walk(needed)):
        question, context, answer, listed, before = ((cells[i] or "") if i is not None else "" for i in at)
        if number in unreadable:
            rejects.append(unreadable[number])
            continue
        if not question.strip():
            reason = "The question is empty."
            rejects.append(Reject(number, mapping.question, "", reason, "Write it or delete the row."))
            continue
        try:
            options = _options(task, mapping, [cells[i] or "" for i in choices], listed)
        except UserError as error:
            column = mapping.options or ", ".join(mapping.choices)
            value = listed or " | ".join(cells[i] or "" for i in choices)
            rejects.append(Reject(number, column, snippet(value), error.what, error.remedy))
            continue
        try:
            answer = by_key(listed, answer) if options and mapping.options and answer.strip() else answer
        except UserError as error:
            column = mapping.answer_in(split) or ""
            rejects.append(Reject(number, column, snippet(answer), error.what, error.remedy))
            continue
        try:
            earlier = earlier_turns(before)
        except ValueError:
            reason, remedy = (
                "These are no turns of a conversation.",
                'Write them as [["user", "…"], ["assistant", "…"]].',
            )
            rejects.append(Reject(number, mapping.earlier or "", snippet(before), reason, remedy))
            continue
        whole = join_context(context, question)
        yield Row(split, place, number, whole, options, answer.strip(), earlier=earlier)


def rows_again(kept: AcceptedRows) -> Iterator[Row]:
    """Records of an earlier version as rows. Their cell is the answer, or the hidden gold, as it was read before."""
    own = [kept.table.cells[name] for name in ("question", "earlier")]
    columns = [*kept.read.columns, *own, pa.chunked_array([kept.table.numbers])]
    place = 0
    for batch in pa.table(columns, names=[*kept.read.column_names, "question", "earlier", "number"]).to_batches():
        for answer, gold, options, question, earlier, number in zip(
            *(c.to_pylist() for c in batch.columns), strict=True
        ):
            cell = gold if kept.split == "unlabeled" else answer
            turns = earlier_turns(earlier)
            yield Row(kept.split, place, number, question, tuple(options), cell or "", kept=True, earlier=turns)
            place += 1


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


class Reading:
    """Reads the answers of the rows and counts what becomes a finding."""

    def __init__(
        self,
        task: Task,
        mapping: Mapping,
        form: AnswerForm,
        hide_gold: bool,
        read_as: Tables[str, str] | None = None,
    ) -> None:
        """read_as: see `label_spellings.relabeled`."""
        self.task, self.mapping, self.form, self.hide_gold = task, mapping, form, hide_gold
        self._label = cache(lambda cell: (read_as or {}).get(fold(cell), cell)) if read_as else None
        self.unreadable, self.respelled = _Tally(), _Tally()
        self.forms = {"letter": _Tally(), "number": _Tally(), "text": _Tally()}

    def accepted(self, rows: Iterable[Row], rejects: list[Reject], tracer: Tracer) -> Iterator[ReadCells]:
        """The rows that become records, which `tracer` gets, too; the others are appended to `rejects`."""
        for row in rows:
            row.cell = row.cell if self._label is None else self._label(row.cell)
            try:
                answer, gold = self._known(row)
            except UserError as error:
                column = self.mapping.answer or ""
                rejects.append(Reject(row.number, column, snippet(row.cell), error.what, error.remedy))
                continue
            # A classification's options are the task's labels; they are not part of the record's content.
            options = row.options if self.task.kind == "multiple_choice" else ()
            meaning = options[LETTERS.index(answer)].strip() if options and answer else answer
            tracer.add(row.question, options, meaning, row.earlier)
            yield row.place, answer, gold, options

    def _known(self, row: Row) -> tuple[str | None, str | None]:
        """The answer and the hidden gold; UserError where the row needs an answer and has none that can be read."""
        if row.split != "unlabeled":
            if not row.cell:
                raise UserError("The answer is empty.", "", "Fill it in, or move the row to the unlabeled file.")
            return self._read(row), None
        if row.cell and (self.hide_gold or row.kept):
            try:
                return None, self._read(row)
            except UserError:
                self.unreadable.add(row)
        return None, None

    def _read(self, row: Row) -> str:
        if row.kept and self.task.kind != "classification":
            return row.cell  # only a label set can differ from the one that the answer was read by
        answer = read_answer(self.task, row.options, row.cell, self.form)
        if self.task.kind == "classification" and answer != row.cell and answer.casefold() == row.cell.casefold():
            self.respelled.add(row)
        if self.task.closed and row.options and not row.kept:
            self.forms[written_as(row.options, row.cell, self.form)].add(row)
        return answer

    def findings(self) -> Iterator[Finding]:
        if digits := self.forms["number"].count:
            what = f"Numbers read as positions counted from {self.form.base}: {plural(digits, 'answer')}."
            told = self.forms["number"].finding("digit_answers", what, "Count from the other number if this is wrong.")
            yield replace(told, option=f"--count-from {1 - self.form.base}")
        used = {form: rows for form, rows in self.forms.items() if rows.count}
        if len(used) > 1 and "text" in used:
            rarest = min(used.values(), key=lambda tally: tally.count)
            forms = ", ".join(f"{rows.count:,} by {form}" for form, rows in used.items())
            yield rarest.finding("answer_forms", f"Answers are given in several forms: {forms}.", "Use one form.")
        if self.respelled.count:
            respelled = plural(self.respelled.count, "answer")
            what = f"Differing from the label only in case, and read as the label: {respelled}."
            yield self.respelled.finding("label_spelling", what, "Nothing is to be done.")
        if self.unreadable.count:
            what = f"Unreadable, and left out of the hidden gold: {plural(self.unreadable.count, 'answer')}."
            yield self.unreadable.finding("unreadable_gold", what, "Correct them if they should be measured.")


@dataclass
class _Tally:
    """How many rows of each split something is true of, and the first few."""

    counts: Counter[Split] = field(default_factory=Counter)
    first: list[dict[str, Any]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.counts.total()

    def add(self, row: Row) -> None:
        self.counts[row.split] += 1
        if len(self.first) < SHOWN:
            self.first.append(example(row.split, row.number, row.cell))

    def finding(self, kind: str, what: str, remedy: str) -> Finding:
        return Finding(kind, self.count, what, remedy, tuple(self.first), self.counts)
