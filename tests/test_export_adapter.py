"""An adapter leaves whole, with its hashes, without a path of this machine, and says which one it is."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.engines.local import LocalEngine
from semievol.errors import UserError
from semievol.store.runs import claims, rounds, runs
from semievol.store.runs.journal import StoreJournal
from tests.engines.conftest import train, training
from tests.exported import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "workspace")


@pytest.mark.parametrize("name", ["adapter", "adapter.zip"])
def test_an_adapter_leaves_with_listed_files_only_and_their_hashes(world: World, tmp_path: Path, name: str) -> None:
    world.adapter()
    out = world.export("adapter", tmp_path / "out" / name)
    if name.endswith(".zip"):
        with zipfile.ZipFile(out) as archive:
            files = {member.removeprefix("adapter/"): archive.read(member) for member in archive.namelist()}
    else:
        files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(files) == {"adapter_model.safetensors", "adapter_config.json", "base.json", "README.md", "MANIFEST.json"}
    for file, digest in json.loads(files["MANIFEST.json"])["sha256"].items():
        assert hashlib.sha256(files[file]).hexdigest() == digest
    everything = b"".join(files.values())
    assert b"/home/" not in everything
    assert b"canary" not in everything


def told(out: Path) -> tuple[dict[str, Any], str]:
    """What an exported adapter says about itself: in its manifest and in its README."""
    manifest = json.loads((out / "MANIFEST.json").read_text(encoding="utf-8"))
    return manifest["adapter"], (out / "README.md").read_text(encoding="utf-8")


def test_an_evolved_adapter_says_that_it_is_complete(world: World, tmp_path: Path) -> None:
    world.adapter()
    about, words = told(world.export("adapter", tmp_path / "a"))
    assert about == {"stage": "tune", "round": 1, "run": world.run.id, "step": 12, "complete": True}
    assert f"The evolved adapter of round 1, made by run {world.run.id}, complete at step 12." in words


def test_all_weights_leave_as_an_ordinary_model(world: World, tmp_path: Path, tiny_model: Path) -> None:
    folder, _ = train(LocalEngine(str(tiny_model), threads=1), training(tmp_path / "t", method="full", minimum_steps=2))
    StoreJournal(world.store, world.run).save_adapter("tune", str(folder))
    out = world.export("adapter", tmp_path / "out")
    _, words = told(out)
    assert "trained further: a complete model" in words
    assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in out.iterdir())
    ids = AutoTokenizer.from_pretrained(out)("The bin is full.", return_tensors="pt")["input_ids"]
    loaded, trained = (AutoModelForCausalLM.from_pretrained(path).eval() for path in (out, folder))
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, trained(ids).logits)


def test_a_stopped_fine_tuning_gives_its_newest_complete_checkpoint(world: World, tmp_path: Path) -> None:
    journal = StoreJournal(world.store, world.run)
    journal.save_adapter("warm_up", str(world.sealed(journal.folder("warm_up") / "adapter")))
    for step in (20, 100, 120):
        world.sealed(journal.folder("tune") / "checkpoints" / f"checkpoint-{step}", step)
    (journal.folder("tune") / "checkpoints" / "checkpoint-120" / "COMPLETE").unlink()
    about, words = told(world.export("adapter", tmp_path / "running"))
    assert about["stage"] == "warm_up", "checkpoints of a running run come and go"
    assert "The warm-up adapter of round 1" in words

    claims.finish(world.store, world.run.id, world.run.attempt, "cancelled")
    about, words = told(world.export("adapter", tmp_path / "stopped"))
    assert about == {"stage": "tune", "round": 1, "run": world.run.id, "step": 100, "complete": False}
    assert f"run {world.run.id} was stopped while fine-tuning at step 100; not complete" in words
    assert told(world.export("adapter", tmp_path / "by run", run_id=world.run.id))[0] == about


def test_a_finished_adapter_comes_before_a_checkpoint(world: World, tmp_path: Path) -> None:
    world.adapter()
    claims.finish(world.store, world.run.id, world.run.attempt, "done")
    again = runs.enqueue(world.store, world.round.id, world.config, "tune")
    other = claims.claim(world.store, again.id, os.getpid())
    world.sealed(StoreJournal(world.store, other).folder("tune") / "checkpoints" / "checkpoint-5", 5)
    claims.finish(world.store, other.id, other.attempt, "interrupted")
    assert told(world.export("adapter", tmp_path / "newest"))[0]["run"] == world.run.id
    about, _ = told(world.export("adapter", tmp_path / "asked for", run_id=other.id))
    assert (about["run"], about["step"], about["complete"]) == (other.id, 5, False)
    with pytest.raises(UserError, match="no run 99"):
        world.export("adapter", tmp_path / "no run", run_id=99)


def test_plain_fine_tuning_can_be_carried_away_beside_the_evolved_model(world: World, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no warm-up adapter"):
        world.export("adapter", tmp_path / "none", model="warm_up")
    journal = StoreJournal(world.store, world.run)
    journal.save_adapter("warm_up", str(world.sealed(journal.folder("warm_up") / "adapter", step=7)))
    world.adapter()
    about, words = told(world.export("adapter", tmp_path / "plain", model="warm_up"))
    assert (about["stage"], about["run"], about["step"]) == ("warm_up", None, 7)
    assert "The warm-up adapter of round 1" in words
    claims.finish(world.store, world.run.id, world.run.attempt, "done")
    later = rounds.open_round(world.store, world.project.id, world.config, parent_id=world.round.id)
    assert told(world.export("adapter", tmp_path / "later", model="warm_up", round_id=later.id))[0] == about
    with pytest.raises(UserError, match="not the export of a model"):
        world.export("report", tmp_path / "report.html", model="warm_up")


def test_a_damaged_adapter_is_not_exported(world: World, tmp_path: Path) -> None:
    (world.adapter() / "adapter_model.safetensors").write_bytes(b"changed")
    with pytest.raises(UserError, match="safetensors has changed"):
        world.export("adapter", tmp_path / "a")
    assert not (tmp_path / "a").exists()
