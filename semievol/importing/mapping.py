"""Which column means what: suggestions from names (whole words) and from content.

A person confirms the suggestion on the page; the command line takes it. Knows tables of text, not files.
"""

from __future__ import annotations

import itertools
import re
import string
from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Mapping as Tables
from dataclasses import dataclass, replace
from typing import Any

from semievol.errors import UserError
from semievol.importing.answer_cells import options_in
from semievol.importing.forms.unfolding import EARLIER, QUESTION
from semievol.importing.table import Table
from semievol.records import Split

ROLES = ("question", "answer", "options", "id", "context", "group", "gold", "earlier")
MOST_LABELS = 30
LONGEST_LABEL = 60
_LOOKED_AT = 2_000
_TEXT = 2
"""Words on average, from which on the cells of a column are texts."""
_NEARLY = 0.95
"""Share of a column's cells that are answers, from which on it is taken for a column of answers."""
_NAMES: dict[str, tuple[str, ...]] = {
    "question": (
        *("question", "text", "sentence", "message", "prompt", "input", "query", "instruction", "review", "content"),
        *("body", "tweet", "comment", "passage", "article", "document", "description", "problem", "title", "headline"),
        *("utterance", "hypothesis", "subject", "stem", "goal", "startphrase", "ctx"),
    ),
    "answer": (
        *("answer", "label", "gold", "gt", "target", "truth", "output", "response", "completion", "class", "category"),
        *("cop", "team", "sentiment", "intent", "topic", "solution", "result", "tag"),
    ),
    "options": ("options", "choices", "candidates", "alternatives", "option", "choice"),
    "id": ("id", "uid", "uuid", "guid", "key"),
    "context": ("context", "passage", "background", "paragraph", "evidence", "premise", "article"),
}
_CHOICES = (*_NAMES["options"], "alternative", "candidate", "opt", "op", "ending", "sol")
"""Names of columns with one option each, before a letter or a number: option_a, choice1."""
_LETTERED = ("", "answer", "ans")
"""The same before a letter only, since answer1 and answer2 are two answers that are both right."""
_NUMBERED = re.compile(r"(.*?) ?([a-z]|\d{1,2})")
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
            names = {column: name for column, name in found.items() if column not in mapping.columns()}
        aligned[split] = table.renamed(names) if names else table
    return aligned


