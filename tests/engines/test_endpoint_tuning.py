"""Fine-tuning at a server: handed over once, found again, followed to its end, and never begun twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from semievol.engines.endpoints import errands, shop, trial, work
from semievol.engines.endpoints.asking import Endpoints
from semievol.engines.endpoints.server import Patience
from semievol.errors import UserError
from semievol.method.protocols import Listener, OutOfBudget, Stopped
from semievol.method.spending import Purse, Spent
from semievol.records import Example, Message
from tests.endpoint_servers import Desk, Jobs, Request, Served, completion, serving

CANARY = "sk-canary-0123456789abcdef"
IMPATIENT = Patience(total=1.0, once=1.0, pause=0.001, longest=0.01, tries=3)
EXAMPLES = [
    Example(f"r{i}", (Message("system", "Sort it."), Message("user", f"Case {i}?")), "AB"[i % 2], "gold")
    for i in range(12)
]
HELD_OUT = [Example("h", (Message("user", "Case h?"),), "A", "gold")]


@pytest.fixture(autouse=True)
def _looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "_POLL", (0.001, 0.01))
    monkeypatch.setattr(shop, "_AWAY_SECONDS", 1.0)
    monkeypatch.setattr(errands, "_GLANCE_SECONDS", 0.001)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs(lambda lines, asked: f"ft:{asked['model']}:{len(lines)}")


@pytest.fixture
def served(jobs: Jobs) -> Iterator[Served]:
    with serving(lambda request: completion("A"), jobs=jobs) as server:
        yield server


class Told:
    """What a fine-tuning tells."""

    def __init__(self) -> None:
        self.metrics: list[tuple[str, int, float]] = []
        self.steps: list[tuple[int, int]] = []
        self.said: list[str] = []

    def metric(self, name: str, step: int, value: float) -> None:
        self.metrics.append((name, step, value))

    def progress(self, step: int, total: int) -> None:
        self.steps.append((step, total))


def tune(
    served: Served,
    place: Path,
    told: Told | None = None,
    purse: Purse | None = None,
    stopping: Callable[[], bool] = lambda: False,
    examples: list[Example] | None = None,
    kept: Callable[[], None] = lambda: None,
    **values: Any,
) -> str:
    told = told or Told()
    engine = Endpoints([served.endpoint(key_variable="THE_KEY", **values)], {"THE_KEY": CANARY}, IMPATIENT)
    what = (EXAMPLES if examples is None else examples, HELD_OUT, 3, 7, "")
    listener = Listener(told.metric, told.progress, stopping, told.said.append, kept)
    try:
        return engine.tune("endpoint:far", *what, place, purse or Purse(), listener)
    finally:
        engine.close()


def test_a_job_is_handed_over_followed_and_its_model_named(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    told, purse = Told(), Purse()
    found = tune(served, tmp_path, told, purse, training_price=8.0)
    assert found == "endpoint:far/ft:starter-remote:12"
    job = jobs.jobs["ftjob-0"]
    assert jobs.lines(job)[1]["messages"] == [
        {"role": "system", "content": "Sort it."},
        {"role": "user", "content": "Case 1?"},
        {"role": "assistant", "content": "B"},
    ]
    assert len(jobs.lines(job)) == len(EXAMPLES)
    assert len(jobs.files[job["validation_file"]].splitlines()) == 1
    assert (job["seed"], job["method"]["supervised"]["hyperparameters"]) == (7, {"n_epochs": 3})
    assert told.metrics == [("loss", 1, 1.0), ("loss", 2, 0.5), ("loss", 3, 1 / 3)]
    assert told.steps == [(1, 4), (2, 4), (3, 4)]
    assert told.said == [
        "Handed over to far as the fine-tuning job ftjob-0: 12 examples.",
        "The server says: Created fine-tuning job",
        "The server says: The job has successfully completed",
    ]
    tokens = job["trained_tokens"]
    assert purse.spent == {"far": Spent(trained_tokens=tokens, cost=tokens * 8.0 / 1e6)}
    assert purse.aside == 0
    assert served.keys == {CANARY}


def test_what_is_finished_is_neither_begun_nor_charged_again(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    first, purse = tune(served, tmp_path), Purse()
    assert tune(served, tmp_path, purse=purse, training_price=8.0) == first
    assert len(jobs.jobs) == 1
    assert purse.cost == 0


def test_other_examples_are_another_job(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    tune(served, tmp_path)
    assert tune(served, tmp_path, examples=EXAMPLES[:11]) == "endpoint:far/ft:starter-remote:11"
    assert len(jobs.jobs) == 2


def test_a_stopped_run_leaves_its_job_and_takes_its_model_later(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    jobs.open, told, looks = False, Told(), iter([False] * 8)
    with pytest.raises(Stopped):
        tune(served, tmp_path, told, stopping=lambda: next(looks, True))
    assert told.said[-1] == "The fine-tuning goes on at the server. Resume the run to take its model."
    jobs.open = True
    assert tune(served, tmp_path) == "endpoint:far/ft:starter-remote:12"
    assert len(jobs.jobs) == 1


@pytest.mark.parametrize("killed", ["reply lost", "before the note"])
def test_a_job_is_found_by_its_file_where_its_name_never_arrived(
    served: Served, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    if killed == "reply lost":
        jobs.lost = 1
    else:
        with monkeypatch.context() as patch:
            patch.setattr(shop.Shop, "ended", lambda *_: pytest.fail("killed"))
            with pytest.raises(pytest.fail.Exception):
                tune(served, tmp_path)
        note = json.loads((tmp_path / work.NOTE).read_text())
        (tmp_path / work.NOTE).write_text(json.dumps(note | {"job": ""}))
    assert tune(served, tmp_path) == "endpoint:far/ft:starter-remote:12"
    assert len(jobs.jobs) == 1


def test_what_a_server_does_not_know_is_left_out_or_said_in_its_older_form(
    served: Served, jobs: Jobs, tmp_path: Path
) -> None:
    jobs.refused = {"metadata", "seed", "suffix", "method"}
    tune(served, tmp_path)
    assert jobs.jobs["ftjob-0"]["hyperparameters"] == {}, "set by the server"
    assert not jobs.refused & jobs.jobs["ftjob-0"].keys()


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_without_a_model_says_why_and_a_resumed_run_begins_another(
    served: Served, jobs: Jobs, tmp_path: Path, status: str
) -> None:
    made = jobs.train
    jobs.train = lambda lines, asked: f"failed: Line 3 of {CANARY} is unsafe."
    if status == "cancelled":
        jobs.open = False
        looks = iter([False] * 8)
        with pytest.raises(Stopped):
            tune(served, tmp_path, stopping=lambda: next(looks, True))
        jobs.jobs["ftjob-0"]["status"] = "cancelled"
    with pytest.raises(UserError) as problem:
        tune(served, tmp_path)
    words = {
        "failed": "The fine-tuning job failed at the server (Line 3 of [key] is unsafe).",
        "cancelled": "The fine-tuning job was cancelled at the server.",
    }
    assert problem.value.what == words[status]
    jobs.train, jobs.open = made, True
    assert tune(served, tmp_path) == "endpoint:far/ft:starter-remote:12"
    assert len(jobs.jobs) == 2


def test_a_killed_run_has_the_cost_of_a_finished_job_in_its_books_once_saved(
    served: Served, jobs: Jobs, tmp_path: Path
) -> None:
    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(served, tmp_path, training_price=8.0, kept=killed)
    again, later = Purse(), Purse()
    tune(served, tmp_path, purse=again, training_price=8.0)
    assert again.cost == jobs.jobs["ftjob-0"]["trained_tokens"] * 8.0 / 1e6
    tune(served, tmp_path, purse=later, training_price=8.0)
    assert later.cost == 0


def test_what_a_job_without_a_model_took_is_counted(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    def train(lines: list[dict[str, Any]], asked: dict[str, Any]) -> str:
        jobs.jobs["ftjob-0"]["trained_tokens"] = 500
        return "failed: No."

    jobs.train, purse, kept = train, Purse(), []
    with pytest.raises(UserError, match="failed"):
        tune(served, tmp_path, purse=purse, training_price=8.0, kept=lambda: kept.append(dict(purse.spent)))
    assert kept == [{"far": Spent(trained_tokens=500, cost=500 * 8.0 / 1e6)}]


@pytest.mark.parametrize(
    ("status", "model", "words"),
    [
        ("Succeeded", "m", ""),
        ("completed", "m", ""),
        ("error", None, "failed at the server"),
        ("canceled", None, "was cancelled"),
        ("succeeded", None, "no usable name"),
        ("succeeded", f"ft:{CANARY}", "no usable name"),
        ("succeeded", "x" * 300, "no usable name"),
        ("succeeded", "a\x00b", "no usable name"),
    ],
)
def test_other_words_for_the_end_of_a_job_are_understood(
    served: Served, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, model: str, words: str
) -> None:
    monkeypatch.setattr(shop, "_NAMELESS_SECONDS", 0.05)
    jobs.open, looks = False, iter([False] * 8)
    with pytest.raises(Stopped):
        tune(served, tmp_path, stopping=lambda: next(looks, True))
    jobs.jobs["ftjob-0"] |= {"status": status, "fine_tuned_model": model}
    if words:
        with pytest.raises(UserError, match=words):
            tune(served, tmp_path)
    else:
        assert tune(served, tmp_path) == "endpoint:far/m"
    assert all(CANARY not in path.read_text() for path in tmp_path.iterdir())


def test_what_a_job_took_is_counted_once_however_it_is_resumed(
    served: Served, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job without a name for its model, looked at again and again; and a failed one whose run is killed."""
    monkeypatch.setattr(shop, "_NAMELESS_SECONDS", 0.02)
    purse = Purse()
    jobs.train = lambda lines, asked: ""
    for _ in range(3):
        with pytest.raises(UserError, match="no usable name"):
            tune(served, tmp_path, purse=purse, training_price=8.0)
    jobs.jobs["ftjob-0"]["fine_tuned_model"] = "late"
    assert tune(served, tmp_path, purse=purse, training_price=8.0) == "endpoint:far/late"
    assert purse.spent["far"].trained_tokens == jobs.jobs["ftjob-0"]["trained_tokens"]

    def train(lines: list[dict[str, Any]], asked: dict[str, Any]) -> str:
        asked["trained_tokens"] = 500
        return "failed: No."

    def killed() -> None:
        raise KeyboardInterrupt

    jobs.train, books = train, Purse()
    with pytest.raises(KeyboardInterrupt):
        tune(served, tmp_path, examples=EXAMPLES[:5], training_price=8.0, kept=killed)
    with pytest.raises(UserError, match="failed"):
        tune(served, tmp_path, purse=books, examples=EXAMPLES[:5], training_price=8.0)
    assert books.spent["far"].trained_tokens == 500
    assert len(jobs.jobs) == 2


