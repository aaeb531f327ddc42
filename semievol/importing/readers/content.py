"""The bytes of a file and their encoding. The file is opened as often as needed; gzip is unpacked once.

Knows nothing of what the text means.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from semievol.errors import UserError
from semievol.importing.readers.overrides import ENCODINGS, ReadAs
from semievol.importing.table import MEGABYTE, Limits, display_name

SAVE_AS_UTF8 = "Save the file as UTF-8 (in Excel: CSV UTF-8) and try again."
ESCAPED = re.compile("[\udc80-\udcff]")
"""Bytes that are not valid text, in the form in which `Content.lines` returns them where errors are not strict."""
_CHUNK = MEGABYTE
_GZIP_RATIO = 200
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
