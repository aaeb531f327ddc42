"""The likely mapping of tables: suggestions from names of columns (whole words) and from their content.

A person confirms the suggestion on the page; the command line takes it. Knows tables of text, not files.
"""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Mapping as Tables
from collections.abc import Sequence
from dataclasses import replace

from semievol.errors import UserError
from semievol.importing import column_names
from semievol.importing.answer_cells import options_in
from semievol.importing.column_cells import (
    LOOKED_AT,
    POINTS,
    are_texts,
    few_values,
    filled,
    holds_lists,
    may_be_labels,
)
from semievol.importing.forms.unfolding import EARLIER, QUESTION
from semievol.importing.mapping import Mapping, listed
from semievol.importing.named_numbers import names_of
from semievol.importing.only_labeled import has_values, only_labeled
from semievol.importing.readers.header import unnamed
from semievol.importing.rendered import renders
from semievol.importing.table import Table
from semievol.records import Split

_CODE = re.compile(r"(?=.*\d)[\w./#-]{1,40}")
_ALIGNED = ("question", "answer", "options", "id")
_ID_REPEATS = 4
"""Rows with the same id on average, from which on a column is no id of records."""
_NEARLY = 0.95
"""Share of a column's cells that are answers, from which on it is taken for a column of answers."""


def suggest_mapping(tables: Tables[Split, Table], question: str = "") -> Mapping:
    """The likely mapping of these tables (split -> table); UserError where no column can be the question.

    question: its column, where that is known; the others are suggested beside it.

    Columns that all tables have are preferred. Where none of these can be the question, the mapping is that of the
    labeled table, and `align` finds the columns of the others.
    """
    tables = {split: table.plain for split, table in tables.items()}
    first = tables.get("labeled") or next(iter(tables.values()))
    shared = [c for c in first.columns if all(c in table.columns for table in tables.values())]
    shared = [c for c in shared if all(has_values(table, c) for table in tables.values())] or shared
    evidence = only_labeled(tables)
    if QUESTION not in shared and {"instruction", QUESTION} <= set(first.columns):
        shared = first.columns  # the form made the question of several columns, of which another file may have some
    try:
        found = _suggest(first, shared, question, evidence)
    except UserError:
        found = _suggest(first, first.columns, question, evidence)
    earlier = EARLIER if any(EARLIER in table.columns for table in tables.values()) else None
    free = ([c for c in table.columns if c not in found.columns()] for table in tables.values())
    own = (_record_id(table, columns) for table, columns in zip(tables.values(), free, strict=True))
    record_id = found.id or next(filter(None, own), None)
    return replace(found, gold=_gold(tables, found), earlier=earlier, id=record_id)


def align(tables: Tables[Split, Table], mapping: Mapping) -> dict[Split, Table]:
    """The tables with the columns of question, answer, options and id under the names that the mapping has for them.

    Where a table lacks such a column, the one that would be suggested for this table takes its name. A note says so.
    """
    aligned: dict[Split, Table] = {}
    for split, table in tables.items():
        wanted = {role: getattr(mapping, role) for role in _ALIGNED}
        missing = {role: name for role, name in wanted.items() if name and name not in table.columns}
        if split == "unlabeled":
            missing.pop("answer", None)
        names: dict[str, str] = {}
        if missing:
            try:
                own = _suggest(table.plain, table.plain.columns)
            except UserError:
                own = Mapping("")
            found = {getattr(own, role): name for role, name in missing.items() if getattr(own, role)}
            used = set(mapping.columns()) - ({mapping.answer} if split == "unlabeled" else set())
            names = {column: name for column, name in found.items() if column not in used}
        aligned[split] = table.renamed(names) if names else table
    return aligned


