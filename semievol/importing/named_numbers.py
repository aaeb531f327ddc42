"""A column that names the numbers of another: label_text beside label."""

from __future__ import annotations

import re
from collections.abc import Sequence

from semievol.importing import column_names
from semievol.importing.table import Table

_LOOKED_AT = 2_000
_NUMBER = re.compile(r"\d{1,4}(?:\.0)?")


def names_of(answer: str | None, columns: Sequence[str], table: Table) -> str | None:
    """The column with a name for each number of the answer's column (label, label_text); None if there is none."""
    for column in columns if answer else ():
        words = column_names.words(column)
        if words[-1:] in (["text"], ["name"], ["names"], ["str"]) and words[:-1] == column_names.words(str(answer)):
            numbers, names = table.column(str(answer), _LOOKED_AT), table.column(column, _LOOKED_AT)
            pairs = set(zip(numbers, names, strict=True))
            if len(pairs) == len(set(numbers)) == len(set(names)) and all(n and _NUMBER.fullmatch(n) for n in numbers):
                return column
    return None
