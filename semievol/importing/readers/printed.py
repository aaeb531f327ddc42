"""Tables as psql, MySQL and Markdown print them: bars between padded cells, and a rule below the names."""

from __future__ import annotations

import itertools
import re

from semievol.importing.readers.content import Content
from semievol.importing.table import Limits, Table, check_columns
from semievol.importing.table_writer import TableWriter

_RULE = re.compile(r"[|+]?\s*:?-{2,}:?(?:\s*[|+]\s*:?-{2,}:?)*\s*[|+]?")
_FOOTER = re.compile(r"\(\d+ rows?\)|\d+ rows? in set.*")
_WRAPPED = "The text goes on in the next line, as the program prints it."


def is_printed(content: Content) -> bool:
    """Whether the first lines are names between bars and a rule of as many columns."""
    lines = [line.strip() for line in itertools.islice(content.lines(), 10) if line.strip()]
    lines = lines[1:] if lines and lines[0].startswith("+-") else lines
    if len(lines) < 3 or "|" not in lines[0] or not _RULE.fullmatch(lines[1]):
        return False
    return len(re.findall("-+", lines[1])) == len(_cells(lines[0]))


def read_printed(content: Content, limits: Limits) -> Table:
    """Table of the cells without the blanks around them."""
    form = f"Printed table, {content.encoding_name}"
    content.notes.append("The file is a printed table; its rules, and the blanks around its cells, were left out.")
    file = Table(content.name, notes=content.notes, form=form, read_as=content.read_as, guessed=content.guessed)
    writer = TableWriter(file, limits=limits)
    wrapped = False
    for number, line in enumerate(content.lines(), 1):
        text = line.strip()
        if not text or _RULE.fullmatch(text) or _FOOTER.fullmatch(text):
            continue
        cells = _cells(text)
        if not writer.columns:
            check_columns(cells, content.name, limits, number)
            writer.widen(cells)
        elif len(cells) != len(writer.columns):
            reason = f"The row has {len(cells)} cells; the header has {len(writer.columns)}."
            writer.reject(number, "", text, reason, "Export the table as CSV, which encloses bars in quotation marks.")
        elif wrapped or _goes_on(text):
            wrapped = _goes_on(text)
            writer.reject(number, "", text, _WRAPPED, "Export the table as CSV (\\copy … to … csv header).")
        else:
            writer.add(number, cells)
    return writer.finished()


def _goes_on(line: str) -> bool:
    """Whether psql marks a cell before a bar as going on."""
    return "+|" in line and not line.startswith("|")


def _cells(line: str) -> list[str]:
    inner = line.strip()
    inner = inner[1:] if inner.startswith("|") else inner
    inner = inner[:-1] if inner.endswith("|") and line.strip().startswith("|") else inner
    return [cell.strip() for cell in inner.split("|")]
