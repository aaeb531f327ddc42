"""Which task the tables show: from their options, else from how their answers repeat. Knows nothing of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping as Tables
from dataclasses import replace
from typing import get_args

from semievol.errors import UserError
from semievol.importing.answer_cells import options_in, several
from semievol.importing.column_cells import LONGEST_LABEL, MOST_LABELS
from semievol.importing.mapping import Mapping, check_mapping, map_option
from semievol.importing.numbers import numbers
from semievol.importing.only_labeled import only_labeled
from semievol.importing.table import MERGED, Table
from semievol.records import Kind, Split, Task
from semievol.task.answers import fold

_MOST_CLASSES = 300
_ONCE = 0.05
"""Share of many labels that may stand there only once."""
_FILLED = 0.9
"""Share of rows with a value, from which on a column may hold the answers."""
_LOOKED_AT = 20_000
"""Rows whose options decide the task. The options of every row are read later, when it is imported."""


def infer_task(tables: Tables[Split, Table], mapping: Mapping, kind: Kind | None = None) -> Task:
    """The task that the tables show, or of the `kind` given.

    One list of options for all records is a classification with these labels; varying lists are multiple choice;
    without options, repeated short answers are labels, numbers are numeric, and anything else is text.
    """
    if kind is not None and kind not in get_args(Kind):
        raise UserError(f'There is no task kind "{kind}".', "--task", f"Choose one of: {', '.join(get_args(Kind))}.")
    check_mapping(mapping, tables)
    lists = _option_lists(tables, mapping)
    labels = _constant(lists)
    if kind == "multiple_choice" or (kind is None and lists and not labels):
        if not lists:
            raise UserError(
                "A multiple choice task needs options.", "mapping", "Map their column, or choose another task."
            )
        return Task("multiple_choice")
    if kind == "classification" or (kind is None and lists):
        if lists and not labels:
            raise UserError(
                "The options differ between the records, so they are no label set.",
                mapping.options or "mapping",
                "Choose multiple_choice, or map no options.",
            )
        return Task("classification", labels or label_set(known_answers(tables, mapping)))
    if kind is not None:
        return Task(kind)
    if "labeled" not in tables:
        raise UserError(
            "There is no labeled file, which would show the task.", "labeled", "Add the records with known answers."
        )
    answers = known_answers(tables, mapping)
    if not answers:
        raise UserError(
            "The labeled records have no answers.", mapping.answer or "mapping", _where_answers_are(tables, mapping)
        )
    if named := tables["labeled"].label_names.get(mapping.answer or ""):
        return Task("classification", tuple(named))
    numeric, _ = numbers(answers)
    if numeric:
        few = len(answers) * 5 <= answers.total() and len(answers) <= 10
        return Task("classification", label_set(answers)) if few else Task("numeric")
    return Task("classification", label_set(answers)) if repeat(answers) else Task("text")


def _where_answers_are(tables: Tables[Split, Table], mapping: Mapping) -> str:
    """What to do where no column is known to hold the answers: the columns that can, which only this file fills, or
    which have a value in nearly every row."""
    table = tables["labeled"]
    only = [column for column in only_labeled(tables) if column not in mapping.columns()]
    filled = only or [
        column
        for column in table.columns
        if column not in mapping.columns()
        and sum(n for cell, n in table.counts(column).items() if cell and cell.strip()) >= _FILLED * len(table)
    ]
    if not filled:
        if len(table.columns) == 1:
            alone = f'The file has one column, "{table.columns[0]}".'
            return f"{alone} Choose the file with the known answers, or part each answer from its text by a tab."
        return "No other column has a value in every row: choose the file with the known answers."
    named = ", ".join(f'"{column}"' for column in filled[:6])
    option = map_option(question=mapping.question, answer=filled[0])
    having = "Only this file has values in" if only else "These have a value in nearly every row"
    merged = "".join(f" {note}" for note in table.notes if note.startswith(MERGED))
    return f"Map the column that holds them. {having}: {named} ({option}).{merged}"


def repeat(answers: Counter[str], surely: bool = True) -> bool:
    """Whether these are labels: short, few, and each given again and again. surely: else only whether they may be."""
    distinct, total = len(answers), answers.total()
    if any(len(answer) > LONGEST_LABEL for answer in answers):
        return False
    if surely and distinct <= MOST_LABELS:
        return distinct * 2 <= total
    once = sum(times == 1 for times in answers.values())
    share, times = (_ONCE, 3) if surely else (0.3, 1.5)
    return distinct <= _MOST_CLASSES and distinct * times <= total and once <= share * distinct


def joined_task(settled: Task, tables: Tables[Split, Table], mapping: Mapping) -> tuple[Task, int]:
    """The task of labeled records that join others of the task `settled`, and how many of them have a label that it
    lacks. New labels are added to its own. UserError where the tables cannot be read as this kind of task."""
    found = infer_task(tables, mapping, settled.kind)
    if settled.kind != "classification":
        return settled, 0
    known = {fold(label) for label in settled.labels}
    new = {label for label in found.labels if fold(label) not in known}
    times = sum(n for answer, n in known_answers(tables, mapping).items() if fold(answer) not in known)
    return replace(settled, labels=(*settled.labels, *(label for label in found.labels if label in new))), times


def label_set(answers: Iterable[str]) -> tuple[str, ...]:
    """Distinct answers (or a Counter of them) by falling frequency, then name.

    Spellings that differ only in case or spaces are one label, written in its most frequent form.
    """
    counts = Counter({answer: times for answer, times in Counter(answers).items() if not several(answer)})
    labels: dict[str, str] = {}
    for answer, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        labels.setdefault(fold(answer) or answer, answer)
    if not labels:
        raise UserError(
            "The labeled records have no answers, so there are no labels.", "mapping", "Map the column that holds them."
        )
    totals = Counter(dict.fromkeys(labels.values(), 0))
    for answer, times in counts.items():
        totals[labels[fold(answer) or answer]] += times
    return tuple(sorted(totals, key=lambda label: (-totals[label], label)))


def known_answers(tables: Tables[Split, Table], mapping: Mapping) -> Counter[str]:
    """The labeled records' answers, without those that are blank."""
    found: Counter[str] = Counter()
    table = tables.get("labeled")
    if table is not None and mapping.answer is not None:
        for answer, times in table.counts(mapping.answer).items():
            if answer and answer.strip():
                found[answer.strip()] += times
    return found


