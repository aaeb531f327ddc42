"""The history as it is read: a page at a time, counted and searched in the database."""

from __future__ import annotations

import pytest

from semievol.store.data import projects, versions
from semievol.store.decisions import decisions
from semievol.store.decisions.history import history, history_page
from semievol.store.runs import rounds
from tests.store.world import TASK, World, propagated, records


@pytest.fixture
def full(world: World) -> World:
    """Seven entries: an edit of u1 by Ada, then accepts of three records by Bob in one go, which he takes back."""
    world = propagated(world)
    about = (world.store, world.project.id, world.round.id)
    decisions.decide(*about, "u1", "edit", "road", "water", reviewer="Ada", note="a 100 % leak")
    decisions.decide_many(*about, {f"u{i}": "road" for i in (2, 4, 5)}, "accept", reviewer="Bob")
    decisions.undo(world.store, world.project.id, "Bob")
    return world


def test_pages_laid_end_to_end_are_the_whole_history(full: World) -> None:
    asked = (full.store, full.project.id)
    pages = [history_page(*asked, offset=offset, limit=3) for offset in (0, 3, 6, 9)]
    assert [len(page.entries) for page in pages] == [3, 3, 1, 0]
    assert {(page.found, page.total) for page in pages} == {(7, 7)}
    ids = [number for page in pages for number in page.entries["id"]]
    whole = history(*asked)
    assert ids == whole["id"].tolist() == sorted(ids, reverse=True)
    assert pages[1].entries["question"].tolist() == whole["question"].tolist()[3:6]
    assert [undone for page in pages for undone in page.entries["undone"]] == [False] * 3 + [True] * 3 + [False]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("POOL question 4", ["undo", "accept"]),
        ("u5", ["undo", "accept"]),
        ("water", ["edit"]),
        ("100 %", ["edit"]),
        ("1__ %", []),  # no wildcards
        ("ada", ["edit"]),
        ("bob", ["undo"] * 3 + ["accept"] * 3),
        ("nothing like it", []),
    ],
)
def test_a_search_finds_entries_by_what_they_say(full: World, search: str, found: list[str]) -> None:
    page = history_page(full.store, full.project.id, search=search)
    assert page.entries["action"].tolist() == found
    assert (page.found, page.total) == (len(found), 7)
    second = history_page(full.store, full.project.id, search=search, offset=1, limit=1)
    assert (len(second.entries), second.found) == (min(1, max(0, len(found) - 1)), len(found))


def test_another_projects_entries_are_not_among_them(full: World) -> None:
    other = projects.create_project(full.store, "Other", TASK)
    versions.store_version(full.store, other.id, versions.NewVersion(records(), {}, [], [], TASK))
    round_ = rounds.open_round(full.store, other.id, full.config)
    decisions.decide(full.store, other.id, round_.id, "u1", "reject", "road", reviewer="Ada")
    assert history_page(full.store, other.id).entries["action"].tolist() == ["reject"]
    assert history_page(full.store, other.id, search="pool").total == 1
    assert history_page(full.store, full.project.id, search="ada").found == 1


def test_where_nothing_was_decided_the_columns_are_there(world: World) -> None:
    page = history_page(world.store, world.project.id)
    assert (len(page.entries), page.found, page.total) == (0, 0, 0)
    assert {"action", "question", "undone"} <= set(page.entries.columns)
