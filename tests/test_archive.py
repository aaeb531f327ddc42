"""A project archive: it comes back byte for byte, and what is damaged, hostile or too new is refused whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from semievol.config import Policy
from semievol.endpoints import Endpoint
from semievol.engines.training import checkpoints
from semievol.errors import UserError
from semievol.export import archive, restoring, sealed
from semievol.store import database, migrations
from semievol.store import settings as store_settings
from semievol.store.data import projects, records
from semievol.store.database import Store, open_store
from semievol.store.decisions import history, reviews, selections
from semievol.store.results import outcomes, results
from semievol.store.runs import rounds, runs
from tests.exported import NASTY, World
from tests.generated import project as generated

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where waiting for the disk takes no time
ROOT = Path(__file__).parents[1]
Change = Callable[[dict[str, bytes]], None]


def safetensors(numbers: int = 3) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, 4 * numbers]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * numbers)


def adapter(folder: Path, numbers: int = 3) -> str:
    """A finished adapter in this folder; the folder as text."""
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(safetensors(numbers))
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/home/ada/models/tiny"}))
    (folder / "base.json").write_text(json.dumps({"model": "tiny", "fingerprint": "f"}))
    checkpoints.seal(folder, {"lesson": "l", "step": numbers})
    return str(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def world(home: Path) -> World:
    return make_world(home / "here")


@pytest.fixture(scope="module")
def whole_bytes() -> bytes:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        world = make_world(Path(folder) / "here")
        return written(world.store, world.project, Path(folder) / "whole.zip").read_bytes()


def make_world(home: Path) -> World:
    """A project with adapters, a log, a random review, and a run that is under way."""
    world = World(home)
    folder = projects.project_folder(world.store, world.project.id)
    adapter(folder / "rounds" / "1" / "adapter", 2)
    adapter(folder / "runs" / "1" / "tune" / "adapter", 5)
    journal = world_journal(world)
    journal.save_adapter("warm_up", str(folder / "rounds" / "1" / "adapter"))
    journal.save_adapter("tune", str(folder / "runs" / "1" / "tune" / "adapter"))
    (folder / "runs" / "1" / "log.txt").write_text(f"loading {folder}/weights\nkey canary-0123456789\n")
    review = reviews.begin(world.store, world.round.id, Policy(), ["u2", "u0"], "fixed", 2, reviewer="Grace")
    reviews.answer(world.store, review, "u2", "edit", "water", reviewer="Grace")
    return world


def world_journal(world: World) -> Any:
    from semievol.store.runs.journal import StoreJournal

    return StoreJournal(world.store, world.run)


def written(store: Store, project: projects.Project, out: Path) -> Path:
    return archive.write(store, project, out)[0]


def contents(path: Path) -> dict[str, bytes]:
    """Every member; of the manifest all but the time."""
    with zipfile.ZipFile(path) as opened:
        found = {name: opened.read(name) for name in opened.namelist()}
    found[sealed.MANIFEST] = re.sub(rb'"made": "[^"]*"', b"", found[sealed.MANIFEST])
    return found


def rewritten(path: Path, change: Change, out: Path) -> Path:
    """The archive with other members, sealed anew by the same hand: only what it says can give it away."""
    with zipfile.ZipFile(path) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    told = json.loads(members.pop(sealed.MANIFEST))
    members["told"] = json.dumps(told).encode()
    change(members)
    told = json.loads(members.pop("told"))
    told.pop("members")
    with sealed.Sealing(out) as sealing:
        for name, content in members.items():
            with sealing.member(name) as put:
                put(content)
        sealing.close(told)
    return out


def refused(store: Store, path: Path, *words: str) -> None:
    """One sentence with these words, and nothing imported."""
    with pytest.raises(UserError) as told:
        restoring.restore(store, path, "Elsewhere")
    said = str(told.value)
    assert "\n" not in said
    assert told.value.remedy
    for word in words:
        assert word in said
    assert projects.list_projects(store, archived=True) == []
    assert not list(store.home.glob("incoming-*"))
    assert not list((store.home / "projects").glob("*"))


# --- there and back -------------------------------------------------------------------------------------------------


def test_a_project_comes_back_byte_for_byte_under_other_numbers(world: World, home: Path) -> None:
    first = written(world.store, world.project, home / "one.semievol.zip")
    there = open_store(home / "there")
    projects.create_project(there, "takes the first number")
    restoring.restore(there, first, "takes more")
    back = restoring.restore(there, first)
    assert back.id == 3
    assert contents(written(there, back, home / "two.zip")) == contents(first)


def test_everything_of_a_project_is_there_again(world: World, home: Path) -> None:
    there = open_store(home / "there")
    restoring.restore(there, written(world.store, world.project, home / "a.zip"), "before")
    back = restoring.restore(there, home / "a.zip", "Line")
    (round_,), (run,) = rounds.list_rounds(there, back.id), runs.list_runs(there, back.id)
    assert (back.name, back.counts, back.task) == ("Line", world.project.counts, world.project.task)
    old = results.candidate_frame(world.store, world.round.id)
    assert results.candidate_frame(there, round_.id).drop(columns="record_key").equals(old.drop(columns="record_key"))
    assert len(old) == len(NASTY)
    said = history.history(there, back.id)
    (edit,) = said[said["reviewer"] == "Ada"].itertuples()
    assert (edit.record_id, edit.action, edit.answer) == ("u1", "edit", "water")
    (frozen,) = selections.selections(there, round_.id)
    assert frozen["size"] == 5
    (review,) = reviews.list_reviews(there, round_.id)
    assert review.sample.order == ["u2", "u0"]
    assert [one.record_id for one in review.sample.seen] == ["u2"]
    assert outcomes.evaluation(there, run.id) == outcomes.evaluation(world.store, world.run.id)
    gold = records.hidden_gold(world.store, world.project.version_id or 0)
    assert records.hidden_gold(there, back.version_id or 0) == gold
    found = outcomes.adapters(there, round_.id)
    assert [checkpoints.about(Path(found[stage]))["step"] for stage in ("warm_up", "tune")] == [2, 5]
    assert all(checkpoints.fault(Path(path)) is None for path in found.values())
    log = projects.run_folder(there, back.id, run.id) / "log.txt"
    assert "weights" in log.read_text()


def test_the_same_settings_find_the_round_again(world: World, home: Path) -> None:
    there = open_store(home / "there")
    projects.create_project(there, "other")
    back = restoring.restore(there, written(world.store, world.project, home / "a.zip"))
    (round_,) = rounds.list_rounds(there, back.id)
    assert round_.config.model == "tiny"  # the folder's name; where it lay stays behind
    assert rounds.open_round(there, back.id, round_.config).id == round_.id


def test_a_run_under_way_leaves_as_an_interrupted_one_that_can_go_on(world: World, home: Path) -> None:
    assert runs.get_run(world.store, world.run.id).status == "running"
    waiting = runs.enqueue(world.store, world.round.id, world.config, "tune")
    there = open_store(home / "there")
    back = restoring.restore(there, written(world.store, world.project, home / "a.zip"))
    second, first = runs.list_runs(there, back.id)
    assert (first.status, second.status) == ("interrupted", "cancelled")
    assert runs.resume(there, first.id).status == "queued"
    assert runs.get_run(world.store, waiting.id).status == "queued"


def test_no_path_and_no_key_leaves(world: World, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "canary-0123456789")
    monkeypatch.setenv("GATEWAY", "canary-of-an-endpoint")
    store_settings.save_endpoint(world.store, Endpoint("gpt", "http://127.0.0.1:1/v1", "m", key_variable="GATEWAY"))
    monkeypatch.setenv("ANY", "a")  # as servers take that check no key
    store_settings.save_endpoint(world.store, Endpoint("own", "http://127.0.0.1:2/v1", "m", key_variable="ANY"))
    assert store_settings.keys(world.store) == {"canary-of-an-endpoint"}
    told = f"wrote {world.store.home}/x/y.json with canary-0123456789 and canary-of-an-endpoint"
    world_journal(world).event("tune", told)
    for name, content in contents(written(world.store, world.project, home / "a.zip")).items():
        for word in (str(home), "/home/", "canary", "secrets"):
            assert word.encode() not in content, name


def test_where_a_run_computes_neither_leaves_nor_comes_in(world: World, home: Path) -> None:
    """Somebody else's project must not make this machine join their cluster."""
    here = {"cluster": "203.0.113.9:6379", "devices": 4, "threads": 8}
    projects.update_project(world.store, world.project.id, settings={"seed": 5, **here})
    config = world.round.config.model_copy(update=here)
    runs.enqueue(world.store, world.round.id, config)
    world_journal(world).event("tune", 'No Ray cluster answers at "203.0.113.9:6379".')
    file = written(world.store, world.project, home / "p.zip")
    assert not any(b"203.0.113.9" in content for content in contents(file).values())

    def joining(members: dict[str, bytes]) -> None:
        for table in ("projects", "rounds", "runs"):
            named = json.loads(members["told"])["tables"][table]["columns"]
            rows = [json.loads(line) for line in members[f"tables/{table}.jsonl"].splitlines()]
            for row in rows:
                row[named.index("settings" if table == "projects" else "config")] |= here
            members[f"tables/{table}.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows).encode()

    there = open_store(home / "there")
    back = restoring.restore(there, rewritten(file, joining, home / "joining.zip"))
    assert back.settings == {"seed": 5, "cluster": "", "devices": 1, "threads": 0}
    (round_,) = rounds.list_rounds(there, back.id)
    for found in (round_.config, *(run.config for run in runs.list_runs(there, back.id))):
        assert (found.cluster, found.devices, found.threads) == ("", 1, 0)


def test_a_damaged_adapter_stays_behind_and_it_is_said(world: World, home: Path) -> None:
    folder = Path(outcomes.adapters(world.store, world.round.id)["tune"])
    (folder / "adapter_model.safetensors").write_bytes(b"short")
    out, left_out = archive.write(world.store, world.project, home / "a.zip")
    assert left_out == ["An adapter is left out: adapter_model.safetensors has changed since it was written."]
    there = open_store(home / "there")
    restoring.restore(there, out)
    assert set(outcomes.adapters(there, 1)) == {"warm_up"}


@given(data=st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test_any_project_comes_back_byte_for_byte(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        here, there = open_store(Path(folder) / "here"), open_store(Path(folder) / "there")
        try:
            places = [adapter(here.home / "projects" / "x" / str(n), n) for n in (1, 2)]
            stored = [str(Path(place).relative_to(here.home)) for place in places]
            generated(here, "first", data.draw, stored)
            project = generated(here, "second", data.draw, stored)
            first = written(here, project, Path(folder) / "1.zip")
            restoring.restore(there, first, "to move the numbers")
            back = restoring.restore(there, first)
            assert contents(written(there, back, Path(folder) / "2.zip")) == contents(first)
        finally:
            for store in (here, there):
                database._open.pop((store.home, None))


# --- refused --------------------------------------------------------------------------------------------------------


@pytest.fixture
def there(home: Path) -> Store:
    return open_store(home / "there")


@pytest.fixture
def whole(whole_bytes: bytes, home: Path) -> Path:
    (home / "whole.zip").write_bytes(whole_bytes)
    return home / "whole.zip"


def test_any_flipped_byte_is_noticed(whole: Path, there: Store, home: Path) -> None:
    content = whole.read_bytes()
    for place in [*range(0, len(content), 211), len(content) - 1]:
        (home / "flipped.zip").write_bytes(content[:place] + bytes([content[place] ^ 0x11]) + content[place + 1 :])
        with pytest.raises(UserError, match="Nothing was imported"):
            restoring.restore(there, home / "flipped.zip")
    assert projects.list_projects(there) == []


def test_a_file_that_is_cut_off_is_noticed(whole: Path, there: Store, home: Path) -> None:
    content = whole.read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        (home / "cut.zip").write_bytes(content[:length])
        refused(there, home / "cut.zip", "Nothing was imported")
    refused(there, home / "nowhere.zip", "cannot be read", "Check the path.")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a\\..\\evil", "tables/../../evil", "C:/evil", "a//b"])
def test_a_path_outside_is_refused(whole: Path, there: Store, name: str) -> None:
    with zipfile.ZipFile(whole, "a") as opened:
        info = zipfile.ZipInfo("x")
        info.filename = info.orig_filename = name
        opened.writestr(info, b"evil")
    refused(there, whole, "outside of its own folder")


def test_a_link_is_refused(whole: Path, there: Store) -> None:
    with zipfile.ZipFile(whole, "a") as opened:
        info = zipfile.ZipInfo("uploads/link")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        opened.writestr(info, "/etc/passwd")
    refused(there, whole, "is a link")


def test_a_member_that_no_one_listed_is_refused(whole: Path, there: Store, home: Path) -> None:
    odd = rewritten(whole, lambda members: members.update(extra=b"x"), home / "odd.zip")
    refused(there, odd, '"extra"', "no part of one")
    with zipfile.ZipFile(whole, "a") as opened:
        opened.writestr("more", "x")
    refused(there, whole, "does not list")


def test_a_bomb_is_refused_before_it_is_unpacked(whole: Path, there: Store) -> None:
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("uploads/bomb", bytes(40 * 2**20))
    refused(there, whole, "would unpack to")


def test_an_archive_that_does_not_fit_on_the_disk_is_refused(
    whole: Path, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring.shutil, "disk_usage", lambda _: os.terminal_size((0, 0)) and _Disk())
    refused(there, whole, "are free", "Free some space")


class _Disk:
    free = 1000


@pytest.mark.parametrize(("key", "word"), [("format", "format 99"), ("schema", "schema 99")])
def test_an_archive_of_a_later_version_is_refused(whole: Path, there: Store, home: Path, key: str, word: str) -> None:
    def later(members: dict[str, bytes]) -> None:
        members["told"] = json.dumps(json.loads(members["told"]) | {key: 99}).encode()

    refused(there, rewritten(whole, later, home / "later.zip"), word, "Update the Studio")


def test_an_archive_of_an_earlier_schema_is_taken(whole: Path, there: Store, home: Path) -> None:
    def earlier(members: dict[str, bytes]) -> None:
        told = json.loads(members["told"]) | {"schema": migrations.newest() - 1}
        place = told["tables"]["candidates"]["columns"].index("flagged")
        told["tables"]["candidates"]["columns"].remove("flagged")
        rows = [json.loads(line) for line in members["tables/candidates.jsonl"].splitlines()]
        kept = [row[:place] + row[place + 1 :] for row in rows]
        members["tables/candidates.jsonl"] = "".join(json.dumps(row) + "\n" for row in kept).encode()
        members["told"] = json.dumps(told).encode()

    back = restoring.restore(there, rewritten(whole, earlier, home / "earlier.zip"))
    (round_,) = rounds.list_rounds(there, back.id)
    assert len(results.candidate_frame(there, round_.id)) == len(NASTY)


@pytest.mark.parametrize(
    ("table", "place", "value", "word"),
    [
        ("responses", 0, 7, '7 in "round_id"'),
        ("records", 1, "first", "'first' in"),
        ("records", 3, "labelled", "'labelled' in"),
        ("runs", 6, "running", "'running' in"),
        ("rounds", 4, {"preset": "studio", "colour": 1}, "this version cannot read"),
        ("reviews", 4, [99], "a document"),
        ("decisions", 2, None, "nothing in"),
        ("rounds", "parent_id", 1, "no earlier row"),
        ("versions", "task", {"kind": "<b>", "labels": []}, "this version cannot read"),
        ("versions", "counts", {"labeled": "<b>"}, "this version cannot read"),
        ("versions", "sources", ["\ud800"], "this version cannot read"),
        ("records", "question", "\ud800", 'in "question"'),
        pytest.param("runs", "created", 10**400, 'in "created"', id="a number too large"),
    ],
)
def test_a_row_that_cannot_be_is_refused(
    whole: Path, there: Store, home: Path, table: str, place: int | str, value: Any, word: str
) -> None:
    def change(members: dict[str, bytes]) -> None:
        first, *rest = members[f"tables/{table}.jsonl"].split(b"\n")
        row = json.loads(first)
        named = json.loads(members["told"])["tables"][table]["columns"]
        row[named.index(place) if isinstance(place, str) else place] = value
        members[f"tables/{table}.jsonl"] = b"\n".join([json.dumps(row).encode(), *rest])

    refused(there, rewritten(whole, change, home / "odd.zip"), "Row 1", table, word)


def test_rows_that_contradict_each_other_are_refused(whole: Path, there: Store, home: Path) -> None:
    def twice(members: dict[str, bytes]) -> None:
        lines = members["tables/candidates.jsonl"].splitlines(keepends=True)
        members["tables/candidates.jsonl"] = b"".join([lines[0], *lines[:-1]])

    refused(there, rewritten(whole, twice, home / "odd.zip"), "contradict")


def test_weights_that_are_not_what_their_header_says_are_refused(whole: Path, there: Store, home: Path) -> None:
    def cut(members: dict[str, bytes]) -> None:
        name = "adapters/1/adapter_model.safetensors"
        members[name] = members[name][:-4]
        marker = json.loads(members["adapters/1/COMPLETE"])
        marker["files"]["adapter_model.safetensors"] = hashlib.sha256(members[name]).hexdigest()
        members["adapters/1/COMPLETE"] = json.dumps(marker).encode()

    refused(there, rewritten(whole, cut, home / "odd.zip"), "Adapter 1", "cut off")


def test_a_name_that_is_taken_is_refused_and_another_can_be_given(whole: Path, there: Store) -> None:
    restoring.restore(there, whole)
    with pytest.raises(UserError, match="There is already a project"):
        restoring.restore(there, whole)
    assert restoring.restore(there, whole, "Another").name == "Another"


def test_a_database_that_refuses_leaves_no_file(whole: Path, there: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> None:
        raise database.NotSaved("Not saved: disk full.", "", "Free some space.")

    monkeypatch.setattr(restoring, "sync", broken)
    refused(there, whole, "disk full")


def test_an_import_that_is_killed_leaves_no_project_and_no_file_for_the_next(whole: Path, there: Store) -> None:
    """Killed at the worst moment: the files are in place, the rows not committed."""
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from semievol.export import restoring; from semievol.store.database import open_store\n"
        "restoring.sync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "restoring.restore(open_store(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, str(there.home), str(whole)]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    assert projects.list_projects(there, archived=True) == []
    made = projects.create_project(there, "next")
    assert list(projects.project_folder(there, made.id).iterdir()) == []
