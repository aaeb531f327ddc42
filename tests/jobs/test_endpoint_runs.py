"""Whole runs whose collaborators are endpoints, against a real server: the bundled starter behind HTTP."""

from __future__ import annotations

import dataclasses
import json
import logging
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from semievol.config import Config
from semievol.endpoints import Endpoint
from semievol.engines.local import LocalEngine
from semievol.errors import UserError
from semievol.export import export
from semievol.jobs import launch, models, money, planning, remote_models, studying, worker
from semievol.jobs.summary import summary
from semievol.method.protocols import Ask
from semievol.method.spending import read
from semievol.presets import overlaid
from semievol.records import Record, Split, Task
from semievol.store import settings
from semievol.store.data import projects, records, versions
from semievol.store.database import Store, open_store
from semievol.store.results import results
from semievol.store.runs import claims, progress, rounds, runs
from semievol.store.runs.journal import StoreJournal
from semievol.task.prompts import render
from tests.endpoint_servers import MODEL, Desk, Request, Served, Starter, lettered, serving

TASK = Task("multiple_choice")
OPTIONS = ("a loose dog", "a water leak", "a fallen tree", "loud music")
POOL = 24


def made(split: Split, count: int) -> list[Record]:
    found = []
    for i in range(count):
        right = i % 4
        shown = OPTIONS[i % 3 :] + OPTIONS[: i % 3]
        question = f"Report {i} of {split}: neighbours complain about {OPTIONS[right]} in street {i // 4}. What is it?"
        answer = None if split == "unlabeled" else "ABCD"[shown.index(OPTIONS[right])]
        found.append(Record(f"{split}{i:03}", question, shown, answer, split, i + 2))
    return found


@pytest.fixture(scope="module")
def starter() -> Starter:
    return Starter()


@pytest.fixture
def served(starter: Starter) -> Iterator[Served]:
    server = Served(starter)
    yield server
    server.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "workspace")


@pytest.fixture
def project(store: Store) -> projects.Project:
    project = projects.create_project(store, "Far", TASK)
    versions.store_version(store, project.id, [*made("labeled", 16), *made("unlabeled", POOL)], {}, [], [], TASK)
    return projects.find_project(store, project.id)


def config(*assignments: str) -> Config:
    far = {"name": "far", "model": "endpoint:far", "demonstrations": False}
    vote = {"name": "vote", "model": "neighbours", "demonstrations": False}
    overlay = {"preset": "studio", "calibration": 0.0, "propagation": {"collaborators": [far, vote], "k": 1}}
    return overlaid(overlay, assignments)


def carried_out(store: Store, run: runs.Run) -> runs.Run:
    """The run, carried out in this process: a worker of its own would only load torch again."""
    worker.carry_out(store, claims.claim(store, run.id, 1))
    return runs.get_run(store, run.id)


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "ensure_worker", lambda store: None)
    monkeypatch.setattr(worker, "_log_into", lambda path, secrets: None)


def test_an_endpoint_answers_from_respond_to_select_and_no_local_model_is_loaded_or_trained(
    store: Store, project: projects.Project, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers are those of the local engine, its probabilities bounds of that engine's."""
    settings.save_endpoint(store, served.endpoint())
    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "base", property(lambda self: pytest.fail("the base model was loaded")))
        run = carried_out(store, launch.start(store, project, config(), until="select"))
    assert run.status == "done", run.error
    frame = results.candidate_frame(store, run.round_id)
    assert len(frame) == POOL
    assert set(frame["exactness"]) == {"bound"}
    assert frame["answer_nll"].notna().all()
    assert len(served.asked) == POOL
    assert any("No warm-up was trained" in event.text for event in progress.events(store, run.id))

    responses = {r.record_id: r for r in StoreJournal(store, run).responses("respond") if r.collaborator == "far"}
    pool = [record for record in records.load_records(store, project.version_id or 0) if record.split == "unlabeled"]
    asks = [Ask(r.id, "base", "base", render(TASK, r), tuple("ABCD")) for r in pool]
    local = dict(zip([r.id for r in pool], LocalEngine("starter").answer(asks), strict=True))
    assert len(responses) == POOL
    for record_id, far in responses.items():
        near = local[record_id]
        assert far.answer == near.text
        place = "ABCD".index(near.text)
        assert far.probabilities[place] <= near.probabilities[place] + 1e-3
        # What the list leaves open is all that the two may differ by.
        assert far.mass is not None
        assert near.probabilities[place] - far.probabilities[place] <= 1 - far.mass + 1e-3


