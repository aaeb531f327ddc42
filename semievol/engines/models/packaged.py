"""Weights from an installed package or a GGUF file, made once into a folder of safetensors that all workspaces share.

The package's code is never imported: its file is found through the installation's own list, checked by hash, and
unpacked (an embedder) or converted (a GGUF file). A folder counts once its marker is there, which is written last; one
process prepares at a time, and others wait for it. Only the conversion itself needs torch.
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
"""Environment variable that names the shared folder; `~/.cache/semievol/models` where it is not set."""
GGUF = ".gguf"
Told = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and how much there is."""
_FORM = 1  # of what is written; another number prepares anew
_BLOCK = 2**20
_LARGEST_MEMBER = 2**31
_ENDS = 4 * 2**20  # bytes at either end of a GGUF file that tell it from others


def quietly(what: str, done: int, total: int) -> None:
    """For those who do not want to hear."""


def home() -> Path:
    """Where prepared models lie."""
    named = os.environ.get(HOME)
    return (
        Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "semievol/models"
    )


def is_gguf(name: str) -> bool:
    """Whether a model's name is that of a GGUF file that is there."""
    try:
        return name.lower().endswith(GGUF) and Path(name).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def is_packaged(name: str) -> bool:
    """Whether a model or embedder of this name comes as a package."""
    return name in MODELS or name in EMBEDDERS


def prepared(name: str) -> Path | None:
    """The finished folder of a packaged model, embedder or GGUF file; None where it is still to be made."""
    place = _place(name)
    return place if _finished(place) else None


def check(name: str) -> None:
    """Refuses, as UserError, a package that is not installed or not the one that is pinned, and a file that is none."""
    if prepared(name) is None:
        _source(name)


def folder(name: str, told: Told = quietly) -> Path:
    """The folder of a packaged model, an embedder or a GGUF file, prepared first where that was not done yet.

    Raises UserError where the package is missing or damaged, or holds what cannot be converted.
    """
    place = _place(name)
    if _finished(place):
        return place
    with _alone(place, told):
        if _finished(place):  # by whoever was waited for
            return place
        source = _source(name, told)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with checkpoints.written_whole(place, {"name": name, "form": _FORM, "made_of": source.name}) as staging:
                if name in EMBEDDERS:
                    _unpack(source, staging, told)
                else:
                    # Here, since it loads torch: a process that only looks up a prepared folder does without.
                    from semievol.engines.models import conversion

                    conversion.convert(source, staging, told)
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
    """Whether the marker is there. The hashes that it holds are compared when a model is loaded."""
    try:
        return json.loads((place / checkpoints.MARKER).read_text(encoding="utf-8")).get("form") == _FORM
    except (OSError, ValueError, AttributeError):
        return False


def _source(name: str, told: Told = quietly) -> Path:
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
            told("Checking", stream.tell(), size)
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


def _unpack(archive: Path, folder: Path, told: Told) -> None:
    """The members of a zip file, below the folder and nowhere else."""
    with zipfile.ZipFile(archive) as packed:
        members = [member for member in packed.infolist() if not member.is_dir()]
        total, done = sum(member.file_size for member in members), 0
        for member in members:
            path = PurePosixPath(member.filename)
            if path.is_absolute() or ".." in path.parts or member.file_size > _LARGEST_MEMBER:
                raise UserError("The package holds a file that lies outside of it.", archive.name, "Do not use it.")
            target = folder.joinpath(*path.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(member) as stream, target.open("wb") as out:
                while block := stream.read(_BLOCK):
                    out.write(block)
                    done += len(block)
                    told("Unpacking", done, total)


def _digest_of_ends(path: Path) -> str:
    """What tells a large file from others: its size, its beginning, where a GGUF file describes itself, and its end."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{_FORM}:{size}:".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_ENDS))
        stream.seek(max(0, size - _ENDS))
        digest.update(stream.read(_ENDS))
    return digest.hexdigest()


@contextmanager
def _alone(place: Path, told: Told) -> Iterator[None]:
    """No other process prepares the same folder; what one that was killed had left is removed."""
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
                told("Waiting for another process", 0, 1)
                time.sleep(0.2)
        partial = place.parent / f".partial-{place.name}"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            yield
        finally:
            shutil.rmtree(partial, ignore_errors=True)
