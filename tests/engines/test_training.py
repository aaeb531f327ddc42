import math
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from semievol.engines.adapter_files import WEIGHTS
from semievol.engines.chat import Turn
from semievol.engines.local import LocalEngine
from semievol.engines.training import batches, checkpoints, loop
from semievol.errors import UserError
from semievol.method.protocols import Ask, Stopped
from semievol.tuning import Lora, Tuning
from tests.engines.conftest import LABELS, examples, kill_while_training, train, training


def weights(folder: Path) -> bytes:
    return (folder / WEIGHTS).read_bytes()


def test_training_lowers_the_loss_and_reports_every_step(engine, tmp_path):
    folder, seen = train(engine, training(tmp_path), held_out=examples(5))
    assert {"loss", "learning_rate", "grad_norm", "tokens_per_second"} < set(seen)
    assert list(seen["loss"]) == list(range(1, 21))
    assert seen["loss"][20] < 0.5 * seen["loss"][1]
    assert list(seen["held_out_loss"]) == [20]
    assert checkpoints.fault(folder) is None
    assert not (tmp_path / checkpoints.CHECKPOINTS).exists()
    before, after = (
        engine.answer([Ask("r", "c", model, examples(1)[0].messages, LABELS)])[0] for model in ("base", str(folder))
    )
    assert after.mass > 1000 * before.mass


def test_the_held_out_loss_takes_a_bounded_share_of_the_training():
    for held_out, update, full in product((0, 50, 4_000, 10**6), (40.0, 320.0, 8_000.0), (False, True)):
        every = batches.held_out_every([Turn((1,) * held_out, ())], update, full)
        assert every % batches.HELD_OUT_EVERY == 0
        learnt = every * update * (6 if full else 4)
        assert 2 * held_out <= batches.HELD_OUT_SHARE * learnt
        closer = (every - batches.HELD_OUT_EVERY) * learnt / every
        assert every == batches.HELD_OUT_EVERY or 2 * held_out > batches.HELD_OUT_SHARE * closer, "as often as it may"


def test_many_held_out_examples_are_measured_less_often_and_at_the_end(engine, tmp_path):
    short = training(tmp_path, minimum_steps=42, batch_size=2, micro_batch_size=2, epochs=0.1)
    _, seen = train(engine, short, held_out=examples(14))
    assert list(seen["held_out_loss"]) == [40, 42]