def test_a_run_hands_its_questions_over_as_one_batch(store: Store, project: projects.Project, starter: Starter) -> None:
    desk = Desk(lambda body: starter(SimpleNamespace(body=body)))
    with serving(starter, desk) as served:
        settings.save_endpoint(store, served.endpoint(batch=True))
        run = carried_out(store, launch.start(store, project, config(), until="select"))
        assert run.status == "done", run.error
        assert (len(served.asked), len(desk.batches)) == (1, 1)
        assert any("Handed over to far as the batch" in event.text for event in progress.events(store, run.id))
        assert read(run.spent)["far"].answers == POOL
        assert summary(store, run.id)["unanswered"] is None
        assert remote_models.answer(store, config(), asked_alone()).text in "ABCD"
        assert (len(served.asked), len(desk.batches)) == (2, 1), "who waits for an answer gets it at once"


def asked_alone() -> Ask:
    return Ask("r", "far", "endpoint:far", render(TASK, made("labeled", 1)[0]), tuple("ABCD"))


CANARY = "sk-canary-0123456789abcdef"


def faulty(request: Request) -> dict[str, Any] | None:
    """Every third question fails for good, with the key in what the server says; so does every answer hold it."""
    number = int(request.question.split()[1])
    if number % 3 == 0 and "broken" in request.handler.path:
        request.send(400, json.dumps({"error": {"message": f"no answer for {request.key}"}}).encode())
        return None
    return lettered(request, "ABCD"[number % 4]) | {"system_fingerprint": request.key}


