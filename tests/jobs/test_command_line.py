"""The command line as it is promised: last line JSON, exit codes, one sentence for a mistake, nothing lost."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from semievol.cli import main, running
from semievol.store.data import projects, records, versions
from semievol.store.database import open_store
from semievol.store.results import outcomes
from semievol.store.runs import rounds, runs
from tests.endpoint_servers import MODEL, lettered, serving
from tests.exported import World
from tests.importing.files import xlsx_bytes

pytestmark = pytest.mark.usefixtures("read_here")
ROOT = Path(__file__).parents[2]


def process(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command line in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-m", "semievol", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    return found.returncode, found.stdout, found.stderr


def called(*words: str) -> tuple[int, str, str]:
    """The same in this process, which has loaded already what a new one takes more than a second to load."""
    out, said = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(said):
        return main(words), out.getvalue(), said.getvalue()


def semievol(
    home: Path, *words: str, expect: int = 0, run: Callable[..., tuple[int, str, str]] = called
) -> dict[str, Any]:
    """The outcome of a verb, or the one sentence about a mistake."""
    code, out, said = run(*words, "--workspace", str(home), "--json")
    assert code == expect, out + said
    assert "Traceback" not in said
    if expect == 2:
        lines = [line for line in said.splitlines() if line.startswith("semievol: ")]
        assert len(lines) == 1, said
    last: dict[str, Any] = json.loads(out.splitlines()[-1])
    if expect == 2:
        (what, remedy) = (last["error"][part] for part in ("what", "remedy"))
        assert what in lines[0]
        assert remedy in lines[0]
        return {"said": lines[0]}
    return last


def write(path: Path, rows: list[list[str]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def written(folder: Path) -> dict[str, Path]:
    """Three small files of a classification task."""
    words = {"roads": "pothole", "water": "leak", "parks": "tree"}

    def rows(split: str, count: int) -> list[list[str]]:
        labels = list(words)
        return [[f"a {words[labels[i % 3]]} at number {i} {split}", labels[i % 3]] for i in range(count)]

    head = ["message", "team"]
    return {
        split: write(folder / f"{split}.csv", [head, *rows(split, count)])
        for split, count in (("labeled", 18), ("unlabeled", 40), ("test", 9))
    }


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return written(tmp_path)


def parts_of(files: dict[str, Path]) -> list[str]:
    return [word for split, path in files.items() for word in (f"--{split}", str(path))]


def test_import_run_status_export_compare(tmp_path: Path, files: dict[str, Path], tiny_model: Path) -> None:
    home = tmp_path / "home"
    entered = partial(semievol, run=process)
    imported = entered(home, "import", *parts_of(files), "--name", "Line", "--hide-gold")
    assert imported["project"] == "Line"
    assert imported["task"] == "classification"
    assert {s: imported["splits"][s]["accepted"] for s in files} == {"labeled": 18, "unlabeled": 40, "test": 9}

    quick = [f"--set=model={tiny_model}", "--set=propagation.warm_up.minimum_steps=2", "--set=tune.minimum_steps=2"]
    half = semievol(home, "run", "Line", "--preset", "paper", *quick, "--until", "justify")
    assert (half["candidates"], half["accepted"], half["outcome"]) == (40, None, None), half
    assert half["evaluate"] == {"base": None, "warm_up": None, "evolved": None}
    assert half["stages"]["tune"] is None, "a span of stages leaves the rest empty"

    run = entered(home, "run", "Line", "--preset", "paper", *quick)
    assert (run["status"], run["round"]) == ("done", half["round"])
    assert run["candidates"] == 40
    assert run["pseudo_accuracy"]["all"] is not None
    assert {"accuracy", "low", "high"} == set(run["evaluate"]["evolved"])
    assert run["stages"]["respond"]["items_per_second"] > 0
    assert "right" in run["outcome"]
    assert run["advice"][0] == "A new round with 18 labeled records:"

    assert running._as_text(run).splitlines()[1] == f"  {run['outcome']}", "what is printed leads with it"
    assert semievol(home, "status", "Line")["runs"][0]["status"] == "done"
    assert semievol(home, "status", str(run["run"]))["run"] == run["run"]
    answers = tmp_path / "answers.csv"
    told = semievol(home, "predict", "Line", "--in", str(files["test"]), "--out", str(answers))
    assert (told["answered"], told["round"]) == (9, 1)
    evaluated = outcomes.predictions(open_store(home), run["run"]).query("model == 'evolved'")
    by_question = dict(zip(evaluated["question"], evaluated["answer"], strict=True))
    with answers.open(encoding="utf-8", newline="") as stream:
        assert {row["message"]: row["answer"] for row in csv.DictReader(stream)} == by_question, "as it was evaluated"

    out = tmp_path / "accepted.jsonl"
    semievol(home, "export", "Line", "--what", "selection", "--out", str(out))
    assert len(out.read_text(encoding="utf-8").splitlines()) == run["accepted"]
    assert len(entered(home, "compare", str(run["run"]), str(run["run"]))["runs"]) == 2


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """A workspace with the project "Line", and the files it was made from."""
    folder = tmp_path_factory.mktemp("line")
    files = written(folder)
    semievol(folder / "home", "import", *parts_of(files), "--name", "Line")
    return folder / "home", files


def everything(home: Path) -> tuple[object, ...]:
    store = open_store(home)
    (project,) = projects.list_projects(store)
    return project, versions.versions(store, project.id), rounds.list_rounds(store, project.id), runs.list_runs(store)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["frobnicate"], "frobnicate"),
        (["run", "Nothing here"], "Nothing here"),
        (["run"], "project"),
        (["run", "Line", "--set", "tune.epocs=3"], "epocs"),
        (["run", "Line", "--set", "tune.epochs=-1"], "tune.epochs"),
        (["run", "Line", "--from", "tune", "--until", "respond"], "--from"),
        (["import", "--labeled", "absent.csv", "--unlabeled", "absent.csv", "--name", "Other"], "absent.csv"),
        (["import", "--labeled", "{labeled}", "--unlabeled", "{unlabeled}", "--name", "Line"], "Line"),
        (
            ["import", "--labeled", "{labeled}", "--unlabeled", "{unlabeled}", "--name", "X", "--map", "question=no"],
            "no",
        ),
        (["export", "Line", "--what", "adapter", "--out", "somewhere"], "adapter"),
        (["status", "Nobody"], "Nobody"),
        (["status", "²"], "²"),
        (["compare", "99999999999999999999"], "99999999999999999999"),
        (["run", "Line", "--set", "model=/nowhere"], "/nowhere"),
        (["run", "Line", "--cluster", "127.0.0.1:1"], "cluster"),
        (["study", "Line", "--cluster", "127.0.0.1:1"], "cluster"),
        (["run", "Line", "--from", "tune"], "--from tune"),
        (["run", "Line", "--parent", "7"], "7"),
        (["run", "Line", "--round", "1", "--parent", "1"], "--parent"),
        (["run", "Line", "--resume", "1"], "--resume"),
    ],
)
def test_a_mistake_is_one_sentence_and_touches_nothing(
    line: tuple[Path, dict[str, Path]], words: list[str], named: str
) -> None:
    home, files = line
    before = everything(home)
    assert named in semievol(home, *[word.format(**files) for word in words], expect=2)["said"]
    assert everything(home) == before


def test_the_sample_is_made_once(tmp_path: Path) -> None:
    first = semievol(tmp_path, "sample")
    assert semievol(tmp_path, "sample") == first


def test_a_project_moves_to_another_workspace_as_an_archive(tmp_path: Path) -> None:
    here, there, out = tmp_path / "here", tmp_path / "there", str(tmp_path / "line.semievol.zip")
    semievol(here, "sample")
    assert semievol(here, "export", "City service line", "--what", "archive", "--out", out)["out"] == out
    found = semievol(there, "import", "--archive", out)
    assert (found["project"], found["counts"]["unlabeled"]) == ("City service line", 700)
    assert found["rounds"] == len(semievol(here, "status", "City service line")["rounds"])
    assert "already" in semievol(there, "import", "--archive", out, expect=2)["said"]
    assert semievol(there, "import", "--archive", out, "--name", "Copy")["project"] == "Copy"
    odd = ["import", "--archive", out, "--labeled", out]
    assert "imported as it is" in semievol(there, *odd, expect=2)["said"]
    odd = ["import", "--archive", out, "--instruction", "Be brief."]
    assert "imported as it is" in semievol(there, *odd, expect=2)["said"]
    assert "--unlabeled is missing" in semievol(there, "import", "--labeled", out, expect=2)["said"]
    Path(out).write_bytes(Path(out).read_bytes()[:-5])
    assert "Nothing was imported" in semievol(there, "import", "--archive", out, "--name", "Cut", expect=2)["said"]


def test_every_role_can_be_mapped_and_numbers_counted_from_one(tmp_path: Path) -> None:
    head = ["nr", "who", "passage", "text", "A", "B", "key", "truth"]
    rows = [[str(i), f"p{i % 6}", f"About {i}.", f"q {i}?", f"x{i}", f"y{i}", str(1 + i % 2), ""] for i in range(24)]
    pool = [[str(i), "", "", f"other {i}?", f"x{i}", f"y{i}", "", "ab"[i % 2]] for i in range(12)]
    files = {"labeled": write(tmp_path / "l.csv", [head, *rows]), "unlabeled": write(tmp_path / "u.csv", [head, *pool])}
    roles = "question=text,answer=key,options=A+B,id=nr,group=who,context=passage,gold=truth"
    flags = ["--labeled", str(files["labeled"]), "--unlabeled", str(files["unlabeled"]), "--map", roles, "--hide-gold"]
    told = semievol(tmp_path / "home", "import", *flags, "--name", "roles", "--count-from", "1")
    assert {f["kind"]: f["count"] for f in told["findings"]}["digit_answers"] == 24
    store = open_store(tmp_path / "home")
    project = projects.find_project(store, told["id"])
    assert project.version_id is not None
    first = records.load_records(store, project.version_id, "labeled")[1]
    assert (first.question, first.options, first.answer) == ("About 1.\n\nq 1?", ("x1", "y1"), "B")
    assert (first.source_id, first.group) == ("1", "p1")
    gold = records.hidden_gold(store, project.version_id)
    assert sorted(gold.values()) == ["A"] * 6 + ["B"] * 6


def test_a_wrong_count_is_refused_row_by_row(tmp_path: Path) -> None:
    head = ["question", "options", "answer"]
    rows = [[f"q {i}", json.dumps([f"a{i}", f"b{i}"]), str(1 + i % 2)] for i in range(20)]
    labeled = write(tmp_path / "l.csv", [head, *rows])
    unlabeled = write(tmp_path / "u.csv", [head, *[[f"u {i}", '["c", "d"]', ""] for i in range(5)]])
    flags = ["--labeled", str(labeled), "--unlabeled", str(unlabeled), "--task", "multiple_choice"]
    told = semievol(tmp_path / "home", "import", *flags, "--name", "zero", "--count-from", "0")
    assert told["splits"]["labeled"]["rejected"] == 10
    assert told["splits"]["labeled"]["rejects"][0]["reason"] == "answer 2 is not among the 2 options"


def test_relative_paths_are_those_of_the_person_and_rejected_rows_are_written(tmp_path: Path) -> None:
    mine = tmp_path / "assets" / "sample"
    mine.mkdir(parents=True)
    write(mine / "labeled.csv", [["question", "answer"], *[[f"q {i}", "ab"[i % 2]] for i in range(20)], ["bad", ""]])
    write(mine / "unlabeled.csv", [["question"], *[[f"u {i}"] for i in range(5)]])
    words = ["import", "--labeled", "assets/sample/labeled.csv", "--unlabeled", "assets/sample/unlabeled.csv"]
    words += ["--name", "mine", "--rejected", "rejected.csv", "--workspace", str(tmp_path / "home"), "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    out = subprocess.run(
        [sys.executable, "-m", "semievol", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    told = json.loads(out.stdout.splitlines()[-1])
    assert told["labels"] == ["a", "b"]
    with open(tmp_path / "rejected.csv", encoding="utf-8", newline="") as stream:
        [row] = list(csv.DictReader(stream))
    assert (row["split"], row["row"], row["reason"]) == ("labeled", "22", "The answer is empty.")
    words[words.index("mine")] = "again"  # the file is there now, and nothing is imported for it
    out = subprocess.run(
        [sys.executable, "-m", "semievol", *words], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (out.returncode, "already a file" in out.stderr) == (2, True)
    assert [one["project"] for one in semievol(tmp_path / "home", "status")["projects"]] == ["mine"]


def unheard(command: str, home: Path, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a verb that a shell runs as `command`, with all there is to read as "$@"."""
    found = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}", "bash", *words, "--workspace", str(home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PY": sys.executable, "PYTHONWARNINGS": "ignore"},
    )
    assert "Traceback" not in found.stderr
    return found.returncode, found.stderr


