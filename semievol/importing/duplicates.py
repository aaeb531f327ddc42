"""Which records are the same, spelled alike, or alike but for a few characters.

Exact copies and other spellings: a few numbers per record (`Traces`) are compared instead of its text. One pass over
the data computes them, with flags and sizes that the checks need, too. Small edits: MinHash over character shingles
(Broder 1997) finds likely pairs among many records. What is reported was then compared shingle by shingle, so a
signature can miss a pair (seldom, see `BANDS`) but never make one up.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_

import numpy as np
from confusable_homoglyphs import confusables
from rensa import RMinHash

from semievol.importing.accepted import Records
from semievol.progress import Watch, unwatched
from semievol.records import SPLITS, Message, Record, Split, content_hash
from semievol.task.prompts import gives_orders, has_control_tokens

CONTROL, INSTRUCTS, INVISIBLE = 1, 2, 4
"""Bits of `Traces.flags`."""
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u2060\u202a-\u202e\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Punctuation does not change what a question means; signs (+, <, #, an emoji) and vowel marks do.
_MARKS = ".,;:!?\"'()[]{}`" + "“”‘’«»‹›„…–—¿¡。、，；：！？「」（）"
_SPACED = str.maketrans(dict.fromkeys(_MARKS, " "))
ALIKE = 0.8
"""Least share of shingles (of both together) that two records have in common."""
MOST = 200_000
"""Records among which small edits are looked for; beyond, only what is spelled alike is found."""
SHINGLE = 4
"""Characters."""
PERMUTATIONS, BANDS = 120, 24
"""A pair just as alike as `ALIKE` shares no band with probability (1 - 0.8^5)^24 = 7e-5."""
LIKELY = 0.65
"""Least share of equal signature entries with which a pair is compared, four standard deviations below `ALIKE`."""
_IN_A_BAND, _VERIFIED = 8, 3
"""Others per band and split whose signatures are compared; how many of the most alike are compared by shingles."""
_BATCH = 4_096
_AT_ONCE, _KEPT = 1_024, 4_096
_ODD = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
    np.uint64,
)
"""Odd factors that hash a band. Where two bands get the same hash, records are only compared in vain."""
_YIELDS: dict[Split, int] = {"unlabeled": 0, "labeled": 1, "calibration": 2, "test": 3}


@dataclass(frozen=True)
class Traces:
    """One entry per record.

    digests: uint8[n, 32], content hashes. spelled: int64, equal where records differ only in case, punctuation, spaces,
    look-alike letters and the order of options. question_keys: int64, equal where question and options (in any order)
    are the same. meaning: int64, hash of the known answer's words, 0 where none is known. flags: uint8. sizes: int64,
    bytes of question and options.
    """

    digests: np.ndarray
    spelled: np.ndarray
    question_keys: np.ndarray
    meaning: np.ndarray
    flags: np.ndarray
    sizes: np.ndarray


class Tracer:
    """Computes the traces of records as they are read. Keys are Python's hashes: they differ in every process, so they
    are compared, never stored."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._numbers: dict[str, array[int]] = defaultdict(lambda: array("q"))

    def add(
        self, question: str, options: tuple[str, ...], meaning: str | None, earlier: tuple[Message, ...] = ()
    ) -> None:
        """meaning: the known answer in words, independent of the order of the options."""
        self._digests += bytes.fromhex(content_hash(question, options, earlier))
        parts = (question, *options)
        if earlier:  # the same question in another conversation is another question
            parts = (*(turn.content for turn in earlier), *parts)
            question = "\n\n".join(parts[: len(earlier) + 1])
        numbers = self._numbers
        numbers["spelled"].append(hash((_spelling(question), *sorted(map(_spelling, options)))))
        numbers["question_keys"].append(hash((question.strip(), *sorted(option.strip() for option in options))))
        numbers["meaning"].append(0 if meaning is None else hash(meaning) or 1)
        numbers["flags"].append(reduce(or_, map(_flags, parts)))
        numbers["sizes"].append(sum(len(p) if p.isascii() else len(p.encode("utf-8", "replace")) for p in parts))

    def traces(self) -> Traces:
        names = ("spelled", "question_keys", "meaning", "sizes")
        found = {name: np.array(self._numbers[name], np.int64) for name in names}
        digests = np.frombuffer(bytes(self._digests), np.uint8).reshape(-1, 32)
        return Traces(digests=digests, flags=np.array(self._numbers["flags"], np.uint8), **found)


