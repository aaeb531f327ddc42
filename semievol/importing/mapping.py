"""Which column means what: suggestions from names (whole words) and from content.

A person confirms the suggestion on the page; the command line takes it. Knows tables of text, not files.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Mapping as Tables
from dataclasses import dataclass, replace
from typing import Any

from semievol.errors import UserError
from semievol.importing import column_names
from semievol.importing.answer_cells import options_in
from semievol.importing.forms.unfolding import EARLIER, QUESTION
from semievol.importing.table import Table
from semievol.records import Split

ROLES = ("question", "answer", "options", "id", "context", "group", "gold", "earlier")
MOST_LABELS = 30
LONGEST_LABEL = 60
_NAMELESS = re.compile(r"column \d+")
"""The name of a column in a file that has no names."""
_OUTPUTS = ("response", "output", "completion")
"""What a model said: the answer, or, beside another answer, what was judged."""
_LOOKED_AT = 2_000
_COMPARED = 300
"""Rows, and characters of each cell, by which one column is found inside others."""
_TEXT = 2
"""Words on average, from which on the cells of a column are texts."""
_NEARLY = 0.95
"""Share of a column's cells that are answers, from which on it is taken for a column of answers."""
_POINTS = re.compile(r"\(?[A-Za-z][).:]?|\d{1,2}")
"""A letter or a position, as an answer that names an option."""


@dataclass(frozen=True)
class Mapping:
    """Columns by role.

    choices: one column per option (A, B, C, …), where no single column holds the list. context: a passage that the
    question is about; it is put before the question. group: records of one group stay together when splits are cut.
    gold: known answers of the unlabeled file, for measuring only; the column of the answer, or one of their own.
    earlier: turns of a conversation before the question, as `forms` writes them.
    """

    question: str
    answer: str | None = None
    options: str | None = None
    id: str | None = None
    choices: tuple[str, ...] = ()
    context: str | None = None
    group: str | None = None
    gold: str | None = None
    earlier: str | None = None

    def as_dict(self) -> dict[str, str]:
        """Role -> column, without the absent ones; `--map` reads the same form."""
        found = {role: getattr(self, role) for role in ROLES} | {"options": self.options or "+".join(self.choices)}
        return {role: column for role, column in found.items() if column}

    def columns(self) -> tuple[str, ...]:
        return tuple(c for c in (*(getattr(self, role) for role in ROLES), *self.choices) if c)

    def answer_in(self, split: Split) -> str | None:
        """The column with the answers of a split: where it is unlabeled, that of the hidden gold."""
        return (self.gold or self.answer) if split == "unlabeled" else self.answer


def suggest_mapping(tables: Tables[Split, Table], question: str = "") -> Mapping:
    """The likely mapping of these tables (split -> table); UserError where no column can be the question.

    question: its column, where that is known; the others are suggested beside it.

    Columns that all tables have are preferred. Where none of these can be the question, the mapping is that of the
    labeled table, and `align` finds the columns of the others.
    """
    first = tables.get("labeled") or next(iter(tables.values()))
    shared = [c for c in first.columns if all(c in table.columns for table in tables.values())]
    try:
        found = _suggest(first, shared, question)
    except UserError:
        found = _suggest(first, first.columns, question)
    earlier = EARLIER if any(EARLIER in table.columns for table in tables.values()) else None
    return replace(found, gold=_gold(tables, found), earlier=earlier)


def align(tables: Tables[Split, Table], mapping: Mapping) -> dict[Split, Table]:
    """The tables with the columns of question, answer and options under the names that the mapping has for them.

    Where a table lacks such a column, the one that would be suggested for this table takes its name. A note says so.
    """
    aligned: dict[Split, Table] = {}
    for split, table in tables.items():
        wanted = {role: getattr(mapping, role) for role in ("question", "answer", "options")}
        missing = {role: name for role, name in wanted.items() if name and name not in table.columns}
        if split == "unlabeled":
            missing.pop("answer", None)
        names: dict[str, str] = {}
        if missing:
            try:
                own = _suggest(table, table.columns)
            except UserError:
                own = Mapping("")
            found = {getattr(own, role): name for role, name in missing.items() if getattr(own, role)}
            used = set(mapping.columns()) - ({mapping.answer} if split == "unlabeled" else set())
            names = {column: name for column, name in found.items() if column not in used}
        aligned[split] = table.renamed(names) if names else table
    return aligned


