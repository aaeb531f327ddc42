"""A model whose linear layers are held in 4 bits: it answers, trains LoRA with right gradients, and is refused in time.

What needs bitsandbytes is skipped without it: it is an optional package.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from semievol.engines.adapter_files import method_of
from semievol.engines.adapters import AdaptedModel
from semievol.engines.local import LocalEngine
from semievol.engines.models import footprint, suitability
from semievol.engines.models.tokenizer import folder_of
from semievol.engines.training import trainable
from semievol.engines.training.fused import fused
from semievol.errors import UserError
from semievol.installed import FOUR_BITS
from semievol.method.protocols import Ask, TrainingSetup
from semievol.presets import overlaid
from semievol.records import Example, Message
from semievol.tuning import Lora, Tuning

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
EXAMPLES = [
    Example(f"r{i}", (Message("user", f"Case {i}: {('dog', 'leak')[i % 2]}? Answer A or B."),), "AB"[i % 2], "gold")
    for i in range(16)
]
IDS = torch.arange(8, 40).reshape(2, 16)
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None,
    reason=f"bitsandbytes is not installed (pip install {FOUR_BITS})",
)


def held(dtype: torch.dtype = torch.float32) -> AdaptedModel:
    return AdaptedModel("starter", CPU, dtype, four_bits=True)


def plain_layers(model: nn.Module) -> None:
    """Puts an ordinary layer in the place of every one in 4 bits, with the weights that these stand for."""
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, Linear4bit):
                weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
                plain = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
                plain.weight = nn.Parameter(weight, requires_grad=False)
                setattr(parent, name, plain)


def gradients(adapted: AdaptedModel) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of a fresh adapter, as a training computes them, after the model has answered."""
    with adapted.using(None) as model:
        model(input_ids=IDS)
    adapted.add(Lora(rank=4, alpha=8), seed=1)
    model = adapted.peft
    assert model is not None
    for name, weight in model.named_parameters():
        if "lora_B" in name:  # zero in a fresh adapter, so that most gradients would be
            nn.init.constant_(weight, 0.01)
    model.train()
    with fused(model, torch.float32, IDS[:1]):
        loss = model(input_ids=IDS, labels=IDS).loss
        loss.backward()
    found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    return float(loss.detach()), {name.replace(".base_layer", ""): grad for name, grad in found.items()}


@needs_package
def test_lora_gets_the_gradients_of_the_weights_that_the_4_bits_stand_for() -> None:
    """Against the same model with ordinary layers of the dequantised weights."""
    loss, found = gradients(held())
    reference = held()
    plain_layers(reference.model)
    wanted_loss, wanted = gradients(reference)
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    assert found.keys() == wanted.keys()
    assert len(found) > 40
    for name, grad in wanted.items():
        assert grad.abs().max() > 0
        torch.testing.assert_close(found[name], grad, rtol=1e-3, atol=1e-6)


@needs_package
def test_it_answers_trains_lora_and_answers_with_the_adapter(tmp_path: Path) -> None:
    engine = LocalEngine("starter", "4bit", threads=1)
    assert "4-bit weights" in engine.description
    asks = [Ask(e.record_id, "c", "base", e.messages, ("A", "B")) for e in EXAMPLES]
    before = engine.answer(asks)
    whole = LocalEngine("starter", "fp32", threads=1).answer(asks)
    apart = [abs(a.probabilities[0] - b.probabilities[0]) for a, b in zip(before, whole, strict=True)]
    assert 0 < max(apart) < 0.2
    setup = TrainingSetup(Tuning(minimum_steps=8, epochs=1), tmp_path, seed=0)
    losses: list[float] = []
    quiet = (lambda step, total: None, lambda: False)
    adapter = engine.train(EXAMPLES, setup, lambda name, step, value: losses.append(value), *quiet)
    assert method_of(Path(adapter)) == "lora", "never all weights, however small the model"
    after = engine.answer([Ask(ask.record_id, "c", adapter, ask.messages, ask.allowed) for ask in asks])
    assert after != before
    assert engine.answer(asks) == before, "the base is as it was"
    # The adapter fits the base in any precision, as an export uses it.
    LocalEngine("starter", "fp32", threads=1).answer([Ask("r", "c", adapter, asks[0].messages, ("A", "B"))])


@needs_package
def test_the_estimate_of_its_weights_is_what_they_take() -> None:
    folder = folder_of("starter")
    assert folder is not None
    shape, model = footprint.Shape.of(folder), held(torch.bfloat16).model
    assert shape.weights(bf16=True, four_bits=True) == pytest.approx(model.get_memory_footprint(), rel=0.05)
    assert held().size == pytest.approx(shape.parameters, rel=0.01)


@needs_package
def test_an_adapter_of_all_weights_is_refused(tmp_path: Path) -> None:
    quiet = (lambda name, step, value: None, lambda step, total: None, lambda: False)
    setup = TrainingSetup(Tuning(method="full", minimum_steps=1, epochs=0.1), tmp_path, seed=0)
    full = LocalEngine("starter", "fp32", threads=1).train(EXAMPLES[:2], setup, *quiet)
    engine = LocalEngine("starter", "4bit", threads=1)
    with pytest.raises(UserError, match="holds all weights"):
        engine.answer([Ask("r", "c", full, EXAMPLES[0].messages, ("A", "B"))])


@needs_package
def test_a_model_whose_files_are_in_few_bits_is_never_trained_whole(tmp_path: Path) -> None:
    held(torch.float32).model.save_pretrained(tmp_path / "m")
    source = folder_of("starter")
    assert source is not None
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (source / name).is_file():
            shutil.copyfile(source / name, tmp_path / "m" / name)
    adapted = AdaptedModel(str(tmp_path / "m"), CPU, torch.float32)
    assert trainable.method(Tuning(), adapted, None) == "lora"
    with pytest.raises(UserError, match="never trained"):
        trainable.method(Tuning(method="full"), adapted, None)
    shape = footprint.Shape.of(tmp_path / "m")
    assert shape.weights(False, four_bits=True) == shape.weights(False), "what is in few bits already gets no fewer"


def test_the_precision_of_a_round_decides_how_it_trains() -> None:
    mixed = overlaid({"precision": "4bit"}).model_copy(update={"tune": Tuning(method="full")})
    assert mixed.fitting().tune.method == "auto"


def test_settings_that_4_bits_do_not_allow_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="the method cannot be `full`"):
        overlaid({"precision": "4bit", "tune": {"method": "full"}})
    four = overlaid({"precision": "4bit"})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="need the package bitsandbytes") as told:
        suitability.check_precision(four)
    assert FOUR_BITS in told.value.remedy
    assert all(FOUR_BITS in (ROOT / page).read_text("utf-8") for page in ("README.md", "docs/models.md"))
    suitability.check_precision(overlaid({"precision": "auto"}))


def test_a_model_in_4_bits_takes_about_a_quarter() -> None:
    eight_billion = footprint.Shape(8_030_000_000, 4096, 14336, 32, 8192, 128_256, 2048, whole=2 * 128_256 * 4096)
    assert eight_billion.weights(True) == pytest.approx(16.06e9, rel=0.01)
    assert eight_billion.weights(True, four_bits=True) == pytest.approx(5.73e9, rel=0.01)
    small = Tuning()
    assert not small.trains_all(10**6, four_bits=True)
    assert small.trains_all(10**6)
