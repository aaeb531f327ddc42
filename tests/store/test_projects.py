"""Projects: unique names, found by name first, copied with data, deleted with everything."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from semievol.errors import UserError
from semievol.selection.summary import Selection
from semievol.store import schema
from semievol.store.data import projects, versions
from semievol.store.data.records import hidden_gold, load_records
from semievol.store.database import Store
from semievol.store.runs import claims, rounds
from tests.store.world import TASK, World, records


def test_a_project_is_found_by_name_or_id(store: Store) -> None:
    made = projects.create_project(store, "  Pörk ☕ ", TASK, {"preset": "paper"})
    assert made.name == "Pörk ☕"
    for key in ("Pörk ☕", made.id, str(made.id)):
        assert projects.find_project(store, key) == made
    assert (made.task, made.settings, made.version_id, made.archived) == (TASK, {"preset": "paper"}, None, False)
    assert made.counts == {"labeled": 0, "unlabeled": 0, "test": 0, "calibration": 0}


def test_a_name_goes_before_an_id(store: Store) -> None:
    first = projects.create_project(store, "first")
    named = projects.create_project(store, str(first.id))
    assert projects.find_project(store, str(first.id)) == named
    assert projects.find_project(store, first.id) == first


def test_an_unknown_project_names_the_known_ones(store: Store) -> None:
    with pytest.raises(UserError, match=r'no project "x".*There are no projects yet'):
        projects.find_project(store, "x")
    projects.create_project(store, "a")
    with pytest.raises(UserError, match=r'There is no project 7\. Known projects: "a"\.'):
        projects.find_project(store, 7)


@pytest.mark.parametrize("name", ["", "  ", "x" * 121, "two\nlines", "nul\0", "half \ud83d"])
def test_names_that_cannot_be_shown_are_refused(store: Store, name: str) -> None:
    with pytest.raises(UserError):
        projects.create_project(store, name)
    assert projects.list_projects(store) == []


def test_a_name_is_given_once(store: Store) -> None:
    projects.create_project(store, "a")
    other = projects.create_project(store, "b")
    for attempt in (
        lambda: projects.create_project(store, "a"),
        lambda: projects.check_name(store, " a "),
        lambda: projects.duplicate_project(store, other.id, "a"),
        lambda: projects.rename_project(store, other.id, "a "),
    ):
        with pytest.raises(UserError, match="already a project"):
            attempt()
    projects.rename_project(store, other.id, " c ")
    with pytest.raises(UserError, match="needs a name"):
        projects.rename_project(store, other.id, " ")
    assert [p.name for p in projects.list_projects(store)] == ["c", "a"]


def test_an_update_changes_what_it_names(store: Store) -> None:
    made = projects.create_project(store, "a", TASK)
    changed = projects.update_project(store, made.id, settings={"seed": 3}, archived=True)
    assert (changed.name, changed.task, changed.settings, changed.archived) == ("a", TASK, {"seed": 3}, True)
    assert projects.list_projects(store) == []
    assert projects.list_projects(store, archived=True) == [changed]
    assert projects.update_project(store, made.id, archived=False).archived is False
    with pytest.raises(UserError):
        projects.update_project(store, 99, archived=True)


def test_a_copy_has_data_and_settings_but_no_results(full: World) -> None:
    store, source = full.store, full.project
    versions.store_version(store, source.id, records()[:10], {"u0": "water"}, [{"name": "f"}], [], TASK)
    versions.save_calibration(store, source.id, {"c" * 64})
    projects.update_project(store, source.id, settings={"seed": 5})
    (projects.project_folder(store, source.id) / "uploads").mkdir()
    (projects.project_folder(store, source.id) / "uploads" / "abc").write_text("q,a")
    copy = projects.duplicate_project(store, source.id, "copy")
    assert (copy.settings, copy.task, copy.version_number) == ({"seed": 5}, TASK, 1)
    assert copy.version_id is not None
    newest = projects.find_project(store, source.id).version_id
    assert newest is not None
    assert load_records(store, copy.version_id) == load_records(store, newest)
    assert hidden_gold(store, copy.version_id) == {"u0": "water"}
    assert versions.calibration(store, copy.id) == {"c" * 64}
    assert versions.versions(store, copy.id)[0].sources == [{"name": "f"}]
    assert rounds.list_rounds(store, copy.id) == []
    assert (projects.project_folder(store, copy.id) / "uploads" / "abc").read_text() == "q,a"


def test_a_deleted_project_leaves_nothing(full: World) -> None:
    store = full.store
    folder = projects.project_folder(store, full.project.id)
    (folder / "x").write_text("x")
    full.journal.freeze(lambda: Selection(full.config.policy, {"u1": "road"}))
    claims.finish(store, full.run.id, full.run.attempt, "done")
    projects.delete_project(store, full.project.id)
    assert not folder.exists()
    with store.read() as connection:
        left = {
            t.name: connection.execute(select(func.count()).select_from(t)).scalar()
            for t in schema.metadata.tables.values()
        }
    assert {name for name, count in left.items() if count} == {"migrations"}
    assert projects.create_project(store, full.project.name).id != full.project.id


def test_a_copy_that_finds_no_room_for_its_files_is_not_made(full: World, monkeypatch: pytest.MonkeyPatch) -> None:
    uploads = projects.project_folder(full.store, full.project.id) / "uploads"
    uploads.mkdir()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projects.shutil, "copytree", full_disk)
    with pytest.raises(UserError, match="Not copied"):
        projects.duplicate_project(full.store, full.project.id, "Copy")
    assert [one.name for one in projects.list_projects(full.store)] == [full.project.name]


def test_what_a_deletion_that_was_killed_left_goes_with_the_next_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone, next_ = (projects.create_project(store, name) for name in ("kept", "gone", "next"))
    projects.project_folder(store, kept.id).joinpath("note").write_text("mine", encoding="utf-8")
    projects.project_folder(store, gone.id).joinpath("uploads").mkdir()
    of_others = store.home / "projects" / "99"  # of another database with the same home
    of_others.mkdir()

    def killed(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(projects.shutil, "rmtree", killed)
        with pytest.raises(SystemExit):
            projects.delete_project(store, gone.id)
    projects.delete_project(store, next_.id)
    assert {folder.name for folder in (store.home / "projects").iterdir()} == {str(kept.id), "99"}


def test_a_project_with_an_active_run_is_not_deleted(world: World) -> None:
    with pytest.raises(UserError, match="Stop it first"):
        projects.delete_project(world.store, world.project.id)
    assert projects.find_project(world.store, world.project.id) == world.project
