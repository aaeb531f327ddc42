"""Cutting the calibration split and a test split: seeded, stratified by answer, whole groups of equal content together.

The order of the input does not matter: the order of drawing is a keyed hash of the content.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from semievol.errors import UserError
from semievol.records import Record


def cut_calibration(records: Iterable[Record], share: float, minimum: int, seed: int) -> frozenset[str]:
    """Content hashes of the labeled records that are held out to judge confidence.

    share: of the labeled records, in [0, 1). Empty where the split would hold fewer than `minimum` records.
    """
    labeled = [record for record in records if record.split == "labeled"]
    if round(share * len(labeled)) < max(1, minimum):
        return frozenset()
    return _draw(labeled, share, f"calibration {seed}")


def split_off_test(records: Sequence[Record], share: float, seed: int) -> list[Record]:
    """All records, with about `share` of the labeled ones now in test; unlabeled copies of those are left out."""
    if not 0 < share < 1:
        raise UserError(f"The share must lie between 0 and 1, found {share}.", "test share", "Choose 0.2.")
    labeled = [record for record in records if record.split == "labeled"]
    drawn = _draw(labeled, share, f"test {seed}")
    if not drawn or len({record.content_hash for record in labeled}) == len(drawn):
        raise UserError(
            f"{len(labeled)} labeled records are too few to split off {share:.0%}.", "test share", "Label more records."
        )
    result = []
    for record in records:
        if record.content_hash not in drawn:
            result.append(record)
        elif record.split == "labeled":
            result.append(replace(record, split="test"))
        elif record.split == "test":
            result.append(record)
    return result


def _draw(records: Sequence[Record], share: float, key: str) -> frozenset[str]:
    """Content hashes of about `share` of the records, the same share of every answer.

    Strata are filled by largest remainder, so that the total is `share` of all to within a group.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.content_hash].append(record)
    strata: dict[str, list[str]] = defaultdict(list)
    for content, group in groups.items():
        strata[min(record.answer or "" for record in group)].append(content)
    sizes = {answer: sum(len(groups[content]) for content in members) for answer, members in strata.items()}
    quotas = _quotas(sizes, share)
    drawn: set[str] = set()
    for answer, members in strata.items():
        taken = 0
        for content in sorted(members, key=lambda content: _rank(key, content)):
            size = len(groups[content])
            if taken + size <= quotas[answer]:
                drawn.add(content)
                taken += size
    return frozenset(drawn)


def _quotas(sizes: dict[str, int], share: float) -> dict[str, int]:
    exact = {answer: share * size for answer, size in sizes.items()}
    quotas = {answer: int(value) for answer, value in exact.items()}
    missing = round(share * sum(sizes.values())) - sum(quotas.values())
    by_remainder = sorted(exact, key=lambda answer: (quotas[answer] - exact[answer], answer))
    for answer in by_remainder[: max(0, missing)]:
        quotas[answer] += 1
    return quotas


def _rank(key: str, content: str) -> bytes:
    return hashlib.sha256(f"{key}:{content}".encode()).digest()
