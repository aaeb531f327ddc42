"""Models from an installed package or a GGUF file: prepared once as a folder of safetensors that all workspaces share.

The package's code is never imported: its file is found in the installation's list of files, checked by hash, and
unpacked (an embedder) or converted (a GGUF file). A folder is used only if its marker is there, which is written last.
One process prepares a folder, others wait for it. Only the conversion needs torch.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path, PurePosixPath

from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.installed import EMBEDDERS, HOW, MODELS, STARTER, Package

HOME = "SEMIEVOL_MODELS"
"""Environment variable with the shared folder; `~/.cache/semievol/models` if it is not set."""
GGUF = ".gguf"
Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is to do."""
_FORM = 1  # version of the prepared folders; a new number prepares all of them again
_BLOCK = 2**20
_LARGEST_MEMBER = 2**31
_ENDS = 4 * 2**20  # bytes at either end of a GGUF file that identify it


def no_report(what: str, done: int, total: int) -> None:
    """Reports nothing."""


def home() -> Path:
    """The folder of all prepared models."""
    if named := os.environ.get(HOME):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "semievol/models"


def is_gguf(name: str) -> bool:
    """Whether a model's name is the path of an existing GGUF file."""
    try:
        return name.lower().endswith(GGUF) and Path(name).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def is_packaged(name: str) -> bool:
    """Whether a model or embedder of this name comes as a package."""
    return name in MODELS or name in EMBEDDERS


def prepared(name: str) -> Path | None:
    """The finished folder of a packaged model, embedder or GGUF file; None if it is not prepared yet."""
    place = _place(name)
    return place if _finished(place) else None


def check(name: str) -> None:
    """Raises UserError for a package that is missing or not the pinned version, and for a file that is no GGUF."""
    if prepared(name) is None:
        _source(name)


def folder(name: str, report: Report = no_report) -> Path:
    """The folder of a packaged model, an embedder or a GGUF file; prepares it first if necessary.

    Raises UserError if the package is missing or damaged, or cannot be converted.
    """
    place = _place(name)
    if _finished(place):
        return place
    with _alone(place, report):
        if _finished(place):  # by the process that this one waited for
            return place
        source = _source(name, report)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with checkpoints.written_whole(place, {"name": name, "form": _FORM, "made_of": source.name}) as staging:
                if name in EMBEDDERS:
                    _unpack(source, staging, report)
                else:
                    # Imported here, since it loads torch, which looking up a prepared folder does not need.
                    from semievol.engines.models import conversion

                    conversion.convert(source, staging, report)
        except OSError as error:
            raise UserError(
                f'The model "{name}" could not be prepared ({error.strerror or error}).',
                str(place.parent),
                f"Free some space there, or set {HOME} to another folder, then start again.",
            ) from None
    return place


def _place(name: str) -> Path:
    package = MODELS.get(name) or EMBEDDERS.get(name)
    if package is not None:
        return home() / f"{name}-{package.sha256[:12]}"
    path = Path(name).expanduser().resolve()
    return home() / f"gguf-{_digest_of_ends(path)[:24]}"


def _finished(place: Path) -> bool:
    """Whether the marker is there. The hashes in it are compared when a model is loaded."""
    try:
        return json.loads((place / checkpoints.MARKER).read_text(encoding="utf-8")).get("form") == _FORM
    except (OSError, ValueError, AttributeError):
        return False


def _source(name: str, report: Report = no_report) -> Path:
    package = MODELS.get(name) or EMBEDDERS.get(name)
    if package is None:
        path = Path(name).expanduser()
        with path.open("rb") as stream:
            if stream.read(4) != b"GGUF":
                raise UserError("This is not a GGUF file.", path.name, "Choose a .gguf file, or a model folder.")
        return path
    file = _installed_file(package)
    digest, size = hashlib.sha256(), file.stat().st_size
    with file.open("rb") as stream:
        while block := stream.read(8 * _BLOCK):
            digest.update(block)
            report("Checking", stream.tell(), size)
    if digest.hexdigest() != package.sha256:
        raise UserError(
            f"{file.name} is not the file that {package.distribution} {package.version} brings: its hash differs.",
            f"model {name}",
            f"Install it again: {HOW.replace('pip install', 'pip install --force-reinstall')}.",
        )
    return file


def _installed_file(package: Package) -> Path:
    try:
        listed = metadata.files(package.distribution) or []
    except metadata.PackageNotFoundError:
        listed = []
    found = next((Path(str(file.locate())) for file in listed if file.as_posix() == package.file), None)
    if found is None or not found.is_file():
        raise UserError(
            f"{package.title} is not installed.",
            f"model {package.name}",
            f"Run `{HOW}`, or choose `{STARTER}` or a folder of your own.",
        )
    return found


def _unpack(archive: Path, folder: Path, report: Report) -> None:
    """Unpacks a zip file; a member whose path leads out of the folder is refused."""
    with zipfile.ZipFile(archive) as packed:
        members = [member for member in packed.infolist() if not member.is_dir()]
        total, done = sum(member.file_size for member in members), 0
        for member in members:
            path = PurePosixPath(member.filename)
            if path.is_absolute() or ".." in path.parts or member.file_size > _LARGEST_MEMBER:
                raise UserError(
                    "A file of the package would be unpacked outside of its folder.", archive.name, "Do not use it."
                )
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(member) as stream, target.open("wb") as out:
                while block := stream.read(_BLOCK):
                    out.write(block)
                    done += len(block)
                    report("Unpacking", done, total)


def _digest_of_ends(path: Path) -> str:
    """Identifies a large file by its size, its beginning (where a GGUF file describes itself) and its end."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{_FORM}:{size}:".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_ENDS))
        stream.seek(max(0, size - _ENDS))
        digest.update(stream.read(_ENDS))
    return digest.hexdigest()


@contextmanager
def _alone(place: Path, report: Report) -> Iterator[None]:
    """Locks the folder, so that no other process prepares it, and removes what a killed process left."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = (place.parent / f"{place.name}.lock").open("w")
    except OSError as error:
        raise UserError(
            f"Models cannot be prepared ({error.strerror}).", str(place.parent), f"Set {HOME} to a folder of your own."
        ) from None
    with lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report("Waiting for another process", 0, 1)
                time.sleep(0.2)
        partial = place.parent / f".partial-{place.name}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(partial, ignore_errors=True)