def _suggest(first: Table, shared: list[str], known: str = "") -> Mapping:
    cells = {c: [v for v in first.column(c, _LOOKED_AT) if v and v.strip()] for c in first.columns}
    options = column_names.best([c for c in shared if _holds_lists(cells[c])], "options")
    taken = {options}
    choices = () if options else column_names.choice_columns(first.columns)
    taken.update(choices)
    # question_id is named like a question but holds ids; texts that repeat are rather labels than questions.
    named = [c for c in column_names.named(shared, "question") if c not in taken and column_names.rank(c, "id") is None]
    pair = () if known or options or choices else column_names.pair([c for c in shared if _are_texts(cells[c])])
    question = (
        known
        or (pair[1] if pair else None)
        or column_names.best([c for c in named if not _few_values(cells[c])] or named, "question")
    )
    if question is None:  # then the longest texts
        free = [c for c in shared if c not in taken and cells[c] and not _few_values(cells[c])]
        question = max(free, key=lambda c: sum(map(len, cells[c])) / len(cells[c]), default=None)
    if question is None:
        raise UserError(
            "No column looks like the question.", first.name, f"Choose it yourself; the columns are: {_listed(first)}."
        )
    taken.add(question)
    left = [c for c in first.columns if c not in taken and cells[c]]
    named = column_names.named(left, "answer")
    if options or choices:
        # A column such as "topic" is named like an answer, but the answer is the column whose cells name options.
        texts = _option_texts([cells[c] for c in choices or (options,) if c], listed=bool(options))
        named = [c for c in named if _name_options(cells[c], texts)] or named
    answer = column_names.best(named, "answer")
    if answer is None and options is None and not choices:
        few = [c for c in left if column_names.rank(c, "id") is None and _few_values(cells[c])]
        answer = next((c for c in few if len(set(cells[c])) > 1), next(iter(few), None))
    elif answer is None:
        answer = next((c for c in left if all(len(v.strip()) == 1 for v in cells[c])), None)
    taken.add(answer)
    record_id = column_names.best([c for c in column_names.named(shared, "id") if c not in taken], "id")
    named = [c for c in column_names.named(shared, "context") if c not in {*taken, record_id}]
    context = (
        pair[0] if pair else column_names.best(named, "context") or column_names.companion(question, shared, taken)
    )
    return Mapping(question, answer, options, record_id, choices, context)


def _are_texts(cells: list[str]) -> bool:
    """Whether the cells are texts of some words, most of them different."""
    some = cells[:200]
    return bool(some) and sum(len(cell[:200].split()) for cell in some) >= _TEXT * len(some) and not _few_values(cells)


def left_out(table: Table, mapping: Mapping) -> list[str]:
    """Columns of texts that are named like a question, a passage or a model's output, that no role has, and whose text
    is no part of the question or the answer."""
    if mapping.question not in table.columns:
        return []
    known = [mapping.question, *(c for c in (mapping.context, mapping.answer) if c in table.columns)]
    rows = zip(*(table.column(column, _COMPARED) for column in known), strict=True)
    asked = ["\n".join(cell or "" for cell in row) for row in rows]
    found = []
    for column in table.columns:
        judged = any(word in _OUTPUTS for word in column_names.words(column))
        named = judged or any(column_names.rank(column, role) is not None for role in ("question", "context"))
        named = named or _NAMELESS.fullmatch(column) is not None
        if column in mapping.columns() or not named or column_names.rank(column, "id") is not None:
            continue
        pairs = zip(table.column(column, _COMPARED), asked, strict=True)
        beside = [(cell, text) for cell, text in pairs if cell and cell.strip()]
        cells = [cell for cell, _ in beside]
        inside = sum(cell[:_COMPARED] in text for cell, text in beside)
        if _are_texts(cells) and inside < 0.9 * len(cells):
            found.append(column)
    return found


def _gold(tables: Tables[Split, Table], mapping: Mapping) -> str | None:
    """The column of the unlabeled table, used for nothing else, whose cells are nearly all answers of the labeled one.

    A column of flags may hold the same values by chance: one that the labeled table has, too, must equal its answers,
    and one of short values (A, 1, yes) must be named like an answer.
    """
    labeled, unlabeled = tables.get("labeled"), tables.get("unlabeled")
    if labeled is None or unlabeled is None or mapping.answer not in labeled.columns:
        return None
    if mapping.answer in unlabeled.columns and any(unlabeled.column(mapping.answer, _LOOKED_AT)):
        return None
    known = [cell for cell in labeled.column(mapping.answer, _LOOKED_AT) if cell and cell.strip()]
    answers = {cell.strip().casefold() for cell in known}
    if not _few_values(known) or len(answers) < 2:
        return None
    short = all(len(answer) <= 3 or answer in ("true", "false") for answer in answers)
    fitting = []
    for column in unlabeled.columns:
        named = column_names.rank(column, "answer") is not None
        if column in mapping.columns() or (short and not named):
            continue
        cells = [cell.strip().casefold() for cell in unlabeled.column(column, _LOOKED_AT) if cell and cell.strip()]
        right = sum(cell in answers for cell in cells)
        if len(set(cells)) > 1 and right >= _NEARLY * len(cells) and _same_answers(labeled, column, mapping.answer):
            fitting.append(column)
    return column_names.best(fitting, "answer")