def test_where_job_and_files_are_gone_all_is_handed_over_again(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    jobs.open, looks = False, iter([False] * 8)
    with pytest.raises(Stopped):
        tune(served, tmp_path, stopping=lambda: next(looks, True))
    jobs.open = True
    jobs.jobs.clear()
    jobs.files.clear()
    jobs.events.clear()
    assert tune(served, tmp_path) == "endpoint:far/ft:starter-remote:12"
    assert len(jobs.jobs) == 1


def test_a_job_of_another_run_is_never_taken(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    tune(served, tmp_path / "a")
    jobs.lost = 1
    tune(served, tmp_path / "b")
    assert len(jobs.jobs) == 2


def test_a_status_of_its_own_is_said_once(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    told, looks = Told(), iter([False] * 60)
    jobs.open = False

    def paused() -> bool:
        for job in jobs.jobs.values():
            job["status"] = "paused"
        return next(looks, True)

    with pytest.raises(Stopped):
        tune(served, tmp_path, told, stopping=paused)
    assert told.said.count("The server says of the job: paused.") == 1


@pytest.mark.parametrize("status", [400, 404, 405, 500])
def test_a_server_without_events_still_gives_its_model(
    served: Served, jobs: Jobs, tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Jobs._there

    def without(self: Jobs, path: str) -> tuple[int, dict[str, Any]]:
        return (status, {}) if "/events" in path else there(self, path)

    monkeypatch.setattr(Jobs, "_there", without)
    assert tune(served, tmp_path) == "endpoint:far/ft:starter-remote:12"


def test_many_messages_are_cut_short_the_last_one_is_told_and_none_again(
    served: Served, jobs: Jobs, tmp_path: Path
) -> None:
    made = jobs.train

    def train(lines: list[dict[str, Any]], asked: dict[str, Any]) -> str:
        for number in range(40):
            jobs._tell("ftjob-0", f"Checkpoint {number}")
        return made(lines, asked)

    jobs.train, told = train, Told()
    jobs.open, looks = False, iter([False] * 8)
    with pytest.raises(Stopped):
        tune(served, tmp_path, told, stopping=lambda: next(looks, True))
    jobs.open = True
    tune(served, tmp_path, told)
    said = [sentence.removeprefix("The server says: ") for sentence in told.said if "server says" in sentence]
    assert said.count("Created fine-tuning job") == 1
    assert 10 < len(said) < 25
    assert said[-1] == "The job has successfully completed"


def test_a_new_model_is_waited_for(served: Served, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def there(path: str) -> int:
        looked.append(path)
        return 404 if "ft:" in path and len(looked) < 4 else 200

    monkeypatch.setattr(shop, "_POLL", (0.001, 0.003))
    served.there, told = there, Told()
    tune(served, tmp_path, told)
    assert len(looked) == 4
    assert "The server does not answer as the new model yet. The run waits for it." in told.said


def test_nothing_is_handed_over_beyond_the_budget(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    purse = Purse(budget=0.001)
    with pytest.raises(OutOfBudget, match=r"no further fine-tuning at an endpoint.*may cost up to 0\.0"):
        tune(served, tmp_path, purse=purse, training_price=8.0)
    assert not jobs.jobs
    assert not jobs.files
    assert purse.aside == 0
    enough = Purse(budget=1.0)
    tune(served, tmp_path, purse=enough, training_price=8.0)
    assert 0 < enough.cost < 1.0


def test_tokens_that_the_server_does_not_count_are_estimated(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    jobs.counted, purse = False, Purse()
    tune(served, tmp_path, purse=purse, training_price=8.0)
    assert purse.spent["far"].trained_tokens > 0


def test_a_server_without_fine_tuning_is_said_to_have_none(tmp_path: Path) -> None:
    desk = Desk(lambda body: completion("A"))
    with (
        serving(lambda request: completion("A"), desk) as served,
        pytest.raises(UserError, match="no fine-tuning jobs") as problem,
    ):
        tune(served, tmp_path)
    assert problem.value.remedy == "Choose a model that is fine-tuned on this machine."


def test_a_test_of_the_connection_tells_whether_it_fine_tunes(served: Served) -> None:
    assert trial.tried(served.endpoint(), "").jobs
    with serving(lambda request: completion("A")) as other:
        assert not trial.tried(other.endpoint(), "").jobs


def test_odd_replies_are_no_job_and_no_number(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    told = Told()
    made = jobs.train

    def train(lines: list[dict[str, Any]], asked: dict[str, Any]) -> str:
        for odd in (
            {"step": "x"},
            {"step": True, "train_loss": 1},
            {"step": 9, "train_loss": "NaN"},
            {"step": 9, "train_loss": 10**400},
            {"step": -1},
            {"step": 2**63, "train_loss": 1.0},
        ):
            event = {"id": f"odd{len(jobs.events['ftjob-0'])}", "type": "metrics", "data": odd, "message": ""}
            jobs.events["ftjob-0"].append(event)
        jobs.events["ftjob-0"].append({"no": "id"})
        return made(lines, asked)

    jobs.train = train
    assert tune(served, tmp_path, told).startswith("endpoint:far/")
    assert [step for _, step, _ in told.metrics] == [1, 2, 3]


def test_the_note_holds_no_key_and_a_damaged_one_is_no_note(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    tune(served, tmp_path)
    note = tmp_path / work.NOTE
    assert CANARY not in note.read_text()
    for damage in ("{", "[]", '{"fingerprint": 3, "more": 1}'):
        note.write_text(damage)
        tune(served, tmp_path)
    assert len(jobs.jobs) == 4


def test_a_reply_without_a_name_of_the_job_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    class Odd(Jobs):
        def _new(self, request: Request, content: bytes) -> tuple[int, dict[str, Any]]:
            if request.handler.path.endswith("/files"):
                return super()._new(request, content)
            return 200, {"id": None}

    with (
        serving(lambda request: completion("A"), jobs=Odd(lambda lines, asked: "x")) as served,
        pytest.raises(UserError, match="cannot be asked about the fine-tuning job"),
    ):
        tune(served, tmp_path)
