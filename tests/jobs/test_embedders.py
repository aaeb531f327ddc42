"""The embedders that a workspace can use."""

from __future__ import annotations

from pathlib import Path

from semievol.jobs import embedders
from semievol.presets import load
from semievol.records import Task
from semievol.store.data import projects
from semievol.store.database import open_store


def test_those_of_the_settings_come_first_and_those_of_other_projects_are_known(tmp_path: Path) -> None:
    store = open_store(tmp_path / "workspace")
    (mine := tmp_path / "my-embedder").mkdir()
    (mine / "modules.json").write_text("[]")
    gone = str(tmp_path / "gone")
    for number, name in enumerate((str(mine), gone)):
        projects.create_project(store, f"Other {number}", Task("text"), {"propagation": {"embedder": name}})
    config = load("studio", assignments=["propagation.embedder=char-tfidf"])
    found = embedders.known(store, [config])
    assert found[0] == "char-tfidf"
    assert {"model", str(mine)} < set(found)
    assert gone not in found
    assert len(found) == len(set(found))


def test_an_embedder_is_called_by_its_folder_and_the_model_by_its_name() -> None:
    assert embedders.words("/somewhere/my-embedder", "smollm2") == "my-embedder"
    assert embedders.words("model", "/somewhere/tiny") == "tiny's own hidden states"
