"""Files into a project: stored whole or not at all; the sample is found again wherever it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from semievol.errors import UserError
from semievol.export import archive
from semievol.jobs import intake
from semievol.presets import load
from semievol.records import Split
from semievol.store.data import projects, records, versions
from semievol.store.database import Store, open_store
from semievol.store.runs import claims, rounds, runs


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


@pytest.fixture
def files(tmp_path: Path) -> dict[Split, Path]:
    labeled, unlabeled = tmp_path / "labeled.csv", tmp_path / "unlabeled.csv"
    labeled.write_text("question,answer\nA hole in the road,roads\nThe tap drips,water\n", encoding="utf-8")
    unlabeled.write_text("question\nA leaking pipe\n", encoding="utf-8")
    return {"labeled": labeled, "unlabeled": unlabeled}


def test_an_import_becomes_a_project_with_its_files_beside_it(store: Store, files: dict[Split, Path]) -> None:
    project, imported = intake.import_files(store, "Line", files, partial(intake.prepare, kind="classification"))
    assert (project.counts["labeled"], project.counts["unlabeled"]) == (2, 1)
    assert project.task == imported.task
    kept = projects.project_folder(store, project.id) / "uploads"
    assert {path.read_bytes() for path in kept.iterdir()} == {path.read_bytes() for path in files.values()}


def test_an_import_that_cannot_be_stored_leaves_the_name_free(
    store: Store, files: dict[Split, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems: list[BaseException] = [UserError("Not saved: full."), KeyboardInterrupt(), OSError(28, "full")]
    for problem in problems:

        def broken(*_: Any, problem: BaseException = problem) -> int:
            raise problem

        with monkeypatch.context() as patched:
            patched.setattr("semievol.jobs.intake.shutil.copyfile", broken)
            with pytest.raises((type(problem), UserError)):
                intake.import_files(store, "Line", files)
        assert projects.list_projects(store, archived=True) == []
        assert not list((store.home / "projects").glob("*"))
    assert intake.import_files(store, "Line", files)[0].version_number == 1


def test_an_import_that_is_not_committed_leaves_no_file_but_those_of_other_versions(
    store: Store, files: dict[Split, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, _ = intake.import_files(store, "Line", files, partial(intake.prepare, kind="classification"))
    uploads = projects.project_folder(store, project.id) / "uploads"
    before = set(uploads.iterdir())
    files["unlabeled"].write_text("question\nA broken lamp\n", encoding="utf-8")
    tables = intake.read(files, store.home)
    imported = intake.prepare(tables, "classification")

    with monkeypatch.context() as patched:
        commit = versions.store_version

        def broken(*given: Any, keep: Callable[[int], None], **others: Any) -> int:
            def kept_then_full(project_id: int) -> None:
                keep(project_id)
                raise OSError(28, "full")

            return commit(*given, keep=kept_then_full, **others)

        patched.setattr(versions, "store_version", broken)
        with pytest.raises(OSError, match="full"):
            intake.store_imported(store, project, imported, files)
    assert set(uploads.iterdir()) == before
    intake.store_imported(store, project, imported, files)
    assert len(list(uploads.iterdir())) == 3


def test_an_import_that_is_killed_while_it_stores_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    rows = "".join(f"some words about number {i}\n" for i in range(15_000))
    labeled, unlabeled = tmp_path / "labeled.csv", tmp_path / "unlabeled.csv"
    labeled.write_text("question,answer\nA hole in the road,roads\nThe tap drips,water\n", encoding="utf-8")
    unlabeled.write_text("question\n" + rows, encoding="utf-8")
    program = "import os, signal, sys; from pathlib import Path; from semievol.jobs import intake\n"
    program += "from semievol.store.database import open_store\n"
    program += "def watch(what, done, total):\n"
    program += "    if what == 'Storing' and done >= 5000: os.kill(os.getpid(), signal.SIGKILL)\n"
    program += "files = {'labeled': Path(sys.argv[2]), 'unlabeled': Path(sys.argv[3])}\n"
    program += "intake.import_files(open_store(Path(sys.argv[1])), 'Line', files, watch=watch)"
    words = [sys.executable, "-c", program, str(home), str(labeled), str(unlabeled)]
    killed = subprocess.run(words, cwd=Path(__file__).parents[2], env=os.environ.copy(), check=False)
    assert killed.returncode == -9
    store = open_store(home)
    assert projects.list_projects(store, archived=True) == []
    with store.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM records").scalar_one() == 0
    files: dict[Split, Path] = {"labeled": labeled, "unlabeled": unlabeled}
    assert intake.import_files(store, "Line", files)[0].counts["unlabeled"] == 15_000


def test_the_sample_is_made_once(store: Store) -> None:
    first = intake.open_sample(store)
    assert first.counts["unlabeled"] > 0
    assert intake.open_sample(store) == first


def test_an_archived_sample_comes_back(store: Store) -> None:
    first = intake.open_sample(store)
    projects.update_project(store, first.id, archived=True)
    assert intake.open_sample(store) == first
    assert [project.id for project in projects.list_projects(store)] == [first.id]


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample's archive with a round that is done, as small as it gets."""
    elsewhere = open_store(tmp_path / "elsewhere")
    project = intake.plain_sample(elsewhere)
    config = load("studio", assignments=["model=starter"])
    round_ = rounds.open_round(elsewhere, project.id, config)
    run = claims.claim(elsewhere, runs.enqueue(elsewhere, round_.id, config).id, os.getpid())
    claims.finish(elsewhere, run.id, run.attempt, "done")
    monkeypatch.setattr(intake, "SAMPLE_ARCHIVE", tmp_path / "project.semievol.zip")
    return archive.write(elsewhere, project, intake.SAMPLE_ARCHIVE)[0]


