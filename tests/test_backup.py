"""A backup holds the workspace as it is at one moment, and restoring it destroys nothing unasked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from semievol import cli
from semievol.errors import UserError
from semievol.export import backup
from semievol.store import health, swap
from semievol.store.data import projects
from semievol.store.data.records import load_records
from semievol.store.database import NotSaved, Store, open_store
from semievol.store.runs import claims, progress, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.ui.shell import state
from tests.ui import made

pytestmark = pytest.mark.skipif("SEMIEVOL_DATABASE_URL" in os.environ, reason="needs a database file")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


@pytest.fixture
def full(store: Store) -> Store:
    """A workspace with a project, a file of it and a run that a worker carries out."""
    project = made.with_data(store)
    round_ = rounds.open_round(store, project.id, state.config_of(project))
    claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    folder = projects.project_folder(store, project.id)
    (folder / "uploads").mkdir()
    (folder / "uploads" / "abc").write_text("text,team\n", encoding="utf-8")
    (folder / "incoming").mkdir()
    (folder / "incoming" / "half").write_text("not imported", encoding="utf-8")
    return store


def test_a_backup_comes_back_in_an_empty_workspace(full: Store, tmp_path: Path) -> None:
    file = backup.write(full, tmp_path / "all.workspace.zip")
    other = open_store(tmp_path / "other")
    assert backup.restore(other, file) is None
    project = projects.list_projects(other)[0]
    assert project.version_id is not None
    assert len(load_records(other, project.version_id)) == 140
    assert (projects.project_folder(other, project.id) / "uploads" / "abc").read_text() == "text,team\n"
    assert not (projects.project_folder(other, project.id) / "incoming").exists()
    assert [run.status for run in runs.list_runs(other)] == ["interrupted"], "its worker works for the original"
    assert [run.status for run in runs.list_runs(full)] == ["running"]
    projects.create_project(other, "And it can be worked on")
    assert sorted(path.name for path in other.home.iterdir() if not path.name.startswith("studio.db")) == ["projects"]


def test_what_is_replaced_is_asked_about_and_kept(full: Store, tmp_path: Path) -> None:
    file = backup.write(full, tmp_path / "all.workspace.zip")
    other = open_store(tmp_path / "other")
    projects.project_folder(other, projects.create_project(other, "Mine").id).joinpath("note").write_text("mine")
    with pytest.raises(UserError, match=r"would be replaced \(1 project\)"):
        backup.restore(other, file)
    assert [project.name for project in projects.list_projects(other)] == ["Mine"]
    kept = backup.restore(other, file, replace=True)
    assert [project.name for project in projects.list_projects(other)] == ["Calls"]
    assert kept is not None
    assert [project.name for project in projects.list_projects(open_store(kept))] == ["Mine"]
    assert (kept / "projects" / "1" / "note").read_text() == "mine"


def test_nothing_is_restored_over_a_run_that_is_not_finished(full: Store, tmp_path: Path) -> None:
    file = backup.write(full, tmp_path / "all.workspace.zip")
    with pytest.raises(UserError, match="Run 1 is not finished"):
        backup.restore(full, file, replace=True)


def test_a_damaged_backup_or_another_archive_changes_nothing(full: Store, tmp_path: Path) -> None:
    file = backup.write(full, tmp_path / "all.workspace.zip")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "damaged.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("projects/1/x", "x")
    empty = open_store(tmp_path / "other")
    for name in ("damaged.zip", "other.zip"):
        with pytest.raises(UserError, match="Nothing was imported"):
            backup.restore(empty, tmp_path / name)
    assert projects.list_projects(empty) == []


KILLED = """
import os, sys
from pathlib import Path
from semievol.export import backup
from semievol.store import health, swap
from semievol.store.database import Store

home, file, when = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
place, name = {
    "locked": (health, "backup"), "moved": (swap.Exchange, "move_files"), "replaced": (Store, "replace_by")
}[when]
real = getattr(place, name)


def killed(*about):
    real(*about)
    os.kill(os.getpid(), 9)


