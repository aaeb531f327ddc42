"""A zip file with a manifest and a seal: the same content gives the same bytes, and every byte is checked when read.

Members are in the order of writing, with one fixed time and mode. The last one, the manifest, holds size and SHA-256 of
all others; the zip file's comment holds the SHA-256 of everything before it. Members are read by the names in the
manifest and never unpacked to paths of the file's choice. Knows nothing of projects.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from semievol.errors import UserError

MANIFEST = "MANIFEST.json"
_MADE = (1980, 1, 1, 0, 0, 0)
_MODE = (stat.S_IFREG | 0o644) << 16
_UNIX = 3
_COMMENT = re.compile(rb"sha256 [0-9a-f]{64}")
_COMMENT_BYTES = 71
_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)*", re.ASCII)
_PIECE = 2**20
_LARGEST_MANIFEST = 64 * 2**20
_MOST_MEMBERS = 100_000
_RATIO = 200  # repeated answers are compressed about 50 times, a zip bomb 1,000 times
_HARMLESS = 16 * 2**20  # bytes up to which a member's ratio is not checked
_SMALL = 30_000  # bytes: a member's entries alone take more than 1 / _RATIO of it
LARGEST = 2**40
"""Bytes that an archive may unpack to; `restoring` checks the disk's free space as well."""

_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, LookupError, TypeError, AttributeError),
)
"""What reading a damaged zip file or a manifest of another form can raise (a nesting too deep is a RuntimeError)."""

_AGAIN = "Export it once more, or copy the whole file again."
_STRANGE = "Import only archives that a Studio wrote."


def acceptable(name: str) -> bool:
    """Whether a member may have this name."""
    return _NAME.fullmatch(name) is not None


