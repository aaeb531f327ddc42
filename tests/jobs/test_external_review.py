"""Out by `export`, reviewed in a tool, imported by `decisions import`: the command line, from file to file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from semievol.annotation.tools import TOOLS
from semievol.config import Policy
from semievol.errors import UserError
from semievol.jobs.external_review import read_export
from semievol.store.decisions import decisions, history, reviews
from tests.annotation.annotators import REVIEWED, Press
from tests.exported import NASTY, TASK, World
from tests.jobs.test_command_line import semievol

pytestmark = pytest.mark.usefixtures("read_here")

PRESSED = {
    "u0": [Press("bo", "accept")],
    "u1": [Press("bo", "edit", 0)],
    "u2": [Press("bo", "reject")],
    "u3": [Press("bo", "edit", 1), Press("cy", "edit", 1), Press("di", "accept")],
    "u4": [Press("bo", "accept"), Press("cy", "edit", 1)],
    "u5": [],
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "workspace")


def reviewed(world: World, form: str, folder: Path) -> Path:
    """The file with which the annotators' work comes back."""
    tool, answers = REVIEWED[form]
    world.export(tool, folder / "out")
    made = {name: (folder / "out" / name).read_bytes() for name in TOOLS[tool].files(TASK, [])}
    found = answers(made, PRESSED)
    lines = [json.dumps(one) for one in found]
    back = folder / ("back.jsonl" if form in ("argilla_flat", "prodigy") else "back.json")
    back.write_text("\n".join(lines) if back.suffix == ".jsonl" else f"[{', '.join(lines)}]", encoding="utf-8")
    return back


@pytest.mark.parametrize("form", ["label_studio", "argilla_flat", "prodigy"])
def test_a_team_reviews_in_a_tool_and_its_decisions_come_home(world: World, tmp_path: Path, form: str) -> None:
    back = reviewed(world, form, tmp_path)
    told = semievol(tmp_path / "workspace", "decisions", "import", "Line <b>1</b>", str(back), "--by", "Ada")
    tool = TOOLS[REVIEWED[form][0]].name
    assert (told["tool"], told["by"], told["stored"]) == (tool, "Ada", True)
    assert (told["decisions"], told["actions"]) == (3, {"accept": 1, "edit": 1, "reject": 1})
    left = {one["reason"]: one["examples"] for one in told["left_out"]}
    assert left["contrary"] == [f"u1 ({NASTY[1][:59]}…)"], "Ada had said water"
    assert left["tied"] == ["u4 (+1 for this [31m)"]
    made = [one for one in history.since(world.store, world.project.id, 1) if one.reviewer == "Ada"]
    assert {(one.record_id, one.action, one.answer, one.note) for one in made} == {
        ("u0", "accept", "road", tool),
        ("u2", "reject", None, tool),
        ("u3", "edit", "water", f"{tool}, 2 of 3 annotators"),
    }


def test_a_dry_run_tells_the_same_and_stores_nothing(world: World, tmp_path: Path) -> None:
    words = (str(reviewed(world, "prodigy", tmp_path)), "--by", "Ada", "--replace")
    tried = semievol(tmp_path / "workspace", "decisions", "import", "1", *words, "--dry-run")
    assert history.last_entry(world.store, world.project.id) == 1
    assert (tried["stored"], tried["decisions"], tried["overruled"]) == (False, 4, 1)
    assert semievol(tmp_path / "workspace", "decisions", "import", "1", *words) == tried | {"stored": True}


def test_what_is_wrong_with_a_file_is_said_in_one_sentence(world: World, tmp_path: Path) -> None:
    home = tmp_path / "workspace"
    plain = tmp_path / "plain.json"
    plain.write_text('[{"question": "q", "answer": "a"}]', encoding="utf-8")
    table = tmp_path / "plain.csv"
    table.write_text("question,answer\nq,a\nr,b\n", encoding="utf-8")
    for path, part in (
        (plain, "not an export of a known tool"),
        (table, "not JSON"),
        (tmp_path / "none.json", "cannot be read"),
    ):
        said = semievol(home, "decisions", "import", "1", str(path), "--by", "Ada", expect=2)["said"]
        assert part in said
    assert "--by" in semievol(home, "decisions", "import", "1", str(plain), expect=2)["said"]


def test_entries_that_are_no_records_of_the_tool_are_counted(world: World, tmp_path: Path) -> None:
    back = reviewed(world, "prodigy", tmp_path)
    with back.open("a", encoding="utf-8") as stream:
        stream.write('\n{"spans": []}\n{"text": \n')
    export = read_export(world.store, back, back.name)
    assert (export.unread, len(export.returned)) == (2, 5)


def test_the_records_alone_or_all_in_one_archive(world: World, tmp_path: Path) -> None:
    notes: list[str] = []
    alone = world.export("label_studio", tmp_path / "tasks.json", notes=notes)
    assert [task["data"]["question"] for task in json.loads(alone.read_bytes())] == list(NASTY)
    assert "labeling_config.xml" in notes[0]
    packed = world.export("argilla", tmp_path / "review.zip")
    with zipfile.ZipFile(packed) as archive:
        assert set(archive.namelist()) == {f"review/{name}" for name in TOOLS["argilla"].files(TASK, [])}
    with pytest.raises(UserError, match="imports no"):
        world.export("prodigy", tmp_path / "tasks.csv")


def test_a_decision_is_suggested_and_an_open_random_review_keeps_its_records(world: World, tmp_path: Path) -> None:
    reviews.begin(world.store, world.round.id, Policy(), ["u3"], "fixed", 1)
    decisions.decide(world.store, world.project.id, world.round.id, "u5", "reject", "road")
    notes: list[str] = []
    out = world.export("prodigy", tmp_path / "tasks.jsonl", notes=notes)
    suggested = {one["record_id"]: (one["accept"], one["meta"]) for one in map(json.loads, out.open())}
    assert suggested["u0"] == (["road"], {"score": 1.0})
    assert suggested["u1"] == (["water"], {}), "what a person said has no score"
    assert suggested["u5"] == (["road"], {"score": 0.607})
    assert "u3" not in suggested
    assert "random review asks about them: 1." in notes[0]
