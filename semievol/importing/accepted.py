"""The accepted rows of all files, held column by column; a `Record` is made when one is read.

So a million records need little more memory than their text, and leaving some of them out copies nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa

from semievol.importing.mapping import Mapping
from semievol.importing.table import Table, value_counts
from semievol.records import SPLITS, Record, Split, earlier_cell, earlier_turns

_MADE = 4_096
_TEXT = pa.large_string()
READ = pa.schema([("answer", _TEXT), ("gold", _TEXT), ("options", pa.list_(_TEXT))])
_ACCEPTED = pa.schema([("place", pa.int64()), *READ])
_KEPT = pa.schema(
    [("row", pa.int64()), ("question", _TEXT), ("id", _TEXT), ("group", _TEXT), ("earlier", _TEXT), *READ]
)
ReadCells = tuple[int, str | None, str | None, tuple[str, ...]]
"""What was read from a row that is accepted: its position in the table, answer, hidden gold and options."""


def join_context(context: str | None, question: str) -> str:
    """The record's question: the passage that it is about, an empty line, the question itself."""
    return f"{context}\n\n{question}" if context and context.strip() else question


@dataclass
class AcceptedRows:
    """The accepted rows of one file, or of a split of an earlier version, in their order.

    places: int64[n], positions in the table. read: what was read from their other cells: answer, hidden gold, and
    options, which are empty where the record has none of its own (see `READ`).
    """

    split: Split
    table: Table
    mapping: Mapping
    places: np.ndarray
    read: pa.Table

    @classmethod
    def collected(cls, split: Split, table: Table, mapping: Mapping, rows: Iterable[ReadCells]) -> AcceptedRows:
        """The rows as they come; only some thousands of them wait as objects of Python."""
        cells = _columns(rows, _ACCEPTED)
        return cls(split, table, mapping, cells["place"].to_numpy(), cells.select(READ.names))

    def records(self, some: np.ndarray, ids: Sequence[str], split: Split) -> Iterator[tuple[Record, str | None]]:
        """The records at these positions of the file, each with its hidden gold.

        some: ascending and close to each other, since the whole range between them is read.
        """
        rows = self.places[some]
        first, count = int(rows[0]), int(rows[-1] - rows[0]) + 1
        of = self.mapping
        roles = (of.question, of.context, of.id, of.group, of.earlier)
        cells = [self._cells(name, first, count) for name in roles]
        start, width = int(some[0]), int(some[-1] - some[0]) + 1
        read = [column.to_pylist() for column in self.read.slice(start, width).columns]
        numbers = self.table.numbers[rows].tolist()
        positions = zip(ids, (rows - first).tolist(), (some - start).tolist(), numbers, strict=True)
        for record_id, row, place, number in positions:
            question, context, source, group, before = (column[row] for column in cells)
            answer, gold, options = (column[place] for column in read)
            text = join_context(context, question or "")
            named, turns = (source or "", group or ""), earlier_turns(before)
            yield Record(record_id, text, tuple(options), answer, split, number, *named, turns), gold

    def _cells(self, name: str | None, first: int, count: int) -> list[str | None]:
        if name is None or name not in self.table.columns:
            return [None] * count
        return list(self.table.cells.column(name).slice(first, count).to_pylist())


def kept_rows(name: str, split: Split, records: Iterable[tuple[Record, str | None]]) -> AcceptedRows:
    """The records of a split of an earlier version, each given with its hidden gold. name: the version's, for the
    report."""
    named = ((r, (r.source_id, r.group, earlier_cell(r.earlier)), gold) for r, gold in records)
    rows = ((r.row, r.question, *others, r.answer, gold, r.options) for r, others, gold in named)
    cells = _columns(rows, _KEPT)
    table = Table(name, cells.select(["question", "id", "group", "earlier"]), cells["row"].to_numpy(), form="Kept")
    mapping = Mapping("question", "answer", id="id", group="group", earlier="earlier")
    return AcceptedRows(split, table, mapping, np.arange(len(table)), cells.select(READ.names))


