"""What a model's own tokenizer tells without torch: lengths in tokens, known before an import, and control tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from semievol.engines.models import packaged
from semievol.engines.models.resolve import STARTER_FOLDER, is_folder, read_json
from semievol.errors import UserError
from semievol.installed import MODELS, STARTER

TEMPLATE_TOKENS = 16
"""Room that a chat template's own tokens take, about."""


def folder_of(model: str) -> Path | None:
    """The folder of a model that is on this machine by name or path; None of one that would have to be downloaded or
    prepared first."""
    if model == STARTER:
        return STARTER_FOLDER
    if model in MODELS or packaged.is_gguf(model):
        return packaged.prepared(model)
    return Path(model).expanduser() if model and is_folder(model) else None


def context_length(folder: Path) -> int | None:
    """Tokens that the model reads at most; None where its configuration does not say."""
    config = read_json(folder / "config.json")
    found = config.get("max_position_embeddings") or config.get("text_config", {}).get("max_position_embeddings")
    return int(found) if found else None


def lengths(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """int64[n], tokens of each text. Raises OSError or ValueError where the folder has no tokenizer.json of use."""
    encoded = _tokenizer(folder / "tokenizer.json").encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(one) for one in encoded], np.int64)


def control_tokens(model: str) -> list[str] | None:
    """The special tokens of a model as text, longest first, as its tokenizer.json has them; None where there is no such
    file of use on this machine."""
    folder = folder_of(model)
    try:
        added = [] if folder is None else read_json(folder / "tokenizer.json")["added_tokens"]
    except (UserError, KeyError):
        added = []
    special = [token["content"] for token in added if token["special"]]
    return sorted(special, key=lambda token: (-len(token), token)) or None


@lru_cache(maxsize=4)
def _tokenizer(file: Path) -> Tokenizer:
    if not file.is_file():
        raise FileNotFoundError(file)
    return Tokenizer.from_file(str(file))
