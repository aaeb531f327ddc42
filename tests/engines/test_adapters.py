import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from semievol.engines.adapter_files import BASE, CONFIG, WEIGHTS
from semievol.engines.local import LocalEngine
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from tests.engines.conftest import ask, examples, train, training


@pytest.fixture(scope="module")
def another(engine, tmp_path_factory) -> Path:
    return train(engine, training(tmp_path_factory.mktemp("other"), minimum_steps=6, epochs=0.1))[0]


def test_switching_gives_what_an_engine_with_that_adapter_alone_gives(engine, llama, trained, another):
    mixed = [a for trio in zip(ask("base"), ask(trained), ask(another), strict=True) for a in trio]
    replies = engine.answer(mixed)
    for i, model in enumerate(("base", trained, another)):
        assert replies[i::3] == LocalEngine(str(llama), threads=1).answer(ask(model))
    assert len({reply.probabilities for reply in replies}) == 9


def test_the_adapter_computes_what_peft_computes_with_it(engine, llama, trained):
    independent = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(llama), trained).eval()
    ids = torch.tensor([engine.base.chat.prompts([examples(1)[0].messages])[0]])
    with torch.no_grad(), engine.base.using(str(trained)) as model:
        assert torch.equal(model(ids).logits, independent(ids).logits)


def test_an_adapter_stored_in_bf16_answers_with_its_rounded_weights(engine, trained, tmp_path):
    rounded = train(engine, training(tmp_path / "rounded", store_dtype="bf16"))[0]
    stored, exact = load_file(rounded / WEIGHTS), load_file(trained / WEIGHTS)
    assert all(torch.equal(stored[key], exact[key].to(torch.bfloat16)) for key in stored | exact)
    copy = shutil.copytree(rounded, tmp_path / "copy")
    save_file({key: tensor.float() for key, tensor in stored.items()}, copy / WEIGHTS)
    checkpoints.seal(copy, {})
    assert engine.answer(ask(rounded)) == engine.answer(ask(copy)) != engine.answer(ask(trained))
    changed = shutil.copytree(rounded, tmp_path / "changed")
    (changed / WEIGHTS).write_bytes((rounded / WEIGHTS).read_bytes()[:-2])
    with pytest.raises(UserError, match=f"{WEIGHTS} has changed"):
        engine.answer(ask(changed))


def test_an_adapter_of_another_base_is_refused(other_llama, trained):
    with pytest.raises(UserError, match="another base model"):
        LocalEngine(str(other_llama), threads=1).answer(ask(trained))


def resealed(source: Path, target: Path, **changes: object) -> Path:
    """A copy of an adapter with other settings, complete by its marker."""
    shutil.copytree(source, target)
    config = json.loads((target / CONFIG).read_text())
    (target / CONFIG).write_text(json.dumps(config | changes))
    (target / checkpoints.MARKER).unlink()
    checkpoints.seal(target, {})
    return target


@pytest.mark.parametrize("changes", [{"r": 8}, {"target_modules": ["q_proj"]}], ids=["rank", "modules"])
def test_an_adapter_that_does_not_fit_is_refused(engine, trained, tmp_path, changes):
    with pytest.raises(UserError, match="does not fit"):
        engine.answer(ask(resealed(trained, tmp_path / "a", **changes)))


def test_an_adapter_with_missing_tensors_is_refused(engine, trained, tmp_path):
    copy = resealed(trained, tmp_path / "a")
    tensors = load_file(copy / WEIGHTS)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, copy / WEIGHTS)
    checkpoints.seal(copy, {})
    with pytest.raises(UserError, match="does not fit the model: 1 of"):
        engine.answer(ask(copy))


def test_an_unfinished_or_changed_adapter_is_refused(engine, trained, tmp_path):
    unfinished = shutil.copytree(trained, tmp_path / "unfinished")
    (unfinished / checkpoints.MARKER).unlink()
    with pytest.raises(UserError, match="never finished"):
        engine.answer(ask(unfinished))
    changed = shutil.copytree(trained, tmp_path / "changed")
    (changed / WEIGHTS).write_bytes((trained / WEIGHTS).read_bytes()[:-7])
    with pytest.raises(UserError, match=f"{WEIGHTS} has changed"):
        engine.answer(ask(changed))


def test_engine_still_works_after_a_refusal(engine, trained, tmp_path):
    before = engine.answer(ask(trained))
    with pytest.raises(UserError):
        engine.answer(ask(resealed(trained, tmp_path / "a", r=8)))
    assert engine.answer(ask(trained)) == before


def test_more_adapters_than_are_kept_in_memory(engine, trained, tmp_path):
    first = engine.answer(ask(trained))
    for i in range(5):
        copy = shutil.copytree(trained, tmp_path / str(i))
        assert engine.answer(ask(copy)) == first


def test_an_adapter_names_its_base_but_no_path_of_this_machine(llama, trained):
    assert json.loads((trained / CONFIG).read_text())["base_model_name_or_path"] == llama.name
    for file in (CONFIG, BASE, checkpoints.MARKER):
        assert str(llama.parent) not in (trained / file).read_text()


def test_another_model_answers_beside_the_base(engine, other_llama):
    replies = engine.answer(ask("base") + ask(other_llama))
    assert replies[3:] == LocalEngine(str(other_llama), threads=1).answer(ask("base"))
