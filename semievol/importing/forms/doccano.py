"""doccano's exports: `text` (or `data`) with a list of labels.

Labels of a whole text are lists of names, which become the answer; older versions write lists of {label, user} or
{text, user}, of which the answer given most often counts. Labels of passages are lists of [start, end, name], or have
offsets; they are no answers, and such a row is rejected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from semievol.importing.forms.unfolding import ANSWER, Annotators, Unreadable, hold, parsed, written
from semievol.importing.table import Limits, Table

_TEXTS, _LABELS = ("text", "data"), ("label", "labels", "cats", "entities", "annotations")
_SPANS = "The labels mark passages of the text, which is no answer to a question."


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the label as `answer`; None where it is no export of doccano."""
    names = set(table.columns)
    if ANSWER in names or not names & set(_TEXTS) or not names & {"Comments", "comments", "id"}:
        return None
    column = next((name for name in _LABELS if name in names and hold(table, name, _labels)), None)
    if column is None:
        return None

    annotators = Annotators("doccano")

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        said: dict[str, list[str]] = defaultdict(list)  # by annotator
        for label in _labels(cells[column]) or []:
            user, name = _by_user(label)
            if name is None:
                raise Unreadable(column, _SPANS, "Export labels of whole texts.")
            said[user].append(name)
        several = next((found for found in said.values() if len(found) > 1), None)
        if several is not None:
            reason = f"The text has several labels: {', '.join(several)}."
            raise Unreadable(column, reason, "Keep one label per record.")
        yield [annotators.answer(number, [found[0] for found in said.values()])]

    new = written(table, [ANSWER], read, limits)
    new.doubts.extend(annotators.doubts())
    new.notes.append(f'The file is in the form of doccano: the answer is the label in "{column}".')
    return new


def _by_user(label: Any) -> tuple[str, str | None]:
    """Who gave a label (one nameless person in newer versions), and the label; None where it marks a passage."""
    if not isinstance(label, list | dict):
        return "", str(label)
    if isinstance(label, list) or "start_offset" in label:
        return "", None
    name = label.get("label", label.get("text"))
    return str(label.get("user", "")), name if isinstance(name, str) else None


def _labels(cell: str | None) -> list[Any] | None:
    """The labels in a cell; None where it is something else, such as what Label Studio calls annotations."""
    found = parsed(cell, "[")
    if not isinstance(found, list):
        return None
    return found if all(not isinstance(one, dict) or {"label", "text"} & set(one) for one in found) else None
