"""Finds a base model by its name, and checks whether its folder may be loaded.

Only safetensors are loaded, and code from a model's folder is never run. Knows nothing of torch: it reads JSON and file
headers, so that the dashboard can check a model before a run is queued.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

from semievol.engines.models import packaged
from semievol.engines.models.files import header, read_json
from semievol.errors import UserError
from semievol.installed import EMBEDDERS, MODELS, STARTER

SUMS = "SHA256SUMS"
STARTER_FOLDER = Path(__file__).resolve().parents[3] / "assets" / "starter"
WANTED_FILES = ("*.safetensors", "*.json", "*.jinja", "tokenizer.model", "*.txt")
_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?")
_DATA_FILES = ("tokenizer.json", "vocab.json", "model.safetensors.index.json")  # large, and nothing reads keys there
_WHOLE_FILE = 256 * 2**20
_PATIENCE_SECONDS = 5.0  # for the hub's answer whether it has a model
_SAMPLES = 256
_SAMPLE_BYTES = 64 * 2**10
_PASSING = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache")


def resolve_model(name: str) -> Path:
    """Folder of a base model that is safe to load.

    name: "starter" (bundled), "smollm2" (an installed package), a local folder, a GGUF file, or a hub id, which is
    downloaded unless it is already in the hub cache. A package or a GGUF file is prepared first if necessary.
    Raises UserError if there is no such model, it cannot be downloaded, or its folder may not be loaded.
    """
    if name == STARTER:
        if not all((STARTER_FOLDER / file).is_file() for file in ("config.json", SUMS)):
            raise UserError(
                "The bundled starter model is not there, or not all of it.",
                "model",
                "Restore the folder assets/starter of the repository, or choose another model.",
            )
        folder = STARTER_FOLDER
    elif name in EMBEDDERS:
        raise UserError(
            f'"{name}" is an embedder: it compares texts and answers nothing.',
            "model",
            f"Choose a language model, such as `{next(iter(MODELS))}`; the embedder is `propagation.embedder`.",
        )
    elif name in MODELS or packaged.is_gguf(name):
        folder = packaged.folder(name)
    elif name and is_folder(name):
        folder = Path(name).expanduser().resolve()
    elif HUB_ID.fullmatch(name) and ".." not in name:
        folder = download(name)
    else:
        raise UserError(
            f'There is no model folder "{name}".',
            "model",
            "Give `smollm2`, `starter`, an existing folder or GGUF file, or a hub id (owner/name).",
        )
    check_folder(folder)
    return folder


def is_folder(name: str) -> bool:
    """Whether a model's name is the path of an existing folder."""
    try:
        return Path(name).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # too long, an unknown user's home, a null byte
        return False


def whole_path(name: str) -> str:
    """The name of a model or embedder; that of a folder or GGUF file as a whole path, which means the same in a process
    that works elsewhere."""
    known = name == STARTER or name in MODELS or name in EMBEDDERS
    there = not known and name != "" and (is_folder(name) or packaged.is_gguf(name))
    return str(Path(name).expanduser().absolute()) if there else name


