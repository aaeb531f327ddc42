"""A model that is carried away answers as the app does: the adapter, the merged model, and the script beside them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from semievol.engines.local import LocalEngine
from semievol.engines.models.prompts import reader
from semievol.engines.models.tokenizer import STARTER_FOLDER
from semievol.errors import UserError
from semievol.export import script
from semievol.jobs import inference_client, inference_process, inference_server
from semievol.jobs.predicting import predict
from semievol.method.protocols import Ask
from semievol.records import Example, Record, Task
from semievol.store.runs.journal import StoreJournal
from semievol.task.answers import allowed_answers
from semievol.task.prompts import render
from tests.engines.conftest import train, training
from tests.exported import NASTY, TASK, World
from tests.tiny_model import make_llama, make_qwen

QUESTIONS = [*NASTY, *(f"{what} at number {i}" for i in range(3) for what in ("a hole", "a leak"))]


def loaded(folder: Path) -> ModuleType:
    """The exported script as a module, its model loaded."""
    spec = importlib.util.spec_from_file_location("carried", folder / script.NAME)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["fixed answers", "free answers"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A project whose evolved adapter was really trained, on the bundled starter model; free answers are cut off."""
    home, free = tmp_path_factory.mktemp("carried"), request.param == "free answers"
    task = Task("text", (), TASK.instruction) if free else TASK
    settings = ("model=starter", "precision=fp32", "threads=1", "propagation.max_answer_tokens=6")
    made = World(home / "workspace", *settings, task=task)
    more = " is what this is about and nothing else" * free
    taught = [
        Example(f"e{i}", render(task, Record("", f"a {what} at number {i}")), answer + more, "gold")
        for i in range(20, 30)
        for what, answer in (("hole", "road"), ("leak", "water"))
    ]
    folder, _ = train(
        LocalEngine("starter", threads=1), training(home / "t", minimum_steps=40 if free else 20), taught=taught
    )
    StoreJournal(made.store, made.run).save_adapter("tune", str(folder))
    return made


@pytest.fixture(scope="module")
def answers(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `predict` says."""
    folder = tmp_path_factory.mktemp("predicted")
    lines = [json.dumps({"question": question}) for question in QUESTIONS]
    (folder / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    predict(world.store, world.project, folder / "in.jsonl", folder / "out.json")
    found: list[dict[str, Any]] = json.loads((folder / "out.json").read_text(encoding="utf-8"))
    assert len({row["answer"] for row in found}) >= 2, "a test in which several answers occur"
    return found


@pytest.fixture(scope="module")
def merged(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The merged model, once carried away in a file."""
    folder, seen = tmp_path_factory.mktemp("merged"), list[str]()
    archive = world.export("merged", folder / "model.zip", watch=lambda doing, done, total: seen.append(doing))
    assert seen, "merging shows how far it is"
    with zipfile.ZipFile(archive) as stream:
        stream.extractall(folder)
    return folder / "model"


def test_the_playground_answers_as_predict_does(
    world: World, answers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LocalEngine("starter", "fp32", threads=1)

    def served(store: object, config: object, request: dict[str, Any], watch: object) -> list[dict[str, Any]]:
        return inference_server.answer(engine, json.loads(json.dumps(request)))

    monkeypatch.setattr(inference_process, "request", served)
    for question, row in zip(QUESTIONS, answers, strict=True):
        (said,) = inference_client.ask(world.store, world.round.id, Record("asked", question), models=("evolved",))
        assert said["answer"] == row["answer"]
        if "probability" in row:
            assert said["probabilities"][row["answer"]] == pytest.approx(row["probability"], abs=1e-6)


@pytest.mark.parametrize("what", ["adapter", "merged"])
def test_the_script_answers_as_the_app_does(
    world: World,
    answers: list[dict[str, Any]],
    what: str,
    merged: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = merged if what == "merged" else world.export(what, tmp_path / what)
    everything = b"".join(path.read_bytes() for path in out.iterdir() if path.suffix != ".safetensors")
    for place in (str(world.store.home), str(out.parent), str(STARTER_FOLDER.parent)):
        assert place.encode() not in everything
    assert "semievol" not in (out / script.NAME).read_text("utf-8").partition("import os")[2]
    monkeypatch.setenv("BASE_MODEL", str(STARTER_FOLDER))
    module = loaded(out)
    for question, row in zip(QUESTIONS, answers, strict=True):
        said = module.answer(question)
        if "probability" not in row:
            assert said == row["answer"]
            continue
        best, likely = said
        assert best == row["answer"]
        assert likely[best] == pytest.approx(row["probability"], abs=1e-4)


def test_a_merged_model_is_an_ordinary_folder_with_a_card(merged: Path) -> None:
    assert AutoModelForCausalLM.from_pretrained(merged).config.architectures
    assert AutoTokenizer.from_pretrained(merged).chat_template
    _, header, words = (merged / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    about = yaml.safe_load(header)
    assert (about["license"], about["library_name"]) == ("apache-2.0", "transformers")
    assert "datasets" not in about
    assert "| Gold (labeled records) | 4 |" in words
    assert "| Evolved | 50.0 % | 10.0 % to 90.0 % |" in words
    assert "<b>" not in words.replace("`Line <b>1</b>`", ""), "a project's name is no Markdown"


def test_a_base_that_is_not_here_cannot_be_merged(tmp_path: Path) -> None:
    elsewhere = World(tmp_path / "workspace")
    elsewhere.adapter()
    with pytest.raises(UserError, match="The base model tiny is not on this machine"):
        elsewhere.export("merged", tmp_path / "out")
    assert not (tmp_path / "out").exists()


TASKS = {
    "labels of which one begins another": Task("classification", ("water", "water pipe"), "Sort it."),
    "letters": Task("multiple_choice", (), "Choose."),
    "words": Task("text", (), "Say what it is."),
}


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("make", [make_llama, make_qwen])
def test_every_kind_of_task_and_template_is_asked_alike(name: str, make: Any, tmp_path: Path) -> None:
    folder = make(tmp_path / "model")
    task, engine = TASKS[name], LocalEngine(str(folder), threads=1)
    asking = reader(folder).asking(task.labels)
    carried = tmp_path / "carried"
    shutil.copytree(folder, carried)
    (carried / "chat_template.jinja").write_text(asking.template, encoding="utf-8")
    (carried / script.NAME).write_text(script.text(task, asking, False, 12, None), encoding="utf-8")
    module = loaded(carried)
    options: Sequence[str] = ("a pipe", "a tree <|im_end|>") if name == "letters" else ()
    for question in ("the drain is broken", "a <|im_end|> in the road"):
        record = Record("r", question, tuple(options))
        allowed = allowed_answers(task, record)
        turns = render(task, record, control_tokens=engine.control_tokens)
        (reply,) = engine.answer([Ask("r", "c", "base", turns, allowed, max_tokens=12)])
        said = module.answer(question, options)
        if allowed:
            assert list(said[1].values()) == pytest.approx(reply.probabilities, abs=1e-5)
        else:
            assert said == reply.text.strip()
