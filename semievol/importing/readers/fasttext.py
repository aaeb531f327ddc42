"""Lines that begin with their label, without a header: fastText's `__label__NAME text`, TREC's `DESC:manner text`."""

from __future__ import annotations

import itertools
import re
from itertools import islice

from semievol.importing.readers.content import Content
from semievol.importing.table import Doubt, Limits, Table, snippet
from semievol.importing.table_writer import TableWriter

_PREFIX, _LOOKED_AT, _MOST = "__label__", 200, 0.9
_CODE = re.compile(r"[A-Za-z]\w*:\w+")
"""A class and its subclass, before the text."""
_LEAST, _SHOWN = 8, 5
_LOOKED_AT = 2_000
"""Lines that are looked at to tell the form."""
_REMEDY = "If the whole line is the text, say so."
_WHOLE = ("delimiter", "\t", "The whole line is the text")


def is_fasttext(content: Content) -> bool:
    """Whether nearly all of the first lines begin with a label."""
    lines = [line for line in itertools.islice(content.lines(), _LOOKED_AT) if line.strip()]
    return bool(lines) and sum(line.lstrip().startswith(_PREFIX) for line in lines) >= _MOST * len(lines)


def read_fasttext(content: Content, limits: Limits) -> Table:
    """Table with `text` and `label`; a line with several labels is rejected."""
    form = f"fastText, {content.encoding_name}"
    content.notes.append("The file is in the form of fastText: the label of a line is the answer, the rest its text.")
    file = Table(content.name, notes=content.notes, form=form, read_as=content.read_as, guessed=content.guessed)
    writer = TableWriter(file, ["text", "label"], limits)
    for number, line in enumerate(content.lines(), 1):
        words = line.strip()
        labels: list[str] = []
        while words.startswith(_PREFIX):
            label, _, words = words.partition(" ")
            labels.append(label.removeprefix(_PREFIX))
            words = words.lstrip()
        if len(labels) > 1:
            reason = f"The text has several labels: {', '.join(labels)}."
            writer.reject(number, "label", line.strip(), reason, "Keep one label per record.")
        elif labels or words:
            writer.add(number, [words, labels[0] if labels else None])
    return writer.finished()


def is_coded(content: Content) -> bool:
    """Whether the first lines of a text file all begin with one of a few codes such as `DESC:manner`."""
    if not content.name.lower().endswith(".txt"):
        return False
    lines = [line.split(maxsplit=1) for line in islice(content.lines(), _LOOKED_AT) if line.strip()]
    codes = {words[0] for words in lines}
    fits = all(len(words) > 1 and _CODE.fullmatch(words[0]) for words in lines)
    return fits and _LEAST <= len(lines) >= 1.5 * len(codes) > 1.5


def read_coded(content: Content, limits: Limits) -> Table:
    """Table with `text` and `label`, the code."""
    form = f"Lines with a label first, {content.encoding_name}"
    file = Table(content.name, notes=content.notes, form=form, read_as=content.read_as, guessed=content.guessed)
    writer = TableWriter(file, ["text", "label"], limits)
    for number, line in enumerate(content.lines(), 1):
        if line.strip():
            code, *text = line.split(maxsplit=1)
            whole = [line.strip(), ""]  # a later line without a code: its label is empty, which the checks tell
            writer.add(number, [text[0].strip(), code] if text and _CODE.fullmatch(code) else whole)
    table = writer.finished()
    what = "The first word of every line was read as its label, the rest as its text."
    first = zip(table.numbers[:_SHOWN].tolist(), table.column("label", _SHOWN), strict=True)
    examples = tuple((number, snippet(code)) for number, code in first)
    table.doubts.append(Doubt("label_first", len(table), what, _REMEDY, examples, _WHOLE, "--delimiter tab"))
    return table
