"""Which column means what, and how a person says so.

Knows tables of text, not files. `suggestions` makes the mapping that a person confirms.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterator
from collections.abc import Mapping as Tables
from dataclasses import dataclass, replace
from typing import Any

from semievol.errors import UserError
from semievol.importing.forms.unfolding import EARLIER, QUESTION
from semievol.importing.readers.header import unnamed
from semievol.importing.table import Table
from semievol.records import Split

ROLES = ("question", "answer", "options", "id", "context", "group", "gold", "earlier")
_IN_QUOTES = r'"(?:[^"]|"")*"'


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


def parse_mapping(text: str, tables: Tables[Split, Table]) -> Mapping:
    """Mapping from `question=COL,answer=COL,options=COL[,id=COL]`; options may be `A+B+C+D`, one column each.

    Roles that are left out stay unmapped, but the question must be there. A name with a comma may be in quotation
    marks.
    """
    found: dict[str, Any] = {}
    names = {column for table in tables.values() for column in table.columns}
    for part in _parts(text, names):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if column not in names and re.fullmatch(_IN_QUOTES, column):
            column = column[1:-1].replace('""', '"')
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


def context_in(text: str, tables: Tables[Split, Table]) -> list[str]:
    """The column, or the columns A+B, that such a text names as the context; [] if it names none."""
    parts = _parts(text, {column for table in tables.values() for column in table.columns})
    return [column.strip() for role, _, column in (part.partition("=") for part in parts) if role.strip() == "context"]


def _parts(text: str, names: Collection[str]) -> Iterator[str]:
    """The pieces role=COLUMN of a mapping. A comma in quotation marks, or in a column's name, separates nothing."""
    pieces = text.split(",")
    while pieces:
        ends = range(len(pieces), 1, -1)
        end = next((end for end in ends if _is_name(",".join(pieces[:end]), names)), 1)
        yield ",".join(pieces[:end])
        del pieces[:end]


def _is_name(part: str, names: Collection[str]) -> bool:
    column = part.partition("=")[2].strip()
    return column in names or re.fullmatch(_IN_QUOTES, column) is not None


def map_option(**roles: str | None) -> str:
    """The option of the command line that maps these columns, ready for a shell."""
    parts = [(role, column) for role, column in roles.items() if column]
    text = ",".join(f"{role}={column}" for role, column in parts)
    return "--map " + (text if re.fullmatch(r"[\w=,.+-]*", text) else shlex.quote(text))


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
    remedy = f"Its columns are: {listed(table)}. Choose one."
    if column in unnamed(len(table.columns) + 1):
        remedy += " If its first row is a record, as in the other file: --no-header."
    return UserError(f'There is no column "{column}".', table.name, remedy)


def listed(table: Table) -> str:
    return ", ".join(table.columns[:30]) + (", …" if len(table.columns) > 30 else "")
