"""Whole runs whose model is at a server, which fine-tunes it: a real server that trains the bundled starter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from semievol.config import Config
from semievol.engines.endpoints import errands, shop
from semievol.engines.local import LocalEngine
from semievol.errors import UserError
from semievol.export import export
from semievol.export.archive import write as write_archive
from semievol.importing.mapping import Mapping
from semievol.jobs import inference_client, launch, money, one_record, planning, predicting, studying, worker
from semievol.jobs.summary import summary
from semievol.method.protocols import Ask, TrainingSetup
from semievol.method.spending import read
from semievol.presets import overlaid, validate
from semievol.records import Example, Message, Task
from semievol.store import settings
from semievol.store.data import projects, records, versions
from semievol.store.database import Store, open_store
from semievol.store.results import outcomes, results
from semievol.store.runs import claims, progress, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.task.prompts import render
from semievol.tuning import Tuning
from tests.endpoint_servers import Jobs, Request, Served, Starter, serving
from tests.jobs.test_endpoint_runs import made

TASK = Task("multiple_choice")
CANARY = "sk-canary-0123456789abcdef"
POOL, LABELED, TEST = 12, 12, 6


class Trainer:
    """Fine-tunes the starter for a server, in a few steps. Every model is named by its number."""

    def __init__(self, starter: Starter, folder: Path) -> None:
        self.starter, self.folder = starter, folder
        self.trained: list[list[dict[str, Any]]] = []
        self.engine: LocalEngine | None = None

    def __call__(self, lines: list[dict[str, Any]], asked: dict[str, Any]) -> str:
        self.engine = self.engine or LocalEngine("starter", threads=1)
        self.trained.append(lines)
        name = f"ft:starter/{len(self.trained)}"
        examples = [
            Example(
                str(i),
                tuple(Message(turn["role"], turn["content"]) for turn in line["messages"][:-1]),
                line["messages"][-1]["content"],
                "gold",
            )
            for i, line in enumerate(lines)
        ]
        setup = TrainingSetup(
            Tuning(method="lora", epochs=1, minimum_steps=4), self.folder / str(len(self.trained)), asked["seed"]
        )
        quiet = (lambda name, step, value: None, lambda step, total: None, lambda: False)
        self.starter.tuned[name] = self.engine.train(examples, setup, *quiet)
        return name


@pytest.fixture(scope="module")
def starter() -> Starter:
    return Starter()


@pytest.fixture
def trainer(starter: Starter, tmp_path: Path) -> Trainer:
    return Trainer(starter, tmp_path / "server")


@pytest.fixture
def served(starter: Starter, trainer: Trainer) -> Iterator[Served]:
    with serving(starter, jobs=Jobs(trainer)) as server:
        yield server


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


@pytest.fixture
def project(store: Store, served: Served) -> projects.Project:
    settings.save_endpoint(store, served.endpoint(key_variable="THE_KEY", training_price=8.0, input_price=1.0))
    project = projects.create_project(store, "Far", TASK)
    rows = [*made("labeled", LABELED), *made("unlabeled", POOL), *made("test", TEST)]
    sources = [{"split": "unlabeled", "mapping": Mapping("question", options="options").as_dict()}]
    versions.store_version(store, project.id, rows, {}, sources, [], TASK)
    return projects.find_project(store, project.id)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker of its own, quick looks at the server, and no local model at all."""
    monkeypatch.setenv("THE_KEY", CANARY)
    monkeypatch.setattr(launch, "ensure_worker", lambda store: None)
    monkeypatch.setattr(worker, "_log_into", lambda path, secrets: None)
    monkeypatch.setattr(shop, "_POLL", (0.001, 0.01))
    monkeypatch.setattr(errands, "_GLANCE_SECONDS", 0.001)


