"""Fine-tuning at a server: handed over once, found again, followed to its end, and never begun twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from semievol.engines.endpoints import errands, trial, tuning
from semievol.engines.endpoints.asking import Endpoints
from semievol.engines.endpoints.server import Patience
from semievol.errors import UserError
from semievol.method.protocols import OutOfBudget, Stopped
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
    monkeypatch.setattr(tuning, "_POLL", (0.001, 0.01))
    monkeypatch.setattr(tuning, "_AWAY_SECONDS", 1.0)
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
    **values: Any,
) -> str:
    told = told or Told()
    engine = Endpoints([served.endpoint(key_variable="THE_KEY", **values)], {"THE_KEY": CANARY}, IMPATIENT)
    work = (EXAMPLES if examples is None else examples, HELD_OUT, 3, 7, "")
    report = (purse or Purse(), told.metric, told.progress, stopping, told.said.append)
    try:
        return engine.tune("endpoint:far", *work, place, *report)
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
            patch.setattr(tuning._Counter, "ended", lambda *_: pytest.fail("killed"))
            with pytest.raises(pytest.fail.Exception):
                tune(served, tmp_path)
        note = json.loads((tmp_path / tuning.NOTE).read_text())
        (tmp_path / tuning.NOTE).write_text(json.dumps(note | {"job": ""}))
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


def test_nothing_is_handed_over_beyond_the_budget(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    purse = Purse(budget=0.001)
    with pytest.raises(OutOfBudget, match="no further fine-tuning at an endpoint"):
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
        for odd in ({"step": "x"}, {"step": True, "train_loss": 1}, {"step": 9, "train_loss": "NaN"}, {"step": -1}):
            event = {"id": f"odd{len(jobs.events['ftjob-0'])}", "type": "metrics", "data": odd, "message": ""}
            jobs.events["ftjob-0"].append(event)
        jobs.events["ftjob-0"].append({"no": "id"})
        return made(lines, asked)

    jobs.train = train
    assert tune(served, tmp_path, told).startswith("endpoint:far/")
    assert [step for _, step, _ in told.metrics] == [1, 2, 3]


def test_the_note_holds_no_key_and_a_damaged_one_is_no_note(served: Served, jobs: Jobs, tmp_path: Path) -> None:
    tune(served, tmp_path)
    note = tmp_path / tuning.NOTE
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
