"""The bytes of a file and their encoding: chosen by a person, stated by the file, or guessed from its bytes.

The file is opened as often as needed; gzip is unpacked once. Knows nothing of what the text means.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from semievol.errors import UserError
from semievol.importing.readers.east_asian import likely
from semievol.importing.readers.overrides import ENCODINGS, ReadAs
from semievol.importing.table import MEGABYTE, Limits, display_name

SAVE_AS_UTF8 = "Save the file as UTF-8 (in Excel: CSV UTF-8) and try again."
ESCAPED = re.compile("[\udc80-\udcff]")
"""Bytes that are not valid text, in the form in which `Content.lines` returns them where errors are not strict."""
_CHUNK = MEGABYTE
_GZIP_RATIO = 200
_MARKS = (b"\xff\xfe", b"\xfe\xff")
_KANA = re.compile("[\u3041-\u30ff]")
_SAY_IT = "Choose the encoding (--encoding), or save the file as UTF-8 (in Excel: CSV UTF-8)."
_LEAST_PAIRS = 4
Watch = Callable[[int], None]


class _Watched(io.FileIO):
    """A file that reports how many bytes of it were read."""

    def __init__(self, path: Path, watch: Watch) -> None:
        super().__init__(path)
        self._watch = watch

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self._watch(self.tell())
        return count


@dataclass
class Content:
    """A file's bytes, on disk or in memory. `name` is for messages and for its ending only, never a path."""

    name: str
    source: Path | bytes
    encoding: str = "utf-8-sig"
    errors: str = "strict"
    notes: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    """What was guessed from the content because nothing states it: "encoding"."""
    bad_lines: dict[int, int] = field(default_factory=dict)
    """Line number -> position of its first byte that is not valid text; filled while `lines` is read."""
    watch: Watch | None = None
    """Called with the number of bytes that were read of a file on disk."""
    header: tuple[int, str] | None = None
    """Number of the line with the names of columns, from 0, and what `lines` puts before it: R names no row names."""
    whole: bool = False
    """Whether records are read whole (`ReadAs.whole`)."""

    @property
    def encoding_name(self) -> str:
        return ENCODINGS[self.read_as.encoding or ""]

    @property
    def read_as(self) -> ReadAs:
        return ReadAs(encoding="utf-8" if self.encoding == "utf-8-sig" else self.encoding)

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def open(self, watched: bool = False) -> BinaryIO:
        if isinstance(self.source, bytes):
            return io.BytesIO(self.source)
        if watched and self.watch is not None:
            return io.BufferedReader(_Watched(self.source, self.watch), _CHUNK)
        return self.source.open("rb")

    def head(self, length: int = 4096) -> bytes:
        with self.open() as file:
            return file.read(length)

    def text(self) -> str:
        with io.TextIOWrapper(self.open(), self.encoding, self.errors, newline="") as stream:
            return stream.read()

    def lines(self) -> Iterator[str]:
        """Physical lines with their endings; LF, CRLF and CR all end a line."""
        if self.header is None:
            return self._lines()
        place, before = self.header
        return (before + line if number == place else line for number, line in enumerate(self._lines()))

    def _lines(self) -> Iterator[str]:
        with io.TextIOWrapper(self.open(watched=True), self.encoding, self.errors, newline="") as stream:
            if self.errors == "strict":
                yield from stream
                return
            position = 3 if self.head(3) == b"\xef\xbb\xbf" else 0
            for number, line in enumerate(stream, 1):
                match = ESCAPED.search(line)
                if match:
                    before = line[: match.start()].encode("utf-8", "surrogateescape")
                    self.bad_lines[number] = position + len(before)
                position += len(line.encode("utf-8", "surrogateescape"))
                yield line


def load(source: Path | bytes, name: str, limits: Limits, watch: Watch | None = None) -> Content:
    """The content of an upload or a file, unpacked if it is gzip; UserError if it is absent, empty or too large."""
    shown = display_name(name)
    content = Content(shown, source, watch=watch)
    try:
        size = content.size
        head = content.head(2) if size else b""
    except OSError as error:
        raise UserError(f"The file cannot be read ({error.strerror}).", shown, "Check the path.") from None
    if size > limits.file:
        raise UserError(
            f"The file has {size:,} bytes; the limit is {limits.file:,} bytes.", shown, "Split the file into parts."
        )
    if size == 0:
        raise UserError("The file is empty.", shown, "Choose the file that holds the data.")
    if head == b"\x1f\x8b":
        inner = shown[:-3] if shown.lower().endswith(".gz") else shown
        return Content(inner, _unpack(content, limits), notes=["The file was unpacked from gzip."])
    if shown.lower().endswith(".gz"):
        raise UserError("The file ends in .gz but is not gzip.", shown, "Give it the ending of what it is.")
    return content


def _unpack(content: Content, limits: Limits) -> bytes:
    allowed = min(limits.decoded, max(64 * MEGABYTE, content.size * _GZIP_RATIO))
    parts: list[bytes] = []
    total = 0
    unpacker = zlib.decompressobj(wbits=31)
    with content.open() as file:
        chunk = file.read(_CHUNK)
        while chunk:
            try:
                part = unpacker.decompress(chunk, _CHUNK)
            except zlib.error:
                raise UserError("The gzip file is damaged.", content.name, "Pack or download it again.") from None
            total += len(part)
            if total > allowed:
                raise UserError(
                    f"The file unpacks to more than {allowed:,} bytes, which is the limit.",
                    content.name,
                    "Unpack it yourself and split it into parts.",
                )
            parts.append(part)
            chunk = unpacker.unconsumed_tail
            if unpacker.eof:
                chunk = unpacker.unused_data or file.read(_CHUNK)
                if not chunk.startswith(b"\x1f\x8b"):
                    break  # padding after the last member
                unpacker = zlib.decompressobj(wbits=31)
            chunk = chunk or file.read(_CHUNK)
    if not unpacker.eof or not total:
        raise UserError("The gzip file is empty or cut off.", content.name, "Pack or download it again.")
    return b"".join(parts)


def decide_encoding(content: Content, chosen: str | None = None) -> None:
    """Set `encoding` and `errors` of a text file and note what is not plain UTF-8.

    chosen: the encoding that a person chose; UserError where the bytes do not fit it. UTF-8 and a byte order mark are
    certain, all else is a guess. In a file that is mostly valid UTF-8, or that a person says is UTF-8, the readers
    reject the rows with invalid bytes; any other file is taken as Windows-1252, or as Chinese, Japanese or
    Korean where it reads so.
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
    def read(encoding: str) -> list[str] | None:
        other = replace(content, encoding=encoding)
        return [_sample(other)] if _decodes(other) else None

    eastern = likely(read)
    for encoding in ("cp932", *([eastern] if eastern else []), "cp1252"):
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


def _sample(content: Content) -> str:
    with io.TextIOWrapper(content.open(), content.encoding, newline="") as stream:
        return stream.read(MEGABYTE)


def _kana_share(content: Content) -> float:
    sample = _sample(content)
    foreign = sum(char > "\x7f" for char in sample)
    return len(_KANA.findall(sample)) / foreign if foreign else 0.0
