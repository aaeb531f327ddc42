"""Which encoding a text file is in: chosen by a person, stated by the file, or guessed from its bytes.

Knows nothing of what the text means.
"""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np

from semievol.errors import UserError
from semievol.importing.readers.content import ESCAPED, SAVE_AS_UTF8, Content
from semievol.importing.table import MEGABYTE

_MARKS = (b"\xff\xfe", b"\xfe\xff")
_KANA = re.compile("[\u3041-\u30ff]")
_SAY_IT = "Choose the encoding (--encoding), or save the file as UTF-8 (in Excel: CSV UTF-8)."
_LEAST_PAIRS = 4


def decide_encoding(content: Content, chosen: str | None = None) -> None:
    """Set `encoding` and `errors` of a text file and note what is not plain UTF-8.

    chosen: the encoding that a person chose; UserError where the bytes do not fit it. UTF-8 and a byte order mark are
    certain, all else is a guess. In a file that is mostly valid UTF-8, or that a person says is UTF-8, the readers
    reject the rows with invalid bytes; any other file is taken as Windows-1252 (Shift-JIS where it reads as kana).
    """
    head = content.head()
    marked, unmarked = head[:2] in _MARKS, _utf16_by_zeros(head)
    if chosen is not None and chosen != "utf-8":
        if chosen == "utf-16" and not marked:
            chosen = unmarked or "utf-16-le"
        # Only the codec without a byte order removes the mark.
        content.encoding = "utf-16" if chosen.startswith("utf-16") and marked else chosen
        if not _decodes(content):
            raise UserError(f"The file is not valid {content.encoding_name}.", content.name, "Choose another encoding.")
        return
    if chosen is None and marked:
        content.encoding = "utf-16"
        content.notes.append("The text is UTF-16.")
        if not _decodes(content):
            raise UserError("The file is not valid UTF-16.", content.name, SAVE_AS_UTF8)
        return
    if chosen is None and unmarked is not None and _decodes(replace(content, encoding=unmarked)):
        content.encoding = unmarked
        content.guessed.append("encoding")
        name = content.encoding_name
        content.notes.append(f"Every other byte is zero: the text was read as {name}, which nothing states.")
        return
    if _decodes(content):
        return
    content.errors = "surrogateescape"
    valid, invalid = _count_beyond_ascii(content)
    if valid >= invalid or chosen is not None:
        content.notes.append(f"The text is UTF-8. Bytes that are not valid, and whose rows are rejected: {invalid:,}.")
        return
    content.errors = "strict"
    content.bad_lines.clear()
    _guess(content)


def looks_wide(head: bytes, chosen: str | None) -> bool:
    """Whether a file that begins with these bytes may hold zero bytes and still be text: UTF-16."""
    return head[:2] in _MARKS or _utf16_by_zeros(head) is not None or (chosen or "").startswith("utf-16")


def _utf16_by_zeros(head: bytes) -> str | None:
    """UTF-16 with the byte order in which western text has its zero bytes as here; None where they do not alternate."""
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
