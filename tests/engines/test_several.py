"""Training in several processes: the same as in one, and none is left behind however it ends."""

from __future__ import annotations

import math
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from semievol.engines.adapter_files import WEIGHTS
from semievol.engines.chat import Turn
from semievol.engines.local import LocalEngine
from semievol.engines.models import hardware
from semievol.engines.models.footprint import Fit
from semievol.engines.packing.batching import OutOfMemory
from semievol.engines.training import checkpoints, fitting, launching, process
from semievol.engines.training.noise import EmbeddingNoise
from semievol.engines.training.specification import FOLDER, Ending, Listener, Specification, Teller
from semievol.errors import UserError
from semievol.method.protocols import Stopped, TrainingSetup
from semievol.tuning import Lora, Tuning
from tests.engines import conftest


def specification(folder: Path, fingerprint: str = "f") -> Specification:
    rows = [Turn((1, 2), (3, 4), frozenset({1})), Turn((5,), (6,))]
    setup = conftest.training(folder, learning_rate=1e-3)
    return Specification(
        "m", "float32", False, 1, rows, [1, 0, 1], rows[:1], setup, fingerprint, Fit(2, True), 64, ["long"]
    )


def plain(folder: Path, method: str) -> TrainingSetup:
    """Nine updates whose result does not depend on random draws."""
    lora = Lora(rank=4, dropout=0.0)
    return conftest.training(
        folder, method=method, minimum_steps=9, epochs=0.1, lora=lora, micro_batch_size=2, save_every=50
    )


def test_two_processes_stop_together_resume_and_train_what_one_does(llama, tmp_path, monkeypatch) -> None:
    """Every update's examples are cut among them. Only the first one wishes to stop."""
    held_out = conftest.examples(5)
    engine = LocalEngine(str(llama), threads=1)
    alone, expected = conftest.train(engine, plain(tmp_path / "one" / "full", "full"), held_out=held_out)
    adapter, _ = conftest.train(engine, plain(tmp_path / "one" / "lora", "lora"))
    monkeypatch.setattr(launching, "MODULE", "tests.engines.stopped_and_resumed")
    both = LocalEngine(str(llama), threads=1, devices=2)
    together, seen = conftest.train(both, plain(tmp_path / "two" / "full", "full"), held_out=held_out)
    for place in (0, 1):
        assert (tmp_path / "two" / "full" / f"stopped-{place}").read_text() == "training stopped after step 4"
    assert seen.keys() == expected.keys()
    for name in ("loss", "learning_rate", "held_out_loss"):
        assert seen[name] == pytest.approx(expected[name], abs=1e-5), name
    for one, two, file in (
        (alone, together, "model.safetensors"),
        (adapter, tmp_path / "two" / "lora" / checkpoints.ADAPTER, WEIGHTS),
    ):
        assert checkpoints.fault(two) is None
        wanted, found = load_file(one / file), load_file(two / file)
        assert wanted.keys() == found.keys()
        assert max(float((wanted[key] - found[key]).abs().max()) for key in wanted) < 1e-5
    assert sorted(path.name for path in together.parent.iterdir()) == ["adapter", "stopped-0", "stopped-1"]


def test_a_specification_is_read_as_it_was_written(tmp_path) -> None:
    work = specification(tmp_path)
    work.write(tmp_path)
    assert Specification.read(tmp_path) == work
    later = replace(work, setup=replace(work.setup, start=str(tmp_path / "adapter")))
    later.write(tmp_path)
    assert Specification.read(tmp_path) == later


def test_half_a_line_waits_for_its_end(tmp_path) -> None:
    heard: list[object] = []
    listener = Listener(tmp_path, lambda *told: heard.append(told), lambda *told: heard.append(told))
    teller = Teller(tmp_path)
    teller.metric("loss", 1, 0.5)
    with (tmp_path / "told.jsonl").open("a") as stream:
        stream.write('["progress", 1')
    listener.hear()
    assert heard == [("loss", 1, 0.5)]
    with (tmp_path / "told.jsonl").open("a") as stream:
        stream.write(", 20]\n")
    listener.hear()
    listener.hear()
    assert heard == [("loss", 1, 0.5), (1, 20)]


def test_each_process_takes_the_same_share_of_an_update() -> None:
    for devices, count in {2: 2, 3: 2, 5: 4, 8: 8, 64: 8}.items():
        found = launching.several("starter", devices, 8, 4)
        assert found is not None
        assert found.count == count
    assert launching.several("starter", 1, 8, 4) is None
    assert launching.several("starter", 2, 8, 4) == launching.Several("starter", 2, 2)
    assert launching.several("starter", 2, 7, 4) is None
    for batch, micro, count in ((8, 8, 2), (12, 4, 4), (12, 6, 2), (8, 1, 8)):
        part = launching.share(Tuning(batch_size=batch, micro_batch_size=micro), count)
        assert part.batch_size * count == batch
        assert part.micro_batch_size <= micro
        assert part.batch_size % part.micro_batch_size == 0