def _suggest(first: Table, shared: list[str], known: str = "", evidence: Sequence[str] = ()) -> Mapping:
    """evidence: columns that only the labeled file fills."""
    cells = {c: filled(first, c) for c in first.columns}
    options = column_names.best([c for c in shared if holds_lists(cells[c])], "options")
    taken = {options}
    choices = () if options else column_names.choice_columns(first.columns) or _nameless_choices(first.columns, cells)
    taken.update(choices)
    # question_id is named like a question but holds ids; texts that repeat are rather labels than questions.
    named = [c for c in column_names.named(shared, "question") if cells[c] and c not in taken]
    named = [c for c in named if column_names.rank(c, "id") is None]
    named = [c for c in named if not _is_rendered(first, c, named)]
    pair = () if known or options or choices else column_names.pair([c for c in shared if are_texts(cells[c])])
    question = (
        known
        or (pair[1] if pair else None)
        or column_names.best([c for c in named if not few_values(cells[c])] or named, "question")
    )
    if question is None:  # then the longest texts
        free = [c for c in shared if c not in taken and cells[c] and not few_values(cells[c])]
        free = [c for c in free if len(cells[c]) >= 0.5 * min(len(first), LOOKED_AT)] or free
        free = [c for c in free if not column_names.is_remark(c) and are_texts(cells[c])] or free
        question = max(free, key=lambda c: sum(map(len, cells[c])) / len(cells[c]), default=None)
    if question is None:
        raise UserError(
            "No column looks like the question.", first.name, f"Choose it yourself; the columns are: {listed(first)}."
        )
    taken.add(question)
    left = [c for c in first.columns if c not in taken and cells[c]]
    named = [c for c in column_names.named(left, "answer") if _may_answer(c, cells[c], len(first))]
    named = list(dict.fromkeys(_fuller(c, left, cells, len(first)) for c in named))
    if options or choices:
        # A column such as "topic" is named like an answer, but the answer is the column whose cells name options.
        texts = _option_texts([cells[c] for c in choices or (options,) if c], listed=bool(options))
        fitting = [c for c in named if _name_options(cells[c], texts)]
        if options and column_names.rank(options, "options") is None and named and not fitting:
            # A list of something else, such as the headings of a passage.
            return _suggest(first, [c for c in shared if c != options], known, evidence)
        if not fitting and all(map(column_names.is_topic, named)):
            # A quiz often calls its answer "correct", which is no name of answers elsewhere, and has topics beside it.
            fitting = [c for c in left if column_names.is_pointer(c) and _points(c, cells[c], texts, len(choices))]
        named = fitting or named
    answer = column_names.best(named, "answer")
    if not (options or choices) and (answer is None or (column_names.is_detail(answer) and answer not in evidence)):
        full = [c for c in evidence if c in left and len(cells[c]) >= 0.5 * min(len(first), LOOKED_AT)]
        answer = _likely_answer(full, cells) or answer
    if answer is None and options is None and not choices:
        few = [c for c in left if column_names.rank(c, "id") is None and may_be_labels(cells[c])]
        answer = next((c for c in few if len(set(cells[c])) > 1), next(iter(few), None))
    elif answer is None:
        answer = next((c for c in left if all(len(v.strip()) == 1 for v in cells[c])), None)
    answer = names_of(answer, left, first) or answer
    taken.add(answer)
    record_id = _record_id(first, [c for c in shared if c not in taken]) or _record_id(
        first, [c for c in left if c not in taken]
    )
    free = [c for c in shared if c not in {*taken, record_id} and not renders(first, c, question, answer)]
    named = column_names.named(free, "context")
    context = pair[0] if pair else column_names.best(named, "context") or column_names.companion(question, free)
    return Mapping(question, answer, options, record_id, choices, context)


def _is_rendered(table: Table, column: str, questions: Sequence[str]) -> bool:
    """Whether a column is a prompt made of one of these questions and of an answer."""
    answers = column_names.named(table.columns, "answer")
    pairs = itertools.product(questions, answers)
    return any(len({column, *pair}) == 3 and renders(table, column, *pair) for pair in pairs)


def _likely_answer(columns: Sequence[str], cells: Tables[str, list[str]]) -> str | None:
    """The likely one of columns that only the labeled file fills: few values before others, who or when it was last;
    None where all cells of each are the same."""
    varied = [c for c in columns if len(set(cells[c])) > 1]
    return min(varied, key=lambda c: (column_names.is_about_labeling(c), not may_be_labels(cells[c])), default=None)


def _record_id(table: Table, columns: list[str]) -> str | None:
    """The column that names the records: by its name, best with another cell in each row, else one named like a number
    (claim no) with another code in each row."""
    if named := column_names.named(columns, "id"):
        looked_at = min(len(table), LOOKED_AT)
        distinct = {column: len(set(table.column(column, LOOKED_AT))) for column in named}
        differ = [column for column in named if distinct[column] == looked_at]
        return column_names.best(differ or [c for c in named if distinct[c] * _ID_REPEATS > looked_at], "id")
    for column in columns:
        cells = table.column(column, LOOKED_AT)
        codes = {cell for cell in cells if cell and _CODE.fullmatch(cell.strip())}
        if column_names.is_number(column) and len(cells) > 1 and len(codes) == len(cells):
            return column
    return None