def _suggest(first: Table, shared: list[str], known: str = "") -> Mapping:
    cells = {c: [v for v in first.column(c, _LOOKED_AT) if v and v.strip()] for c in first.columns}
    options = _best([c for c in shared if _holds_lists(cells[c])], "options")
    taken = {options}
    choices = () if options else _choice_columns(first.columns)
    taken.update(choices)
    # question_id is named like a question but holds ids; texts that repeat are rather labels than questions.
    named = [c for c in _named(shared, "question") if c not in taken and _rank(c, "id") is None]
    pair = () if known or options or choices else _pair([c for c in shared if cells[c] and not _few_values(cells[c])])
    question = (
        known
        or (pair[1] if pair else None)
        or _best([c for c in named if not _few_values(cells[c])] or named, "question")
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
    named = _named(left, "answer")
    if options or choices:
        # A column such as "topic" is named like an answer, but the answer is the column whose cells name options.
        texts = _option_texts([cells[c] for c in choices or (options,) if c], listed=bool(options))
        named = [c for c in named if _name_options(cells[c], texts)] or named
    answer = _best(named, "answer")
    if answer is None and options is None and not choices:
        answer = next((c for c in left if _rank(c, "id") is None and _few_values(cells[c])), None)
    elif answer is None:
        answer = next((c for c in left if all(len(v.strip()) == 1 for v in cells[c])), None)
    taken.add(answer)
    record_id = _best([c for c in _named(shared, "id") if c not in taken], "id")
    named = [c for c in _named(shared, "context") if c not in {*taken, record_id}]
    context = pair[0] if pair else _best(named, "context") or _companion(question, shared, taken)
    return Mapping(question, answer, options, record_id, choices, context)


def _pair(columns: list[str]) -> tuple[str, ...]:
    """Two texts that are asked about together, sentence1 and sentence2, in their order; () if there are none."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for column in columns:
        match = _NUMBERED.fullmatch(" ".join(_words(column)))
        if match and match[1] in (*_NAMES["question"], *_NAMES["context"]):
            found[match[1]].setdefault(match[2], column)
    for by_ending in found.values():
        for first, second in ("12", "ab"):
            if first in by_ending and second in by_ending:
                return by_ending[first], by_ending[second]
    return ()


def _companion(question: str, columns: list[str], taken: Iterable[str | None]) -> str | None:
    """The sentence that a question is about, where its column is named so (QNLI); None if there is none."""
    if "question" not in _words(question):
        return None
    return next((c for c in columns if c not in taken and _words(c) in (["sentence"], ["text"], ["document"])), None)


def left_out(table: Table, mapping: Mapping) -> list[str]:
    """Columns of texts that are named like a question or a passage, and that no role has, nor is their text part of the
    question."""
    if mapping.question not in table.columns:
        return []
    asked, found = table.column(mapping.question, _LOOKED_AT), []
    for column in table.columns:
        named = _rank(column, "question") is not None or _rank(column, "context") is not None
        if column in mapping.columns() or not named or _rank(column, "id") is not None:
            continue
        pairs = zip(table.column(column, _LOOKED_AT), asked, strict=True)
        beside = [(cell, text or "") for cell, text in pairs if cell and cell.strip()]
        cells = [cell for cell, _ in beside]
        words = sum(len(cell.split()) for cell in cells)
        inside = sum(cell in text for cell, text in beside)
        if cells and inside < 0.9 * len(cells) and words >= _TEXT * len(cells) and not _few_values(cells):
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
        named = _rank(column, "answer") is not None
        if column in mapping.columns() or (short and not named):
            continue
        cells = [cell.strip().casefold() for cell in unlabeled.column(column, _LOOKED_AT) if cell and cell.strip()]
        right = sum(cell in answers for cell in cells)
        if len(set(cells)) > 1 and right >= _NEARLY * len(cells) and _same_answers(labeled, column, mapping.answer):
            fitting.append(column)
    return _best(fitting, "answer")


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


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.casefold() for word in re.split(r"[\W_]+", spaced) if word]


def _rank(column: str, role: str) -> int | None:
    """Place of the column's best whole word in the role's list; None if it has none."""
    words = _words(column)
    return next((i for i, name in enumerate(_NAMES[role]) if name in words), None)


def _named(columns: list[str], role: str) -> list[str]:
    """The columns with a word of the role's list in their name."""
    return [column for column in columns if _rank(column, role) is not None]


def _best(columns: list[str], role: str) -> str | None:
    """The column whose name fits best; shorter names first among equals, then the order of the file."""

    def key(column: str) -> tuple[int, int, int]:
        rank = _rank(column, role)
        return (len(_NAMES[role]) if rank is None else rank, len(_words(column)), columns.index(column))

    return min(columns, key=key, default=None)


def _holds_lists(cells: list[str]) -> bool:
    """Whether nearly all of the first cells are lists of options; answers in the form of SQuAD are none."""
    sample = cells[:200]
    lists = sum("answer_start" not in cell and bool(options_in(cell)) for cell in sample)
    return bool(sample) and lists >= 0.8 * len(sample)


def _few_values(cells: list[str]) -> bool:
    distinct = set(cells)
    return bool(cells) and len(distinct) <= max(2, len(cells) // 2) and max(map(len, distinct)) <= LONGEST_LABEL


def _choice_columns(columns: list[str]) -> tuple[str, ...]:
    """Columns A, B, C, … or option_a, choice1, ending0, opa, …: of one name, at least two, in order."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for column in columns:
        match = _NUMBERED.fullmatch(" ".join(_words(column)))
        if match and match[1] in (_CHOICES + _LETTERED if match[2].isalpha() else _CHOICES):
            found[match[1]].setdefault(match[2], column)
    digits = [str(number) for number in range(27)]
    for by_ending in found.values():
        for endings in (string.ascii_lowercase, digits, digits[1:]):
            run = tuple(by_ending[ending] for ending in itertools.takewhile(by_ending.__contains__, endings))
            if len(run) >= 2:
                return run
    return ()


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
