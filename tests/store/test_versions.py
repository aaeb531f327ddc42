"""Dataset versions: whole or not at all, read back exactly, gold apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from semievol.errors import UserError
from semievol.records import Record, Task
from semievol.store.data import projects, versions
from semievol.store.data.records import hidden_gold, linked, load_records, records_page, walk_records
from semievol.store.database import Store
from semievol.store.runs import rounds
from tests.store.world import TASK, World, records

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@given(st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=3), st.none() | TEXT), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_come_back_exactly(store: Store, values: list[tuple[str, list[str], str | None]]) -> None:
    made = [Record(f"r{i}", q, tuple(o), a, "labeled", i) for i, (q, o, a) in enumerate(values)]
    project = projects.create_project(store, f"p{len(projects.list_projects(store))}")
    version = versions.store_version(store, project.id, made, {}, [], [], TASK)
    assert load_records(store, version) == made
    assert [r.content_hash for r in load_records(store, version)] == [r.content_hash for r in made]


def test_records_come_in_the_order_in_which_they_were_given(world: World) -> None:
    version = world.project.version_id
    assert version is not None
    shuffled = [Record("b", "q", split="unlabeled", row=9), Record("a", "p", split="unlabeled", row=3)]
    other = versions.store_version(world.store, world.project.id, shuffled, {}, [], [], TASK)
    assert [r.id for r in load_records(world.store, other)] == ["b", "a"]
    assert load_records(world.store, version) == records()
    assert [r.id for r in load_records(world.store, version, "test")] == ["t0", "t1", "t2"]


def test_a_linked_record_is_found_with_its_place_in_its_split(world: World) -> None:
    version = world.project.version_id
    assert version is not None
    pool = [r for r in records() if r.split == "unlabeled"]
    assert [linked(world.store, version, r.id) for r in pool] == [(r, i) for i, r in enumerate(pool)]
    assert linked(world.store, version, "nobody") is None


def test_a_new_version_counts_its_splits_and_sets_the_task(world: World) -> None:
    store, project = world.store, world.project
    assert (project.version_number, project.counts["unlabeled"], project.counts["test"]) == (1, 8, 3)
    versions.store_version(store, project.id, records()[:6], {}, [{"sha256": "x"}], [{"kind": "duplicate"}], TASK)
    found = projects.find_project(store, project.id)
    assert (found.version_number, found.counts["unlabeled"]) == (2, 0)
    first, second = versions.versions(store, project.id)
    assert (first.number, second.number, second.id) == (1, 2, found.version_id)
    assert (second.sources, second.findings) == ([{"sha256": "x"}], [{"kind": "duplicate"}])


def test_every_version_keeps_the_task_it_was_imported_with(world: World) -> None:
    first, changed = world.project.version_id, Task("classification", ("road", "water"))
    assert first is not None
    second = versions.store_version(world.store, world.project.id, records()[:2], {}, [], [], changed)
    assert (versions.task_of(world.store, first), versions.task_of(world.store, second)) == (TASK, changed)
    with pytest.raises(UserError, match="no dataset version 99"):
        versions.task_of(world.store, 99)


def test_others_write_while_a_version_is_gathered(world: World) -> None:
    """A large import must not keep reviewers from deciding, nor a run from reporting."""

    def coming() -> Iterator[Record]:
        for record in records()[:3]:
            projects.create_project(world.store, f"Meanwhile {record.id}")
            yield record

    version = versions.store_version(world.store, world.project.id, coming(), {}, [], [], TASK)
    assert load_records(world.store, version) == records()[:3]
    assert len(projects.list_projects(world.store)) == 4


def test_what_is_gathered_lies_in_a_file_that_goes_with_the_connection(file_store: Store) -> None:
    """Not in memory, where a million records would not fit; and nothing is left of it, however the process ends."""
    found: list[tuple[str, str]] = []

    def look(connection: Connection) -> None:
        found.extend((name, path) for _, name, path in connection.exec_driver_sql("PRAGMA database_list"))

    with file_store.write(beforehand=look):
        assert dict(found)["scratch"].startswith(str(file_store.home))
        assert not list(file_store.home.glob("*scratch*"))
        assert not list(file_store.home.glob(".scratch*"))


def test_two_records_of_one_id_store_nothing(world: World) -> None:
    with pytest.raises(UserError, match="same id"):
        versions.store_version(world.store, world.project.id, [records()[0]] * 2, {}, [], [], TASK)
    with pytest.raises(UserError, match="no project 99"):
        versions.store_version(world.store, 99, records(), {}, [], [], TASK)
    assert len(versions.versions(world.store, world.project.id)) == 1


def test_a_version_that_fails_half_way_leaves_no_trace(world: World) -> None:
    bad = [*records(), Record("z", "q", answer=object(), split="labeled")]  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r"."):
        versions.store_version(world.store, world.project.id, bad, {}, [], [], TASK)
    assert len(versions.versions(world.store, world.project.id)) == 1


def test_hidden_gold_stays_apart(world: World) -> None:
    version = world.project.version_id
    assert version is not None
    assert hidden_gold(world.store, version)["u1"] == "water"
    assert all(r.answer is None for r in load_records(world.store, version, "unlabeled"))
    page, _ = records_page(world.store, version, "unlabeled")
    assert page["answer"].isna().all()


def test_pages_are_searched_and_counted(world: World) -> None:
    version = world.project.version_id
    assert version is not None
    page, total = records_page(world.store, version, search="QUESTION", offset=5, limit=4)
    assert (total, list(page.record_id)) == (17, ["l5", "u0", "u1", "u2"])
    page, total = records_page(world.store, version, "unlabeled", search="u7")
    assert (total, list(page.question)) == (1, ["pool question 7"])
    page, total = records_page(world.store, version, search="100%_no")
    assert total == 0
    assert list(page.columns) == ["record_id", "split", "question", "options", "answer", "earlier", "source_id"]


def test_search_finds_letters_of_any_script_in_any_case(store: Store) -> None:
    project = projects.create_project(store, "p")
    version = versions.store_version(store, project.id, [Record("a", "Über die Brücke")], {}, [], [], TASK)
    assert [records_page(store, version, search=s)[1] for s in ("über", "ÜBER", "BRÜCKE", "xyz")] == [
        1,
        1,
        1,
        0,
    ]


def test_the_calibration_split_is_cut_once(world: World) -> None:
    store, project = world.store, world.project
    assert versions.calibration(store, project.id) is None
    assert versions.save_calibration(store, project.id, []) == frozenset()
    assert versions.calibration(store, project.id) is None
    assert versions.save_calibration(store, project.id, ["a", "b"]) == {"a", "b"}
    assert versions.save_calibration(store, project.id, ["c"]) == {"a", "b"}
    assert versions.calibration(store, project.id) == {"a", "b"}


def test_an_older_version_is_put_in_use_again_with_its_task_and_its_rounds(world: World) -> None:
    store, project, changed = world.store, world.project, Task("classification", ("road", "water"))
    versions.store_version(store, project.id, records()[:2], {}, [], [], changed)
    opened = rounds.open_round(store, project.id, world.config)
    assert opened.id != world.round.id
    versions.use_version(store, project.id, 1)
    found = projects.find_project(store, project.id)
    assert (found.version_number, found.version_id, found.task) == (1, world.project.version_id, TASK)
    assert found.counts == world.project.counts
    assert rounds.open_round(store, project.id, world.config).id == world.round.id
    assert {one.id for one in rounds.list_rounds(store, project.id)} == {world.round.id, opened.id}
    versions.use_version(store, project.id, 2)
    assert projects.find_project(store, project.id).task == changed
    with pytest.raises(UserError, match="no dataset version 3"):
        versions.use_version(store, project.id, 3)


def test_a_new_version_is_in_use_whatever_was_before_and_takes_the_next_number(world: World) -> None:
    store, project = world.store, world.project
    versions.store_version(store, project.id, records()[:2], {}, [], [], TASK)
    versions.use_version(store, project.id, 1)
    versions.store_version(store, project.id, records()[:3], {}, [], [], TASK)
    assert projects.find_project(store, project.id).version_number == 3


def test_a_copy_is_made_of_the_version_in_use(world: World) -> None:
    store, project = world.store, world.project
    versions.store_version(store, project.id, records()[:2], {}, [], [], TASK)
    versions.use_version(store, project.id, 1)
    copy = projects.duplicate_project(store, project.id, "Copy")
    assert (copy.version_number, copy.counts) == (1, project.counts)


def test_records_are_walked_in_order_with_their_hidden_gold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semievol.store.data.records._WALKED", 3)
    gold = {"u1": "road", "u6": "water"}
    version = versions.store_version(world.store, world.project.id, records(), gold, [], [], TASK)
    walked = list(walk_records(world.store, version, "unlabeled"))
    assert [record for record, _ in walked] == load_records(world.store, version, "unlabeled")
    assert {record.id: answer for record, answer in walked if answer} == gold


def test_another_instruction_is_a_version_of_the_same_records(world: World) -> None:
    before = projects.find_project(world.store, world.project.id)
    assert before.version_id is not None
    asked = replace(TASK, instruction="Say who has to go.")
    version_id = versions.store_task(world.store, before.id, asked)
    now = projects.find_project(world.store, before.id)
    assert (now.version_id, now.version_number, now.task) == (version_id, (before.version_number or 0) + 1, asked)
    assert versions.task_of(world.store, before.version_id) == TASK, "the rounds of the version before keep theirs"
    assert load_records(world.store, version_id) == load_records(world.store, before.version_id)
    assert hidden_gold(world.store, version_id) == hidden_gold(world.store, before.version_id)
    assert now.counts == before.counts
    empty = projects.create_project(world.store, "Empty")
    with pytest.raises(UserError, match="no data yet"):
        versions.store_task(world.store, empty.id, asked)


def test_a_linked_record_has_its_place_among_what_a_search_finds(world: World) -> None:
    version = world.project.version_id
    assert version is not None
    pool = load_records(world.store, version, "unlabeled")
    word = pool[3].question
    found = records_page(world.store, version, "unlabeled", word)[0]["record_id"].tolist()
    assert [linked(world.store, version, one, word) for one in found] == [
        (next(r for r in pool if r.id == one), place) for place, one in enumerate(found)
    ]
    assert linked(world.store, version, pool[3].id, "no such words") == (pool[3], None)