def _same_answers(labeled: Table, column: str, answer: str) -> bool:
    """Whether the column has the labeled records' answers, or is not in their table."""
    if column not in labeled.columns:
        return True
    pairs = list(zip(labeled.column(column, _LOOKED_AT), labeled.column(answer, _LOOKED_AT), strict=True))
    return sum(one == other for one, other in pairs) >= _NEARLY * len(pairs)


def parse_mapping(text: str, tables: Tables[Split, Table]) -> Mapping:
    """Mapping from `question=COL,answer=COL,options=COL[,id=COL]`; options may be `A+B+C+D`, one column each.

    Roles that are left out stay unmapped, but the question must be there.
    """
    found: dict[str, Any] = {}
    for part in text.split(","):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise UserError(f'"{part.strip()}" names no column.', "--map", "Write role=COLUMN, separated by commas.")
        if role not in ROLES:
            raise UserError(f'There is no role "{role}".', "--map", f"Roles are: {', '.join(ROLES)}.")
        if role in found:
            raise UserError(f"The role {role} is given twice.", "--map", "Name one column for it.")
        found[role] = column
    if "question" not in found:
        raise UserError("No column is given for the question.", "--map", "Add question=COLUMN.")
    if found["question"] == QUESTION and any(EARLIER in table.columns for table in tables.values()):
        found.setdefault("earlier", EARLIER)  # what a form took apart stays together
    mapping, options = Mapping(**found), found.get("options", "")
    if "+" in options and all(options not in table.columns for table in tables.values()):
        mapping = replace(mapping, options=None, choices=tuple(options.split("+")))
    check_mapping(mapping, tables)
    return mapping


def check_mapping(mapping: Mapping, tables: Tables[Split, Table]) -> None:
    """UserError where a column serves two roles or is absent from a file that needs it.

    Hidden gold may have the column of the answer: it is then read from the unlabeled file, where the answer is not.
    Only the unlabeled file may lack the answer and the id.
    """
    roles = defaultdict(list)
    for role in ROLES:
        roles[getattr(mapping, role)].append("hidden gold" if role == "gold" else role)
    for column in mapping.choices:
        roles[column].append("option")
    for column, several in roles.items():
        if column and len(several) > 1 and several != ["answer", "hidden gold"]:
            raise UserError(
                f'The column "{column}" is mapped twice: as {" and as ".join(several)}.',
                "mapping",
                "Give every role its own column.",
            )
    everywhere = {column for table in tables.values() for column in table.columns}
    if absent := [column for column in mapping.columns() if column not in everywhere]:
        raise _no_column(absent[0], next(iter(tables.values())))
    for split, table in tables.items():
        for column in mapping.columns():
            not_here, here = (mapping.answer, mapping.gold) if split == "unlabeled" else (mapping.gold, mapping.answer)
            optional = column in (mapping.id, mapping.group, mapping.earlier) or (column == not_here and column != here)
            if column not in table.columns and not optional:
                raise _no_column(column, table)


def _no_column(column: str, table: Table) -> UserError:
    return UserError(f'There is no column "{column}".', table.name, f"Its columns are: {_listed(table)}. Choose one.")


def _holds_lists(cells: list[str]) -> bool:
    """Whether nearly all of the first cells are lists of options; answers in the form of SQuAD are none."""
    sample = cells[:200]
    lists = sum("answer_start" not in cell and bool(options_in(cell)) for cell in sample)
    return bool(sample) and lists >= 0.8 * len(sample)


def _few_values(cells: list[str]) -> bool:
    distinct = set(cells)
    return bool(cells) and len(distinct) <= max(2, len(cells) // 2) and max(map(len, distinct)) <= LONGEST_LABEL


def _option_texts(columns: list[list[str]], listed: bool) -> set[str]:
    """Texts of the options in the first cells; listed: a cell holds all of them."""
    some = itertools.chain.from_iterable(cells[:200] for cells in columns)
    return {option.strip() for cell in some for option in (options_in(cell) if listed else (cell,))}


def _name_options(cells: list[str], texts: set[str]) -> bool:
    """Whether nearly all cells are a letter, a position or the text of an option."""
    some = [cell.strip() for cell in cells[:200]]
    return sum(cell in texts or _POINTS.fullmatch(cell) is not None for cell in some) >= 0.9 * len(some)


def _listed(table: Table) -> str:
    return ", ".join(table.columns[:30]) + (", …" if len(table.columns) > 30 else "")