def _option_lists(tables: Tables[Split, Table], mapping: Mapping) -> Counter[tuple[str, ...]]:
    """How often each readable option list occurs in the first rows of the tables, the labeled table first."""
    found: Counter[tuple[str, ...]] = Counter()
    for split in sorted(tables, key=lambda split: split != "labeled"):
        table = tables[split]
        if mapping.choices:
            rows = zip(*(table.column(column, _LOOKED_AT) for column in mapping.choices), strict=True)
            found.update(tuple(v for v in row if v and v.strip()) for row in rows)
        elif mapping.options in table.columns:
            for cell, times in Counter(table.column(mapping.options, _LOOKED_AT)).items():
                if options := options_in(cell or ""):  # where there are none, the import rejects the rows
                    found[options] += times
    return found


def _constant(lists: Counter[tuple[str, ...]]) -> tuple[str, ...]:
    """The one list of options that all records share, but for a few odd rows in a hundred; () if they share none."""
    sets: Counter[frozenset[str]] = Counter()
    for options, times in lists.items():
        sets[frozenset(option.strip() for option in options)] += times
    if not sets:
        return ()
    shared, times = sets.most_common(1)[0]
    if len(sets) > 1 and (times < 0.95 * sets.total() or times < 20):
        return ()
    stripped = (tuple(option.strip() for option in options) for options in lists)
    return next(options for options in stripped if frozenset(options) == shared)