def _columns(rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """The rows column by column."""
    waiting, written = iter(rows), [schema.empty_table()]
    while some := list(islice(waiting, _MADE)):
        written.append(pa.table(list(zip(*some, strict=True)), schema=schema))
    return pa.concat_tables(written)


def content_keys(hashes: Iterable[str]) -> np.ndarray:
    """int64[n]: the first 64 bits of every content hash, to compare records by."""
    return np.frombuffer(bytes.fromhex("".join(value[:16] for value in hashes)), ">i8")


class Records(Sequence[Record]):
    """Records of all splits, in the order of the splits, then of the files.

    digests: uint8[all, 32], the content hashes of all accepted rows. which: the rows that these records are made of, by
    position among all rows. splits: int8, the split of each of these records, by position in `SPLITS`.
    """

    def __init__(
        self,
        parts: Sequence[AcceptedRows],
        digests: np.ndarray,
        which: np.ndarray | None = None,
        splits: np.ndarray | None = None,
    ) -> None:
        self._parts, self.digests = list(parts), digests
        sizes = [len(part.places) for part in parts]
        self._starts = np.cumsum([0, *sizes])
        if which is None:
            which = np.arange(int(self._starts[-1]))
        if splits is None:
            own = np.repeat(np.array([SPLITS.index(part.split) for part in parts], np.int8), sizes)
            splits = own[which]
        order = np.lexsort((which, splits))
        self.which, self.splits = which[order], splits[order]

    def __len__(self) -> int:
        return len(self.which)

    def __iter__(self) -> Iterator[Record]:
        return (record for record, _ in self.with_gold())

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = index if index >= 0 else len(self) + index
        if not 0 <= at < len(self):
            raise IndexError(index)
        return next(self.with_gold(at, at + 1))[0]

    def with_gold(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[Record, str | None]]:
        """Records from `start` to `stop`, each with its hidden gold."""
        at = start
        stop = len(self) if stop is None else stop
        while at < stop:
            number = int(np.searchsorted(self._starts, self.which[at], side="right")) - 1
            low, high = self._starts[number], self._starts[number + 1]
            end = min(at + _MADE, stop)
            some = self.which[at:end]
            # A batch is of one file and one split, and its rows are close to each other.
            same = (some >= low) & (some < min(high, some[0] + 4 * _MADE)) & (self.splits[at:end] == self.splits[at])
            count = int(np.argmin(same)) if not same.all() else end - at
            split = SPLITS[self.splits[at]]
            yield from self._parts[number].records(some[:count] - low, self.ids(at, at + count), split)
            at += count

    def ids(self, start: int = 0, stop: int | None = None) -> list[str]:
        """16 digits of the content hash, and -2, -3 for repeats."""
        keys, times = self._names
        pairs = zip(keys[start:stop].tolist(), times[start:stop].tolist(), strict=True)
        return [f"{key:016x}" if not time else f"{key:016x}-{time + 1}" for key, time in pairs]

    @cached_property
    def _names(self) -> tuple[np.ndarray, np.ndarray]:
        """The first 64 bits of every content hash, and how many records before it have the same."""
        keys = self.digests[self.which, :8].copy().view(">u8").ravel().astype(np.uint64)
        return keys, pd.Series(keys).groupby(keys, sort=False).cumcount().to_numpy()

    @property
    def hashes(self) -> Iterator[str]:
        """The content hashes as 64 digits."""
        return (self.digests[i].tobytes().hex() for i in self.which)

    def size(self, split: Split) -> int:
        """Records of a split."""
        return int((self.splits == SPLITS.index(split)).sum())

    def keys(self, split: Split) -> np.ndarray:
        """The `content_keys` of a split."""
        mine = self.which[self.splits == SPLITS.index(split)]
        return self.digests[mine, :8].copy().view(">i8").ravel()

    def same(self, other: Records) -> bool:
        """Whether the other records have the same contents, in the same order and splits; answers are not compared."""
        mine, theirs = ((r.digests, r.which, r.splits) for r in (self, other))
        return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def only(self, kept: np.ndarray) -> Records:
        """Some of the records. kept: their positions, or a mask."""
        return Records(self._parts, self.digests, self.which[kept], self.splits[kept])

    def moved(self, positions: np.ndarray, split: Split) -> Records:
        """The records with those at `positions` now in `split`."""
        splits = self.splits.copy()
        splits[positions] = SPLITS.index(split)
        return Records(self._parts, self.digests, self.which, splits)

    def answers(self) -> dict[Split, Counter[str]]:
        """Split -> known answer -> how many records have it, most frequent first."""
        everything = pa.chunked_array([chunk for part in self._parts for chunk in part.read["answer"].chunks], _TEXT)
        found: dict[Split, Counter[str]] = {}
        for number in np.unique(self.splits).tolist():
            mask = np.zeros(len(everything), bool)
            mask[self.which[self.splits == number]] = True
            if known := value_counts(everything.filter(pa.array(mask)).drop_null()):
                found[SPLITS[number]] = Counter(dict(known.most_common()))
        return found