def test_a_budget_stops_a_run_a_larger_one_resumes_it_and_no_key_is_left_anywhere(
    store: Store, project: projects.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", CANARY)
    settings.save_endpoint(store, Endpoint("far", "http://127.0.0.1:9/v1", MODEL, "THE_KEY"))
    log = logging.FileHandler(store.home / "run.log")
    log.setFormatter(worker._Redacting(remote_models.secrets(store)))
    logging.getLogger().addHandler(log)
    logging.getLogger("semievol").error("trying %s", CANARY)
    with serving(faulty) as served:
        far = served.endpoint(key_variable="THE_KEY", concurrency=2, input_price=1e3, output_price=1e3)
        settings.save_endpoint(store, dataclasses.replace(far, url=far.url.replace("/v1", "/broken/v1")))
        asked = config("budget=0.4", "propagation.max_answer_tokens=8")
        (expected,) = money.expected(store, project.version_id or 0, asked)
        assert expected.questions == POOL
        assert expected.cost == pytest.approx((expected.input_tokens + expected.output_tokens) / 1e3)
        run = carried_out(store, launch.start(store, project, asked, until="justify"))
        assert run.status == "cancelled"
        assert run.error is not None
        assert run.error["where"] == "budget"
        first = read(run.spent)["far"]
        assert 0 < first.cost <= 0.4
        run = carried_out(store, launch.resume(store, run.id, budget=100.0))
        assert run.status == "done", run.error
        told = summary(store, run.id)
        refused = [n for n in range(POOL) if n % 3 == 0]
        assert told["unanswered"] == {"far": len(refused)}
        assert told["endpoints"]["far"]["answers"] == POOL - len(refused)
        assert told["candidates"] == POOL, "the neighbours' vote has answered all"
        assert any("[key]" in note and "another run" in note.lower() for note in told["notes"])
        answered = Counter(r.question for r in served.asked if int(r.question.split()[1]) % 3)
        assert set(answered.values()) == {1}, "what is stored is never paid for again"
        settings.save_endpoint(store, far)  # the server was mended
        asked = config("propagation.max_answer_tokens=8")
        assert planning.propagated(store, project, asked) is None, "there is something left to ask"
        (left,) = money.expected(store, project.version_id or 0, asked, run.round_id)
        assert left.questions == len(refused)
        before = len(served.asked)
        again = carried_out(store, launch.start(store, project, asked, until="justify"))
        assert len(served.asked) - before == len(refused)
        assert summary(store, again.id)["unanswered"] is None
        assert money.expected(store, project.version_id or 0, asked, run.round_id) == []
        assert served.keys == {CANARY}
    logging.getLogger().removeHandler(log)
    log.close()
    assert "trying [key]" in (store.home / "run.log").read_text()
    for path in store.home.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    archive = store.home / "archive.zip"
    export(store, project, "archive", archive)
    with zipfile.ZipFile(archive) as packed:
        assert all(CANARY.encode() not in packed.read(name) for name in packed.namelist())


def test_what_cannot_work_is_refused_before_it_is_queued(
    store: Store, project: projects.Project, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    with pytest.raises(UserError, match="no endpoint"):
        launch.start(store, project, config(), until="justify")
    settings.save_endpoint(store, served.endpoint(key_variable="THE_KEY"))
    with pytest.raises(UserError, match="THE_KEY"):
        launch.start(store, project, config(), until="justify")
    served.close()
    settings.save_endpoint(store, served.endpoint())
    with pytest.raises(UserError, match="cannot be reached"):
        launch.start(store, project, config(), until="justify")
    assert not runs.list_runs(store)
    assert not rounds.list_rounds(store, project.id)


def test_a_run_says_clearly_that_its_server_has_gone_since_it_was_queued(
    store: Store, project: projects.Project, served: Served
) -> None:
    settings.save_endpoint(store, served.endpoint())
    queued = launch.start(store, project, config(), until="justify")
    served.close()
    run = carried_out(store, queued)
    assert run.status == "failed"
    assert run.error is not None
    assert "cannot be reached" in run.error["what"]
    assert "Start the server" in run.error["remedy"]


def test_a_name_stands_for_one_model_for_ever(store: Store, served: Served) -> None:
    settings.save_endpoint(store, served.endpoint())
    settings.remove_endpoint(store, "far")
    assert settings.endpoints(store) == []
    with pytest.raises(UserError, match="stands for the model"):
        settings.save_endpoint(store, served.endpoint(model="another"))
    settings.save_endpoint(store, served.endpoint(concurrency=2))
    assert [one.concurrency for one in settings.endpoints(store)] == [2]
    assert models.choices(store, "starter")[-1].name == "endpoint:far"


def test_a_question_on_a_page_is_answered_by_endpoints_too(store: Store, served: Served) -> None:
    settings.save_endpoint(store, served.endpoint())
    question = made("test", 1)[0]
    (said,) = remote_models.ask(store, config(), TASK, question, (), {"far": "endpoint:far"})
    assert said["model"] == "far"
    assert said["answer"] in "ABCD"
    assert sum(said["probabilities"].values()) == pytest.approx(1)
    assert 0 <= said["entropy"] <= 1
    with pytest.raises(UserError, match="no endpoint"):
        remote_models.ask(store, config(), TASK, question, (), {"gone": "endpoint:gone"})


def test_a_worker_that_dies_has_lost_no_more_than_what_was_under_way(
    store: Store, project: projects.Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = 0
    with serving(lettered) as served:
        settings.save_endpoint(store, served.endpoint(concurrency=3))
        save = StoreJournal.save_responses

        def dying(journal: StoreJournal, stage: str, responses: Any, costs: Any = None, spent: Any = None) -> None:
            nonlocal saved
            if saved >= 9:
                raise OSError("the machine is gone")
            save(journal, stage, responses, costs, spent)
            saved += len(responses)

        with monkeypatch.context() as patch:
            patch.setattr(StoreJournal, "save_responses", dying)
            run = carried_out(store, launch.start(store, project, config(), until="justify"))
        assert run.status == "failed"
        before = len(served.asked)
        assert 9 <= saved <= before <= saved + 2 * 3
        run = carried_out(store, launch.resume(store, run.id))
        assert run.status == "done", run.error
        assert len(served.asked) - before == POOL - saved
        assert read(run.spent)["far"].answers == POOL


def test_a_study_asks_only_endpoints_that_cost_nothing(store: Store, served: Served) -> None:
    everything = [*made("labeled", 16), *made("unlabeled", POOL), *made("test", 8)]
    project = projects.create_project(store, "Studied", TASK)
    gold = {record.id: "A" for record in everything if record.split == "unlabeled"}
    versions.store_version(store, project.id, everything, gold, [], [], TASK)
    project = projects.find_project(store, project.id)
    for far in (served.endpoint(input_price=0.1), Endpoint("far", "https://models.example/v1", MODEL)):
        settings.save_endpoint(store, far)
        with pytest.raises(UserError, match="dear with far"):
            studying.start(store, project, config(), ["base"], 1)
    settings.save_endpoint(store, served.endpoint())
    short = config("tune.minimum_steps=2", "tune.epochs=0.1", "threads=1")
    run = carried_out(store, studying.start(store, project, short, ["without_collaborator_2"], 1))
    assert run.status == "done", run.error
    told = studying.summary(store, run)
    assert told["titles"] == {"without_collaborator_2": "Evolved, without vote"}
    assert told["arms"]["without_collaborator_2"]["seeds"] == 1
    assert {request.question.split(" of ")[1].split(":")[0] for request in served.asked} <= {
        "labeled",
        "unlabeled",
        "test",
    }
    assert len(served.asked) >= POOL
    waiting = studying.start(store, project, short, ["evolved"], 1)
    settings.save_endpoint(store, served.endpoint(input_price=0.1))
    before = len(served.asked)
    ended = carried_out(store, waiting)
    assert ended.error is not None
    assert "dear with far" in ended.error["what"]
    assert len(served.asked) == before
