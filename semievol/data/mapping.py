"""Which column means what, and which task follows: suggestions from names (whole words) and from content.

Knows nothing of files; it sees tables of text. A suggestion is for a person to confirm, the command line takes it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping as Tables
from dataclasses import dataclass
from typing import get_args

from semievol.data.answers import AnswerForm, parse_options, read_answer, several
from semievol.data.tables import Table
from semievol.errors import UserError
from semievol.method.tasks import fold
from semievol.records import Kind, Split, Task

ROLES = ("question", "answer", "options", "id", "context", "group", "gold")
MOST_LABELS = 30
LONGEST_LABEL = 60
LONGEST_UNIT = 4
_LOOKED_AT = 2_000
_NAMES: dict[str, tuple[str, ...]] = {
    "question": (
        *("question", "text", "sentence", "message", "prompt", "input", "query", "instruction", "review", "content"),
        *("body", "tweet", "comment", "passage", "article", "document", "description", "problem", "title", "headline"),
        *("utterance", "subject"),
    ),
    "answer": (
        *("answer", "label", "gold", "gt", "target", "truth", "output", "response", "completion", "class", "category"),
        *("team", "sentiment", "intent", "topic", "solution", "result", "tag"),
    ),
    "options": ("options", "choices", "candidates", "alternatives", "option", "choice"),
    "id": ("id", "uid", "uuid", "guid", "key"),
    "context": ("context", "passage", "background", "paragraph", "evidence", "premise"),
}


@dataclass(frozen=True)
class Mapping:
    """Columns by role.

    choices: one column per option (A, B, C, …), where no single column holds the list. context: a passage that the
    question is about; it is put before it. group: records of one group stay together when splits are cut.
    gold: known answers of the unlabeled file, for measuring only, where they do not stand in the answer's column.
    """

    question: str
    answer: str | None = None
    options: str | None = None
    id: str | None = None
    choices: tuple[str, ...] = ()
    context: str | None = None
    group: str | None = None
    gold: str | None = None

    def as_dict(self) -> dict[str, str]:
        """Role -> column, without the absent ones; `--map` reads the same form."""
        found = {role: getattr(self, role) for role in ROLES} | {"options": self.options or "+".join(self.choices)}
        return {role: column for role, column in found.items() if column}

    def columns(self) -> tuple[str, ...]:
        return tuple(c for c in (*(getattr(self, role) for role in ROLES), *self.choices) if c)

    def answer_in(self, split: Split) -> str | None:
        """The column with the answers of a split: where it is unlabeled, that of the hidden gold."""
        return (self.gold or self.answer) if split == "unlabeled" else self.answer


def suggest_mapping(tables: Tables[Split, Table]) -> Mapping:
    """The likely mapping of these tables (split -> table); UserError where no column can be the question.

    Columns that all tables have are preferred; where they have none in common that will do, the mapping is that of the
    labeled table, and `align` finds the columns of the others.
    """
    first = tables.get("labeled") or next(iter(tables.values()))
    shared = [c for c in first.columns if all(c in table.columns for table in tables.values())]
    try:
        return _suggest(first, shared)
    except UserError:
        return _suggest(first, first.columns)


def align(tables: Tables[Split, Table], mapping: Mapping) -> dict[Split, Table]:
    """The tables with the columns of question, answer and options under the names that the mapping has for them.

    A table that lacks such a column gives the one that would be suggested for it, if there is one, and a note says so.
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


def _suggest(first: Table, shared: list[str]) -> Mapping:
    cells = {c: [v for v in first.column(c, _LOOKED_AT) if v and v.strip()] for c in first.columns}
    options = _best([c for c in shared if _holds_lists(cells[c])], "options")
    taken = {options}
    choices = () if options else _choice_columns(shared)
    taken.update(choices)
    named = [c for c in shared if c not in taken and _rank(c, "question") is not None]
    question = _best([c for c in named if not _few_values(cells[c])] or named, "question")
    if question is None:
        free = [c for c in shared if c not in taken and cells[c] and not _few_values(cells[c])]
        question = max(free, key=lambda c: sum(map(len, cells[c])) / len(cells[c]), default=None)
    if question is None:
        raise UserError(
            "No column looks like the question.", first.name, f"Choose it yourself; the columns are: {_listed(first)}."
        )
    taken.add(question)
    left = [c for c in first.columns if c not in taken and cells[c]]
    answer = _best([c for c in left if _rank(c, "answer") is not None], "answer")
    if answer is None and options is None and not choices:
        answer = next((c for c in left if _rank(c, "id") is None and _few_values(cells[c])), None)
    elif answer is None:
        answer = next((c for c in left if all(len(v.strip()) == 1 for v in cells[c])), None)
    taken.add(answer)
    found: dict[str, str | None] = {}
    for role in ("id", "context"):
        found[role] = _best([c for c in shared if c not in taken and _rank(c, role) is not None], role)
        taken.add(found[role])
    return Mapping(question, answer, options, found["id"], choices, found["context"])


def parse_mapping(text: str, tables: Tables[Split, Table]) -> Mapping:
    """Mapping from `question=COL,answer=COL,options=COL[,id=COL]`; options may be `A+B+C+D`, one column each.

    Roles that are left out stay unmapped, but the question must be there.
    """
    found: dict[str, str] = {}
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
    options = found.get("options", "")
    separate = "+" in options and all(options not in table.columns for table in tables.values())
    mapping = Mapping(
        found["question"],
        found.get("answer"),
        None if separate or not options else options,
        found.get("id"),
        tuple(options.split("+")) if separate else (),
        found.get("context"),
        found.get("group"),
        found.get("gold"),
    )
    check_mapping(mapping, tables)
    return mapping