def config(*assignments: str) -> Config:
    alone = {"name": "warm-up", "model": "warm_up", "demonstrations": False}
    base = {"name": "base", "model": "base", "demonstrations": True}
    vote = {"name": "vote", "model": "neighbours", "demonstrations": False}
    propagation = {"collaborators": [alone, base, vote], "k": 1, "embedder": "char-tfidf"}
    overlay = {"preset": "studio", "model": "endpoint:far", "calibration": 0.0, "propagation": propagation}
    return overlaid(overlay, assignments)


def carried_out(store: Store, run: runs.Run) -> runs.Run:
    worker.carry_out(store, claims.claim(store, run.id, 1))
    return runs.get_run(store, run.id)


def test_a_server_fine_tunes_answers_and_is_evaluated_and_no_local_model_is_loaded(
    store: Store, project: projects.Project, served: Served, trainer: Trainer, tmp_path: Path
) -> None:
    expected = {one.endpoint: one for one in money.expected(store, project.version_id or 0, config())}["far"]
    run = carried_out(store, launch.start(store, project, config()))
    assert run.status == "done", run.error

    # The server has fine-tuned twice: on the labeled records, and on these with the accepted ones.
    frozen = outcomes.trained_on(store, run.round_id)
    assert frozen is not None
    assert [len(lines) for lines in trainer.trained] == [LABELED, LABELED + len(frozen.answers)]
    assert outcomes.adapters(store, run.round_id) == {
        "warm_up": "endpoint:far/ft:starter/1",
        "tune": "endpoint:far/ft:starter/2",
    }
    assert len(results.candidate_frame(store, run.round_id)) == POOL
    asked = {name: sum(one.body["model"] == name for one in served.asked) for name in ("ft:starter/1", "ft:starter/2")}
    assert asked == {"ft:starter/1": POOL + TEST, "ft:starter/2": TEST}

    # Its answers to the test set are those that its model gives here.
    test = [one for one in records.load_records(store, project.version_id or 0) if one.split == "test"]
    tuned = trainer.starter.tuned["ft:starter/2"]
    asks = [Ask(r.id, "e", tuned, render(TASK, r, rule_first=True), tuple("ABCD")) for r in test]
    here = dict(zip([r.id for r in test], LocalEngine("starter", threads=1).answer(asks), strict=True))
    there = {one.record_id: one.answer for one in StoreJournal(store, run).predictions("evolved")}
    assert there == {name: reply.text for name, reply in here.items()}
    assert {"base", "warm_up", "evolved", "neighbours"} <= (outcomes.evaluation(store, run.id) or {}).keys()
    assert summary(store, run.id)["evaluate"]["evolved"]["accuracy"] is not None

    # What it took was expected about so, and is told.
    spent = read(run.spent)["far"]
    assert spent.answers == 2 * POOL + 3 * TEST
    assert (expected.questions, expected.cost is not None) == (spent.answers, True)
    assert 0.2 < expected.trained_tokens / (spent.trained_tokens * 3) < 5
    assert "loss" in set(progress.metrics(store, run.id)["name"])
    said = [event.text for event in progress.events(store, run.id)]
    assert any(text.startswith("Handed over to far as the fine-tuning job ftjob-0") for text in said)

    # The resulting model is used: asked on a page, by a file, in a next round; it has no files to export.
    record = made("test", 1)[0]
    answers = inference_client.ask(store, run.round_id, record, models=("base", "warm_up", "evolved"))
    assert [one["model"] for one in answers] == ["base", "warm_up", "evolved"]
    assert [one.body["model"] for one in served.asked[-3:]] == ["starter-remote", "ft:starter/1", "ft:starter/2"]
    told = predicting.predict(store, project, _like_the_project(tmp_path), tmp_path / "out.csv")
    assert told["answered"] == 3
    assert served.asked[-1].body["model"] == "ft:starter/2"
    with pytest.raises(UserError, match=r"at the endpoint far, where it is called ft:starter/2"):
        export(store, project, "adapter", tmp_path / "adapter")
    _, notes = write_archive(store, project, tmp_path / "whole.zip")
    assert "The model ft:starter/2 is left out: it is at the endpoint far." in notes
    export(store, project, "training", tmp_path / "training.jsonl")
    assert len((tmp_path / "training.jsonl").read_text().splitlines()) == len(trainer.trained[1])
    export(store, project, "report", tmp_path / "report.html")
    for path in [*store.home.rglob("*"), *tmp_path.glob("*.*")]:
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path

    later = carried_out(store, launch.start(store, project, config("seed=1"), until="tune", parent_id=run.round_id))
    assert later.status == "done", later.error
    assert outcomes.adapters(store, later.round_id)["warm_up"] == "endpoint:far/ft:starter/2"
    assert len(trainer.trained) == 3, "the evolved model takes the place of the warm-up"


