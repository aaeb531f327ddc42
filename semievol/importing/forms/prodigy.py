"""Prodigy's exports: every task with the annotation `accept`, `reject` or `ignore` in the field "answer".

The answer is the label, the option that was chosen, or the text that was written, of accepted tasks; of several
annotations on one text the one given most often. Rejected and ignored ones have none. Tasks that mark passages of a
text are rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from semievol.importing.forms.unfolding import (
    ANSWER,
    Annotators,
    Tally,
    Unreadable,
    free_name,
    parsed,
    written,
)
from semievol.importing.table import Limits, Table

_BOOKKEEPING = {"_input_hash", "_task_hash", "_view_id", "_timestamp", "_session_id", "_annotator_id"}
_ANNOTATIONS = ("accept", "reject", "ignore")
_VERDICT, _INPUT = "verdict", "_input_hash"
_STRUCTURE = {"options", "accept", "config", "spans", "tokens"}
_WRITTEN = "user_input"
"""Prodigy's own name for the field of a block `text_input`."""
_REJECTED = "Tasks that the annotator rejected or ignored, and that have no answer"


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with the label as `answer`, and the annotation under another name; None where it is no export
    of Prodigy."""
    if not _judged(table):
        return None
    texts = _by_number(table)
    accepted = _accepted(table, texts)
    without, annotators = Tally(), Annotators("Prodigy")
    joined = 0

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        nonlocal joined
        answers = accepted.pop(cells.get(_INPUT) or str(number), None)
        if answers is None:
            joined += 1  # another annotation on a text that was read
            return
        bad = next((one for one in answers if isinstance(one, Unreadable)), None)
        if bad is not None:
            raise bad
        if not answers:
            without.add(number, f"{cells[ANSWER]}: {cells.get('text') or ''}")
        yield [annotators.answer(number, [str(one) for one in answers if one])]

    new = written(table, [ANSWER], read, limits, {ANSWER: free_name(table, _VERDICT)}, _STRUCTURE)
    new.notes.append("The file is a Prodigy export: the answer is what was chosen or written in accepted tasks.")
    if joined:
        new.notes.append(f"Rows with a further verdict on a text, which were joined with its first: {joined:,}.")
    new.doubts.extend(
        without.doubt("not_accepted", _REJECTED, "Move them to the unlabeled file to have them answered.")
    )
    new.doubts.extend(annotators.doubts())
    return new


def _accepted(table: Table, texts: dict[str, str]) -> dict[str, list[str | Unreadable | None]]:
    """Text (its hash) or row -> what was accepted for it, or why that is no answer; nothing if all was rejected."""
    found: dict[str, list[str | Unreadable | None]] = {}
    for number, row in table.walk(table.columns):
        cells = dict(zip(table.columns, row, strict=True))
        of_text = found.setdefault(cells.get(_INPUT) or str(number), [])
        if cells[ANSWER] == "accept":
            try:
                of_text.append(_answer(cells, texts))
            except Unreadable as error:
                of_text.append(error)
    return found


def _answer(cells: dict[str, str | None], texts: dict[str, str]) -> str | None:
    """The label, the chosen option or the written text of an accepted task. Raises `Unreadable` where it is no single
    answer."""
    chosen = parsed(cells.get("accept"), "[")
    if chosen is None and not (cells.get("label") or "").strip() and cells.get("spans"):
        reason = "The task marks passages of the text, which is no answer to a question."
        raise Unreadable("spans", reason, "Export a task of labels or choices.")
    if not isinstance(chosen, list):
        return cells.get("label") or cells.get(_WRITTEN)
    if len(chosen) > 1:
        reason = f"Several options were chosen: {', '.join(map(str, chosen))}."
        raise Unreadable("accept", reason, "Keep one label per record.")
    return texts.get(str(chosen[0]), str(chosen[0])) if chosen else None


def _judged(table: Table) -> bool:
    """Whether "answer" holds annotations, beside the bookkeeping fields that Prodigy gives its tasks."""
    if ANSWER not in table.columns or not _BOOKKEEPING & set(table.columns):
        return False
    return all(one in _ANNOTATIONS for one in table.counts(ANSWER) if one)


def _by_number(table: Table) -> dict[str, str]:
    """Id -> text of the options, where ids are mere numbers."""
    found: dict[str, str] = {}
    for cell in table.counts("options") if "options" in table.columns else ():
        for option in parsed(cell, "[") or []:
            if isinstance(option, dict) and "id" in option and isinstance(option.get("text"), str):
                found[str(option["id"])] = option["text"]
    return found if found and all(name.isdecimal() for name in found) else {}
