"""Nearest labeled records by cosine similarity, and the embedders.

The index is in memory and built anew every time (seconds for 10,000 records), so no index file can be stale or forged.
Knows nothing of language models: an embedder is a function from texts to an array.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from sklearn.random_projection import SparseRandomProjection

from semievol.engines.models import packaged
from semievol.engines.models.files import read_json
from semievol.engines.models.resolve import download, refuse_code
from semievol.engines.models.suitability import refuse_language_model
from semievol.engines.vectors import Embed, Vectors
from semievol.errors import UserError
from semievol.installed import CHAR_TFIDF, EMBEDDERS
from semievol.records import Demonstration, Record

DIMENSIONS = 1024
FLAT_UP_TO = 100_000
_PROJECTION_SEED = 20250701
_DECIMALS = 6
_BLOCK = 1024
_log = logging.getLogger(__name__)


def text_of(record: Record) -> str:
    """The text of a record that is embedded: earlier turns, the question and the options."""
    return "\n".join(record.texts)


def neighbours(
    labeled: Sequence[Record], queries: Sequence[Record], k: int, embed: Embed, flat_up_to: int = FLAT_UP_TO
) -> list[list[Demonstration]]:
    """For every query the `k` nearest labeled records, most similar first, ties by record id.

    Records of equal content (the query itself, or a duplicate) are left out and the next ones take their place. A query
    gets fewer than k only if there are too few labeled records. Similarities are cosines rounded to six decimals, so
    that they do not depend on the number of queries in the call. Exact up to `flat_up_to` labeled records.
    """
    if k == 0 or not labeled or not queries:
        return [[] for _ in queries]
    # Both are embedded together, since the vocabulary of char-tfidf comes from all texts of a call.
    vectors = unit_vectors([*labeled, *queries], embed)
    known, asked = vectors[: len(labeled)], vectors[len(labeled) :]
    searched = index(known, flat_up_to)
    hashes = [record.content_hash for record in labeled]
    copies = max(Counter(hashes).values())
    fetch = min(len(labeled), k + copies + 8)
    found: list[list[Demonstration]] = []
    for start in range(0, len(queries), _BLOCK):
        block = asked[start : start + _BLOCK]
        _, places = searched.search(block, fetch)
        for vector, row, query in zip(block, places, queries[start : start + _BLOCK], strict=True):
            near = row[row >= 0]
            similarity = _cosines(known[near], vector)
            ranked = _ranked(near, similarity, labeled, hashes, query.content_hash)
            # If the last one fetched ties with the k-th kept, a record that was not fetched may come before it.
            tied = len(ranked) >= k and ranked[k - 1].similarity <= similarity.min()
            if fetch < len(labeled) and (tied or len(ranked) < k):
                everything = np.arange(len(labeled))
                ranked = _ranked(everything, _cosines(known, vector), labeled, hashes, query.content_hash)
            found.append(ranked[:k])
    return found


def unit_vectors(records: Sequence[Record], embed: Embed) -> Vectors:
    """The records' texts as vectors of length one, float32[n, d]."""
    vectors = embed([text_of(record) for record in records])
    return np.ascontiguousarray(normalize(vectors), dtype=np.float32)


def _cosines(rows: Vectors, vector: Vectors) -> npt.NDArray[np.float64]:
    """Cosines of unit vectors, summed in float64 and rounded, so that a pair's value does not depend on other rows."""
    products = rows.astype(np.float64) @ vector.astype(np.float64)
    return np.round(products, _DECIMALS) + 0.0


def _ranked(
    places: npt.NDArray[np.int64],
    similarity: npt.NDArray[np.float64],
    labeled: Sequence[Record],
    hashes: Sequence[str],
    own: str,
) -> list[Demonstration]:
    found = [
        Demonstration(labeled[place], float(value))
        for place, value in zip(places.tolist(), similarity.tolist(), strict=True)
        if hashes[place] != own
    ]
    return sorted(found, key=lambda demonstration: (-demonstration.similarity, demonstration.record.id))


