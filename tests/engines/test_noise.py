"""NEFTune: its size and distribution, when it is there, and that a resumed training repeats it."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from semievol.engines.training.noise import EmbeddingNoise, embedding_noise
from semievol.method.protocols import Stopped
from semievol.tuning import Lora
from tests.engines.conftest import examples, train, training

ALPHA, LENGTH, WIDTH = 5.0, 20.0, 32


class Reader(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(11, WIDTH)

    def get_input_embeddings(self) -> torch.nn.Module:
        return self.embedding


def noise_of(model: Reader, step: int, alpha: float = ALPHA) -> np.ndarray:
    ids = torch.arange(4000)[None] % 11
    plain = model.embedding(ids)
    with embedding_noise(model, alpha, seed=3) as noise:
        noise.length = LENGTH
        noise.begin(step)
        return (model.embedding(ids) - plain).detach().double().numpy().ravel()


def test_noise_is_uniform_within_alpha_over_the_root_of_tokens_times_width():
    most = ALPHA / math.sqrt(LENGTH * WIDTH)
    drawn = noise_of(Reader().train(), step=1)
    assert np.abs(drawn).max() == pytest.approx(most, rel=1e-3)
    assert stats.kstest(drawn, stats.uniform(-most, 2 * most).cdf).pvalue > 0.001


def test_every_step_has_its_own_noise_and_always_the_same():
    model = Reader().train()
    assert np.array_equal(noise_of(model, step=1), noise_of(model, step=1))
    assert not np.array_equal(noise_of(model, step=1), noise_of(model, step=2))


def test_there_is_no_noise_without_alpha_or_in_evaluation_or_afterwards():
    model = Reader().train()
    assert not noise_of(model, step=1, alpha=0.0).any()
    assert not noise_of(model.eval(), step=1).any()
    assert not model.train().embedding._forward_hooks


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_resumed_training_with_noise_ends_as_an_uninterrupted_one(engine, tmp_path, method):
    def weights(name: str, alpha: float, stop_after: int | None = None) -> bytes:
        setup = training(tmp_path / name, method=method, lora=Lora(rank=4), neftune_noise_alpha=alpha, minimum_steps=6)
        if stop_after:
            with pytest.raises(Stopped):
                train(engine, setup, stop_after=stop_after)
        folder, _ = train(engine, setup)
        return b"".join(file.read_bytes() for file in sorted(folder.glob("*.safetensors")))

    through = weights("through", 5.0)
    assert weights("resumed", 5.0, stop_after=3) == through
    assert weights("quiet", 0.0) != through


def test_packed_and_padded_rows_get_noise_of_the_same_size(engine, tmp_path, monkeypatch):
    def lengths(packs: bool) -> list[float]:
        seen = []
        monkeypatch.setitem(engine.base.__dict__, "packs", packs)
        call = EmbeddingNoise.__call__
        monkeypatch.setattr(
            EmbeddingNoise, "__call__", lambda noise, *of: (seen.append(noise.length), call(noise, *of))[1]
        )
        setup = training(tmp_path / str(packs), minimum_steps=1, lora=Lora(rank=4), neftune_noise_alpha=ALPHA)
        with pytest.raises(Stopped):
            train(engine, setup, stop_after=1)
        monkeypatch.undo()
        return seen

    tokens = [turn.length for turn in engine.base.chat.turns(examples())]
    assert lengths(packs=True) == lengths(packs=False)
    assert all(min(tokens) <= length <= max(tokens) for length in lengths(packs=True))