def test_the_sample_opens_finished_where_its_archive_is_there(store: Store, finished: Path) -> None:
    said: list[str] = []
    began = time.monotonic()
    project = intake.open_sample(store, said.append)
    assert time.monotonic() - began < 10.0  # on a machine of its own under one second
    assert said == []
    assert project.name == intake.SAMPLE_NAME
    assert [run.status for run in runs.list_runs(store, project.id)] == ["done"]
    assert intake.open_sample(store) == project


def test_without_its_archive_or_its_model_the_sample_opens_plain_and_says_why(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = finished.read_bytes()

    def opened(name: str) -> str:
        said: list[str] = []
        project = intake.open_sample(open_store(tmp_path / name), said.append)
        assert project.counts["unlabeled"] == 700
        assert runs.list_runs(open_store(tmp_path / name)) == []
        (sentence,) = said
        assert sentence.endswith('Press "Run everything" to make one.')
        return sentence

    finished.write_bytes(content[: len(content) // 2])
    assert "cut off" in opened("cut")
    finished.write_bytes(content)
    with monkeypatch.context() as patched:

        def absent(name: str) -> None:
            raise UserError(f'The model "{name}" is not installed.', "model", "Install it.")

        patched.setattr(intake.planning, "check_model", absent)
        assert 'The model "starter" is not installed.' in opened("modelless")
    finished.unlink()
    assert "not in this copy" in opened("absent")


def test_a_sample_without_data_is_filled(store: Store) -> None:
    empty = projects.create_project(store, intake.SAMPLE_NAME)
    filled = intake.open_sample(store)
    assert filled.id == empty.id
    assert filled.counts["labeled"] > 0
    assert records.hidden_gold(store, filled.version_id or 0)


def test_progress_is_told_for_reading_checking_and_storing(store: Store, files: dict[Split, Path]) -> None:
    told: list[tuple[str, int, int]] = []
    intake.import_files(
        store, "Line", files, partial(intake.prepare, kind="classification"), watch=lambda *one: told.append(one)
    )
    stages = list(dict.fromkeys(what for what, _, _ in told))
    comparing = ["Preparing to compare", "Comparing the splits"]
    assert stages == [*(f"Reading {split}" for split in files), "Checking", *comparing, "Storing"]
    assert all(0 <= done <= total for _, done, total in told)
    assert [done for what, done, total in told if what == "Storing"][-1] == told[-1][2]
    assert not list(store.home.glob("incoming-*"))
