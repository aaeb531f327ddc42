from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from semievol.engines import hidden_states, vectors
from semievol.engines.local import LocalEngine
from tests.engines.test_retrieval import records


class Embedder:
    """Vectors made of the text's letters; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> vectors.Vectors:
        self.asked += texts
        return np.array([[len(text), *map(text.count, "aeiou")] for text in texts], dtype=np.float32)


def test_only_new_texts_are_computed_and_the_order_is_that_of_the_call(tmp_path: Path):
    embedder = Embedder()
    kept = vectors.cached(embedder, tmp_path, "one")
    first = kept(["water", "owl", "water", "ähm \ud800"])
    assert embedder.asked == ["water", "owl", "ähm \ud800"]
    again = vectors.cached(embedder, tmp_path, "one")(["roof", "owl", "water"])
    assert embedder.asked[3:] == ["roof"]
    assert np.array_equal(again[1:], first[[1, 0]])
    assert np.array_equal(first, Embedder()(["water", "owl", "water", "ähm \ud800"]))
    vectors.cached(embedder, tmp_path, "another model")(["owl"])
    assert embedder.asked[4:] == ["owl"]


def test_two_processes_that_embed_at_once_keep_each_others_vectors(tmp_path: Path):
    def asked_meanwhile(texts: Sequence[str]) -> vectors.Vectors:
        if texts == ["water"]:
            vectors.cached(Embedder(), tmp_path, "one")(["owl"])
        return Embedder()(texts)

    vectors.cached(asked_meanwhile, tmp_path, "one")(["water"])
    later = Embedder()
    vectors.cached(later, tmp_path, "one")(["owl", "water"])
    assert later.asked == []


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "garbage"])
def test_damaged_embeddings_are_computed_again(tmp_path: Path, damage: str):
    embedder = Embedder()
    kept = vectors.cached(embedder, tmp_path, "one")
    first = kept(["water", "owl"])
    (file,) = tmp_path.rglob("*.safetensors")
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        flipped = whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]
        file.write_bytes({"cut": whole[:-5], "flip": flipped, "garbage": b"x" * len(whole)}[damage])
    assert np.array_equal(kept(["water", "owl"]), first)
    assert embedder.asked == ["water", "owl"] * 2
    assert np.array_equal(kept(["owl"]), first[1:])
    assert len(embedder.asked) == 4


def test_a_place_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    embedder = Embedder()
    assert vectors.cached(embedder, tmp_path / "file", "one")(["owl"]).shape == (1, 6)


def test_a_full_disk_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """safetensors tells a full disk by an error of its own, which is no OSError."""

    def full(*args: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(vectors, "save_file", full)
    assert vectors.cached(Embedder(), tmp_path, "one")(["owl"]).shape == (1, 6)


def test_what_other_rounds_asked_for_stays_until_it_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    embedder = Embedder()
    kept = vectors.cached(embedder, tmp_path, "one")
    kept(["water", "owl"])
    kept(["roof"])
    kept(["water", "owl", "roof"])
    assert embedder.asked == ["water", "owl", "roof"]
    monkeypatch.setattr(vectors, "LARGEST", 3 * 6 * 4)
    kept(["tree"])
    kept(["owl"])
    assert embedder.asked[3:] == ["tree", "owl"]


def test_neighbours_are_the_same_with_kept_embeddings(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    labeled, queries = records(12), records(4, seed=1, prefix="q")
    plain = LocalEngine(str(llama), threads=1).neighbours(labeled, queries, 3, "model")
    first = LocalEngine(str(llama), threads=1, cache=tmp_path).neighbours(labeled, queries, 3, "model")
    later = LocalEngine(str(llama), threads=1, cache=tmp_path)
    monkeypatch.setattr(hidden_states, "of", lambda *_: pytest.fail("nothing is left to be computed"))
    assert plain == first == later.neighbours(labeled, queries, 3, "model")