class Sealing(AbstractContextManager["Sealing"]):
    """Writes the members of one archive to a seekable file; `close` writes the manifest."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip = zipfile.ZipFile(path, "w", allowZip64=True)
        self.members: dict[str, dict[str, Any]] = {}

    def __exit__(self, *error: object) -> None:
        if self._zip.fp is not None:
            self._zip.close()

    @contextmanager
    def member(self, name: str) -> Iterator[Callable[[bytes], Any]]:
        """A function that takes the member's next bytes. They are stored compressed, unless they shrink so much that
        `Sealed` would refuse them."""
        assert _NAME.fullmatch(name), name
        assert name not in self.members, name
        digest, size = hashlib.sha256(), 0
        info = _info(name, packed=True)
        with self._zip.open(info, "w", force_zip64=True) as stream:

            def write(piece: bytes) -> None:
                nonlocal size
                stream.write(piece)
                digest.update(piece)
                size += len(piece)

            yield write
        if size > max(_SMALL, _RATIO * info.compress_size):
            self._unpack(info)
        self.members[name] = {"bytes": size, "sha256": digest.hexdigest()}

    def _unpack(self, info: zipfile.ZipInfo) -> None:
        """Writes the last member again, uncompressed."""
        with tempfile.TemporaryFile(dir=self._path.parent) as packed:
            assert self._zip.fp is not None
            self._zip.fp.flush()
            with self._path.open("rb") as written:
                written.seek(self._zip.start_dir - info.compress_size)
                shutil.copyfileobj(written, packed)
            self._zip.filelist.remove(info)
            del self._zip.NameToInfo[info.filename]
            self._zip.start_dir = info.header_offset  # where the next member is written
            packed.seek(0)
            unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
            with self._zip.open(_info(info.filename, packed=False), "w", force_zip64=True) as stream:
                rest = b""
                while piece := rest or packed.read(_PIECE):
                    stream.write(unpacking.decompress(piece, _PIECE))
                    rest = unpacking.unconsumed_tail
                stream.write(unpacking.flush())

    def close(self, about: dict[str, Any]) -> None:
        """Writes the manifest, with `about` in it, and the seal."""
        content = json.dumps(about | {"members": self.members}, indent=1, ensure_ascii=False).encode()
        with self._zip.open(_info(MANIFEST, packed=False), "w", force_zip64=True) as stream:
            stream.write(content)
        self._zip.comment = b"0" * _COMMENT_BYTES
        self._zip.close()
        with self._path.open("r+b") as stream:
            end = stream.seek(-_COMMENT_BYTES, io.SEEK_END)
            digest = _digest(stream, end, lambda done: None)
            stream.seek(end)
            stream.write(b"sha256 " + digest.encode())


class Sealed(AbstractContextManager["Sealed"]):
    """An archive to be read. Opening it checks its form and its manifest; `check` checks every byte.

    about: what the manifest says of its content. members: name -> bytes and sha256.
    """

    def __init__(self, path: Path, where: str) -> None:
        self._path, self.where = path, where
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.strerror:
                raise self.refused(f"The archive cannot be read ({error.strerror}).", "Check the path.") from None
            raise self.refused("The file is cut off, or no project archive.", _AGAIN) from None
        try:
            self._infos = self._named()
            self.about = self._manifest()
            self.members: dict[str, dict[str, Any]] = self.about.pop("members")
            self._agree()
        except BaseException:
            self._zip.close()
            raise

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member["bytes"] for member in self.members.values())

    def check(self, watch: Callable[[int, int], None]) -> None:
        """Raises UserError if any byte is not as it was written. watch: called with the bytes (done, all)."""
        with self._path.open("rb") as stream:
            end = stream.seek(-_COMMENT_BYTES, io.SEEK_END)
            comment = stream.read()
            total = end + self.size
            digest = _digest(stream, end, lambda done: watch(done, total))
        if comment != b"sha256 " + digest.encode():
            raise self.refused("The archive is damaged: it is not as it was written.", _AGAIN)
        done = end
        for name in self.members:
            for piece in self.pieces(name):
                done += len(piece)
                watch(done, total)

    def pieces(self, name: str) -> Iterator[bytes]:
        """The member's bytes, a piece at a time; raises where they are not those of the manifest."""
        digest, left = hashlib.sha256(), int(self.members[name]["bytes"])
        try:
            with self._zip.open(self._infos[name]) as stream:
                while piece := stream.read(min(_PIECE, left + 1)):
                    left -= len(piece)
                    if left < 0:
                        break
                    digest.update(piece)
                    yield piece
        except _UNREADABLE:
            raise self._damaged(name) from None
        if left or digest.hexdigest() != self.members[name]["sha256"]:
            raise self._damaged(name)

    def lines(self, name: str, longest: int) -> Iterator[bytes]:
        """The member's lines without their ends. longest: bytes that one may have."""
        rest = b""
        for piece in self.pieces(name):
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if len(rest) > longest:
                raise self.refused(f"{name} holds a line of more than {longest:,} bytes.", _STRANGE)
        if rest:
            yield rest

    def _named(self) -> dict[str, zipfile.ZipInfo]:
        """The members by name. Raises UserError for members that the Studio never writes."""
        infos = self._zip.infolist()
        if len(infos) > _MOST_MEMBERS:
            raise self.refused(f"The archive has {len(infos):,} members, {_MOST_MEMBERS:,} are allowed.", _STRANGE)
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            shown = info.orig_filename[:80]
            kind = stat.S_IFMT(info.external_attr >> 16)
            if not _NAME.fullmatch(info.orig_filename):
                raise self.refused(f'The archive names a file outside of its own folder: "{shown}".', _STRANGE)
            if kind not in (0, stat.S_IFREG) or info.is_dir():
                raise self.refused(f'"{shown}" is a link or a folder, not a file.', _STRANGE)
            if info.flag_bits & 0x41 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self.refused(f'"{shown}" is encrypted or packed in an unknown way.', _STRANGE)
            if info.orig_filename in found:
                raise self.refused(f'The archive holds "{shown}" twice.', _STRANGE)
            if info.file_size > max(_HARMLESS, _RATIO * info.compress_size):
                raise self.refused(f'"{shown}" would unpack to {info.file_size:,} bytes.', _STRANGE)
            found[info.orig_filename] = info
        unpacked, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
        brought = self._path.stat().st_size
        if packed > brought or unpacked > min(LARGEST, max(4 * _HARMLESS, _RATIO * brought)):
            raise self.refused(f"The archive would unpack to {unpacked:,} bytes.", _STRANGE)
        return found

    def _manifest(self) -> dict[str, Any]:
        info = self._infos.get(MANIFEST)
        if info is None:
            raise self.refused("The zip file is no project archive: it has no manifest.", _STRANGE)
        if info.file_size > _LARGEST_MANIFEST:
            raise self.refused("The archive's manifest is too large.", _STRANGE)
        try:
            with self._zip.open(info) as stream:
                about = json.loads(stream.read(_LARGEST_MANIFEST + 1))
            members = about["members"]
            sound = all(
                type(m["bytes"]) is int and m["bytes"] >= 0 and re.fullmatch("[0-9a-f]{64}", m["sha256"])
                for m in members.values()
            )
        except _UNREADABLE:
            sound, about = False, {}
        if not sound:
            raise self.refused("The archive's manifest is damaged.", _AGAIN)
        return dict(about)

    def _agree(self) -> None:
        """Raises UserError for members that the manifest does not list, and for listed ones that are missing."""
        there = set(self._infos) - {MANIFEST}
        if strange := sorted(there - set(self.members)):
            raise self.refused(f'The archive holds "{strange[0]:.80}", which its manifest does not list.', _STRANGE)
        if missing := sorted(set(self.members) - there):
            raise self.refused(f'"{missing[0]:.80}" is missing from the archive.', _AGAIN)
        for name, member in self.members.items():
            if self._infos[name].file_size != member["bytes"]:
                raise self._damaged(name)
        if not _COMMENT.fullmatch(self._zip.comment):
            raise self.refused("The archive's seal is missing or damaged.", _AGAIN)

    def _damaged(self, name: str) -> UserError:
        return self.refused(f'"{name}" in the archive is damaged: it is not what the manifest says.', _AGAIN)

    def refused(self, what: str, remedy: str) -> UserError:
        """What is wrong with the archive, to be raised before anything is stored."""
        return UserError(f"{what} Nothing was imported.", self.where, remedy)


def _info(name: str, packed: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _MADE)
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    info.external_attr, info.create_system = _MODE, _UNIX
    return info


def _digest(stream: IO[bytes], end: int, watch: Callable[[int], None]) -> str:
    """SHA-256 of the stream's first `end` bytes."""
    digest, left = hashlib.sha256(), end
    stream.seek(0)
    while left and (piece := stream.read(min(_PIECE, left))):
        digest.update(piece)
        left -= len(piece)
        watch(end - left)
    return digest.hexdigest()
