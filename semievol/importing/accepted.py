"""The accepted rows of all files as records, held column by column: a `Record` is made when it is looked at.

A million records take what their text takes, and nothing is copied when some of them are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from semievol.importing.mapping import Mapping
from semievol.importing.table import Table
from semievol.records import SPLITS, Record, Split

_MADE = 4_096
_TEXT = pa.large_string()
_TEXTS = pa.list_(pa.large_string())


def join_context(context: str | None, question: str) -> str:
    """The question as it is asked: the passage that it is about, an empty line, the question."""
    return f"{context}\n\n{question}" if context and context.strip() else question


@dataclass
class AcceptedRows:
    """The accepted rows of one file, in their order.

    places: int64[n], positions in the table. answers, gold: `large_string`[n]; options: lists of text[n], empty where
    the record has none of its own.
    """

    split: Split
    table: Table
    mapping: Mapping
    places: np.ndarray
    answers: pa.ChunkedArray
    gold: pa.ChunkedArray
    options: pa.ChunkedArray

    def records(self, some: np.ndarray, ids: Sequence[str], split: Split) -> Iterator[tuple[Record, str | None]]:
        """The records at these (ascending, close) positions of the file, each with its hidden gold."""
        rows = self.places[some]
        first, count = int(rows[0]), int(rows[-1] - rows[0]) + 1
        roles = (self.mapping.question, self.mapping.context, self.mapping.id, self.mapping.group)
        cells = [self._cells(name, first, count) for name in roles]
        start, width = int(some[0]), int(some[-1] - some[0]) + 1
        told = [column.slice(start, width).to_pylist() for column in (self.answers, self.gold, self.options)]
        numbers = self.table.numbers[rows].tolist()
        positions = zip(ids, (rows - first).tolist(), (some - start).tolist(), numbers, strict=True)
        for record_id, row, place, number in positions:
            question, context, source, group = (column[row] for column in cells)
            answer, gold, options = (column[place] for column in told)
            asked = join_context(context, question or "")
            yield Record(record_id, asked, tuple(options), answer, split, number, source or "", group or ""), gold

    def _cells(self, name: str | None, first: int, count: int) -> list[str | None]:
        if name is None or name not in self.table.columns:
            return [None] * count
        return list(self.table.cells.column(name).slice(first, count).to_pylist())


@dataclass
class RowsWriter:
    """Collects what was read from the rows of one file."""

    split: Split
    table: Table
    mapping: Mapping
    places: list[int] = field(default_factory=list)
    _waiting: list[tuple[str | None, str | None, tuple[str, ...]]] = field(default_factory=list)
    _written: list[pa.Table] = field(default_factory=list)

    def add(self, place: int, answer: str | None, gold: str | None, options: tuple[str, ...]) -> None:
        self.places.append(place)
        self._waiting.append((answer, gold, options))
        if len(self._waiting) >= _MADE:
            self._write()

    def rows(self) -> AcceptedRows:
        self._write()
        schema = pa.schema([("answer", _TEXT), ("gold", _TEXT), ("options", _TEXTS)])
        told = pa.concat_tables([schema.empty_table(), *self._written])
        places = np.array(self.places, np.int64)
        return AcceptedRows(self.split, self.table, self.mapping, places, told["answer"], told["gold"], told["options"])

    def _write(self) -> None:
        if self._waiting:
            answers, gold, options = zip(*self._waiting, strict=True)
            arrays = [pa.array(answers, _TEXT), pa.array(gold, _TEXT), pa.array(options, _TEXTS)]
            self._written.append(pa.table(arrays, names=["answer", "gold", "options"]))
            self._waiting = []


class Records(Sequence[Record]):
    """Records of all splits, in the order of the splits, then of the files.

    digests: uint8[all, 32], the content hashes of all accepted rows. which: the rows that are meant, by position in all
    of them. splits: int8, the split of each of them by position in `SPLITS`.
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
        return next(self.between(at, at + 1))

    def between(self, start: int, stop: int) -> Iterator[Record]:
        """Records from `start` to `stop`, one after the other."""
        return (record for record, _ in self.with_gold(start, stop))

    def with_gold(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[Record, str | None]]:
        """Records from `start` to `stop`, each with its hidden gold."""
        at = start
        stop = len(self) if stop is None else stop
        while at < stop:
            number = int(np.searchsorted(self._starts, self.which[at], side="right")) - 1
            low, high = self._starts[number], self._starts[number + 1]
            end = min(at + _MADE, stop)
            some = self.which[at:end]
            # A batch lies in one file and one split, and its rows are close to each other.
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
        keys = self.digests[self.which, :8].copy().view(">u8").ravel()
        order = np.argsort(keys, kind="stable")
        places = np.arange(len(keys))
        fresh = np.append(True, keys[order][1:] != keys[order][:-1])[: len(keys)]
        times = np.empty(len(keys), np.int64)
        times[order] = places - np.maximum.accumulate(np.where(fresh, places, 0))
        return keys, times

    @property
    def hashes(self) -> Iterator[str]:
        """The content hashes as 64 digits."""
        return (self.digests[i].tobytes().hex() for i in self.which)

    def size(self, split: Split) -> int:
        """Records of a split."""
        return int((self.splits == SPLITS.index(split)).sum())

    def same(self, other: Records) -> bool:
        """Whether these and the other ones ask the same, in the same order and splits; answers are not compared."""
        mine, theirs = ((r.digests, r.which, r.splits) for r in (self, other))
        return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def only(self, kept: np.ndarray) -> Records:
        """The records at these positions, or where a mask of booleans says so."""
        return Records(self._parts, self.digests, self.which[kept], self.splits[kept])

    def moved(self, positions: np.ndarray, split: Split) -> Records:
        """The records with those at `positions` now in `split`."""
        splits = self.splits.copy()
        splits[positions] = SPLITS.index(split)
        return Records(self._parts, self.digests, self.which, splits)

    def answers(self) -> dict[Split, Counter[str]]:
        """Split -> known answer -> how many records have it, most frequent first."""
        everything = pa.chunked_array([chunk for part in self._parts for chunk in part.answers.chunks], _TEXT)
        found: dict[Split, Counter[str]] = {}
        for number in np.unique(self.splits).tolist():
            mask = np.zeros(len(everything), bool)
            mask[self.which[self.splits == number]] = True
            counted = pc.value_counts(everything.filter(pa.array(mask)).drop_null())
            pairs = zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)
            if known := Counter(dict(pairs)):
                found[SPLITS[number]] = Counter(dict(known.most_common()))
        return found
