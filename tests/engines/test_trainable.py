"""Training every weight instead of an adapter: the same promises, and what it leaves is an ordinary model folder."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.engines.adapter_files import BASE, CONFIG
from semievol.engines.local import LocalEngine
from semievol.engines.models.files import FULL_WEIGHTS
from semievol.engines.training import checkpoints, trainable
from semievol.errors import UserError
from semievol.method.protocols import Stopped
from semievol.tuning import Tuning
from tests.engines.conftest import ask, examples, kill_while_training, train, training


def weights(folder: Path) -> bytes:
    return (folder / FULL_WEIGHTS).read_bytes()


@pytest.fixture(scope="module")
def full(engine, tmp_path_factory) -> Path:
    """All weights, trained without interruption."""
    return train(engine, training(tmp_path_factory.mktemp("full"), method="full"))[0]


def test_every_weight_learns_and_the_loss_falls(engine, llama, tmp_path):
    folder, seen = train(engine, training(tmp_path, method="full"))
    losses = list(seen["loss"].values())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    before = dict(AutoModelForCausalLM.from_pretrained(llama).named_parameters())
    after = load_file(folder / FULL_WEIGHTS)
    assert after.keys() == before.keys()
    assert [name for name in after if torch.equal(after[name], before[name])] == []


def test_what_it_leaves_is_an_ordinary_model_that_computes_the_same(engine, full):
    alone = AutoModelForCausalLM.from_pretrained(full).eval()
    chat = [{"role": m.role, "content": m.content} for m in examples(1)[0].messages]
    ids = AutoTokenizer.from_pretrained(full).apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )["input_ids"]
    with torch.no_grad(), engine.base.using(str(full)) as model:
        assert torch.equal(model(ids).logits, alone(ids).logits)


def test_it_takes_turns_with_the_base_and_with_lora(engine, llama, full, trained):
    order = ("base", full, trained, full, "base", trained)
    replies = [engine.answer(ask(model)) for model in order]
    for model, told in zip(order, replies, strict=True):
        assert told == LocalEngine(str(llama), threads=1).answer(ask(model))
    assert len({told[0].probabilities for told in replies}) == 3


def test_the_base_comes_back_after_an_error(engine, full):
    before = engine.answer(ask("base"))
    with pytest.raises(ZeroDivisionError), engine.base.using(str(full)):
        raise ZeroDivisionError
    assert engine.answer(ask("base")) == before


def test_a_killed_training_continues_to_the_very_same_weights(engine, llama, full, tmp_path):
    kill_while_training(llama, tmp_path, method="full")
    assert [p.name for p in (tmp_path / checkpoints.CHECKPOINTS).glob("checkpoint-*")] == ["checkpoint-7"]
    folder, seen = train(engine, training(tmp_path, method="full"))
    assert min(seen["loss"]) == 8
    assert weights(folder) == weights(full)


def test_a_stopped_training_leaves_weights_that_answer(engine, tmp_path):
    with pytest.raises(Stopped):
        train(engine, training(tmp_path, method="full"), stop_after=3)
    usable = checkpoints.newest(tmp_path)
    assert usable is not None
    assert engine.answer(ask(usable)) != engine.answer(ask("base"))


def test_training_goes_on_from_full_weights(engine, full, tmp_path):
    before = weights(full)
    folder, _ = train(engine, training(tmp_path, full, method="auto", minimum_steps=1, epochs=0.1, learning_rate=1e-6))
    assert weights(full) == before
    near, same = (engine.answer(ask(path))[0].probabilities for path in (folder, full))
    assert near != same
    assert near == pytest.approx(same, abs=1e-3)


def test_the_method_follows_size_and_start(engine, full, trained, monkeypatch):
    auto = Tuning()
    assert trainable.method(auto, engine.base, None) == "full"
    assert trainable.method(auto, engine.base, trained) == "lora"
    assert trainable.method(auto, engine.base, full) == "full"
    assert trainable.method(Tuning(method="lora"), engine.base, None) == "lora"
    monkeypatch.setattr("semievol.tuning.FULL_UP_TO", engine.base.size - 1)
    assert trainable.method(auto, engine.base, None) == "lora"


@pytest.mark.parametrize("how", ["lora", "full"])
def test_a_start_of_the_other_method_is_refused(engine, full, trained, how):
    with pytest.raises(UserError, match="and continue with") as caught:
        trainable.method(Tuning(method=how), engine.base, full if how == "lora" else trained)
    assert caught.value.where == "method"


def test_full_weights_that_do_not_fit_are_refused(engine, full, tmp_path):
    copy = shutil.copytree(full, tmp_path / "a")
    tensors = load_file(copy / FULL_WEIGHTS)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, copy / FULL_WEIGHTS)
    checkpoints.seal(copy, {})
    with pytest.raises(UserError, match="does not fit the model: 1 of"):
        engine.answer(ask(copy))


def test_full_weights_name_their_base_but_no_path_of_this_machine(llama, full):
    assert not (full / CONFIG).exists()
    for path in full.iterdir():
        if path.suffix == ".json" or path.name in (BASE, checkpoints.MARKER):
            assert str(llama.parent) not in path.read_text()


def test_exported_weights_are_a_model_of_their_own(engine, full, tmp_path):
    exported = shutil.copytree(full, tmp_path / "exported", ignore=shutil.ignore_patterns(checkpoints.MARKER))
    assert engine.answer(ask(exported)) == engine.answer(ask(full))
