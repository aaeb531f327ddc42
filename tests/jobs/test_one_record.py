"""One record before a run: what the collaborators say is what the run would store, and no failure hides the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from semievol.config import Config
from semievol.errors import UserError
from semievol.jobs import inference_process, inference_server, one_record
from semievol.presets import load
from semievol.store.data import projects, records
from semievol.store.database import Store, open_store
from semievol.store.results import results
from tests.fakes import FakeEngine
from tests.ui import made

WAYS = [
    {"name": "read", "model": "base", "order": "shuffled"},
    {"name": "sampled", "temperature": 1, "seed": 3, "demonstrations": False},
    {"name": "vote", "model": "neighbours", "demonstrations": False},
]


@pytest.fixture
def store(_own_home: None) -> Store:
    return open_store()


def served(monkeypatch: pytest.MonkeyPatch, engine: FakeEngine, broken: str = "") -> list[dict[str, Any]]:
    """The requests; they are answered here and now, by this engine. broken: a collaborator that fails."""
    asked: list[dict[str, Any]] = []

    def request(store: Store, config: Config, request: dict[str, Any], watch: inference_process.Watch) -> Any:
        asked.append(json.loads(json.dumps(request)))
        watch("Answering")
        if broken and request.get("collaborator", {}).get("name") == broken:
            raise UserError("The model process ended before it answered.", "asking.log", "Ask again.")
        return json.loads(json.dumps(inference_server._VERBS[request["verb"]](engine, asked[-1])))

    monkeypatch.setattr(inference_process, "request", request)
    return asked


def config_of(*changes: str) -> Config:
    more = ["model=starter", "calibration=0", "propagation.justify=false", *changes]
    return load("paper", None, [f"propagation.collaborators={json.dumps(WAYS)}", *more])


def test_they_say_what_a_run_would_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = made.with_data(store)
    config = config_of()
    projects.update_project(store, project.id, settings=config.model_dump(mode="json"))
    project = projects.find_project(store, project.id)
    made.evolved(store, project, until="justify")
    round_id = made.round_of(store, project)
    version_id = project.version_id
    assert version_id is not None
    truth = {r.id: r.answer for r in records.load_records(store, version_id) if r.answer}
    truth |= records.hidden_gold(store, version_id)
    asked = records.load_records(store, version_id, "unlabeled")[7]
    served(monkeypatch, made.KnowingEngine(truth))
    words: list[str] = []
    found = list(one_record.ask_all(store, project.id, version_id, config, asked, None, words.append))
    stored = {one.collaborator: one for one in results.record_view(store, round_id, asked.id).responses}
    assert [said.collaborator.name for said in found] == ["read", "sampled", "vote"]
    for said in found:
        assert said.error is None
        assert said.response == stored[said.collaborator.name]
    assert [(said.shown, said.stands_in) for said in found] == [(3, False), (0, True), (0, False)]
    assert words[-1] == "Collaborator 3 of 3: answering"


def test_the_failure_of_one_does_not_hide_the_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = made.with_data(store)
    assert project.version_id is not None
    served(monkeypatch, FakeEngine(), broken="read")
    config = config_of('propagation.collaborators.1.model="/no/such/model"')
    asked = records.load_records(store, project.version_id, "unlabeled")[0]
    found = list(one_record.ask_all(store, project.id, project.version_id, config, asked, None, lambda words: None))
    assert ["ended" in str(found[0].error), "not on this machine" in str(found[1].error)] == [True, True]
    assert found[2].response is not None


def test_without_demonstrations_only_those_who_read_fail(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = made.with_data(store)
    assert project.version_id is not None

    def request(store: Store, config: Config, request: dict[str, Any], watch: inference_process.Watch) -> Any:
        if request["verb"] == "neighbours":
            raise UserError("The embedder is not there.", "embedder", "Choose another.")
        return json.loads(json.dumps(inference_server._VERBS[request["verb"]](FakeEngine(), request)))

    monkeypatch.setattr(inference_process, "request", request)
    asked = records.load_records(store, project.version_id, "unlabeled")[0]
    found = one_record.ask_all(store, project.id, project.version_id, config_of(), asked, "adapter", lambda words: None)
    assert [(said.error is None, said.stands_in) for said in found] == [(False, False), (True, False), (True, False)]


def test_a_vote_that_does_not_fit_says_why_and_asks_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    project = made.with_options(store)
    assert project.version_id is not None
    requests = served(monkeypatch, FakeEngine())
    config = load("paper", None, ["model=starter", "propagation.collaborators=[{name: r, model: regression}]"])
    asked = records.load_records(store, project.version_id, "unlabeled")[0]
    (said,) = one_record.ask_all(store, project.id, project.version_id, config, asked, None, lambda words: None)
    assert "regression needs one set of labels" in str(said.error)
    assert requests == []
