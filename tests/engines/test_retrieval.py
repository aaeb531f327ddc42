import random
import string
from collections.abc import Sequence

import numpy as np
import pytest

from semievol.engines import retrieval
from semievol.engines.local import LocalEngine
from semievol.errors import UserError
from semievol.records import Demonstration, Record


def records(count: int, seed: int = 0, prefix: str = "r") -> list[Record]:
    draw = random.Random(seed)
    words = ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(3, 8))) for _ in range(150)]
    return [Record(f"{prefix}{i:04d}", " ".join(draw.choices(words, k=12))) for i in range(count)]


def ids(found: Sequence[Sequence[Demonstration]]) -> list[list[str]]:
    return [[d.record.id for d in row] for row in found]


def brute_force(labeled: list[Record], queries: list[Record], k: int) -> list[list[tuple[str, float]]]:
    vectors = retrieval.char_tfidf([retrieval.text_of(r) for r in (*labeled, *queries)]).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosines = vectors[len(labeled) :] @ vectors[: len(labeled)].T
    found = []
    for row, query in zip(cosines, queries, strict=True):
        order = sorted((-round(value, 6), r.id) for value, r in zip(row, labeled, strict=True)
                       if r.content_hash != query.content_hash)  # fmt: skip
        found.append([(name, -value) for value, name in order[:k]])
    return found


def test_neighbours_are_those_of_a_brute_force_search():
    labeled, queries = records(400), records(60, seed=1, prefix="q")
    found = retrieval.neighbours(labeled, queries, 5, retrieval.char_tfidf)
    for row, expected in zip(found, brute_force(labeled, queries, 5), strict=True):
        assert [d.record.id for d in row] == [name for name, _ in expected]
        assert [d.similarity for d in row] == pytest.approx([value for _, value in expected], abs=2e-6)


def test_a_record_is_never_its_own_demonstration_and_duplicates_are_replaced():
    labeled = records(40)
    copies = [Record(f"copy{i}", labeled[0].question) for i in range(15)]
    queries = [labeled[0], labeled[1], Record("new", labeled[0].question)]
    found = retrieval.neighbours(labeled + copies, queries, 6, retrieval.char_tfidf)
    assert [len(row) for row in found] == [6, 6, 6]
    for row, query in zip(found, queries, strict=True):
        assert query.content_hash not in {d.record.content_hash for d in row}


def test_ties_go_by_record_id_whatever_the_order_of_the_records():
    same = [Record(f"t{i:02d}", "the bin was not collected", (str(i),)) for i in range(40)]
    query = [Record("q", "the bin was not collected")]
    expected = ids(retrieval.neighbours(same, query, 3, lambda texts: np.ones((len(texts), 4), np.float32)))
    assert expected == [["t00", "t01", "t02"]]
    random.Random(0).shuffle(same)
    assert ids(retrieval.neighbours(same, query, 3, lambda texts: np.ones((len(texts), 4), np.float32))) == expected


def test_the_same_call_gives_the_same_numbers_and_blocks_do_not_matter(monkeypatch):
    labeled, queries = records(200), records(50, seed=2, prefix="q")
    first = retrieval.neighbours(labeled, queries, 4, retrieval.char_tfidf)
    monkeypatch.setattr(retrieval, "_BLOCK", 7)
    assert retrieval.neighbours(labeled, queries, 4, retrieval.char_tfidf) == first


def test_few_records_no_k_and_texts_without_a_word_are_no_error():
    labeled = records(2)
    assert ids(retrieval.neighbours(labeled, [Record("q", "")], 5, retrieval.char_tfidf)) == [["r0000", "r0001"]]
    assert retrieval.neighbours(labeled, [Record("q", "x")], 0, retrieval.char_tfidf) == [[]]
    assert retrieval.neighbours([], [Record("q", "x")], 3, retrieval.char_tfidf) == [[]]
    assert len(retrieval.neighbours([Record("a", "")], [Record("q", " ")], 3, retrieval.char_tfidf)[0]) == 1


def test_many_labeled_records_go_through_an_approximate_index_with_its_recall_in_the_log(caplog):
    labeled, queries = records(1500), records(40, seed=3, prefix="q")
    exact = ids(retrieval.neighbours(labeled, queries, 5, retrieval.char_tfidf))
    with caplog.at_level("INFO"):
        close = ids(retrieval.neighbours(labeled, queries, 5, retrieval.char_tfidf, flat_up_to=1000))
    hits = sum(len(set(a) & set(b)) for a, b in zip(exact, close, strict=True))
    assert hits / (5 * len(queries)) > 0.6
    assert "recall of the 8 nearest" in caplog.text


def test_the_models_own_states_find_neighbours_too(engine: LocalEngine):
    labeled, queries = records(30), records(5, seed=4, prefix="q")
    found = engine.neighbours(labeled, queries, 3, "model")
    assert [len(row) for row in found] == [3] * 5
    for row, row_alone in zip(found, (engine.neighbours(labeled, [q], 3, "model")[0] for q in queries), strict=True):
        assert [d.record.id for d in row] == [d.record.id for d in row_alone]
        assert [d.similarity for d in row] == pytest.approx([d.similarity for d in row_alone], abs=1e-5)


def test_an_embedder_that_is_not_here_fails_in_a_sentence_without_a_network(engine):
    with pytest.raises(UserError, match=r"someone/embedder.* is not on this machine"):
        engine.neighbours(records(3), records(1), 1, "someone/embedder")


def test_a_language_model_is_no_embedder(llama):
    with pytest.raises(UserError, match='"llama" is a language model, not an embedder'):
        retrieval.sentence_folder(str(llama))


def test_an_embedder_with_modules_of_its_own_is_refused(tmp_path):
    (tmp_path / "modules.json").write_text('[{"type": "sentence_transformers.models.Pooling"}]')
    retrieval.refuse_foreign_modules(tmp_path)
    (tmp_path / "modules.json").write_text('[{"type": "evil.Module"}]')
    with pytest.raises(UserError, match=r"evil\.Module"):
        retrieval.refuse_foreign_modules(tmp_path)