def _gold(tables: Tables[Split, Table], mapping: Mapping) -> str | None:
    """The column of the unlabeled table, used for nothing else, whose cells are nearly all answers of the labeled one.

    A column of flags may hold the same values by chance: one that the labeled table has, too, must equal its answers,
    and one of short values (A, 1, yes) must be named like an answer.
    """
    labeled, unlabeled = tables.get("labeled"), tables.get("unlabeled")
    if labeled is None or unlabeled is None or mapping.answer not in labeled.columns:
        return None
    if mapping.answer in unlabeled.columns and any(unlabeled.column(mapping.answer, LOOKED_AT)):
        return None
    known = [cell for cell in labeled.column(mapping.answer, LOOKED_AT) if cell and cell.strip()]
    answers = {cell.strip().casefold() for cell in known}
    if not few_values(known) or len(answers) < 2:
        return None
    short = all(len(answer) <= 3 or answer in ("true", "false") for answer in answers)
    fitting = []
    for column in unlabeled.columns:
        named = column_names.rank(column, "answer") is not None
        if column in mapping.columns() or (short and not named):
            continue
        cells = [cell.strip().casefold() for cell in unlabeled.column(column, LOOKED_AT) if cell and cell.strip()]
        right = sum(cell in answers for cell in cells)
        if len(set(cells)) > 1 and right >= _NEARLY * len(cells) and _same_answers(labeled, column, mapping.answer):
            fitting.append(column)
    return column_names.best(fitting, "answer")


def _same_answers(labeled: Table, column: str, answer: str) -> bool:
    """Whether the column has the labeled records' answers, or is not in their table."""
    if column not in labeled.columns:
        return True
    pairs = list(zip(labeled.column(column, LOOKED_AT), labeled.column(answer, LOOKED_AT), strict=True))
    return sum(one == other for one, other in pairs) >= _NEARLY * len(pairs)


def _may_answer(column: str, cells: list[str], rows: int) -> bool:
    """Whether a column that is named like an answer may be one: no ids that all differ (ResponseId), and no detail that
    most rows lack."""
    if column_names.is_detail(column) and len(cells) < _NEARLY * min(rows, LOOKED_AT):
        return False
    return column_names.rank(column, "id") is None or len(set(cells)) < len(cells) or len(cells) < 2


def _fuller(column: str, columns: list[str], cells: Tables[str, list[str]], rows: int) -> str:
    """The column; or, where few rows have it and its name only adds "gold" to that of a full one, the full one
    (CrowdFlower's test questions)."""
    rows, stem = min(rows, LOOKED_AT), [word for word in column_names.words(column) if word != "gold"]
    if len(cells[column]) >= 0.5 * rows:
        return column
    full = (c for c in columns if column_names.words(c) == stem and len(cells[c]) >= _NEARLY * rows)
    return next(full, column)


def _nameless_choices(columns: list[str], cells: Tables[str, list[str]]) -> tuple[str, ...]:
    """Columns between a question and a letter, in a file without names that looks so: text, options, letter."""
    if columns != unnamed(len(columns)) or len(columns) < 4 or not all(cells[c] for c in columns):
        return ()
    between, letters = tuple(columns[1:-1]), set(map(str.strip, cells[columns[-1]]))
    fits = letters <= set(string.ascii_uppercase[: len(between)])
    differ = not any(few_values(cells[c]) for c in columns[:-1])
    return between if fits and differ else ()


def _option_texts(columns: list[list[str]], listed: bool) -> set[str]:
    """Texts of the options in the first cells; listed: a cell holds all of them."""
    some = itertools.chain.from_iterable(cells[:200] for cells in columns)
    return {option.strip() for cell in some for option in (options_in(cell) if listed else (cell,))}


def _points(column: str, cells: list[str], texts: set[str], count: int) -> bool:
    """As `_name_options`; but no number is larger than the number of options, and a key is a letter or a text, since
    numbers under that name are ids. count: 0 where it is not known."""
    numbers = [int(cell) for cell in cells if cell.isdecimal()]
    if numbers and (column_names.rank(column, "id") is not None or (count and max(numbers) > count)):
        return False
    return _name_options(cells, texts)


def _name_options(cells: list[str], texts: set[str]) -> bool:
    """Whether nearly all cells are a letter, a position or the text of an option."""
    some = [cell.strip() for cell in cells[:200]]
    return sum(cell in texts or POINTS.fullmatch(cell) is not None for cell in some) >= 0.9 * len(some)