def test_an_outcome_that_nobody_reads_is_no_failure(tmp_path: Path, files: dict[str, Path]) -> None:
    for verb in (["import", *parts_of(files), "--name", "Unread", "--json"], ["status"]):
        code, said = unheard('"$PY" -m semievol "$@" | head -0', tmp_path, *verb)
        assert code == 0, said
    assert semievol(tmp_path, "status", "Unread")["counts"]["labeled"] == 18


def test_an_outcome_is_json_also_where_the_terminal_knows_no_accents(tmp_path: Path, files: dict[str, Path]) -> None:
    semievol(tmp_path, "import", *parts_of(files), "--name", "Café 😀")
    found = subprocess.run(
        [sys.executable, "-m", "semievol", "status", "--json", "--workspace", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert json.loads(found.stdout)["projects"][0]["project"] == "Café 😀"


def test_an_outcome_that_cannot_be_written_is_told_and_what_was_done_stays(
    tmp_path: Path, files: dict[str, Path]
) -> None:
    words = ["import", *parts_of(files), "--name", "Full"]
    code, said = unheard('"$PY" -m semievol "$@" > /dev/full', tmp_path, *words)
    assert code == 1
    assert "semievol: done, but the result could not be written" in said
    assert semievol(tmp_path, "status", "Full")["counts"]["labeled"] == 18
    assert unheard('"$PY" -m semievol "$@" >&-', tmp_path, "status")[0] == 0
    words[-1] = "Closed"
    assert unheard('"$PY" -m semievol "$@" 2>/dev/full', tmp_path, *words)[0] == 0
    assert semievol(tmp_path, "status", "Closed")["counts"]["labeled"] == 18


def test_sheets_encodings_and_delimiters_can_be_named(tmp_path: Path, files: dict[str, Path]) -> None:
    rows = list(csv.reader(files["labeled"].open(encoding="utf-8")))
    book = tmp_path / "labeled.xlsx"
    book.write_bytes(xlsx_bytes(rows, sheets=("Data", "Notes")))
    pool = tmp_path / "pool.csv"
    pool.write_bytes("message\nпротечка, сильная\nяма\n".encode("cp1251"))
    words = ["import", "--labeled", str(book), "--unlabeled", str(pool), "--name", "Said"]
    said = semievol(tmp_path / "home", *words, "--sheet", "Elsewhere", expect=2)["said"]
    assert 'no sheet "Elsewhere"' in said
    assert "Data, Notes" in said
    semievol(tmp_path / "home", *words, "--encoding", "utf-8", expect=2)
    semievol(tmp_path / "home", *words, "--sheet", "unlabeled=Data", expect=2)
    named = ["--sheet", "Data", "--encoding", "cp1251", "--delimiter", "unlabeled=tab"]
    imported = semievol(tmp_path / "home", *words, *named)
    assert imported["splits"]["unlabeled"]["accepted"] == 2
    assert imported["splits"]["labeled"]["accepted"] == 18


def test_strict_names_what_to_say_about_a_guess(tmp_path: Path, files: dict[str, Path]) -> None:
    text = files["unlabeled"].read_text(encoding="utf-8").replace("hole", "höle").replace(",", ";")
    files["unlabeled"].write_bytes(text.encode("cp1252"))
    words = ["import", *parts_of(files), "--name", "Guessed", "--strict"]
    said = semievol(tmp_path / "home", *words, expect=2)["said"]
    options = "--encoding unlabeled=cp1252 --delimiter unlabeled=semicolon"
    assert options in said
    semievol(tmp_path / "home", *words, *options.split())


def test_an_import_tells_what_it_took_and_strict_can_be_answered(tmp_path: Path, files: dict[str, Path]) -> None:
    labeled, pool = tmp_path / "l.tsv", tmp_path / "u.csv"
    labeled.write_text(
        "".join(f"r{i}\t{'a' if i % 3 else chr(34) + 'b'} text of number {i}\t{i % 2}\n" for i in range(12)), "utf-8"
    )
    pool.write_text("text\nsomething to be read\nsomething else to read\n", "utf-8")
    words = ["import", "--labeled", str(labeled), "--unlabeled", str(pool), "--name", "Told", "--strict"]
    said = semievol(tmp_path / "home", *words, "--labels", "no,yes", expect=2)["said"]
    assert "(quotes_literal)" in said
    assert "(no_header)" in said
    options = ["--labels", "no,yes", "--quotes", "labeled=literal", "--accept", "no_header"]
    found = semievol(tmp_path / "home", *words, *options)
    assert found["splits"]["labeled"]["mapping"] == {"question": "column 2", "answer": "column 3"}
    assert found["labels"] == ["no", "yes"]
    assert found["record"]["turns"] == [
        {"role": "user", "content": '"b text of number 0\nAnswer with one of: no, yes.'},
    ]
    again = semievol(tmp_path / "home", *words[:-2], "Again", "--no-header", "--labels", "no,yes")
    assert "quotes_literal" in [one["kind"] for one in again["findings"]]


def test_a_run_is_stopped_and_a_waiting_one_cancelled(tmp_path: Path) -> None:
    world = World(tmp_path)
    waiting = runs.enqueue(world.store, world.round.id, world.config)
    asked = semievol(tmp_path, "stop", str(world.run.id))
    assert asked == {"run": world.run.id, "before": "running", "status": "stopping"}
    assert semievol(tmp_path, "stop", str(waiting.id))["status"] == "cancelled"
    said = semievol(tmp_path, "stop", str(waiting.id), expect=2)["said"]
    assert f"Run {waiting.id} is cancelled. Only a queued or running run can be stopped." in said
    semievol(tmp_path, "stop", "99", expect=2)


def test_an_instruction_comes_with_an_import_and_can_be_changed(tmp_path: Path, files: dict[str, Path]) -> None:
    home = tmp_path / "home"
    asked = semievol(home, "import", *parts_of(files), "--name", "Line", "--instruction", " Sort by team. ")
    assert asked["instruction"] == "Sort by team."
    assert semievol(home, "instruct", "Line", "Sort by team.")["version"] == 1, "nothing new"
    changed = semievol(home, "instruct", "Line", "Say who has to go.")
    assert (changed["version"], changed["instruction"]) == (2, "Say who has to go.")
    stored = projects.find_project(open_store(home), "Line")
    assert stored.task is not None
    assert stored.task.instruction == "Say who has to go."
    assert semievol(home, "instruct", "Line", "")["version"] == 3
    long = semievol(home, "instruct", "Line", "x" * 4001, expect=2)
    assert "4,001 characters, 4,000 are allowed" in long["said"]
    assert projects.find_project(open_store(home), "Line").version_number == 3


def test_endpoints_are_saved_tested_and_removed_without_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-canary-0123456789abcdef")
    with serving(lettered) as served:
        save = ("endpoints", "save", "far", "--url", served.url, "--model", MODEL, "--key-variable", "THE_KEY")
        assert called(*save)[0] == 0
        assert called("endpoints", "save", "far", "--concurrency", "2", "--json")[0] == 0
        listed = json.loads(called("endpoints", "--json")[1].splitlines()[-1])["endpoints"]
        assert [(one["name"], one["url"], one["concurrency"]) for one in listed] == [("far", served.url, 2)]
        code, said, _ = called("endpoints", "test", "far", "--json")
        trial = json.loads(said.splitlines()[-1])["trial"]
        assert (code, trial["text"], trial["top"], trial["models"]) == (0, "A", 20, [MODEL])
        assert "canary" not in said
    code, _, told = called("endpoints", "test", "far")
    assert (code, "cannot be reached" in told) == (2, True)
    assert called("endpoints", "remove", "far")[0] == 0
    code, _, told = called("endpoints", "remove", "far")
    assert (code, "no endpoint" in told) == (2, True)
    assert called("endpoints", "save", "far", "--key-variable", "sk-canary")[0] == 2
