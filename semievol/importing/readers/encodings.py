"""Which encoding a text file is in: said by a person, stated by the file, or told from its bytes.

Knows nothing of what the text means.
"""

from __future__ import annotations

import io
import re

import numpy as np

from semievol.errors import UserError
from semievol.importing.readers.content import ESCAPED, SAVE_AS_UTF8, Content
from semievol.importing.readers.overrides import ENCODINGS
from semievol.importing.table import MEGABYTE

_MARKS = (b"\xff\xfe", b"\xfe\xff")
_KANA = re.compile("[\u3041-\u30ff]")
_SAY_IT = "Choose the encoding (--encoding), or save the file as UTF-8 (in Excel: CSV UTF-8)."
_LEAST_PAIRS = 4


def decide_encoding(content: Content, asked: str | None = None) -> None:
    """Set `encoding` and `errors` of a text file and note what is not plain UTF-8.

    asked: what a person says; UserError where the bytes are not that. UTF-8 and a byte order mark are certain, all else
    is a guess. Invalid bytes in a file that is mostly valid UTF-8, or said to be UTF-8, stay with their rows, which the
    readers reject; else the file is taken as Windows-1252 (Shift-JIS where it reads as kana).
    """
    if asked is not None and asked != "utf-8":
        _take_asked(content, asked)
        return
    head = content.head()
    if asked is None and head[:2] in _MARKS:
        content.encoding = "utf-16"
        content.notes.append("The text is UTF-16.")
        if not _decodes(content):
            raise UserError("The file is not valid UTF-16.", content.name, SAVE_AS_UTF8)
        return
    if asked is None and _take_unmarked_wide(content, head):
        return
    if _decodes(content):
        return
    content.errors = "surrogateescape"
    valid, invalid = _count_beyond_ascii(content)
    if valid >= invalid or asked is not None:
        content.notes.append(f"The text is UTF-8. Bytes that are not valid, and whose rows are rejected: {invalid:,}.")
        return
    content.errors = "strict"
    content.bad_lines.clear()
    _guess(content)


def looks_wide(head: bytes, asked: str | None) -> bool:
    """Whether a file that begins with these bytes may hold zero bytes and still be text: UTF-16."""
    return head[:2] in _MARKS or _zeros_say(head) is not None or (asked or "").startswith("utf-16")


def _take_asked(content: Content, asked: str) -> None:
    head = content.head()
    if asked.startswith("utf-16"):
        # With a mark the codec without an end is the one that takes it away.
        asked = "utf-16" if head[:2] in _MARKS else (_zeros_say(head) or "utf-16-le") if asked == "utf-16" else asked
    content.encoding = asked
    if not _decodes(content):
        raise UserError(f"The file is not valid {ENCODINGS[asked]}.", content.name, "Choose another encoding.")


def _take_unmarked_wide(content: Content, head: bytes) -> bool:
    """Whether the file is UTF-16 without a byte order mark, by its zero bytes."""
    found = _zeros_say(head)
    if found is None:
        return False
    content.encoding = found
    if not _decodes(content):
        content.encoding = "utf-8-sig"
        return False
    content.guessed.append("encoding")
    content.notes.append(f"Every other byte is zero: the text was read as {ENCODINGS[found]}, which nothing states.")
    return True


def _zeros_say(head: bytes) -> str | None:
    """The end of UTF-16 in which western text has these zero bytes, if they alternate with others."""
    pairs = np.frombuffer(head[: len(head) // 2 * 2], np.uint8).reshape(-1, 2)
    if len(pairs) < _LEAST_PAIRS:
        return None
    even, odd = (pairs == 0).mean(axis=0)
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.3 and odd < 0.05 else None


def _count_beyond_ascii(content: Content) -> tuple[int, int]:
    """Characters beyond ASCII, and bytes that are no UTF-8."""
    valid = invalid = 0
    for line in content.lines():
        if not line.isascii():
            escaped = len(ESCAPED.findall(line))
            invalid += escaped
            valid += sum(char > "\x7f" for char in line) - escaped
    return valid, invalid


def _guess(content: Content) -> None:
    for encoding in ("cp932", "cp1252"):
        content.encoding = encoding
        if _decodes(content) and (encoding != "cp932" or _kana_share(content) > 0.3):
            content.guessed.append("encoding")
            name = content.encoding_name
            content.notes.append(f"The text is not UTF-8 and was read as {name}; check accents and quotation marks.")
            return
    raise UserError("The encoding of the text is not known.", content.name, _SAY_IT)


def _decodes(content: Content) -> bool:
    try:
        with io.TextIOWrapper(content.open(), content.encoding, newline="") as stream:
            while stream.read(MEGABYTE):
                pass
    except UnicodeError:
        return False
    return True


def _kana_share(content: Content) -> float:
    with io.TextIOWrapper(content.open(), content.encoding, newline="") as stream:
        sample = stream.read(MEGABYTE)
    foreign = sum(char > "\x7f" for char in sample)
    return len(_KANA.findall(sample)) / foreign if foreign else 0.0
