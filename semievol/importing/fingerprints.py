"""What the checks compare: a few numbers per record in place of its text, gathered in one pass over the data."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from semievol.importing.confusables import skeleton
from semievol.records import content_hash
from semievol.task.prompts import gives_orders, has_control_tokens

CONTROL, INSTRUCTS, INVISIBLE = 1, 2, 4
"""Bits of `Traces.flags`."""
_INVISIBLE = re.compile("[\u200b\u200e\u200f\u2060\u202a-\u202e\u2066-\u2069\ufeff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Marks of a sentence say nothing about what is asked; signs (+, <, #, an emoji) and vowel marks do.
_MARKS = ".,;:!?\"'()[]{}`" + "“”‘’«»‹›„…–—¿¡。、，；：！？「」（）"
_SPACED = str.maketrans(dict.fromkeys(_MARKS, " "))


@dataclass(frozen=True)
class Traces:
    """One entry per record. digests: uint8[n, 32], content hashes. spelled: int64, equal where records differ only in
    case, punctuation, spaces, look-alike letters and the order of options. asked: int64, equal where question and
    options (in any order) are the same. meaning: int64, of the known answer's words, 0 where none is known.
    flags: uint8. sizes: int64, bytes of question and options."""

    digests: np.ndarray
    spelled: np.ndarray
    asked: np.ndarray
    meaning: np.ndarray
    flags: np.ndarray
    sizes: np.ndarray


class Tracer:
    """Gathers the traces of records as they are read. Keys are hashes of this process: they are compared, not kept."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._numbers: dict[str, array[int]] = defaultdict(lambda: array("q"))

    def add(self, question: str, options: tuple[str, ...], meaning: str | None) -> None:
        """meaning: the known answer in words, independent of the order of the options."""
        self._digests += bytes.fromhex(content_hash(question, options))
        parts = (question, *options)
        note = self._numbers
        note["spelled"].append(hash((spelling(question), *sorted(map(spelling, options)))))
        note["asked"].append(hash((question.strip(), *sorted(option.strip() for option in options))))
        note["meaning"].append(0 if meaning is None else hash(meaning) or 1)
        note["flags"].append(_flags(question) if not options else _all_flags(parts))
        note["sizes"].append(sum(len(p) if p.isascii() else len(p.encode("utf-8", "replace")) for p in parts))

    def traces(self) -> Traces:
        found = {name: np.array(self._numbers[name], np.int64) for name in ("spelled", "asked", "meaning", "sizes")}
        digests = np.frombuffer(bytes(self._digests), np.uint8).reshape(-1, 32)
        return Traces(digests=digests, flags=np.array(self._numbers["flags"], np.uint8), **found)


def spelling(text: str) -> str:
    """A text in small letters without sentence marks, look-alike letters as the one they look like, spaces as one."""
    folded = text.lower() if text.isascii() else skeleton(text)
    return " ".join(folded.translate(_SPACED).split())


def _all_flags(parts: tuple[str, ...]) -> int:
    found = 0
    for part in parts:
        found |= _flags(part)
    return found


def _flags(text: str) -> int:
    found = 0
    if has_control_tokens(text):
        found |= CONTROL
    if gives_orders(text):
        found |= INSTRUCTS
    if not text.isprintable() and _INVISIBLE.search(text):
        found |= INVISIBLE
    return found
