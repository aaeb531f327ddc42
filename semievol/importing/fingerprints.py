"""What the checks compare: a few numbers per record instead of its text, computed in one pass over the data."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_

import numpy as np
from confusable_homoglyphs import confusables

from semievol.records import content_hash
from semievol.task.prompts import gives_orders, has_control_tokens

CONTROL, INSTRUCTS, INVISIBLE = 1, 2, 4
"""Bits of `Traces.flags`."""
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u2060\u202a-\u202e\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Punctuation does not change what a question means; signs (+, <, #, an emoji) and vowel marks do.
_MARKS = ".,;:!?\"'()[]{}`" + "“”‘’«»‹›„…–—¿¡。、，；：！？「」（）"
_SPACED = str.maketrans(dict.fromkeys(_MARKS, " "))


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

    def add(self, question: str, options: tuple[str, ...], meaning: str | None) -> None:
        """meaning: the known answer in words, independent of the order of the options."""
        self._digests += bytes.fromhex(content_hash(question, options))
        parts = (question, *options)
        numbers = self._numbers
        numbers["spelled"].append(hash((spelling(question), *sorted(map(spelling, options)))))
        numbers["question_keys"].append(hash((question.strip(), *sorted(option.strip() for option in options))))
        numbers["meaning"].append(0 if meaning is None else hash(meaning) or 1)
        numbers["flags"].append(reduce(or_, map(_flags, parts)))
        numbers["sizes"].append(sum(len(p) if p.isascii() else len(p.encode("utf-8", "replace")) for p in parts))

    def traces(self) -> Traces:
        names = ("spelled", "question_keys", "meaning", "sizes")
        found = {name: np.array(self._numbers[name], np.int64) for name in names}
        digests = np.frombuffer(bytes(self._digests), np.uint8).reshape(-1, 32)
        return Traces(digests=digests, flags=np.array(self._numbers["flags"], np.uint8), **found)


def skeleton(text: str) -> str:
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


def spelling(text: str) -> str:
    """A text in small letters without sentence marks, look-alike letters as the one they look like, spaces as one."""
    folded = text.lower() if text.isascii() else skeleton(text)
    return " ".join(folded.translate(_SPACED).split())


def _flags(text: str) -> int:
    invisible = not text.isprintable() and _INVISIBLE.search(text) is not None
    return CONTROL * has_control_tokens(text) | INSTRUCTS * gives_orders(text) | INVISIBLE * invisible