def index(vectors: Vectors, flat_up_to: int) -> Any:
    """Exact inner-product index; above `flat_up_to` vectors an approximate one (inverted file), its recall logged."""
    count, dimensions = vectors.shape
    flat = faiss.IndexFlatIP(dimensions)
    if count <= flat_up_to:
        flat.add(vectors)
        return flat
    lists = int(4 * count**0.5)
    inverted = faiss.IndexIVFFlat(flat, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
    inverted.train(vectors[:: max(1, count // (64 * lists))])
    inverted.add(vectors)
    inverted.nprobe = max(1, min(32, lists // 4))
    sample = vectors[:: max(1, count // 200)][:200]
    exact = np.argpartition(-(sample @ vectors.T), 8, axis=1)[:, :8]
    _, close = inverted.search(sample, 8)
    hits = sum(len(set(a.tolist()) & set(b.tolist())) for a, b in zip(exact, close, strict=True))
    _log.info("approximate index over %d records: recall of the 8 nearest is %.3f", count, hits / exact.size)
    return inverted


def char_tfidf(texts: Sequence[str]) -> Vectors:
    """TF-IDF of character 3- to 5-grams within words, projected to 1024 dimensions with a fixed seed."""
    vectoriser = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, dtype=np.float32)
    try:
        sparse = vectoriser.fit_transform(texts)
    except ValueError:  # no text holds a single n-gram
        return np.zeros((len(texts), 1), dtype=np.float32)
    if sparse.shape[1] <= DIMENSIONS:
        return np.asarray(sparse.todense(), dtype=np.float32)
    projection = SparseRandomProjection(DIMENSIONS, dense_output=True, random_state=_PROJECTION_SEED)
    return np.asarray(projection.fit_transform(sparse), dtype=np.float32)


def sentence_folder(name: str) -> Path:
    """Folder of a sentence-transformers model that is safe to load: `minilm` (an installed package), a local folder, or
    a hub id."""
    refuse_language_model(name)
    if name in EMBEDDERS:
        folder = packaged.folder(name)
    else:
        folder = Path(name).expanduser() if Path(name).expanduser().is_dir() else download(name)
    refuse_foreign_modules(folder)
    return folder


def files_of(folder: Path) -> str:
    """Identifies a folder's content: every file's name, size and time of its last change."""
    stats = ((path.relative_to(folder), path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
    return "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)


def sentence_embedder(folder: Path, device: str) -> Embed:
    """The embedder in a folder; errors as for `sentence_model`."""
    return embed_with(sentence_model(folder, device))


def sentence_model(folder: Path, device: str) -> Any:
    """The sentence-transformers model in a folder. Raises UserError if it cannot be loaded."""
    try:
        from sentence_transformers import SentenceTransformer  # imported here, since it takes four seconds

        return SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        raise UserError(
            f'The embedder "{folder.name}" cannot be loaded ({str(error)[:200]}).',
            "propagation.embedder",
            f"Give a sentence-transformers folder or hub id, or set the embedder to {CHAR_TFIDF}.",
        ) from None


def embed_with(model: Any) -> Embed:
    """A sentence-transformers model as a function from texts to vectors."""
    return lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False), dtype=np.float32)


def refuse_foreign_modules(folder: Path) -> None:
    """Raises UserError for a folder with code, or with modules that are not sentence-transformers' own classes."""
    refuse_code(folder, f"embedder {folder.name}")
    modules = read_json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    for module in modules:
        kind = str(module.get("type", ""))
        if not kind.startswith("sentence_transformers."):
            raise UserError(
                f'modules.json asks for code of its own ("{kind}"), which is never run.',
                f"embedder {folder.name}",
                "Choose an embedder that is made of sentence-transformers' own modules.",
            )
