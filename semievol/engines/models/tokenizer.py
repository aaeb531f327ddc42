"""A model's own tokenizer, read from its folder without torch: texts in tokens, context length, control tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from semievol.engines.models import packaged
from semievol.engines.models.files import read_json
from semievol.engines.models.resolve import STARTER_FOLDER, is_folder
from semievol.errors import UserError
from semievol.installed import MODELS, STARTER

TEMPLATE_TOKENS = 16
"""Rough number of tokens that a chat template adds."""


def folder_of(model: str) -> Path | None:
    """The folder of a model on this machine, by name or path; None if it must be downloaded or prepared first."""
    if model == STARTER:
        return STARTER_FOLDER
    if model in MODELS or packaged.is_gguf(model):
        return packaged.prepared(model)
    return Path(model).expanduser() if model and is_folder(model) else None


def context_length(folder: Path) -> int | None:
    """Most tokens that the model reads; None if its configuration does not say."""
    config = read_json(folder / "config.json")
    found = config.get("max_position_embeddings") or config.get("text_config", {}).get("max_position_embeddings")
    return int(found) if found else None


def token_counts(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """Tokens of each text, int64[n]. Raises OSError or ValueError if the folder has no usable tokenizer.json."""
    encoded = words(folder).encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(one) for one in encoded], np.int64)


def control_tokens(model: str) -> list[str] | None:
    """The special tokens in a model's tokenizer.json, as text, longest first; None if there is no usable file."""
    folder = folder_of(model)
    if folder is None:
        return None
    try:
        return list(_special(folder / "tokenizer.json", (folder / "tokenizer.json").stat().st_mtime_ns)) or None
    except (OSError, UserError, KeyError):
        return None


@lru_cache(maxsize=16)
def _special(file: Path, changed: int) -> tuple[str, ...]:
    """The special tokens in the file. Kept, as reading megabytes of vocabulary takes 0.2 s. changed: its time stamp."""
    special = [token["content"] for token in read_json(file)["added_tokens"] if token["special"]]
    return tuple(sorted(special, key=lambda token: (-len(token), token)))


def words(folder: Path) -> Tokenizer:
    """The folder's tokenizer. Raises OSError or ValueError if it has no usable tokenizer.json."""
    return _tokenizer(folder / "tokenizer.json")


@lru_cache(maxsize=4)
def _tokenizer(file: Path) -> Tokenizer:
    if not file.is_file():
        raise FileNotFoundError(file)
    return Tokenizer.from_file(str(file))