def launched(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch, stop: bool = False) -> list[Any]:
    monkeypatch.setattr(launching, "MODULE", "tests.engines.stand_in")
    monkeypatch.setattr(launching, "_GRACE_SECONDS", 0.2)
    heard: list[Any] = []

    def told(*values: Any) -> None:
        heard.append(values)

    try:
        launching.train(specification(tmp_path, how), 2, told, told, lambda: stop and bool(heard))
    finally:
        files = list(tmp_path.glob("pid-*"))
        assert not any(psutil.pid_exists(int(file.read_text())) for file in files), "none is left behind"
        assert not (tmp_path / FOLDER).exists()
    return heard


def test_a_process_that_is_killed_ends_the_training_with_a_sentence(tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match="One of the 2 processes of the training ended by signal 9"):
        launched(tmp_path, "killed", monkeypatch)


def test_the_error_of_one_process_is_that_of_the_training(tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match="Not a number") as caught:
        launched(tmp_path, "refused", monkeypatch)
    assert (caught.value.where, caught.value.remedy) == ("learning_rate", "Lower it.")
    with pytest.raises(OutOfMemory):
        launched(tmp_path, "memory", monkeypatch)


def test_the_wish_to_stop_reaches_the_first_process_and_numbers_come_back(tmp_path, monkeypatch) -> None:
    (name, step, value), progress = launched(tmp_path, "finished", monkeypatch)
    assert (name, step, progress) == ("loss", 1, (1, 9))
    assert math.isnan(value)
    with pytest.raises(Stopped, match="after step 1"):
        launched(tmp_path, "stopped", monkeypatch, stop=True)


def test_processes_end_when_the_one_that_listens_breaks(tmp_path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("the disk is full")

    monkeypatch.setattr(launching, "MODULE", "tests.engines.stand_in")
    with pytest.raises(KeyError):
        launching.train(specification(tmp_path, "waits"), 2, broken, broken, lambda: False)
    assert not any(psutil.pid_exists(int(file.read_text())) for file in tmp_path.glob("pid-*"))


def test_when_memory_runs_out_all_processes_start_again_with_fewer_examples_at_once(
    llama, tmp_path, monkeypatch
) -> None:
    tried: list[Specification] = []

    def full(work: Specification, count: int, *_: object) -> str:
        tried.append(work)
        raise OutOfMemory

    monkeypatch.setattr(launching, "train", full)
    with pytest.raises(UserError, match="even for a single item"):
        conftest.train(LocalEngine(str(llama), threads=1, devices=2), conftest.training(tmp_path))
    assert [(work.fit.micro_batch_size, work.fit.checkpointed) for work in tried] == [
        (4, False),
        (2, False),
        (1, False),
        (1, True),
    ]
    assert all(work.order == tried[0].order for work in tried)


def test_a_process_obeys_its_pipe_and_ends_with_it(monkeypatch) -> None:
    there, here = os.pipe()
    kept = os.dup(0)
    os.dup2(there, 0)
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    stopped = threading.Event()
    try:
        obeying = threading.Thread(target=process._obey, args=(stopped,))
        obeying.start()
        os.write(here, launching.STOP)
        assert stopped.wait(10)
        assert not ended
        os.close(here)  # as the system does when the other process dies
        obeying.join(10)
        assert ended == [process._ABANDONED]
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(there)


def test_the_endings_of_all_processes_are_found(tmp_path) -> None:
    Ending(error=UserError("a", "b", "c").as_dict()).write(tmp_path, 1)
    (found,) = Ending.of_all(tmp_path, 3)
    assert found.problem is not None
    assert str(found.problem) == "b: a c"
    assert Ending().problem is None


def test_processes_share_the_memory_of_a_processor(engine, monkeypatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(hardware, "machine_memory", lambda: 9e9)
    monkeypatch.setattr(
        fitting.footprint, "room", lambda shape, bf16, memory, four_bits: asked.append(memory) or memory
    )
    rows = engine.base.chat.turns(conftest.examples(8))
    fitting.fitted(engine.base, Tuning(), rows)
    fitting.fitted(engine.base, Tuning(), rows, processes=2)
    assert asked == [9e9, 3e9]


def test_each_process_draws_noise_of_its_own(monkeypatch) -> None:
    embedding = torch.nn.Embedding(2, 4).train()

    def drawn() -> torch.Tensor:
        noise = EmbeddingNoise(5.0, 1)
        noise.begin(3)
        return noise(embedding, None, torch.zeros(1, 2, 4))

    before = drawn()
    monkeypatch.setenv("RANK", "1")
    assert not torch.equal(drawn(), before)
    monkeypatch.setenv("RANK", "0")
    assert torch.equal(drawn(), before)


def test_more_gpus_than_there_are_is_refused_before_anything_is_loaded(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="This machine has 2 GPUs, not 3") as caught:
        LocalEngine("no such model", threads=1, devices=3)
    assert caught.value.where == "devices"