def check_mapping(mapping: Mapping, tables: Tables[Split, Table]) -> None:
    """UserError where a column serves two roles or is absent from a file that needs it.

    Only the unlabeled file may lack the answer and the id.
    """
    repeated = [column for column, times in Counter(mapping.columns()).items() if times > 1]
    if repeated:
        raise UserError(f'The column "{repeated[0]}" is mapped twice.', "mapping", "Give every role its own column.")
    for split, table in tables.items():
        for column in mapping.columns():
            optional = column in (mapping.id, mapping.group) or (column == mapping.answer and split == "unlabeled")
            optional = optional or (column == mapping.gold and split != "unlabeled")
            if column not in table.columns and not optional:
                raise UserError(
                    f'There is no column "{column}".', table.name, f"Its columns are: {_listed(table)}. Choose one."
                )


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
        return Task("classification", labels or label_set(_answers(tables, mapping)))
    if kind is not None:
        return Task(kind)
    answers = _answers(tables, mapping)
    if not answers:
        raise UserError(
            "The labeled records have no answers.", mapping.answer or "mapping", "Map the column that holds them."
        )
    numeric = all(_is_number(answer) for answer in answers)
    distinct = len(set(answers))
    repeated = distinct * (5 if numeric else 2) <= len(answers) and distinct <= (10 if numeric else MOST_LABELS)
    if repeated and all(len(answer) <= LONGEST_LABEL for answer in answers):
        return Task("classification", label_set(answers))
    return Task("numeric") if numeric else Task("text")


def label_set(answers: list[str]) -> tuple[str, ...]:
    """Distinct answers by falling frequency, then name; spellings that differ only in case or spaces are one label,
    written in its most frequent form."""
    counts = Counter(answer for answer in answers if not several(answer))
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


def _answers(tables: Tables[Split, Table], mapping: Mapping) -> list[str]:
    table = tables.get("labeled")
    if table is None or mapping.answer is None:
        return []
    return [v.strip() for v in table.column(mapping.answer) if v and v.strip()]


def _option_lists(tables: Tables[Split, Table], mapping: Mapping) -> Counter[tuple[str, ...]]:
    """How often each readable option list stands in the tables, those of the labeled one first."""
    found: Counter[tuple[str, ...]] = Counter()
    for split in sorted(tables, key=lambda split: split != "labeled"):
        table = tables[split]
        if mapping.choices:
            rows = zip(*(table.column(column) for column in mapping.choices), strict=True)
            found.update(tuple(v for v in row if v and v.strip()) for row in rows)
        elif mapping.options in table.columns:
            for cell, times in Counter(table.column(mapping.options)).items():
                try:
                    found[parse_options(cell or "")] += times
                except UserError:
                    continue  # the import names these rows; they say nothing about the task
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


def _is_number(answer: str) -> bool:
    """Whether the answer is a number, at most with a short unit; a sentence with one number in it is text."""
    if "####" not in answer and sum(char.isalpha() for char in answer) > LONGEST_UNIT:
        return False
    try:
        read_answer(Task("numeric"), (), answer, AnswerForm())
    except UserError:
        return False
    return True


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return [word.casefold() for word in re.split(r"[\W_]+", spaced) if word]


def _rank(column: str, role: str) -> int | None:
    """Place of the column's best whole word in the role's list; None if it has none."""
    words = _words(column)
    return next((i for i, name in enumerate(_NAMES[role]) if name in words), None)


def _best(columns: list[str], role: str) -> str | None:
    """The column whose name fits best; shorter names first among equals, then the order of the file."""

    def key(column: str) -> tuple[int, int, int]:
        rank = _rank(column, role)
        return (len(_NAMES[role]) if rank is None else rank, len(_words(column)), columns.index(column))

    return min(columns, key=key, default=None)


def _holds_lists(cells: list[str]) -> bool:
    sample = cells[:200]
    lists = sum(_is_list(cell) for cell in sample)
    return bool(sample) and lists >= 0.8 * len(sample)


def _is_list(cell: str) -> bool:
    text = cell.strip()
    if text[:1] not in ("[", "{", "(") and text.count("|") < 1:
        return False
    try:
        return len(parse_options(cell)) > 1
    except UserError:
        return False


def _few_values(cells: list[str]) -> bool:
    distinct = set(cells)
    return bool(cells) and len(distinct) <= max(2, len(cells) // 2) and max(map(len, distinct)) <= LONGEST_LABEL


def _choice_columns(columns: list[str]) -> tuple[str, ...]:
    """Columns A, B, C, … or option_a, choice_1, …, at least two, in order."""
    for endings in ("abcdefghijklmnopqrstuvwxyz", "123456789", "012345678"):
        found = []
        for ending in endings:
            column = next((c for c in columns if _is_choice(c, ending)), None)
            if column is None:
                break
            found.append(column)
        if len(found) >= 2:
            return tuple(found)
    return ()


def _is_choice(column: str, ending: str) -> bool:
    words = [word for word in re.split(r"[\W_]+|(?<=[a-zA-Z])(?=\d)", column.casefold()) if word]
    if words == [ending]:
        return ending.isalpha()
    return len(words) == 2 and words[0] in _NAMES["options"] and words[1] == ending


def _listed(table: Table) -> str:
    return ", ".join(table.columns[:30]) + (", …" if len(table.columns) > 30 else "")
