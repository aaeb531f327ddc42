"""Labels given on a page: noted at once, made into the next version together."""

from __future__ import annotations

import pytest

from semievol.errors import UserError
from semievol.records import Record, Task
from semievol.store.data import labels, projects, versions
from semievol.store.data.projects import Project
from semievol.store.data.records import hidden_gold, load_records
from semievol.store.database import Store
from tests.store.world import TASK, World


def _project(world: World) -> tuple[Store, Project, int]:
    assert world.project.version_id is not None
    return world.store, world.project, world.project.version_id


def test_labels_wait_and_become_the_next_version_together(world: World) -> None:
    store, project, version_id = _project(world)
    before = load_records(store, version_id)
    unlabeled = next(r for r in before if r.split == "unlabeled")
    labeled = next(r for r in before if r.split == "labeled")
    other = "water" if labeled.answer != "water" else "road"
    labels.note(store, project.id, unlabeled.id, "waste")
    labels.note(store, project.id, labeled.id, other)
    assert labels.waiting(store, project.id) == {unlabeled.id: "waste", labeled.id: other}
    assert load_records(store, version_id) == before  # a version never changes

    version = labels.make_version(store, project.id)
    after = {r.id: r for r in load_records(store, version)}
    assert (after[unlabeled.id].answer, after[unlabeled.id].split) == ("waste", "labeled")
    assert (after[labeled.id].answer, after[labeled.id].split) == (other, "labeled")
    changed = versions.changes(store, version_id, version)
    assert (changed.added, changed.gone, changed.relabeled, changed.moved) == (0, 0, 1, 1)
    assert unlabeled.id not in hidden_gold(store, version)
    assert labels.waiting(store, project.id) == {}
    now = projects.find_project(store, project.id)
    assert now.version_id == version
    assert now.counts["labeled"] == project.counts["labeled"] + 1
    assert now.counts["unlabeled"] == project.counts["unlabeled"] - 1
    assert load_records(store, version_id) == before


def test_the_label_that_a_record_has_is_no_change_and_none_takes_back(world: World) -> None:
    store, project, version_id = _project(world)
    labeled = next(r for r in load_records(store, version_id) if r.split == "labeled")
    labels.note(store, project.id, labeled.id, labeled.answer)
    assert labels.waiting(store, project.id) == {}
    labels.note(store, project.id, labeled.id, "waste" if labeled.answer != "waste" else "road")
    labels.note(store, project.id, labeled.id, None)
    assert labels.waiting(store, project.id) == {}
    with pytest.raises(UserError, match="No label waits"):
        labels.make_version(store, project.id)
    assert projects.find_project(store, project.id).version_id == version_id  # nothing was copied


def test_labels_of_records_that_are_not_there_go_on_waiting(world: World) -> None:
    store, project, version_id = _project(world)
    gone, stays = [r for r in load_records(store, version_id) if r.split == "unlabeled"][:2]
    labels.note(store, project.id, gone.id, "waste")
    labels.note(store, project.id, stays.id, "water")
    rest = [r for r in load_records(store, version_id) if r.id != gone.id]
    versions.store_version(store, project.id, rest, {}, [], [], TASK)
    labels.make_version(store, project.id)
    assert labels.waiting(store, project.id) == {gone.id: "waste"}


def test_labels_that_the_task_no_longer_knows_go_on_waiting(world: World) -> None:
    store, project, version_id = _project(world)
    one, two = [r for r in load_records(store, version_id) if r.split == "unlabeled"][:2]
    labels.note(store, project.id, one.id, "waste")
    labels.note(store, project.id, two.id, "water")
    fewer = Task("classification", tuple(label for label in TASK.labels if label != "waste"))
    kept = [r for r in load_records(store, version_id) if r.answer != "waste"]
    versions.store_version(store, project.id, kept, {}, [], [], fewer)
    after = {r.id: r for r in load_records(store, labels.make_version(store, project.id))}
    assert (after[one.id].split, after[two.id].answer) == ("unlabeled", "water")
    assert labels.waiting(store, project.id) == {one.id: "waste"}


def test_a_number_is_stored_as_others_are_and_words_are_none(store: Store) -> None:
    task = Task("numeric")
    project = projects.create_project(store, "numbers", task)
    versions.store_version(store, project.id, [Record("u0", "how many?", split="unlabeled")], {}, [], [], task)
    labels.note(store, project.id, "u0", " 1,000.50 ")
    assert labels.waiting(store, project.id) == {"u0": "1000.50"}
    with pytest.raises(UserError, match="no answer"):
        labels.note(store, project.id, "u0", "many")


def test_labels_that_wait_go_with_their_project(store: Store) -> None:
    project = projects.create_project(store, "gone", TASK)
    versions.store_version(store, project.id, [Record("u0", "q", split="unlabeled")], {}, [], [], TASK)
    labels.note(store, project.id, "u0", "waste")
    projects.delete_project(store, project.id)
    assert labels.waiting(store, project.id) == {}
