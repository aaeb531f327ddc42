"""Kinds of models beside the plain decoder of linear layers: experts, GPT-2's own linear layers, no chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from semievol.engines.adapter_files import CONFIG, WEIGHTS
from semievol.engines.local import LocalEngine
from semievol.engines.models import suitability
from semievol.engines.models.files import FULL_WEIGHTS
from tests.engines.conftest import ask, examples, train, training
from tests.tiny_model import make_experts, make_gpt2

FAMILIES = ("mixtral", "qwen2_moe")
PLAIN: dict[str, Any] = {"rank": 4, "dropout": 0.0}
SHORT: dict[str, Any] = {"lora": PLAIN, "minimum_steps": 6, "epochs": 0.1, "batch_size": 4}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("kinds")
    return {name: make_experts(home / name, name) for name in FAMILIES} | {"gpt2": make_gpt2(home / "gpt2")}


def shapes(adapter: Path) -> dict[str, tuple[int, ...]]:
    from safetensors.torch import load_file

    return {key: tuple(tensor.shape) for key, tensor in load_file(adapter / WEIGHTS).items()}


@pytest.mark.parametrize("kind", [*FAMILIES, "gpt2"])
def test_every_kind_learns_with_lora_and_answers_with_several_adapters_in_turn(kind, made, tmp_path):
    engine = LocalEngine(str(made[kind]), threads=1)
    before = engine.answer(ask("base"))
    first, seen = train(engine, training(tmp_path / "first", **SHORT))
    losses = list(seen["loss"].values())
    assert losses[-1] < losses[0]
    warm = engine.answer(ask(first))
    second, _ = train(engine, training(tmp_path / "second", **SHORT | {"minimum_steps": 1}))
    assert engine.answer(ask(second)) != warm
    assert engine.answer(ask("base")) == before
    assert engine.answer(ask(first)) == warm
    assert LocalEngine(str(made[kind]), threads=1).answer(ask(first)) == warm, "what was saved is what was trained"
    independent = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(made[kind]), first).eval()
    ids = torch.tensor([engine.base.chat.prompts([examples(1)[0].messages])[0]])
    with torch.no_grad(), engine.base.using(str(first)) as model:
        assert torch.allclose(model(ids).logits, independent(ids).logits, atol=1e-5), "as peft computes it"


def test_experts_get_adapters_of_their_own_unless_the_settings_forbid_it(made, tmp_path, caplog):
    engine = LocalEngine(str(made["mixtral"]), threads=1)
    adapter, _ = train(engine, training(tmp_path / "plain", **SHORT | {"minimum_steps": 1}))
    rank_of_all = 4 * 4  # of each of four experts
    assert {shape[0] for key, shape in shapes(adapter).items() if ".experts." in key and "lora_A" in key} == {
        rank_of_all
    }
    assert json.loads((adapter / CONFIG).read_text())["target_parameters"] == [
        "experts.down_proj",
        "experts.gate_up_proj",
    ]
    with caplog.at_level("WARNING"):
        spared, _ = train(engine, training(tmp_path / "dropout", minimum_steps=1, epochs=0.1))
    assert suitability.NO_EXPERTS in caplog.text
    assert not [key for key in shapes(spared) if "experts" in key]
    replies = engine.answer(ask(spared))
    assert engine.answer(ask(adapter)) != replies
    assert engine.answer(ask(spared)) == replies
    more = SHORT | {"minimum_steps": 1, "lora": PLAIN | {"dropout": 0.1}}
    further, _ = train(engine, training(tmp_path / "further", adapter, **more))
    assert shapes(further) == shapes(adapter), "it goes on with the experts that it began with"


@pytest.mark.parametrize("kind", ["mixtral", "gpt2"])
def test_every_weight_can_be_trained_and_the_folder_is_a_whole_model(kind, made, tmp_path):
    engine = LocalEngine(str(made[kind]), threads=1)
    folder, _ = train(engine, training(tmp_path, method="full", minimum_steps=1, epochs=0.1, batch_size=4))
    trained = engine.answer(ask(folder))
    assert trained != engine.answer(ask("base"))
    assert (folder / FULL_WEIGHTS).is_file()
    alone = LocalEngine(str(folder), threads=1)  # as a model of its own
    assert [reply.text for reply in alone.answer(ask("base"))] == [reply.text for reply in trained]
    assert not alone.base.chat.plain, "the template that it was trained in comes with it"
