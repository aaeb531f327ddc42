"""fastText's training files: lines of `__label__NAME text`, without a header."""

from __future__ import annotations

import itertools

from semievol.importing.readers.content import Content
from semievol.importing.table import Limits, Table, TableWriter

_PREFIX, _LOOKED_AT, _MOST = "__label__", 200, 0.9


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
