"""Further local models as collaborators: each is loaded once in a run, and names are checked when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from semievol.config import Collaborator
from semievol.engines import local
from semievol.engines.adapters import AdaptedModel
from semievol.engines.local import LocalEngine
from semievol.engines.packing.shares import CPU_BUDGET, GPU_BUDGET
from semievol.method.conversations import CHUNK
from semievol.method.evolve import evolve
from semievol.method.protocols import Plan
from semievol.records import Record
from tests.fakes import MemoryJournal
from tests.family_checks import TASK, settings


def test_two_further_models_are_loaded_once_each(
    llama: Path, other_llama: Path, qwen: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loads: list[str] = []

    class Counted(AdaptedModel):
        def __init__(self, name: str, *how: Any) -> None:
            loads.append(name)
            super().__init__(name, *how)

    monkeypatch.setattr(local, "AdaptedModel", Counted)
    others = [Collaborator(name=str(folder), model=str(folder), demonstrations=False) for folder in (qwen, other_llama)]
    config = settings(llama, "lora")
    everybody = (others[0], Collaborator(name="base", model="base", demonstrations=False), others[1])
    propagation = config.propagation.model_copy(update={"collaborators": everybody, "justify": False})
    config = config.model_copy(update={"propagation": propagation})
    pool = [Record(f"u{i:02}", f"the tap drips at number {i}") for i in range(CHUNK + 12)]
    plan = Plan(TASK, config, [Record("l", "a hole", (), "roads", "labeled")], pool)
    journal, engine = MemoryJournal(plan), LocalEngine(str(llama), threads=1)
    evolve(plan, engine, journal, "retrieve", "respond")
    assert loads == [str(folder) for folder in (llama, qwen, other_llama)]
    assert len(journal.kept["respond"]) == 3 * len(pool)


def test_a_chunk_is_in_proportion_to_the_batches_of_its_device(llama: Path) -> None:
    engine = LocalEngine(str(llama), threads=1)
    assert engine.chunk == CHUNK
    engine.batcher.budget //= 4  # as after memory ran out
    assert engine.chunk == CHUNK, "a resumed run cuts its records alike"
    assert CHUNK * GPU_BUDGET // CPU_BUDGET == 256
