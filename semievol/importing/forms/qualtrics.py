"""Qualtrics' CSV exports: under the names of the columns stand their questions, then their ids as JSON.

These two rows are no records. Columns that describe the response, not what was said, are left out.
"""

from __future__ import annotations

from dataclasses import replace

from semievol.importing.readers.header import DESCRIBED
from semievol.importing.table import Limits, Table

_ABOUT_THE_RESPONSE = {
    *("StartDate", "EndDate", "Status", "IPAddress", "Progress", "Duration (in seconds)", "Finished", "RecordedDate"),
    *("RecipientLastName", "RecipientFirstName", "RecipientEmail", "ExternalReference", "LocationLatitude"),
    *("LocationLongitude", "DistributionChannel", "UserLanguage"),
}


def unfold(table: Table, limits: Limits) -> Table | None:
    """The table without these rows and columns; None where it is no export of Qualtrics."""
    ids = [cell for name in table.columns for cell in table.column(name, 2)[1:] if cell]
    if not ids or not all(cell.startswith(DESCRIBED) for cell in ids):
        return None
    kept = [name for name in table.columns if name not in _ABOUT_THE_RESPONSE]
    if len(table) < 3 or not kept:
        return None
    note = "The file is a Qualtrics export: its second and third row describe the columns, and were left out."
    cells = table.cells.select(kept).slice(2)
    return replace(table, cells=cells, numbers=table.numbers[2:], notes=[*table.notes, note])
