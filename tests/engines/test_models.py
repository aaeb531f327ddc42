import hashlib
import json
import shutil
from pathlib import Path
from typing import ClassVar

import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from semievol.engines.local import LocalEngine
from semievol.engines.models import resolve
from semievol.errors import UserError


@pytest.fixture
def copy(llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llama, tmp_path / "copy"))


def rewrite(file: Path, **values: object) -> None:
    known = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(known | values))


def test_a_local_folder_is_taken_as_it_is(llama):
    assert resolve.resolve_model(str(llama)) == llama.resolve()


def sums(folder: Path) -> None:
    lines = (f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in sorted(folder.iterdir()))
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_a_folder_that_names_its_hashes_is_held_to_them(copy):
    (copy / "README.md").write_text("a note")
    sums(copy)
    resolve.check_folder(copy)
    (copy / "README.md").write_text("another note")  # nothing that a model is loaded from
    resolve.check_folder(copy)
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # of the right size, so that only the hash can tell
    with pytest.raises(UserError, match=r"model\.safetensors is cut off or damaged.*restore assets/starter"):
        resolve.check_folder(copy)
    weights.write_bytes(whole)
    (copy / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.json is missing"):
        resolve.check_folder(copy)


def test_the_starter_is_the_bundled_folder(copy, monkeypatch, tmp_path):
    monkeypatch.setattr(resolve, "STARTER_FOLDER", copy)
    with pytest.raises(UserError, match="not all of it"):
        resolve.resolve_model("starter")
    sums(copy)
    assert resolve.resolve_model("starter") == copy
    monkeypatch.setattr(resolve, "STARTER_FOLDER", tmp_path)
    with pytest.raises(UserError, match="starter model is not there"):
        resolve.resolve_model("starter")


@pytest.mark.parametrize("name", ["no/such/folder/here", "../escape", "", "$(touch marker)"])
def test_what_is_neither_folder_nor_hub_id_is_refused(name):
    with pytest.raises(UserError, match="no model folder"):
        resolve.resolve_model(name)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "generation_config.json", "other.json"])
@pytest.mark.parametrize("key", ["auto_map", "trust_remote_code"])
def test_a_wish_to_run_code_is_refused_at_any_depth_and_nothing_runs(copy, tmp_path, file, key):
    marker = tmp_path / "ran"
    canary = tmp_path / "canary.py"
    canary.write_text(f"open({str(marker)!r}, 'w')")
    rewrite(copy / file, text_config={"deeper": [{key: {"AutoConfig": "canary.Config"}}]})
    with pytest.raises(UserError, match=key):
        LocalEngine(str(copy), threads=1)
    assert not marker.exists()


@pytest.mark.parametrize("place", ["modeling.py", "inner/modeling.py"])
def test_python_files_are_refused_and_not_run(copy, tmp_path, place):
    (copy / "inner").mkdir()
    (copy / place).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UserError, match=r"modeling\.py"):
        LocalEngine(str(copy), threads=1)
    assert not (tmp_path / "ran").exists()


def test_an_explicit_refusal_of_remote_code_is_no_wish_for_it(copy):
    rewrite(copy / "config.json", trust_remote_code=False)
    resolve.check_folder(copy)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl"])
def test_pickled_weights_are_refused(copy, name):
    (copy / "model.safetensors").rename(copy / name)
    with pytest.raises(UserError, match="only pickled weights"):
        resolve.check_folder(copy)


def test_incomplete_folders_say_what_is_missing(copy):
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}))
    with pytest.raises(UserError, match=r"1 of 2 weight files are missing \(model-2"):
        resolve.check_folder(copy)
    index.unlink()
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors is cut off"):
        resolve.check_folder(copy)
    weights.unlink()
    with pytest.raises(UserError, match="found no weights"):
        resolve.check_folder(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json cannot be read"):
        resolve.check_folder(copy)
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match=r"no config\.json"):
        resolve.check_folder(copy)


class _Reply:
    status_code, request = 403, None
    headers: ClassVar[dict[str, str]] = {}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (GatedRepoError("no", response=_Reply()), "gated"),
        (RepositoryNotFoundError("no", response=_Reply()), "neither a folder nor a model on the hub"),
        (OfflineModeIsEnabled("no"), "offline mode"),
        (LocalEntryNotFoundError("no"), "hub cannot be reached"),
        (OSError(28, "No space left on device"), "could not be downloaded"),
    ],
)
def test_every_way_of_not_getting_a_hub_model_has_its_own_remedy(monkeypatch, error, said):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(UserError, match=said) as caught:
        resolve.resolve_model("someone/model")
    assert caught.value.remedy


def test_the_hub_client_really_ends_in_such_an_error_when_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="not on this machine"):
        resolve.resolve_model("someone/model")


def test_fingerprints_follow_the_content_not_the_place(copy, llama, other_llama):
    assert resolve.fingerprint(copy) == resolve.fingerprint(llama)
    assert resolve.fingerprint(other_llama) != resolve.fingerprint(llama)
    before = resolve.fingerprint(copy)
    rewrite(copy / "config.json", rms_norm_eps=1e-3)
    changed = resolve.fingerprint(copy)
    assert changed != before
    rewrite(copy / "tokenizer.json", version="1.1")
    assert resolve.fingerprint(copy) != changed


def test_large_weights_are_sampled(copy, monkeypatch):
    monkeypatch.setattr(resolve, "_WHOLE_FILE", 10)
    resolve._fingerprint.cache_clear()
    before = resolve.fingerprint(copy)
    raw = bytearray((copy / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(raw))
    assert resolve.fingerprint(copy) != before
    resolve._fingerprint.cache_clear()
