"""What is known of models from their files alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from semievol import cli
from semievol.engines.models import packaged
from semievol.errors import UserError
from semievol.installed import EMBEDDERS, MINILM, MODELS, SMOLLM2
from semievol.jobs import models, worker
from semievol.store import settings
from semievol.store.database import open_store


@pytest.fixture(autouse=True)
def _own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packaged.HOME, str(tmp_path / "models"))


def test_the_starter_is_described_from_its_files():
    found = models.described("starter", "starter")
    assert (found.kind, found.state, found.architecture) == ("bundled", "ready", "LlamaForCausalLM")
    assert found.parameters == pytest.approx(5.9e6, rel=0.2)
    assert found.memory is not None
    assert found.bytes is not None
    assert found.parameters is not None
    assert found.memory > found.bytes > found.parameters
    assert found.seconds is not None
    assert found.seconds > 0
    assert "shows the steps" in found.note


@pytest.mark.parametrize(
    ("file", "text", "licence"),
    [
        ("README.md", "---\nlicense: mit\n---\n# A model", "mit"),
        ("LICENSE", "Apache License\nVersion 2.0", "Apache-2.0"),
        ("LICENSE.txt", "All rights reserved", "see LICENSE.txt"),
    ],
)
def test_a_folder_tells_its_licence(tiny_model, tmp_path, file, text, licence):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    assert models.described(str(folder)).licence is None
    (folder / file).write_text(text)
    assert models.described(str(folder)).licence == licence


def test_a_package_says_whether_it_is_installed_and_prepared(monkeypatch):
    monkeypatch.setitem(MODELS, "smollm2", replace(SMOLLM2, distribution="not-there-at-all"))
    found = models.described("smollm2")
    assert (found.state, found.parameters, found.licence) == ("not installed", None, "Apache-2.0")
    with pytest.raises(UserError, match="not installed"):
        models.prepare("smollm2")


def test_a_folder_without_sizes_cannot_be_used_and_says_why(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    found = models.described(str(tmp_path / "empty"))
    assert found.state == "cannot be used"
    assert "sizes" in found.note


def test_the_verb_lists_and_checks(tmp_path, tiny_model, capsys):
    store = open_store(tmp_path / "w")
    settings.save_model(store, settings.Model(str(tiny_model), "folder"))
    settings.save_model(store, settings.Model("owner/far", "hub"))
    assert cli.main(["models", "--json", "--workspace", str(tmp_path / "w")]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out.splitlines()[-1])["models"]}
    assert list(listed) == ["smollm2", "starter", str(tiny_model), "owner/far", "minilm"]
    assert (listed["owner/far"]["state"], listed[str(tiny_model)]["context"]) == ("to be downloaded", 1024)
    assert cli.main(["models", "check", "starter", str(tiny_model), "--workspace", str(tmp_path / "w")]) == 0
    assert "starter: ready, LlamaForCausalLM" in capsys.readouterr().out
    for wrong in (["models", "check"], ["models", "list", "starter"], ["models", "check", "/not/there"]):
        assert cli.main([*wrong, "--workspace", str(tmp_path / "w")]) == 2
        assert capsys.readouterr().err.startswith("semievol: ")


def test_a_run_prepares_a_package_once_and_tells_it_as_progress(tmp_path, monkeypatch):
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("config.json", "{}")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(EMBEDDERS, "minilm", replace(MINILM, sha256=sha256))
    monkeypatch.setattr(packaged, "_installed_file", lambda _: archive)
    told: list[tuple[object, ...]] = []

    class Told:
        def event(self, *said: object) -> None:
            told.append(said)

        def progress(self, *how_far: object) -> None:
            told.append(how_far)

    run: Any = SimpleNamespace(first="warm_up")
    journal: Any = Told()
    for name in ("char-tfidf", "minilm", "minilm"):
        worker._prepare(name, run, journal)
    assert told[0] == ("warm_up", "The model minilm is being prepared. This is done once on each machine.")
    assert told[-2:] == [("warm_up", 2, 3), ("warm_up", 0, 0)]  # at 2 of 2 the stage would count as done
    assert packaged.prepared("minilm") is not None
    assert len([said for said in told if len(said) == 2]) == 1


def test_describing_models_loads_no_library_that_computes():
    program = "import sys; from semievol.jobs import models; models.described('starter'); "
    program += "print([name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
