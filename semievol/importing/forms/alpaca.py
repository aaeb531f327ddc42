"""Alpaca: `instruction`, `input` and `output`, in every split alike; with `history` and `system` where they are given.

The question is the instruction, followed by its input. `output` stays the answer's column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from semievol.importing.forms import turns
from semievol.importing.forms.unfolding import EARLIER, QUESTION, hold, parsed, written
from semievol.importing.table import Limits, Table
from semievol.records import Message

_OUTPUTS = ("input", "output")


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table with `question`; None where it has one, or is no Alpaca form."""
    names = {column.casefold(): column for column in table.columns}
    if QUESTION in names or "instruction" not in names or not names.keys() & set(_OUTPUTS):
        return None
    history = names.get("history")
    if history is not None and not hold(table, history, _exchanges):
        history = None
    system = names.get("system")
    added = [QUESTION, *([EARLIER] if history or system else [])]

    def read(number: int, cells: dict[str, str | None]) -> Iterable[Sequence[str | None]]:
        parts = [cells[names[name]] for name in ("instruction", "input") if name in names]
        row: list[str | None] = ["\n\n".join(part for part in parts if part and part.strip())]
        if history or system:
            said = (cells[system] or "").strip() if system else ""
            before = [Message("system", said)] if said else []
            row.append(turns.as_cell([*before, *((_exchanges(cells[history]) if history else None) or [])]))
        yield row

    found = written(table, added, read, limits)
    found.notes.append("The file is in the Alpaca form: the question is the instruction, followed by its input.")
    return turns.settled(found) if len(added) > 1 else found


def _exchanges(cell: str | None) -> list[Message] | None:
    """Turns of `[["question", "answer"], …]`; None where the cell is something else."""
    found = parsed(cell, "[")
    if not isinstance(found, list):
        return None
    said: list[Message] = []
    for pair in found:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            return None
        said += [Message("user", pair[0]), Message("assistant", pair[1])]
    return said
