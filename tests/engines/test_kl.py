"""The divergence from the start model: its value and gradient, from which model, at what cost, and what it does."""

from typing import Any

import pytest
import torch
from torch.nn.functional import kl_div

from semievol.engines.training import batches
from semievol.engines.training.trainable import TrainableAdapter, TrainableCopy
from semievol.method.protocols import Stopped
from semievol.tuning import Lora
from tests.engines.conftest import examples, train, training

PLAIN: dict[str, Any] = {"lora": Lora(rank=4), "minimum_steps": 6, "epochs": 0.1}


def moved(engine, by: float = 0.02) -> torch.nn.Module:
    """The base with changed weights."""
    model = engine.base.fresh(torch.float32)
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * by)
    return model


def summed(model, start, turns, kl: float) -> torch.Tensor:
    """The loss in float64, one conversation after the other, by torch's own functions."""
    total = torch.zeros((), dtype=torch.float64)
    for turn in turns:
        ids = torch.tensor([[*turn.prompt, *turn.reply]])
        own, theirs = (m(ids).logits[0, len(turn.prompt) - 1 : -1].log_softmax(-1) for m in (model, start))
        total = total - own[range(len(turn.reply)), list(turn.reply)].sum()
        total = total + kl * kl_div(theirs.detach(), own, log_target=True, reduction="sum")
    return total


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_value_and_gradient_are_those_of_the_exact_divergence_at_the_answers(engine, way):
    turns = engine.base.chat.turns(examples(5))
    batch = batches.packed(turns) if way == "packed" else batches.padded(turns, 0)
    model, precise, base = moved(engine), moved(engine).double(), engine.base.fresh(torch.float64)
    expected = summed(precise, base, turns, kl=0.7)
    expected.backward()
    with engine.base.using(None) as start:
        logits = batches.answer_logits(start, batch)
    loss = batches.answer_loss(model, batch, 0.7, logits)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float(loss.detach()) > float(batches.answer_loss(model, batch).detach()) + 0.1
    for weight, exact in zip(model.parameters(), precise.parameters(), strict=True):
        assert torch.allclose(weight.grad.double(), exact.grad, rtol=1e-3, atol=1e-4 * float(exact.grad.abs().max()))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_training_with_it_stays_nearer_to_its_start_and_resumes_to_the_same_end(engine, tmp_path, method):
    turns = engine.base.chat.turns(examples(6))
    batch = batches.padded(turns, 0)

    def trained(name: str, kl: float, stop_after: int | None = None) -> tuple[bytes, float]:
        setup = training(tmp_path / name, method=method, kl=kl, neftune_noise_alpha=5, **PLAIN)
        if stop_after:
            with pytest.raises(Stopped):
                train(engine, setup, stop_after)
        folder, _ = train(engine, setup)
        file = "adapter_model.safetensors" if method == "lora" else "model.safetensors"
        with engine.base.using(None) as model:
            start = batches.answer_logits(model, batch)
        with engine.base.using(str(folder)) as model:
            apart = batches.divergence(batches.answer_logits(model, batch), start)
        return (folder / file).read_bytes(), float(apart)

    whole, near = trained("whole", 2.0)
    assert near < 0.9 * trained("without", 0.0)[1]
    assert trained("stopped", 2.0, stop_after=4)[0] == whole


def test_a_training_that_goes_on_from_an_adapter_is_held_near_that_adapter(engine, tmp_path):
    warm, _ = train(engine, training(tmp_path / "warm", **PLAIN))
    _, plain = train(engine, training(tmp_path / "plain", start=warm, **PLAIN))
    folder, held = train(engine, training(tmp_path / "held", start=warm, kl=1e-3, **PLAIN))
    assert held["loss"][1] == pytest.approx(plain["loss"][1], rel=1e-5), "nothing has moved yet"
    assert held["loss"][6] == pytest.approx(plain["loss"][6], rel=0.05)
    assert (folder / "adapter_model.safetensors").read_bytes() != (warm / "adapter_model.safetensors").read_bytes()


def test_without_it_the_start_model_is_never_asked(engine, tmp_path, monkeypatch):
    def asked(self):
        raise AssertionError("a second forward pass")

    for kind in (TrainableAdapter, TrainableCopy):
        monkeypatch.setattr(kind, "start", asked)
    for method in ("lora", "full"):
        train(engine, training(tmp_path / method, method=method, **PLAIN))
    with pytest.raises(AssertionError, match="second forward"):
        train(engine, training(tmp_path / "with", kl=0.1, **PLAIN))
