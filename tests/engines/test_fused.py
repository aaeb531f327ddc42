"""Fused linear layers against the layers as peft, torch and transformers run them."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM

from semievol.engines.training.fused import fused

IDS = torch.tensor([[5, 9, 40, 41, 60, 9, 17, 80]])


def loaded(folder, dtype=torch.float32):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def with_lora(model, **settings):
    """LoRA on all linear layers, with factors that do something."""
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    peft = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=names, **settings))
    with torch.no_grad():
        for name, weight in peft.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return peft.train()


def loss_and_gradients(model):
    model.zero_grad()
    logits = model(input_ids=IDS, use_cache=False).logits[0, :-1]
    loss = nn.functional.cross_entropy(logits.float(), IDS[0, 1:])
    loss.backward()
    return float(loss.detach()), {n: w.grad.float().clone() for n, w in model.named_parameters() if w.grad is not None}


def close(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        apart = float((gradient - expected[name]).norm() / expected[name].norm().clamp(min=1e-12))
        assert apart <= tolerance, (name, apart)


@pytest.mark.parametrize("family", ["llama", "qwen", "gemma"])
@pytest.mark.parametrize("how", ["lora", "full"])
def test_loss_and_gradients_are_those_of_the_layers_alone(family, how, request):
    folder = request.getfixturevalue(family)
    model = with_lora(loaded(folder)) if how == "lora" else loaded(folder).train()
    alone, expected = loss_and_gradients(model)
    with fused(model, torch.float32, IDS) as groups:
        together, found = loss_and_gradients(model)
    assert together == pytest.approx(alone, rel=1e-5)
    close(found, expected, 1e-4)
    sizes = [len(group.layers) for group in groups]
    assert sizes[:4] == [3, 1, 2, 1], "queries, keys and values; output; gate and up; down"


def test_afterwards_the_layers_are_what_they_were(llama):
    model = with_lora(loaded(llama))
    names = [name for name, _ in model.named_parameters()]
    with fused(model, torch.float32, IDS):
        inside, _ = loss_and_gradients(model)
    assert [name for name, _ in model.named_parameters()] == names
    assert not any("forward" in vars(module) for module in model.modules())
    assert loss_and_gradients(model)[0] == pytest.approx(inside, rel=1e-5)


@pytest.mark.parametrize("settings", [{"lora_dropout": 0.5}, {"use_dora": True}, {"lora_bias": True}])
def test_layers_that_are_more_than_two_products_are_left_as_they_are(llama, settings):
    model = with_lora(loaded(llama), **settings)
    with fused(model, torch.float32, IDS) as groups:
        assert groups == []


def test_in_bf16_losses_and_gradients_are_as_near_to_fp32_as_autocast_is(llama):
    exact, precise = loss_and_gradients(loaded(llama).train())
    model = loaded(llama).train()

    def apart(gradients):
        return max(float((gradients[n] - precise[n]).norm() / precise[n].norm()) for n in precise)

    with torch.autocast("cpu", torch.bfloat16):
        cast, by_autocast = loss_and_gradients(model)
        with fused(model, torch.bfloat16, IDS):
            found, by_fusing = loss_and_gradients(model)
    assert abs(found - exact) <= 2 * abs(cast - exact) + 1e-2
    assert apart(by_fusing) <= 1.5 * apart(by_autocast)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_follow_the_optimizer(llama, dtype):
    """Copies in bf16 are taken over by `refresh`; in fp32 a layer's weight is part of the group's."""
    model, twin = loaded(llama).train(), loaded(llama).train()
    twin.load_state_dict(copy.deepcopy(model.state_dict()))
    optimizers = [torch.optim.AdamW(one.parameters(), lr=3e-3, fused=True) for one in (model, twin)]
    losses: list[list[float]] = [[], []]
    with fused(model, dtype, IDS) as groups:
        for _ in range(5):
            for one, optimizer, told in zip((model, twin), optimizers, losses, strict=True):
                with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                    told.append(loss_and_gradients(one)[0])
                optimizer.step()
            for group in groups:
                group.refresh()
    assert losses[0][-1] < 0.9 * losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=0.1 if dtype == torch.bfloat16 else 1e-3)
