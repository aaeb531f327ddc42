"""Embeddings stored on disk by the content of their texts, so that a later round embeds new texts only.

One folder per embedder, sealed with hashes; if it is damaged or incomplete, the embeddings are computed again. Knows
nothing of how an embedding is made. (The vectors of "char-tfidf" depend on all texts of a call: they are not stored.)
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from semievol.engines.training import checkpoints

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]

LARGEST = 2**30
_FILE = "vectors.safetensors"
_log = logging.getLogger(__name__)


def cached(embed: Embed, cache: Path, identity: str) -> Embed:
    """`embed`, called only for texts whose vectors are not in the folder `cache` yet.

    identity: everything that a text's vector depends on: model, weights, precision. The last digits may also depend on
    the texts that are embedded together. If all vectors take more than LARGEST bytes, only this call's are stored.
    """
    folder = cache / hashlib.sha256(identity.encode()).hexdigest()[:32]

    def embed_new(texts: Sequence[str]) -> Vectors:
        known = _read(folder)
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        new = [key for key in wanted if key not in known]
        if new:
            known |= zip(new, embed([wanted[key] for key in new]), strict=True)
            _add(folder, {key: known[key] for key in wanted})
        _log.info("%d of %d texts had an embedding", len(wanted) - len(new), len(wanted))
        return np.stack([known[key] for key in keys])

    return embed_new


def _read(folder: Path) -> dict[bytes, Vectors]:
    if checkpoints.fault(folder) is not None:
        return {}
    try:
        stored = load_file(folder / _FILE)
        return {key.tobytes(): vector for key, vector in zip(stored["keys"], stored["vectors"], strict=True)}
    except (OSError, SafetensorError, KeyError, ValueError):  # another process is replacing it at this moment
        return {}


def _add(folder: Path, mine: dict[bytes, Vectors]) -> None:
    """Stores these vectors beside those that are stored by now: another process may have added some meanwhile."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            everything = _read(folder) | mine
            small = sum(vector.nbytes for vector in everything.values()) <= LARGEST
            _write(folder, everything if small else mine)
    except OSError as error:
        _log.warning("the embeddings could not be stored (%s); they will be computed again", error)


def _write(folder: Path, known: dict[bytes, Vectors]) -> None:
    keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(len(known), -1)
    try:
        with checkpoints.written_whole(folder, {"texts": len(known)}) as staging:
            save_file({"keys": keys, "vectors": np.stack(list(known.values()))}, staging / _FILE)
    except SafetensorError as error:  # its own error for a full disk
        raise OSError(str(error)) from None
