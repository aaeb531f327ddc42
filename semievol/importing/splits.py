"""Cuts the calibration split, a test split and folds: seeded, and with the same share of every answer.

Records with the same content or of the same group stay together. The order of the input does not matter: records are
drawn in the order of a keyed hash of their content.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from semievol.errors import UserError
from semievol.importing.accepted import Records
from semievol.importing.duplicates import alike_pairs
from semievol.records import SPLITS, Record

_RARE = "\0rare"


def cut_calibration(records: Iterable[Record], share: float, minimum: int, seed: int) -> frozenset[str]:
    """Content hashes of the labeled records that are held out to judge confidence.

    share: of the labeled records, in [0, 1). Empty where the split would hold fewer than `minimum` records.
    """
    labeled = [record for record in records if record.split == "labeled"]
    return _draw(labeled, share, f"calibration {seed}") if holds_out(len(labeled), share, minimum) else frozenset()


def holds_out(labeled: int, share: float, minimum: int) -> bool:
    """Whether so many labeled records are enough for a calibration split of this share and minimum size."""
    return round(share * labeled) >= max(1, minimum)


def split_off_test(records: Records, share: float, seed: int) -> Records:
    """All records, with about `share` of the labeled ones moved to test; unlabeled copies of these are left out."""
    if not 0 < share < 1:
        raise UserError(f"The share must lie between 0 and 1, found {share}.", "test share", "Choose 0.2.")
    labeled = [record for record in records if record.split == "labeled"]
    drawn = _draw(labeled, share, f"test {seed}")
    if not drawn or len({record.content_hash for record in labeled}) == len(drawn):
        grouped = any(record.group for record in labeled)
        raise UserError(
            f"{len(labeled)} labeled records are too few"
            + (", or their groups too large," if grouped else "")
            + f" to split off {share:.0%}.",
            "test share",
            "Label more records" + (", or map no groups." if grouped else "."),
        )
    is_drawn = np.array([content in drawn for content in records.hashes], bool)
    moved = records.moved(np.flatnonzero(is_drawn & (records.splits == SPLITS.index("labeled"))), "test")
    again = np.array([content in drawn for content in moved.hashes], bool)
    return moved.only(~again | (moved.splits == SPLITS.index("test")))


def cut_folds(labeled: Sequence[Record], count: int, seed: int) -> list[frozenset[str]]:
    """Content hashes of the labeled records in `count` parts of about the same size and mix of answers.

    Copies and groups stay together, and so do near copies (`duplicates.alike_pairs`), so that no fold is judged by
    records that it was trained on. Where most records are alike, as templated questions are, near copies stay together
    up to the size of a fold.
    """
    units = together(labeled)
    home = {record.content_hash: name for name, unit in units.items() for record in unit}
    for one, other in alike_pairs(labeled):
        mine, theirs = home[labeled[one].content_hash], home[labeled[other].content_hash]
        if mine != theirs and len(units[mine]) + len(units[theirs]) <= len(labeled) / count:
            units[theirs] += units.pop(mine)
            home |= {record.content_hash: theirs for record in units[theirs]}
    folds: list[set[str]] = [set() for _ in range(count)]
    sizes = [0] * count
    strata = _strata(units)
    for answer in sorted(strata):
        taken = [0] * count
        for name in sorted(strata[answer], key=lambda name: (-len(units[name]), _rank(f"folds {seed}", name))):
            fold = min(range(count), key=lambda one: (taken[one], sizes[one], one))
            folds[fold].update(record.content_hash for record in units[name])
            taken[fold] += len(units[name])
            sizes[fold] += len(units[name])
    return [frozenset(fold) for fold in folds if fold]


def _draw(records: Sequence[Record], share: float, key: str) -> frozenset[str]:
    """Content hashes of about `share` of the records, the same share of every answer.

    Records of the same content or group go together. Strata are filled by largest remainder, so
    that the total is `share` of all to within such a unit.
    """
    units = together(records)
    strata = _strata(units)
    sizes = {answer: sum(len(units[name]) for name in members) for answer, members in strata.items()}
    # Answers too rare for a share of their own (of free text, all) are one stratum.
    for answer in [answer for answer, size in sizes.items() if size * share < 1]:
        strata[_RARE] += strata.pop(answer)
        sizes[_RARE] = sizes.get(_RARE, 0) + sizes.pop(answer)
    quotas = _quotas(sizes, share, key)
    drawn: set[str] = set()
    for answer, members in strata.items():
        taken = 0
        for name in sorted(members, key=lambda name: _rank(key, name)):
            size = len(units[name])
            if taken + size <= quotas[answer]:
                drawn.update(record.content_hash for record in units[name])
                taken += size
    return frozenset(drawn)


def together(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records that must stay together (equal content, or the same group), by the smallest content hash among them."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = name = leader[leader[name]]
        return name

    for record in records:
        if record.group:
            leader[find(record.content_hash)] = find(f"group {record.group}")
    gathered: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        gathered[find(record.content_hash)].append(record)
    return {min(record.content_hash for record in unit): unit for unit in gathered.values()}


def _strata(units: dict[str, list[Record]]) -> dict[str, list[str]]:
    """Answer -> names of the units with this answer (the first one in the alphabet, where a unit has several)."""
    strata: dict[str, list[str]] = defaultdict(list)
    for name, unit in units.items():
        strata[min(record.answer or "" for record in unit)].append(name)
    return strata


def _quotas(sizes: dict[str, int], share: float, key: str) -> dict[str, int]:
    exact = {answer: share * size for answer, size in sizes.items()}
    quotas = {answer: int(value) for answer, value in exact.items()}
    missing = round(share * sum(sizes.values())) - sum(quotas.values())
    by_remainder = sorted(exact, key=lambda answer: (quotas[answer] - exact[answer], _rank(key, answer)))
    for answer in by_remainder[: max(0, missing)]:
        quotas[answer] += 1
    return quotas


def _rank(key: str, content: str) -> bytes:
    return hashlib.sha256(f"{key}:{content}".encode()).digest()
