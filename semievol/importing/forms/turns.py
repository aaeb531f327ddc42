"""Earlier turns of a conversation as cells of a table.

A system turn that all conversations of a file share is taken out and becomes the table's instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from semievol.importing.forms.unfolding import EARLIER
from semievol.importing.table import Table
from semievol.records import Message, earlier_cell, earlier_turns


def as_cell(turns: Sequence[Message]) -> str | None:
    """The cell that holds these turns; None for none. Turns of one speaker that follow each other become one."""
    joined: list[Message] = []
    for turn in turns:
        if joined and joined[-1].role == turn.role:
            joined[-1] = Message(turn.role, f"{joined[-1].content}\n\n{turn.content}")
        else:
            joined.append(turn)
    return earlier_cell(joined)


def settled(table: Table) -> Table:
    """The table with a system turn that is the same in every conversation as its instruction, and without the column of
    earlier turns where none are left."""
    cells = table.column(EARLIER)
    systems = {turns[0].content if turns and turns[0].role == "system" else "" for turns in map(earlier_turns, cells)}
    notes = list(table.notes)
    instruction = ""
    if len(systems) == 1 and (instruction := next(iter(systems))):
        cells = [as_cell(earlier_turns(cell)[1:]) for cell in cells]
        notes.append("The system turn that all conversations share became the instruction of the task.")
    elif len(systems) > 1:
        notes.append(f"The conversations have {len(systems):,} different system turns; each keeps its own.")
    place = table.columns.index(EARLIER)
    if any(cells):
        kept = table.cells.set_column(place, EARLIER, pa.array(cells, pa.large_string()))
        notes.append("Earlier turns of a conversation become turns of the prompt.")
    else:
        kept = table.cells.remove_column(place)
    return replace(table, cells=kept, notes=notes, instruction=instruction)