@pytest.mark.parametrize("way", ["packed", "padded"])
def test_loss_is_on_the_answer_and_its_end_only(engine, way):
    turns = engine.base.chat.turns(examples(9))
    batch = batches.packed(turns) if way == "packed" else batches.padded(turns, 0)
    replies = "".join(f"{example.answer}<|im_end|>" for example in examples(9))
    assert engine.base.chat.tokenizer.decode(batch["labels"]) == replies
    assert batch["tokens"] == sum(turn.length for turn in turns)
    expected = 0.0
    for turn in turns:
        ids = torch.tensor([[*turn.prompt, *turn.reply]])
        logp = engine.base.model(ids).logits[0].double().log_softmax(-1)
        expected -= sum(float(logp[place - 1, ids[0, place]]) for place in range(len(turn.prompt), ids.shape[1]))
    assert float(batches.answer_loss(engine.base.model, batch)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("packs", [True, False])
def test_the_loss_of_a_step_is_the_mean_over_its_replies_tokens(engine, tmp_path, monkeypatch, packs):
    monkeypatch.setitem(engine.base.__dict__, "packs", packs)
    setup = training(tmp_path, minimum_steps=1, epochs=0.1, lora=Lora(rank=4, dropout=0.0))
    _, seen = train(engine, setup)
    turns = engine.base.chat.turns(examples())
    places = batches.order([turn.length for turn in turns], setup.settings.batch_size, 1, setup.seed)
    first = [turns[place] for place in places]  # a fresh adapter changes nothing yet
    with engine.base.using(None) as model:
        total = sum(float(batches.answer_loss(model, batches.padded([turn], 0))) for turn in first)
    assert seen["loss"][1] == pytest.approx(total / sum(len(turn.reply) for turn in first), rel=1e-4)


def test_gradients_of_a_packed_batch_are_those_of_its_examples_alone(engine):
    """Several examples share their beginnings and some are the same: what is computed once must count for all."""
    turns = engine.base.chat.turns([*examples(9), *examples(2)])
    student = engine.base.fresh(torch.float32)

    def gradients(made):
        student.zero_grad()
        for batch in made:
            batches.answer_loss(student, batch).backward()
        return {name: weight.grad.clone() for name, weight in student.named_parameters()}

    together = batches.packed(turns)
    assert together["packing"].token_count < 0.8 * (together["tokens"] - len(turns))
    apart = gradients([batches.padded([turn], 0) for turn in turns])
    for name, gradient in gradients([together]).items():
        assert torch.allclose(gradient, apart[name], atol=1e-4 * float(apart[name].abs().max())), name


def test_an_example_beyond_the_context_is_left_out_whole_and_noted_with_the_adapter(engine, tmp_path):
    long = examples(1)[0]
    long = type(long)("long", (*long.messages[:1], type(long.messages[0])("user", "leaks " * 1100)), "waste", "gold")
    assert len(engine.base.chat.turns([long, *examples(2)])) == 2
    folder, _ = train(engine, training(tmp_path, minimum_steps=1, epochs=0.1), taught=[long, *examples(2)])
    assert checkpoints.about(folder)[checkpoints.TOO_LONG] == ["long"]


def test_every_pass_shows_every_example_once_in_batches_of_like_length():
    lengths = [10 + (7 * i) % 50 for i in range(64)]
    places = batches.order(lengths, 8, 24, seed=1)
    assert all(Counter(places[i : i + 64]) == Counter(range(64)) for i in (0, 64, 128))
    assert places[:64] != places[64:128]
    spread = [
        max(lengths[p] for p in places[i : i + 8]) - min(lengths[p] for p in places[i : i + 8]) for i in range(0, 64, 8)
    ]
    assert sum(spread) / 8 < 12
    assert places == batches.order(lengths, 8, 24, seed=1)
    assert Counter(batches.order([1] * 13, 8, 13, seed=1)) == dict.fromkeys(range(13), 8)


def test_number_of_steps_and_the_automatic_learning_rate():
    assert Tuning(epochs=2, batch_size=8, minimum_steps=0).steps(100) == 26
    assert Tuning(epochs=2, batch_size=8, minimum_steps=100).steps(100) == 100
    assert loop.peak_rate(Tuning(), 4096, "lora") == pytest.approx(3.5e-4)
    assert loop.peak_rate(Tuning(), 4096, "full") == pytest.approx(6.25e-5)
    assert loop.peak_rate(Tuning(), 64, "lora") == loop.peak_rate(Tuning(), 64, "full") == 4e-3
    assert loop.peak_rate(Tuning(learning_rate=1e-6), 64, "lora") == 1e-6


def test_the_base_is_unchanged_by_training_and_by_adapters(engine, llama, trained):
    asks = [Ask("r", "c", "base", examples(1)[0].messages, LABELS)]
    engine.answer([Ask("r", "c", str(trained), examples(1)[0].messages, LABELS)])
    assert engine.answer(asks) == LocalEngine(str(llama), threads=1).answer(asks)


def test_a_killed_training_continues_to_the_very_same_adapter(engine, llama, trained, tmp_path):
    kill_while_training(llama, tmp_path)
    assert not (tmp_path / checkpoints.ADAPTER).exists()
    assert [p.name for p in (tmp_path / checkpoints.CHECKPOINTS).glob("checkpoint-*")] == ["checkpoint-7"]
    assert list((tmp_path / checkpoints.CHECKPOINTS).glob(".partial*"))
    folder, seen = train(engine, training(tmp_path))
    assert min(seen["loss"]) == 8
    assert weights(folder) == weights(trained)
    assert not list(tmp_path.rglob(".partial*"))


def test_a_stopped_training_keeps_a_usable_adapter_and_resumes_to_the_same_end(engine, trained, tmp_path):
    with pytest.raises(Stopped):
        train(engine, training(tmp_path), stop_after=10)
    assert not (tmp_path / checkpoints.ADAPTER).exists()
    usable = checkpoints.newest(tmp_path)
    assert usable is not None
    assert usable.name == "checkpoint-10"
    engine.answer([Ask("r", "c", str(usable), examples(1)[0].messages, LABELS)])
    folder, seen = train(engine, training(tmp_path))
    assert min(seen["loss"]) == 11
    assert weights(folder) == weights(trained)


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "optimizer.pt", "rng_state.pth", "COMPLETE"])
def test_a_damaged_checkpoint_is_passed_over(engine, trained, tmp_path, file, caplog):
    with pytest.raises(Stopped):
        train(engine, training(tmp_path), stop_after=10)
    damaged = tmp_path / checkpoints.CHECKPOINTS / "checkpoint-10" / file
    raw = bytearray(damaged.read_bytes())
    raw[len(raw) // 2] ^= 1
    damaged.write_bytes(bytes(raw))
    folder, seen = train(engine, training(tmp_path))
    assert min(seen["loss"]) == 8
    assert "checkpoint-10 is not used" in caplog.text
    assert file in caplog.text or file == checkpoints.MARKER
    assert weights(folder) == weights(trained)


def test_a_finished_adapter_is_returned_at_once_and_only_for_its_own_examples_and_settings(engine, tmp_path):
    short: dict[str, Any] = {"minimum_steps": 1, "epochs": 0.1}
    folder, seen = train(engine, training(tmp_path, **short))
    assert list(seen["loss"]) == [1]
    left = tmp_path / checkpoints.CHECKPOINTS / "checkpoint-1"
    left.mkdir(parents=True)  # as if it had been killed before it could remove them
    assert train(engine, training(tmp_path, **short)) == (folder, {})
    assert not left.exists()
    (folder / checkpoints.MARKER).unlink()
    assert train(engine, training(tmp_path, **short))[1]
    assert train(engine, training(tmp_path, **short), taught=examples(9))[1]


def test_a_loss_that_is_no_number_ends_the_training_before_it_is_saved(engine, tmp_path, monkeypatch):
    compute, calls = batches.answer_loss, []

    def breaking(model, batch):
        calls.append(1)
        return compute(model, batch) * (math.nan if len(calls) > 26 else 1.0)

    monkeypatch.setattr(batches, "answer_loss", breaking)
    seen = {}
    with pytest.raises(UserError, match="no longer a number at step 14") as caught:
        engine.train(
            examples(),
            training(tmp_path),
            lambda *point: seen.update({point[:2]: point[2]}),
            lambda *_: None,
            lambda: False,
        )
    assert caught.value.where == "learning_rate"
    assert math.isnan(seen["loss", 14])
    assert not (tmp_path / checkpoints.ADAPTER).exists()
    assert [p.name for p in (tmp_path / checkpoints.CHECKPOINTS).glob("checkpoint-*")] == ["checkpoint-7"]


def test_training_can_start_from_a_copy_of_another_adapter(engine, trained, tmp_path):
    before = weights(trained)
    folder, _ = train(engine, training(tmp_path, trained, minimum_steps=1, epochs=0.1, learning_rate=1e-6))
    assert weights(trained) == before
    asks = [[Ask("r", "c", str(path), examples(1)[0].messages, LABELS)] for path in (folder, trained)]
    near, same = (engine.answer(one)[0].probabilities for one in asks)
    assert near != same
    assert near == pytest.approx(same, abs=1e-3)


def test_training_does_not_start_from_an_unfinished_adapter(engine, tmp_path):
    with pytest.raises(UserError, match="never finished"):
        train(engine, training(tmp_path, tmp_path / "nothing"))


def test_running_out_of_memory_for_a_single_example_says_what_to_change(engine, tmp_path, monkeypatch):
    def full(model, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(batches, "answer_loss", full)
    with pytest.raises(UserError, match="smaller model or rank"):
        train(engine, training(tmp_path))


@pytest.mark.parametrize("variant", [{"use_dora": True}, {"use_rslora": True}])
def test_variants_of_lora_train_and_answer(engine, tmp_path, variant):
    folder, _ = train(engine, training(tmp_path, minimum_steps=2, epochs=0.1, lora={"rank": 2, **variant}))
    adapted, base = (
        engine.answer([Ask("r", "c", model, examples(1)[0].messages, LABELS)]) for model in (str(folder), "base")
    )
    assert adapted != base
