"""Keeps an unfinished import on disk, so that the next session of the browser can continue it.

A project's `incoming` folder holds copies of the given files, one small JSON file per slot that names its copy, and
`choices.json`. Each session works on its own copies, and removes a slot's file only if it still describes the session's
own upload. The files are treated as untrusted data: one that is damaged or older than a day is ignored.
Knows nothing of what is drawn.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from semievol.export.files import sha256
from semievol.records import Split

Choice = StrictBool | StrictInt | Annotated[str, Field(max_length=10_000)]
_CHOICES = "choices.json"
_MOST_BYTES = 1_000_000
_DAY = 24 * 3600
Model = TypeVar("Model", bound=BaseModel)


class Upload(BaseModel):
    """The content of a slot. file: name (made by us) of the copy in the same folder; key: identifies the upload."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^[0-9a-f]{32}$")
    name: str = Field(min_length=1, max_length=1_000)
    key: str = Field(min_length=1, max_length=200)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Choices(BaseModel):
    """Widget key -> value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    made: dict[Annotated[str, Field(max_length=200)], Choice] = Field(max_length=500)


def keep(folder: Path, split: Split, upload: Upload) -> None:
    """Stores what a slot holds now."""
    _write(folder / f"{split}.json", upload)


def restored(folder: Path, split: Split) -> tuple[Upload, Path] | None:
    """What a slot held, and a copy of its file for the caller; None if there is none or it cannot be used."""
    found = _read(folder / f"{split}.json", Upload)
    if found is None:
        return None
    source, own = folder / found.file, folder / uuid.uuid4().hex
    try:
        if source.is_symlink() or not source.is_file():
            return None
        _linked(source, own)
        if sha256(own) == found.sha256:
            return found, own
        own.unlink()
    except OSError:
        pass
    return None


def forget(folder: Path, keys: Mapping[Split, str]) -> None:
    """Forgets the slots that still hold the uploads with these keys. With the last slot, the choices go too."""
    for split, key in keys.items():
        found = _read(folder / f"{split}.json", Upload)
        if found is not None and found.key == key:
            (folder / f"{split}.json").unlink(missing_ok=True)
    if not [path for path in folder.glob("*.json") if path.name != _CHOICES]:
        (folder / _CHOICES).unlink(missing_ok=True)


def keep_choices(folder: Path, made: Mapping[str, Choice]) -> None:
    with suppress(ValidationError):  # an unreasonable number or length of choices is not kept
        _write(folder / _CHOICES, _Choices(made=dict(made)))


def choices(folder: Path) -> dict[str, Choice]:
    """Widget key -> value, as `keep_choices` was given them."""
    found = _read(folder / _CHOICES, _Choices)
    return {} if found is None else dict(found.made)


def sweep(folder: Path) -> None:
    """Removes files that have not been modified for a day."""
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > _DAY:
                path.unlink()


def _linked(source: Path, own: Path) -> None:
    """Hard-links the file under another name, or copies it where the file system has no hard links."""
    try:
        os.link(source, own, follow_symlinks=False)
    except OSError:
        shutil.copyfile(source, own, follow_symlinks=False)


def _read(path: Path, model: type[Model]) -> Model | None:
    try:
        with path.open("rb") as stream:
            return model.model_validate_json(stream.read(_MOST_BYTES))
    except (OSError, ValidationError):
        return None


def _write(path: Path, content: BaseModel) -> None:
    partial = path.with_suffix(f".{uuid.uuid4().hex}.part")
    try:
        partial.write_text(content.model_dump_json(), encoding="utf-8")
        os.replace(partial, path)
    except OSError:  # the import continues; only a reload would lose this
        partial.unlink(missing_ok=True)