def _skeleton(text: str) -> str:
    """The text in compatibility form (NFKC) and small letters, with look-alikes of ASCII letters and digits as these
    (Unicode TR 39).

    Cyrillic "а" becomes Latin "a". Two texts with the same skeleton look alike; the skeleton itself is not for reading.
    """
    return unicodedata.normalize("NFKC", text).casefold().translate(_look_alikes())


@cache
def _look_alikes() -> dict[int, str]:
    found = {}
    for char, alike in confusables.confusables_data.items():
        target = next((a["c"] for a in alike if len(a["c"]) == 1 and a["c"].isascii() and a["c"].isalnum()), None)
        if target is not None and len(char) == 1 and not char.isascii():
            found[ord(char)] = target.casefold()
    return found


def _spelling(text: str) -> str:
    """A text in small letters without sentence marks, look-alike letters as the one they look like, spaces as one."""
    folded = text.lower() if text.isascii() else _skeleton(text)
    return " ".join(folded.translate(_SPACED).split())


def _flags(text: str) -> int:
    invisible = not text.isprintable() and _INVISIBLE.search(text) is not None
    return CONTROL * has_control_tokens(text) | INSTRUCTS * gives_orders(text) | INVISIBLE * invisible


def gives_way(first: Split, second: Split) -> bool:
    """Whether of two records that are alike, the one in the split `first` should leave: unlabeled first, test never."""
    return _YIELDS[first] < _YIELDS[second]


def small_edits(records: Records, spelled: np.ndarray, watch: Watch = unwatched) -> dict[int, int]:
    """Position of a record -> position of its twin: a record that is alike but spelled differently, in a split that its
    own split gives way to. The first twin that was found counts.

    spelled: see `Traces`. The result depends only on the records' texts and splits.
    """
    present = [SPLITS[number] for number in np.unique(records.splits)]
    if len(present) < 2:
        return {}
    signed = list(_signatures(records, watch))
    short, keys = (np.concatenate(arrays) for arrays in zip(*signed, strict=True))
    members = {split: np.flatnonzero(records.splits == SPLITS.index(split)) for split in present}
    buckets = {split: _Buckets(members[split], keys) for split in present}
    winners = {split: [buckets[other] for other in present if gives_way(split, other)] for split in present}
    total = sum(len(members[split]) for split in present if winners[split])
    found: dict[int, int] = {}
    compared = _Compared(records)
    done = 0
    for split in present:
        for start in range(0, len(members[split]) if winners[split] else 0, _AT_ONCE):
            ones = members[split][start : start + _AT_ONCE]
            found |= compared.alike(_likeliest(ones, short, keys, spelled, winners[split]))
            done += len(ones)
            watch("Comparing the splits", done, total)
    return found


def alike_pairs(records: Sequence[Record]) -> list[tuple[int, int]]:
    """Positions of records that are alike, each with the first one that it is like.

    Every pair is compared, so this is for some hundreds of records.
    """
    shingles = [set(_shingles(_text(record))) for record in records]
    found = []
    for one, mine in enumerate(shingles):
        for other, theirs in enumerate(shingles[:one]):
            close_in_size = min(len(mine), len(theirs)) >= ALIKE * max(len(mine), len(theirs))  # else it is a waste
            if close_in_size and _overlap(mine, theirs) >= ALIKE:
                found.append((one, other))
                break
    return found