setattr(place, name, killed)
backup.restore(Store(home), file, replace=True)
"""


@pytest.mark.parametrize("when", ["locked", "moved", "replaced"])
def test_killed_while_restoring_files_and_database_still_belong_together(
    full: Store, tmp_path: Path, when: str
) -> None:
    file, home = backup.write(full, tmp_path / "all.workspace.zip"), tmp_path / "other"
    other = open_store(home)
    projects.project_folder(other, projects.create_project(other, "Mine").id).joinpath("note").write_text("mine")
    killed = subprocess.run([sys.executable, "-c", KILLED, home, file, when], cwd=Path(__file__).parents[1])
    assert killed.returncode == -signal.SIGKILL
    with zipfile.ZipFile(backup.write(other, tmp_path / "meanwhile.workspace.zip")) as meanwhile:
        assert ("projects/1/note" in meanwhile.namelist()) == (when != "replaced")
    added = projects.create_project(other, "Made by a dashboard that was open all the time")
    named = {project.name for project in projects.list_projects(other)} - {added.name}
    note, upload = home / "projects" / "1" / "note", home / "projects" / "1" / "uploads" / "abc"
    if when == "replaced":
        assert (named, note.exists(), upload.exists()) == ({"Calls"}, False, True)
        (kept,) = (home / backup.KEPT).iterdir()
        assert (kept / "projects" / "1" / "note").read_text() == "mine"
        assert [project.name for project in projects.list_projects(open_store(kept))] == ["Mine"]
    else:
        assert (named, note.read_text(), upload.exists()) == ({"Mine"}, "mine", False)
    assert not list(home.glob(".restoring-*"))
    backup.restore(other, file, replace=True)
    assert [project.name for project in projects.list_projects(other)] == ["Calls"]


def test_a_key_pressed_a_moment_too_late_leaves_what_is_restored_and_what_was_there(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = backup.write(full, tmp_path / "all.workspace.zip"), open_store(tmp_path / "other")
    projects.project_folder(other, projects.create_project(other, "Mine").id).joinpath("note").write_text("mine")
    real = Store.replace_by

    def interrupted(*about: Any) -> None:
        real(*about)
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "replace_by", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backup.restore(other, file, replace=True)
    assert [project.name for project in projects.list_projects(other)] == ["Calls"]
    assert (other.home / "projects" / "1" / "uploads" / "abc").exists()
    (kept,) = (other.home / backup.KEPT).iterdir()
    assert (kept / "projects" / "1" / "note").read_text() == "mine"
    assert [project.name for project in projects.list_projects(open_store(kept))] == ["Mine"]
    projects.create_project(other, "And it can be worked on")


def test_a_page_that_makes_a_folder_meanwhile_is_no_obstacle(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = backup.write(full, tmp_path / "all.workspace.zip"), open_store(tmp_path / "other")
    mine = projects.create_project(other, "Mine")
    projects.project_folder(other, mine.id).joinpath("note").write_text("mine")
    real = swap.sync

    def page(folder: Path) -> None:
        real(folder)
        if folder.parent.name == backup.KEPT:  # between the two renames
            projects.project_folder(other, mine.id)

    monkeypatch.setattr(swap, "sync", page)
    kept = backup.restore(other, file, replace=True)
    assert kept is not None
    assert (kept / "projects" / "1" / "note").read_text() == "mine"
    assert (other.home / "projects" / "1" / "uploads" / "abc").exists()


def test_nobody_can_save_what_a_restore_would_lose(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = backup.write(full, tmp_path / "all.workspace.zip"), open_store(tmp_path / "other")
    projects.create_project(other, "Mine")
    dashboard, real = Store(other.home), health.backup
    dashboard.patience = 0.1

    def meanwhile(store: Store, path: Path) -> Path:
        copy = real(store, path)
        with pytest.raises(NotSaved):
            projects.create_project(dashboard, "Saved meanwhile")
        return copy

    monkeypatch.setattr(health, "backup", meanwhile)
    kept = backup.restore(other, file, replace=True)
    assert kept is not None
    assert [project.name for project in projects.list_projects(open_store(kept))] == ["Mine"]


def test_a_disk_that_fails_while_restoring_changes_nothing(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = backup.write(full, tmp_path / "all.workspace.zip"), open_store(tmp_path / "other")
    projects.project_folder(other, projects.create_project(other, "Mine").id).joinpath("note").write_text("mine")
    real = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.parent.name.startswith(".restoring-"):
            raise OSError(5, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(UserError, match=r"Not restored: .*Input/output error"):
        backup.restore(other, file, replace=True)
    assert [project.name for project in projects.list_projects(other)] == ["Mine"]
    assert (other.home / "projects" / "1" / "note").read_text() == "mine"
    assert not list((other.home / backup.KEPT).iterdir())


def test_a_backup_under_writing_is_one_consistent_state(full: Store, tmp_path: Path) -> None:
    """A worker writes metrics and checkpoints and removes older ones; the copy holds whole transactions, no fault."""
    run = runs.list_runs(full)[0]
    ended = threading.Event()
    checkpoints = projects.run_folder(full, run.project_id, run.id) / "checkpoints"

    def work() -> None:
        journal, step = StoreJournal(full, run), 0
        while not ended.is_set():
            step += 1
            journal.metric("warm_up", "loss", step, 1.0)
            journal.progress("warm_up", step, 10_000)
            (checkpoints / str(step)).mkdir(parents=True)
            (checkpoints / str(step) / "weights").write_bytes(b"0" * 100_000)
            shutil.rmtree(checkpoints / str(step - 3), ignore_errors=True)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        files = [backup.write(full, tmp_path / f"{number}.workspace.zip") for number in range(3)]
    finally:
        ended.set()
        worker.join()
    for number, file in enumerate(files):
        other = open_store(tmp_path / f"restored-{number}")
        backup.restore(other, file)
        assert health.quick_check(other) == []
        assert progress.stages(other, run.id)[0].stage == "warm_up"


def test_the_command_line_asks_before_it_replaces(
    full: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, other = tmp_path / "all.workspace.zip", tmp_path / "other"
    assert cli.main(["backup", "--out", str(file), "--workspace", str(full.home)]) == 0
    projects.create_project(open_store(other), "Mine")
    capsys.readouterr()
    assert cli.main(["restore", str(file), "--workspace", str(other)]) == 2
    assert "--replace" in capsys.readouterr().err
    assert cli.main(["restore", str(file), "--replace", "--json", "--workspace", str(other)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["projects"] == ["Calls"]
    assert Path(said["kept"]).is_dir()
