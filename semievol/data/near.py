"""Records of two splits that differ in a few characters, among many: MinHash over character shingles (Broder 1997).

Signatures find candidates in one pass over the data; what is reported was then compared letter by letter, so a
signature can miss a pair (seldom, see `BANDS`) but never make one up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from rensa import RMinHash

from semievol.data.accepted import Records
from semievol.data.traces import spelling
from semievol.records import SPLITS, Record, Split

ALIKE = 0.8
"""Least share of shingles (of both together) that two records have in common."""
MOST = 200_000
"""Records among which small edits are looked for; beyond, only what is spelled alike is found."""
SHINGLE = 4
"""Characters."""
PERMUTATIONS, BANDS = 120, 24
"""A pair just as alike as `ALIKE` shares no band with probability (1 - 0.8^5)^24 = 7e-5."""
LIKELY = 0.6
"""Least share of equal signature entries with which a pair is compared, five standard deviations below `ALIKE`."""
_MOST_CANDIDATES = 64
_COMPARED, _VERIFIED = 8, 3
"""Others per band and split that are looked at, and of those the most alike, that are compared letter by letter."""
_BATCH = 4_096
_YIELDS: dict[Split, int] = {"unlabeled": 0, "labeled": 1, "calibration": 2, "test": 3}


def gives_way(first: Split, second: Split) -> bool:
    """Whether of two alike records the first one's split is the one to lose it: unlabeled first, test never."""
    return _YIELDS[first] < _YIELDS[second]


def small_edits(records: Records, spelled: np.ndarray) -> dict[int, int]:
    """Position of every record that is alike, but not spelled alike, to one of a split that does not give way to its
    own -> position of the first such record that was found.

    spelled: int64, one per record, as in `traces`.
    """
    if len(np.unique(records.splits)) < 2:
        return {}
    signatures = np.concatenate(list(_signatures(records)))
    candidates: dict[int, set[int]] = defaultdict(set)
    rows = PERMUTATIONS // BANDS
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * rows : (band + 1) * rows])
        for group in _mixed_groups(part.view(np.dtype((np.void, part.strides[0]))).ravel(), records.splits):
            for one, other in _across(group, records.splits):
                if spelled[one] != spelled[other] and len(candidates[one]) < _MOST_CANDIDATES:
                    candidates[one].add(other)
    found: dict[int, int] = {}
    for one, others in sorted(candidates.items()):
        known = np.array(sorted(others))
        equal = (signatures[known] == signatures[one]).sum(axis=1)
        best = np.argsort(-equal, kind="stable")[:_VERIFIED]
        mine: set[str] | None = None
        for other, agreement in zip(known[best].tolist(), equal[best].tolist(), strict=True):
            if agreement >= LIKELY * PERMUTATIONS:
                mine = mine or set(_shingles(_text(records[one])))
                theirs = set(_shingles(_text(records[other])))
                if len(mine & theirs) >= ALIKE * len(mine | theirs):
                    found[one] = other
                    break
    return found


def alike_pairs(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Positions of records that are alike, each with the first one that it is like; every pair is compared, so this is
    for some hundreds."""
    shingles = [set(_shingles(_text(record))) for record in records]
    found = []
    for one, mine in enumerate(shingles):
        for other in range(one):
            theirs = shingles[other]
            if min(len(mine), len(theirs)) >= ALIKE * max(len(mine), len(theirs)) and len(mine & theirs) >= ALIKE * len(
                mine | theirs
            ):
                found.append((one, other))
                break
    return found


def _signatures(records: Records) -> Iterator[np.ndarray]:
    for start in range(0, len(records), _BATCH):
        some = records.between(start, min(start + _BATCH, len(records)))
        matrix = RMinHash.digest_matrix_from_token_sets([_shingles(_text(one)) for one in some], PERMUTATIONS, 0)
        yield np.array(matrix.to_rows(), np.uint32)


def _mixed_groups(keys: np.ndarray, splits: np.ndarray) -> Iterator[list[int]]:
    """Ascending positions with the same key, where they are of more than one split."""
    _, codes, times = np.unique(keys, return_inverse=True, return_counts=True)
    groups: dict[int, list[int]] = defaultdict(list)
    for position in np.flatnonzero(times[codes] > 1).tolist():
        groups[int(codes[position])].append(position)
    for group in groups.values():
        if splits[group[0]] != splits[group[-1]]:  # positions are in the order of the splits
            yield group


def _across(group: Sequence[int], splits: np.ndarray) -> Iterator[tuple[int, int]]:
    """Every member with some members of the splits that do not give way to its own."""
    members: dict[Split, list[int]] = defaultdict(list)
    for position in group:
        members[SPLITS[splits[position]]].append(position)
    for split, some in members.items():
        others = [i for other, them in members.items() if gives_way(split, other) for i in them[:_COMPARED]]
        yield from ((one, other) for one in some for other in others)


def _text(record: Record) -> str:
    return " ".join([spelling(record.question), *sorted(map(spelling, record.options))])


def _shingles(text: str) -> list[str]:
    return [text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))]
