"""Folders that are either complete or not there: written under another name, hashed, then renamed.

A folder counts as complete only with its marker COMPLETE, which is written last and contains the SHA-256 of every file.
Knows nothing of what the files mean.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semievol.durable import sync

MARKER = "COMPLETE"
ADAPTER = "adapter"
CHECKPOINTS = "checkpoints"
FINGERPRINT = "lesson"
"""The marker's key for the fingerprint of a training. Checkpoints of every version have it, so its name is kept."""
TOO_LONG = "left_out"
"""The marker's key for ids of records that were too long to be trained on."""
_STAGING = ".partial-"
_log = logging.getLogger(__name__)


@contextmanager
def written_whole(folder: Path, about: dict[str, Any]) -> Iterator[Path]:
    """An empty folder to write into. If the block ends without an error, it becomes `folder`, with `about` in its
    marker."""
    staging = folder.parent / f"{_STAGING}{folder.name}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    yield staging
    publish(staging, folder, about)


def publish(staging: Path, folder: Path, about: dict[str, Any]) -> None:
    """Seals the folder `staging` and gives it its final name."""
    seal(staging, about)
    if folder.exists():
        shutil.rmtree(folder)
    staging.rename(folder)
    sync(folder.parent)


def seal(folder: Path, about: dict[str, Any]) -> None:
    """Writes the marker of `folder`, after all its files are on disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    hashes = {}
    for path in files:
        sync(path)
        hashes[path.relative_to(folder).as_posix()] = _sha256(path)
    for inner in {path.parent for path in files}:
        sync(inner)
    draft = folder / f"{MARKER}.draft"
    draft.write_text(json.dumps({**about, "files": hashes}, indent=1), encoding="utf-8")
    sync(draft)
    draft.rename(folder / MARKER)
    sync(folder)


def fault(folder: Path) -> str | None:
    """What is wrong with a sealed folder, naming the file; None if it is complete and unchanged."""
    try:
        hashes = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
        for name, expected in hashes.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if _sha256(path) != expected:
                return f"{name} has changed since it was written"
    except FileNotFoundError:
        return "it was never finished (no COMPLETE marker)"
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        return f"its COMPLETE marker cannot be read ({error})"
    return None


def about(folder: Path) -> dict[str, Any]:
    """The content of a complete folder's marker."""
    return dict(json.loads((folder / MARKER).read_text(encoding="utf-8")))


def sweep(folder: Path) -> None:
    """Removes half-written folders in `folder`."""
    for staging in folder.glob(f"{_STAGING}*"):
        shutil.rmtree(staging, ignore_errors=True)


def newest(folder: Path, fingerprint: str | None = None) -> Path | None:
    """The newest complete checkpoint of a training folder, or None; it can be loaded as an adapter, too.

    fingerprint: only checkpoints of the training with this fingerprint. Damaged ones are logged and not used.
    """
    for checkpoint in sorted((folder / CHECKPOINTS).glob("checkpoint-*"), key=_step, reverse=True):
        wrong = fault(checkpoint)
        if wrong:
            _log.warning("checkpoint %s is not used: %s", checkpoint.name, wrong)
        elif fingerprint is None or about(checkpoint).get(FINGERPRINT) == fingerprint:
            return checkpoint
        else:
            _log.warning("checkpoint %s is not used: it belongs to other examples or settings", checkpoint.name)
    return None


def keep_newest(folder: Path, count: int) -> None:
    """Removes all but the `count` newest checkpoints."""
    for checkpoint in sorted((folder / CHECKPOINTS).glob("checkpoint-*"), key=_step, reverse=True)[count:]:
        shutil.rmtree(checkpoint, ignore_errors=True)


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
