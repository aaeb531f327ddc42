"""An embedder that is fine-tuned on labeled records: what it learns, what is kept, and how it is stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression

from semievol.engines import retrieval, tuned_embedder
from semievol.engines.local import LocalEngine
from semievol.engines.models import packaged
from semievol.errors import UserError
from semievol.installed import HOW, MINILM
from semievol.method import voters
from semievol.method.protocols import Stopped
from semievol.records import Record

packages = pytest.mark.skipif(not MINILM.there, reason=f"the model packages are not installed ({HOW})")
MOODS = {
    "glad": ("The profit rose again.", "Sales were up by a tenth.", "Orders have doubled.", "Margins widened."),
    "sad": ("The profit fell again.", "Sales were down by a tenth.", "Orders have halved.", "Margins narrowed."),
}
"""Texts whose subject is the same in both moods, so that an embedder as it comes puts subjects together, not moods."""
LABELED = [Record(f"{mood} {i}", text, (), mood) for mood, texts in MOODS.items() for i, text in enumerate(texts)]


def quiet(done: int, total: int) -> None: ...


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(packaged.HOME, str(tmp_path_factory.mktemp("prepared")))
        return packaged.folder("minilm")


def apart(vectors: np.ndarray) -> float:
    """Mean cosine of pairs with equal labels minus that of pairs with different ones."""
    cosines = vectors @ vectors.T
    equal = np.array([[a.answer == b.answer for b in LABELED] for a in LABELED])
    others = ~np.eye(len(LABELED), dtype=bool)
    return float(cosines[equal & others].mean() - cosines[~equal].mean())


@packages
def test_texts_with_equal_labels_come_to_lie_together_and_no_other_draw_changes(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voters, "_FEWEST_UPDATES", 30)
    told: list[tuple[int, int]] = []
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    folder = tmp_path / "tuned-on-moods"
    tuned_embedder.tune(base, LABELED, folder, "cpu", lambda *so_far: told.append(so_far), lambda: False)
    assert torch.equal(torch.rand(3), expected)
    before = retrieval.unit_vectors(LABELED, retrieval.sentence_embedder(base, "cpu"))
    embed = tuned_embedder.embedder(folder, "cpu")
    assert apart(before) < 0.1
    assert apart(retrieval.unit_vectors(LABELED, embed)) > 0.5
    new = [Record("q", "The profit climbed once more."), Record("r", "Orders fell sharply.")]
    near = retrieval.neighbours(LABELED, new, 1, embed)
    assert [shown[0].record.answer for shown in near] == ["glad", "sad"]
    total = voters.updates(len(LABELED))
    assert told == [(done, total) for done in range(total + 1)]

    # Against the adapter as sentence-transformers itself loads it, not merged into the weights.
    plain = SentenceTransformer(str(base), device="cpu")
    plain.load_adapter(str(folder))
    texts = [record.question for record in LABELED]
    assert np.allclose(embed(texts), plain.encode(texts, show_progress_bar=False), atol=1e-5)


@packages
def test_the_engine_makes_it_once_and_again_where_it_is_damaged(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voters, "_FEWEST_UPDATES", 5)
    told: list[int] = []

    def tune(engine: LocalEngine) -> Path:
        return Path(
            engine.tune_embedder(LABELED[::-1], str(base), lambda done, total: told.append(done), lambda: False)
        )

    engine, asked, allowed = (
        LocalEngine("starter", threads=1, cache=tmp_path),
        [Record("q", "A loss.")],
        [("glad", "sad")],
    )
    made = tune(engine)
    assert made.parent == tmp_path
    found = engine.vote(LABELED, asked, allowed, str(made), "regression")[0].probabilities
    assert found != engine.vote(LABELED, asked, allowed, str(base), "regression")[0].probabilities
    weights = made / "adapter_model.safetensors"
    whole = weights.read_bytes()
    told.clear()
    assert tune(LocalEngine("starter", threads=1, cache=tmp_path)) == made
    assert not told, "another engine finds it"
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    tune(engine)
    assert told
    assert weights.read_bytes() == whole, "the same records give the same adapter"


@packages
def test_it_leaves_nothing_when_it_is_stopped(base: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        tuned_embedder.tune(base, LABELED, tmp_path / "tuned-never", "cpu", quiet, lambda: True)
    assert not tuned_embedder.is_tuned(str(tmp_path / "tuned-never"))


def test_its_place_follows_all_that_it_depends_on(tmp_path: Path) -> None:
    place = tuned_embedder.folder_of(tmp_path, tmp_path, LABELED)
    assert tuned_embedder.folder_of(tmp_path, tmp_path, list(LABELED)) == place
    assert tuned_embedder.folder_of(tmp_path, tmp_path, LABELED[::-1]) != place, "the batches follow the order"
    assert tuned_embedder.folder_of(tmp_path, tmp_path, LABELED[1:]) != place
    (tmp_path / "other.safetensors").touch()
    assert tuned_embedder.folder_of(tmp_path, tmp_path, LABELED) != place


def test_an_embedder_that_is_no_transformer_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(retrieval, "sentence_model", lambda folder, device: [torch.nn.EmbeddingBag(3, 2)])
    with pytest.raises(UserError, match="is no transformer"):
        tuned_embedder.tune(tmp_path, LABELED, tmp_path / "tuned-x", "cpu", quiet, lambda: False)


@pytest.mark.parametrize("labels", [2, 3])
def test_the_softmax_layer_starts_as_the_regression(labels: int) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(30, 5))
    wanted = torch.tensor(rng.integers(labels, size=30))
    head = tuned_embedder._head(vectors, wanted)
    expected = LogisticRegression(C=10, max_iter=2_000).fit(vectors, wanted.numpy()).predict_proba(vectors)
    found = torch.softmax(head(torch.tensor(vectors, dtype=torch.float32)), 1).detach().numpy()
    assert np.allclose(found, expected, atol=1e-5)