def download(name: str) -> Path:
    """The folder of a hub model in the hub cache; downloads it first, with a progress bar, if it is not there."""
    # The hub client is imported here because it takes half a second and local models do not need it.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED_FILES)))
    except GatedRepoError:
        raise _gated(name) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise _unknown(name) from None
    except OfflineModeIsEnabled:
        raise UserError(
            f'The model "{name}" is not on this machine, and offline mode (HF_HUB_OFFLINE) forbids downloading it.',
            "model",
            "Unset HF_HUB_OFFLINE and start again, or choose `starter` or a local folder.",
        ) from None
    except LocalEntryNotFoundError:
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            remedy = "Unset HF_HUB_OFFLINE and start again, or choose `starter` or a local folder."
        else:
            remedy = "Check the network connection and start again, or choose `starter` or a local folder."
        raise UserError(
            f'The model "{name}" is not on this machine and the hub cannot be reached.', "model", remedy
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise UserError(
            f'The model "{name}" could not be downloaded ({type(error).__name__}: {str(error)[:200]}).',
            "model",
            "Check the network connection and the free disk space, then start again; downloaded files are kept.",
        ) from None


def downloaded(name: str) -> Path | None:
    """The folder of a hub model in the hub cache; None if it is not there."""
    if "/" not in name or not HUB_ID.fullmatch(name):
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED_FILES), local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def look_up(name: str) -> bool:
    """Whether the hub says that it has this model for us; False if it cannot be asked (no network, offline mode).

    Raises UserError for a model that does not exist, is gated, or is not stored as safetensors.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    api = HfApi()
    try:
        found = api.model_info(name, timeout=_PATIENCE_SECONDS)
        if found.gated:
            api.auth_check(name)
    except GatedRepoError:
        raise _gated(name) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise _unknown(name) from None
    except Exception:  # noqa: BLE001 - the libraries below raise errors of their own where there is no network
        return False
    if not any(file.rfilename.endswith(".safetensors") for file in found.siblings or []):
        raise UserError(
            f'The model "{name}" has no safetensors weights.', "model", "Choose a model that is stored as safetensors."
        )
    return True


def _gated(name: str) -> UserError:
    return UserError(
        f'The model "{name}" is gated: its owner must grant access first.',
        "model",
        "Ask for access on its hub page, then set HF_TOKEN to a token of your account and start again.",
    )


def _unknown(name: str) -> UserError:
    return UserError(
        f'There is neither a folder nor a model on the hub called "{name}" (a private one needs HF_TOKEN).',
        "model",
        "Check the spelling, or give a local folder.",
    )


def check_folder(folder: Path) -> None:
    """Raises UserError for a folder that is no complete safetensors model or that wants to run code of its own.

    If the folder has a SHA256SUMS, as the bundled starter has, its files must also have the hashes in it.
    """
    where = f"model {folder.name}"
    _check_sums(folder, where)
    if not (folder / "config.json").is_file():
        raise UserError(
            "There is no config.json.", where, "Choose a folder that holds a complete causal language model."
        )
    refuse_code(folder, where)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = sorted(p.name for kind in ("*.bin", "*.pt", "*.pth", "*.pkl") for p in folder.glob(kind))
        found = f"only pickled weights ({', '.join(pickled[:3])})" if pickled else "no weights"
        raise UserError(
            f"Expected safetensors weights, found {found}.", where, "Choose a model that is stored as safetensors."
        )
    _check_shards(folder, where)


def refuse_code(folder: Path, where: str) -> None:
    """Raises UserError for a folder that contains code, or settings that name code to be run, at any depth."""
    for file in sorted(folder.rglob("*.json")):
        key = None if file.name in _DATA_FILES else _code_key(read_json(file))
        if key:
            raise UserError(
                f'{file.name} asks for code of its own ("{key}"), which is never run.',
                where,
                "Choose a model whose architecture is part of transformers.",
            )
    scripts = sorted(path.name for path in folder.rglob("*.py"))
    if scripts:
        raise UserError(
            f"The folder holds Python files ({', '.join(scripts[:3])}), which are never run.",
            where,
            "Choose a model without code of its own, or a copy without these files if it does not need them.",
        )


def _check_sums(folder: Path, where: str) -> None:
    """Raises UserError for files that differ from the folder's SHA256SUMS. Hashes up to 256 MiB."""
    listed = (folder / SUMS).read_text("utf-8", "replace") if (folder / SUMS).is_file() else ""
    for expected, name in re.findall(r"^([0-9a-f]{64})  ([\w.-]+)$", listed, re.M):
        file = folder / name
        if not any(fnmatch(name, pattern) for pattern in WANTED_FILES):
            continue
        fault = "" if file.is_file() else "missing"
        if not fault and file.stat().st_size <= _WHOLE_FILE:
            fault = "" if hashlib.sha256(file.read_bytes()).hexdigest() == expected else "cut off or damaged"
        if fault:
            raise UserError(
                f"{name} is {fault}: it is not the file that {SUMS} names.",
                where,
                "Copy the whole model folder again; for the bundled starter, restore assets/starter of the repository.",
            )


def _check_shards(folder: Path, where: str) -> None:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(read_json(index).get("weight_map", {}).values())
        missing = sorted(shard for shard in named if not (folder / str(shard)).is_file())
        if missing:
            raise UserError(
                f"{len(missing)} of {len(named)} weight files are missing ({missing[0]}).",
                where,
                "Finish the download and start again.",
            )
    for file in sorted(folder.glob("*.safetensors")):
        _checked_header(file, where)


def _code_key(value: Any) -> str | None:
    """First key, at any depth, that would make a loader run code of the folder."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _CODE_KEYS and inner not in (False, None, {}, []):
                return str(key)
        children = list(value.values())
    else:
        children = value if isinstance(value, list) else []
    return next(filter(None, map(_code_key, children)), None)


def _checked_header(file: Path, where: str) -> bytes:
    """The header of a safetensors file. Raises UserError for a truncated file."""
    raw = header(file)
    try:
        tensors = json.loads(raw)
        end = max((t["data_offsets"][1] for name, t in tensors.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, AttributeError):
        end = None
    if end != file.stat().st_size - 8 - len(raw):
        raise UserError(f"{file.name} is cut off or damaged.", where, "Copy or download the model again.")
    return raw


def fingerprint(folder: Path) -> str:
    """SHA-256 over architecture, tokenizer and weights, 64 hex digits; adapters of one folder fit all folders with it.

    The folder's place and name do not matter. Weight files up to 256 MiB are read whole; of larger ones the header,
    the size and 256 evenly spaced pieces of 64 KiB.
    """
    folder = folder.resolve()
    stamps = tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(folder.iterdir()) if f.is_file())
    return _fingerprint(folder, stamps)


@lru_cache(maxsize=32)
def _fingerprint(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    config = {key: value for key, value in read_json(folder / "config.json").items() if key not in _PASSING}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    for name in ("tokenizer.json", "tokenizer.model", "chat_template.jinja"):
        if (folder / name).is_file():
            digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    for file in sorted(folder.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{size}:".encode())
        with file.open("rb") as stream:
            if size <= _WHOLE_FILE:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
            else:
                digest.update(hashlib.sha256(_checked_header(file, f"model {folder.name}")).digest())
                for i in range(_SAMPLES):
                    stream.seek(i * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                    digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()