def _signatures(records: Records, watch: Watch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For some records after the others: uint8[m, PERMUTATIONS], the last byte of every entry, of which one in 256 is
    equal by chance; and uint64[m, BANDS], equal where a band is."""
    for start in range(0, len(records), _BATCH):
        some = records.with_gold(start, min(start + _BATCH, len(records)))
        matrix = RMinHash.digest_matrix_from_token_sets([_shingles(_text(one)) for one, _ in some], PERMUTATIONS, 0)
        signatures = np.array(matrix.to_rows(), np.uint32)
        bands = signatures.reshape(len(signatures), BANDS, -1).astype(np.uint64)
        yield signatures.astype(np.uint8), (bands * _ODD).sum(axis=2)
        watch("Preparing to compare", start + len(signatures), len(records))


class _Buckets:
    """The records of one split by the keys of their bands. members: their positions, ascending."""

    def __init__(self, members: np.ndarray, keys: np.ndarray) -> None:
        order = np.argsort(keys[members], axis=0, kind="stable")
        self._keys = np.ascontiguousarray(np.take_along_axis(keys[members], order, axis=0).T)
        self._positions = np.ascontiguousarray(members[order].T)

    def sharing(self, keys: np.ndarray) -> np.ndarray:
        """int64[m, BANDS * _IN_A_BAND]: the first positions with the same key in each band, -1 after the last."""
        found = np.full((len(keys), BANDS, _IN_A_BAND), -1, np.int64)
        for band, (known, positions) in enumerate(zip(self._keys, self._positions, strict=True)):
            first = np.searchsorted(known, keys[:, band], "left")[:, None] + np.arange(_IN_A_BAND)
            there = first < np.searchsorted(known, keys[:, band], "right")[:, None]
            found[:, band][there] = positions[first[there]]
        return found.reshape(len(keys), -1)


def _likeliest(
    ones: np.ndarray, short: np.ndarray, keys: np.ndarray, spelled: np.ndarray, winners: Sequence[_Buckets]
) -> dict[int, list[int]]:
    """Position of a record -> those that share a band and most of the signature with it, most alike first."""
    others = np.concatenate([bucket.sharing(keys[ones]) for bucket in winners], axis=1)
    others.sort(axis=1)
    fresh = (others >= 0) & (spelled[others] != spelled[ones][:, None])
    fresh[:, 1:] &= others[:, 1:] != others[:, :-1]
    rows, places = np.nonzero(fresh)
    equal = np.zeros(others.shape, np.int16)
    equal[rows, places] = (short[ones[rows]] == short[others[rows, places]]).sum(axis=1)
    best = np.argsort(-equal, axis=1, kind="stable")[:, :_VERIFIED]
    found: dict[int, list[int]] = defaultdict(list)
    for row, place in np.argwhere(np.take_along_axis(equal, best, axis=1) >= LIKELY * PERMUTATIONS).tolist():
        found[int(ones[row])].append(int(others[row, best[row, place]]))
    return found


class _Compared:
    """Compares shingle by shingle; keeps for a while the shingles of the records that others were compared with."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._kept: dict[int, set[str]] = {}

    def alike(self, likely: dict[int, list[int]]) -> dict[int, int]:
        """Position -> the first of its likely ones that is alike."""
        if len(self._kept) > _KEPT:
            self._kept.clear()
        wanted = {other for others in likely.values() for other in others}
        self._kept |= self._sets(wanted - self._kept.keys())
        found: dict[int, int] = {}
        for one, mine in self._sets(likely.keys()).items():
            twin = next((other for other in likely[one] if _overlap(mine, self._kept[other]) >= ALIKE), None)
            if twin is not None:
                found[one] = twin
        return found

    def _sets(self, positions: Collection[int]) -> dict[int, set[str]]:
        ordered = np.array(sorted(positions), np.int64)
        some = self._records.only(ordered)
        return {at: set(_shingles(_text(one))) for at, one in zip(ordered.tolist(), some, strict=True)}


def _overlap(mine: set[str], theirs: set[str]) -> float:
    """Share of the shingles of both that both have."""
    common = len(mine & theirs)
    return common / (len(mine) + len(theirs) - common)


def _text(record: Record) -> str:
    said = [*(turn.content for turn in record.earlier), record.question]
    return " ".join([*map(_spelling, said), *sorted(map(_spelling, record.options))])


def _shingles(text: str) -> list[str]:
    return [text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1))]
