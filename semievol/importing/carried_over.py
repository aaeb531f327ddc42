"""Records of an earlier dataset version on their way into the next one: checked like new rows, otherwise unchanged.

Knows nothing of where they are stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from semievol.importing.mapping import Mapping
from semievol.importing.rows import Row
from semievol.importing.table import Table
from semievol.records import Record, Split

MAPPING = Mapping("question", "answer", id="id", group="group")
_TEXT = pa.large_string()
_SCHEMA = pa.schema(
    [*((name, _TEXT) for name in ("question", "id", "group", "answer", "gold")), ("options", pa.list_(_TEXT))]
)
_MADE = 4_096


@dataclass(frozen=True)
class Kept:
    """A split of an earlier version. table: question, id and group of its records, under the version's name; told:
    answer, hidden gold and options of each."""

    split: Split
    table: Table
    told: pa.Table

    def rows(self) -> Iterator[Row]:
        """The records as rows whose cell is the answer as it was read, or the hidden gold."""
        place = 0
        columns = self.told.append_column("question", self.table.cells["question"])
        for batch in columns.to_batches(max_chunksize=_MADE):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                answer, gold, options, question = cells
                cell = gold if self.split == "unlabeled" else answer
                number = int(self.table.numbers[place])
                yield Row(self.split, place, number, question, tuple(options), cell or "", kept=True)
                place += 1


def kept(name: str, split: Split, records: Iterable[tuple[Record, str | None]]) -> Kept:
    """The records (each with its hidden gold) of a split. name: the version's, for the report."""
    waiting, batches, numbers = iter(records), [], list[int]()
    while some := list(islice(waiting, _MADE)):
        numbers += [record.row for record, _ in some]
        rows = [(r.question, r.source_id, r.group, r.answer, gold, list(r.options)) for r, gold in some]
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        batches.append(pa.record_batch(arrays, schema=_SCHEMA))
    cells = pa.Table.from_batches(batches, _SCHEMA)
    table = Table(name, cells.select(["question", "id", "group"]), np.array(numbers, np.int64), form="Kept")
    return Kept(split, table, cells.select(["answer", "gold", "options"]))
