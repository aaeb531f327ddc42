"""What quotation marks mean in a file of delimited cells, where reading them as enclosures goes wrong.

Writers that know no quoting (GLUE, many TSV files) leave lone quotation marks in texts, which then swallow whole
rows; others write \\" inside a cell. Both readings are tried on all lines before one is believed.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from semievol.importing.readers.content import Content

_FITS = 0.99
_LEAST_ROWS = 8
_MINORITY = 0.5
_BREAK = re.compile(r"\r\n|\r|\n")
_ESCAPES = re.compile(r'\\([\\"]|(?=[\r\n]))')
NO_VALUE = r"\N"
"""An empty cell, as MySQL and PostgreSQL write it."""
LITERAL_REMEDY = "If they enclose cells, say so."
STANDARD_REMEDY = "If they are rows, read quotation marks as ordinary characters."


@dataclass
class Suspects:
    """Rows that look wrong if quotation marks enclose cells.

    merged: first and last line of rows of which every line could be a row. broken: rows whose marks do not match.
    """

    merged: list[tuple[int, int]] = field(default_factory=list)
    examples: list[tuple[int, str]] = field(default_factory=list)
    broken: int = 0
    rows: int = 0

    def look_at(self, first: int, last: int, fields: list[str], delimiter: str) -> None:
        """Notes a row of several lines if each of them has as many fields as the row."""
        lines = _BREAK.split(delimiter.join(fields))
        if all(line.count(delimiter) == len(fields) - 1 for line in lines):
            self.merged.append((first, last))
            self.examples.append((first, max(fields, key=len)))


def literal_rows(lines: Iterable[str], delimiter: str) -> Any:
    """A reader of the `csv` module to which quotation marks are ordinary characters."""
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def unescaped(lines: Iterable[str]) -> Iterator[str]:
    """The lines with \\" as "", \\\\ as one backslash, and without the one before a line break."""
    return (
        _ESCAPES.sub(lambda match: '""' if match[1] == '"' else match[1], line) if "\\" in line else line
        for line in lines
    )


def without_blanks_after_quotes(line: str, delimiter: str) -> list[str]:
    """The cells of a row of one line, without blanks between a closing quotation mark and the next delimiter; [] where
    the marks do not match all the same."""
    mark, blanks = re.escape(delimiter), r"[ \u00a0]+" if delimiter == "\t" else r"[ \t\u00a0]+"
    enclosed = re.compile(rf'(^|{mark})("(?:[^"]|"")*")(?:{blanks})?(?={mark}|\r|\n|$)')
    try:
        return next(csv.reader([enclosed.sub(r"\1\2", line)], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def better(
    content: Content, skipped: int, delimiter: str, width: int, suspects: Suspects, failed: bool, tsv: bool
) -> str | None:
    """The reading that fits where enclosures do not; None if none is clearly better.

    skipped: lines before the header. width: fields of the header, 0 if not even that was read. failed: whether the file
    could not be read to its end. tsv: whether the name of the file says so.
    """
    if not (failed or suspects.broken or suspects.merged):
        return None
    if any('\\"' in line for line in content.lines()) and _escapes_fit(content, skipped, delimiter):
        return "backslash"
    merged = set[int]()
    for first, last in suspects.merged:
        merged.update(range(first, last + 1))
    values: dict[bool, list[Counter[str]]] = {}
    fits = rows = 0
    for number, fields in enumerate(literal_rows(_from(content, skipped), delimiter), skipped + 1):
        if not fields or not any(fields):
            continue
        width = width or len(fields)
        rows += 1
        fits += len(fields) == width
        if len(fields) == width:
            counts = values.setdefault(number in merged, [Counter() for _ in fields])
            for counter, value in zip(counts, fields, strict=True):
                if len(counter) < 10_000:
                    counter[value.strip()] += 1
    if fits < _FITS * rows or (fits < rows and not (failed or suspects.broken)):
        return None
    tabs = delimiter == "\t" or (tsv and width == 1)
    if width == 1 and not tsv:
        return None
    sure = tabs or (not failed and _same_labels(values.get(False, []), values.get(True, [])))
    return "literal" if sure else None


def doubtful(suspects: Suspects, width: int) -> bool:
    """Whether rows that span lines should be looked at: of one column only those that are a few among others."""
    return bool(suspects.merged) and (width > 1 or len(suspects.merged) <= _MINORITY * suspects.rows)


def _from(content: Content, skipped: int) -> Iterator[str]:
    for number, line in enumerate(content.lines()):
        if number >= skipped:
            yield line


def _escapes_fit(content: Content, skipped: int, delimiter: str) -> bool:
    width = rows = fits = 0
    try:
        for fields in csv.reader(unescaped(_from(content, skipped)), delimiter=delimiter, strict=True):
            if fields:
                width = width or len(fields)
                rows += 1
                fits += len(fields) == width
    except csv.Error:
        return False
    return fits >= _FITS * rows


def _same_labels(apart: list[Counter[str]], merged: list[Counter[str]]) -> bool:
    """Whether some column of few values has, in the lines that may be merged, only values that other rows have."""
    for known, found in zip(apart, merged, strict=False):
        few = known.total() >= _LEAST_ROWS and len(known) <= known.total() // 2
        if few and all(value in known for value in found):
            return True
    return False
