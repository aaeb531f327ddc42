"""Pages on which models are asked have them loaded before; others start nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semievol.jobs import inference_client
from semievol.records import Demonstration, Record
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.runs import rounds
from semievol.ui.shell import state
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]
Warmed = list[tuple[int | None, list[str]]]


def _settled(warmed: Warmed) -> Warmed:
    for thread in threading.enumerate():
        if thread.name == "warm":
            thread.join(20)
    return warmed


def test_a_page_with_questions_has_its_models_loaded_when_it_is_opened(
    visit: Visit, store: Store, warmed: Warmed
) -> None:
    project = made.with_results(store)
    for page in ("demonstrations", "evaluation"):
        warmed.clear()
        visit(page, project=project.id)
        assert _settled(warmed) == [(1, ["base", "warm_up", "evolved"])], page


def test_before_the_first_round_the_base_model_is_loaded(visit: Visit, store: Store, warmed: Warmed) -> None:
    visit("demonstrations", project=made.with_data(store).id)
    assert _settled(warmed) == [(None, ["base"])]


def test_no_other_page_loads_a_model(visit: Visit, store: Store, warmed: Warmed) -> None:
    project = made.with_results(store)
    for page in ("overview", "data", "responses", "selection", "training", "settings"):
        visit(page, project=project.id)
    assert _settled(warmed) == []


def test_who_asks_before_the_first_run_opens_the_round_that_the_run_will_use(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_data(store)
    projects.update_project(store, project.id, settings={})  # weights of the collaborators are settled with the round
    near = [Demonstration(Record("labeled-0000", "Caller asks", (), "roads", "labeled"), 0.5)]
    monkeypatch.setattr(inference_client, "nearest", lambda *_: near)
    assert not press(visit("demonstrations", project=project.id), "Find demonstrations").exception
    press(visit("training", project=project.id), "Propagate")
    assert len(rounds.list_rounds(store, project.id)) == 1


def test_the_wait_for_an_answer_ends_with_the_answer(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store)

    def ask(store: Store, round_id: int, question: Record, near: object, models: list[str], watch: Callable) -> list:
        for words in ("Starting the model's process", "Loading the model", "Answering"):
            watch(words)
        said: dict[str, Any] = {"text": "water", "answer": "water", "probabilities": {}, "mass": None, "entropy": None}
        return [said | {"model": models[0], "seconds": 0.1}]

    monkeypatch.setattr(inference_client, "ask", ask)
    app = press(visit("demonstrations", project=project.id), "Ask")
    assert not app.exception
    assert "This did not work" not in told(app)


def test_an_answer_is_not_shown_as_if_another_rounds_model_had_given_it(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made.with_results(store)
    other = rounds.open_round(store, project.id, state.config_of(project, seed=7))

    def ask(*arguments: Any) -> list[dict[str, Any]]:
        return [{"model": model, "answer": "roads", "text": "roads"} for model in arguments[4]]

    monkeypatch.setattr(inference_client, "ask", ask)
    app = visit("evaluation", project=project.id, round=1)
    app.text_area(key="play_question").input("Who mends the road?")
    press(app, "Ask every model")
    assert _played(app)
    for round_id in (other.id, 1):
        app.query_params["round"] = str(round_id)
        assert _played(app.run()) == (round_id == 1)


def _played(app: AppTest) -> bool:
    """Whether answers of the playground are on the page."""
    return any("played_base" in element.proto.id for element in app.get("bidi_component"))