def _like_the_project(folder: Path) -> Path:
    path = folder / "predict.jsonl"
    lines = [{"question": one.question, "options": list(one.options)} for one in made("test", 3)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def test_a_killed_run_finds_its_job_and_pays_for_no_answer_twice(
    store: Store, project: projects.Project, served: Served, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch.start(store, project, config(), until="respond")
    with monkeypatch.context() as patch:
        patch.setattr(shop.Shop, "ended", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            worker.carry_out(store, claims.claim(store, run.id, 1))
    claims.finish(store, run.id, runs.get_run(store, run.id).attempt, "interrupted")
    launch.resume(store, run.id)
    done = carried_out(store, run)
    assert done.status == "done", done.error
    assert len(trainer.trained) == 1
    assert read(done.spent)["far"].answers == 2 * POOL


def test_a_question_of_the_evaluation_without_an_answer_ends_the_run_and_is_asked_again(
    store: Store, project: projects.Project, starter: Starter, trainer: Trainer
) -> None:
    broken = [True]

    def answer(request: Request) -> dict[str, Any] | None:
        if broken[0] and request.body["model"] == "ft:starter/2" and "Report 3 of test" in request.question:
            request.send(413, b"{}")
            return None
        return starter(request)

    with serving(answer, jobs=Jobs(trainer)) as served:
        settings.save_endpoint(store, served.endpoint())
        run = carried_out(store, launch.start(store, project, config()))
        assert run.status == "failed"
        assert run.error is not None
        assert run.error["what"] == "1 question of the evaluation got no answer from the server."
        broken[0] = False
        before = len(served.asked)
        launch.resume(store, run.id)
        assert carried_out(store, run).status == "done"
        assert len(served.asked) == before + 1


def test_the_budget_holds_for_fine_tuning_too(store: Store, project: projects.Project, trainer: Trainer) -> None:
    run = carried_out(store, launch.start(store, project, config("budget=0.00001")))
    assert run.status == "cancelled"
    assert run.error is not None
    assert "allows no further fine-tuning" in run.error["what"]
    assert not trainer.trained


def test_predictions_that_are_paid_are_written_where_the_server_can_be_asked_no_more(
    store: Store, project: projects.Project, starter: Starter, tmp_path: Path
) -> None:
    left = [2]

    def answer(request: Request) -> dict[str, Any] | None:
        left[0] -= 1
        if left[0] < 0:
            request.send(401, b"{}")
            return None
        return starter(request)

    with serving(answer) as served:
        settings.save_endpoint(store, served.endpoint(concurrency=1, input_price=1.0))
        projects.update_project(store, project.id, settings=config().model_dump(mode="json"))
        here = projects.find_project(store, project.id)
        told = predicting.predict(store, here, _like_the_project(tmp_path), tmp_path / "out.csv", model="base")
    assert told["answered"] == 2
    assert [one["reason"] for one in told["not_answered"]] == ["The server gave no answer."]
    assert any("The server refuses the key" in note for note in told["notes"])
    assert any(note.startswith("far: 2 answers") for note in told["notes"])
    assert (tmp_path / "out.csv").read_text().count("\n") == 4


def test_predictions_of_a_server_that_cannot_be_used_are_no_file(
    store: Store, project: projects.Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.update_project(store, project.id, settings=config().model_dump(mode="json"))
    here = projects.find_project(store, project.id)
    monkeypatch.delenv("THE_KEY")
    with pytest.raises(UserError, match="THE_KEY"):
        predicting.predict(store, here, _like_the_project(tmp_path), tmp_path / "out.csv", model="base")
    assert not (tmp_path / "out.csv").exists()


def test_a_round_after_one_at_a_server_has_its_model_and_what_the_server_can_do(
    store: Store, project: projects.Project
) -> None:
    first = claims.claim(store, launch.start(store, project, config()).id, 1)
    StoreJournal(store, first).save_adapter("tune", "endpoint:far/ft:starter/9")
    parent = rounds.get_round(store, first.round_id)
    more = ("tune.kl=0.1", "propagation.warm_up.kl=0.1", "token_cleaning=0.2", "propagation.embedder=model")
    local = config("model=starter", "cross_fit=3", *more)
    for found in (planning.for_later_round(local, parent), rounds.with_settings_of(parent, local)):
        assert validate(found.model_dump(mode="json")) == found, "as it can be stored and read again"
        assert (found.model, found.tune.kl, found.cross_fit, found.token_cleaning) == ("endpoint:far", 0, 0, 0)
    with pytest.raises(UserError, match="fine-tuned the model endpoint:far, and these settings name starter"):
        launch.start(store, project, config("model=starter"), parent_id=parent.id)
    assert len(rounds.list_rounds(store, project.id)) == 1
    assert planning.for_later_round(config("model=starter"), parent).model == "endpoint:far"


def test_what_is_left_to_pay_follows_from_the_stages_of_a_run(store: Store, project: projects.Project) -> None:
    def cost(*stages: str, later_round: bool = False) -> money.Expected:
        about = (store, project.version_id or 0, config(), None)
        return money.expected(*about, stages=stages, later_round=later_round)[0]

    assert cost("evaluate").questions == 3 * TEST
    assert cost("evaluate").trained_tokens == 0
    assert cost("tune", "evaluate").trained_tokens > cost("warm_up").trained_tokens > 0
    assert cost("warm_up", "respond").questions == 2 * POOL
    assert cost("warm_up", "respond", later_round=True).trained_tokens == 0


def test_one_record_is_asked_of_a_server_before_a_run(store: Store, project: projects.Project, served: Served) -> None:
    record = next(one for one in records.load_records(store, project.version_id or 0) if one.split == "unlabeled")
    both = config(
        "propagation.collaborators=[{name: a, demonstrations: false}, {name: b, model: base}]", "propagation.k=0"
    )
    said = list(one_record.ask_all(store, project.id, project.version_id or 0, both, record, None, lambda words: None))
    assert [one.error for one in said] == [None, None]
    assert [one.stands_in for one in said] == [True, False]
    assert [one.body["model"] for one in served.asked] == ["starter-remote"] * 2


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("cross_fit=2", "every fold would begin a fine-tuning"),
        ("token_cleaning=0.2", "token_cleaning"),
        ("tune.kl=0.1", "set tune.kl to 0"),
        ("propagation.embedder=model", "another embedder than `model`"),
        ("model='endpoint:'", "endpoint:NAME"),
        ("model=endpoint:far/ft:x", "endpoint:NAME"),
    ],
)
def test_what_a_server_cannot_do_is_refused_before_anything_is_queued(assignment: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        config(assignment)


def test_an_unknown_endpoint_and_a_study_are_refused(store: Store, project: projects.Project) -> None:
    with pytest.raises(UserError, match='no endpoint "gone"'):
        launch.start(store, project, config("model=endpoint:gone"))
    with pytest.raises(UserError, match="fine-tunes for every arm and seed"):
        studying.start(store, project, config(), ["warm_up"], 2)
    assert not runs.list_runs(store, project.id)
    assert not rounds.list_rounds(store, project.id)


def test_weights_are_not_earned_by_fine_tuning_folds_at_a_server(store: Store, project: projects.Project) -> None:
    settled = planning.of_version(store, project.version_id or 0, config("propagation.weighting=auto"), False)
    assert (settled.cross_fit, settled.propagation.weighting) == (0, "equal")
