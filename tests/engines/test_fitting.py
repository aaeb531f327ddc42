"""A training is cut to the memory there is, and its updates stay those of the settings."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from semievol.engines.adapter_files import WEIGHTS
from semievol.engines.local import LocalEngine
from semievol.engines.models import hardware
from semievol.engines.models.files import FULL_WEIGHTS
from semievol.engines.models.footprint import Fit, Shape, fit, peak, room, training
from semievol.engines.training import fitting, loop
from semievol.errors import UserError
from semievol.presets import load
from semievol.tuning import Tuning
from tests.engines import conftest
from tests.engines.conftest import train

EIGHT_BILLION = Shape(8_030_261_248, 4096, 14336, 32, 131_072, 128_256, 2 * 8 * 128)
LORA = Tuning(method="lora")
PROMPTS = 8 * 1000  # tokens of eight examples
PLAIN: dict[str, Any] = {"lora": {"rank": 4, "dropout": 0.0}, "batch_size": 8, "micro_batch_size": 8}


def test_an_8_b_model_with_prompts_of_1000_tokens_is_cut_to_a_gpu_of_80_gb() -> None:
    left = room(EIGHT_BILLION, True, 80e9)
    assert training(EIGHT_BILLION, LORA, PROMPTS, True) > 1.4 * left, "as the settings say, it does not fit"
    found = fit(EIGHT_BILLION, LORA, PROMPTS, True, left)
    assert (found.micro_batch_size, found.checkpointed) == (2, False)
    assert found.bytes == training(EIGHT_BILLION, LORA, PROMPTS / 4, True) <= left


@pytest.mark.parametrize(
    ("gigabytes", "micro", "checkpointed"),
    [(400, 8, False), (120, 4, False), (40, 8, True), (24, 4, True), (18, 1, True)],
)
def test_first_fewer_examples_at_once_then_checkpointing_then_both(gigabytes, micro, checkpointed) -> None:
    found = fit(EIGHT_BILLION, LORA, PROMPTS, True, room(EIGHT_BILLION, True, gigabytes * 1e9))
    assert (found.micro_batch_size, found.checkpointed) == (micro, checkpointed)


def test_short_examples_are_checkpointed_before_the_products_become_small() -> None:
    tokens = 8 * 100
    least = training(EIGHT_BILLION, LORA, tokens, True, checkpointed=True)
    assert fit(EIGHT_BILLION, LORA, tokens, True, least) == Fit(8, True, least)
    assert not fit(EIGHT_BILLION, LORA, tokens, True, least, checkpoints=False).checkpointed


def test_only_divisors_of_the_batch_are_taken_and_the_end_is_the_end() -> None:
    odd = Tuning(batch_size=12, micro_batch_size=12)
    seen: list[Fit] = []
    now: Fit | None = Fit(12)
    while now is not None:
        seen.append(now)
        now = now.smaller(odd)
    assert [(one.micro_batch_size, one.checkpointed) for one in seen] == [
        (12, False), (6, False), (3, False), (1, False), (1, True),
    ]  # fmt: skip
    assert Fit(1).smaller(odd, checkpoints=False) is None


def test_long_answers_take_memory_for_their_logits() -> None:
    more = training(EIGHT_BILLION, LORA, 8, True, labels=2048) - training(EIGHT_BILLION, LORA, 8, True)
    assert more == pytest.approx(2048 * 128_256 * 12)


def test_an_estimate_counts_the_training_that_will_be_done() -> None:
    config = load("paper")
    whole = peak(EIGHT_BILLION, config, PROMPTS, PROMPTS, True)
    cut = peak(EIGHT_BILLION, config, PROMPTS, PROMPTS, True, 80e9, on_gpu=True)
    assert whole > 130e9
    assert 16e9 < cut < 80e9


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / (WEIGHTS if (folder / WEIGHTS).is_file() else FULL_WEIGHTS))


def trained_with(
    engine: LocalEngine, folder: Path, found: Fit, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> dict[str, torch.Tensor]:
    with monkeypatch.context() as patch:
        patch.setattr(loop, "fitted", lambda *_: found)
        return weights(train(engine, conftest.training(folder, **PLAIN | {"minimum_steps": 6} | settings))[0])


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_updates_are_the_same_however_the_training_is_cut(engine, tmp_path, monkeypatch, method) -> None:
    whole, *others = (
        trained_with(engine, tmp_path / str(i), found, monkeypatch, method=method, max_grad_norm=100)
        for i, found in enumerate((Fit(8), Fit(8, True), Fit(2), Fit(1, True)))
    )
    before = engine.base.model.training, engine.base.model.is_activation_checkpointing
    assert before == (False, False), "afterwards the model is as it was"
    for other in others:
        assert other.keys() == whole.keys()
        assert max(float((other[key] - whole[key]).abs().max()) for key in whole) < 2e-4
        assert any(not torch.equal(other[key], whole[key]) for key in whole), "it was really done otherwise"


def failing_above(most: int, monkeypatch: pytest.MonkeyPatch, after: int = 0) -> list[int]:
    """Lets memory run out for more examples than this at once, after some calls. The sizes that were tried."""
    seen: list[int] = []
    compute = loop._Loss.near_start

    def near_start(self, model, batch):
        seen.append(len(batch["packing"].paths) if "packing" in batch else len(batch["input_ids"]))
        if seen[-1] > most and len(seen) > after:
            raise torch.OutOfMemoryError("no memory")
        return compute(self, model, batch)

    monkeypatch.setattr(loop._Loss, "near_start", near_start)
    return seen


def test_when_memory_runs_out_half_as_many_examples_are_trained_at_once(engine, tmp_path, monkeypatch) -> None:
    expected = trained_with(engine, tmp_path / "two", Fit(2), monkeypatch)
    seen = failing_above(2, monkeypatch)
    found = weights(train(engine, conftest.training(tmp_path / "cut", **PLAIN | {"minimum_steps": 6}))[0])
    assert seen == [8, 4, *[2] * 4 * 6]
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_it_goes_on_from_the_newest_checkpoint(engine, tmp_path, monkeypatch) -> None:
    seen = failing_above(4, monkeypatch, after=9)  # a checkpoint is made every seven updates
    _, told = train(engine, conftest.training(tmp_path, **PLAIN | {"minimum_steps": 12}))
    assert seen == [*[8] * 10, *[4] * 2 * 5]
    assert sorted(told["loss"]) == list(range(1, 13))
    assert told["loss"][12] < told["loss"][1]


def test_at_last_it_is_said_that_not_even_one_example_fits(engine, tmp_path, monkeypatch) -> None:
    seen = failing_above(0, monkeypatch)
    with pytest.raises(UserError, match="even for a single item") as caught:
        train(engine, conftest.training(tmp_path, **PLAIN))
    assert seen == [8, 4, 2, 1, 1]
    assert "micro_batch_size" not in caught.value.remedy
    assert engine.answer(conftest.ask("base")), "the engine goes on"


def test_a_small_machine_is_told_from_a_large_one(engine) -> None:
    rows = engine.base.chat.turns(conftest.examples(8))
    most = fitting.fitted(engine.base, Tuning(), rows, 64e9)
    assert (most.micro_batch_size, most.checkpointed) == (8, False)
    least = fitting.fitted(engine.base, Tuning(), rows, 1e6)
    assert (least.micro_batch_size, least.checkpointed) == (1, True)


def test_the_gpu_is_looked_at_where_there_is_one(tmp_path, monkeypatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\ncase "$1" in --id=1) echo "Card, with a comma, 81559, 80000";; *) exit 6;; esac\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(hardware, "_torch_without_gpu", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert hardware.device() == hardware.Device("Card, with a comma", 81559 * 2.0**20, 80000 * 2.0**20)
    for hidden in ("", "-1", "7"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert not hardware.device().gpu
    monkeypatch.undo()
    assert 0 < hardware.device().free <= hardware.device().total
