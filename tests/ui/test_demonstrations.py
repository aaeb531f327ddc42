"""The address says which record the Demonstrations page shows, and everything that chooses one changes the address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semievol.jobs import inference_client, inference_server
from semievol.store.database import Store
from tests.fakes import FakeEngine
from tests.ui import made
from tests.ui.conftest import press, told


def _record(app: AppTest) -> str:
    return str(app.query_params["record"])


def test_next_and_previous_go_on_from_the_record_in_the_address(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    assert "8 of 60" in told(app)
    press(app, "Next")
    assert _record(app) == "unlabeled-0008"
    assert "9 of 60" in told(app)
    assert "Record unlabeled-00 · unlabeled" in told(app)
    press(press(app, "Previous"), "Previous")
    assert _record(app) == "unlabeled-0006"


def test_a_link_to_a_labeled_record_chooses_its_split(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="labeled-0002")
    assert app.segmented_control(key="demo_split").value == "labeled"
    assert "3 of 40" in told(app)


def test_a_search_begins_with_its_first_record_and_counts_what_it_finds(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0030")
    app.text_input(key="demo_search").input("about waste").run()
    assert (_record(app), "1 of 15" in told(app)) == ("unlabeled-0001", True)
    press(app, "Next")
    assert (_record(app), "2 of 15" in told(app)) == ("unlabeled-0005", True)
    app.segmented_control(key="demo_split").select("test").run()
    assert (_record(app), "1 of 10" in told(app)) == ("test-0001", True)


def test_another_visit_of_the_page_shows_the_record_seen_last(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    app.switch_page("pages/settings.py").run()
    app.query_params.pop("record", None)
    app.switch_page("pages/demonstrations.py").run()
    assert _record(app) == "unlabeled-0007"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Answers what the page asks the inference process, in this process."""
    engine = FakeEngine()

    def request(store: Store, config: object, asked: dict[str, Any], watch: object) -> Any:
        return inference_server._VERBS[asked["verb"]](engine, asked)

    monkeypatch.setattr(inference_client, "_request", request)
    return engine


def test_each_demonstration_is_left_out_in_turn(
    visit: Callable[..., AppTest], store: Store, engine: FakeEngine
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    press(app, "Leave each out in turn")
    assert len(engine.asked) == 4  # with all three, and without each
    lines = app.dataframe[-1].value
    assert len(lines) == 3
    assert lines["effect"].map(float).between(-100, 100).all()
    assert any("With all of them: " in text.value for text in app.text)


def test_more_demonstrations_can_be_asked_for(visit: Callable[..., AppTest], store: Store, engine: FakeEngine) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    app.number_input[0].set_value(5).run()
    press(app, "Find demonstrations")
    (shown,) = (box.value for box in app.button_group if box.label == "Shown to the model")
    assert shown == [1, 2, 3, 4, 5]


def test_a_copy_of_a_record_can_be_edited(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    press(app, "Edit a copy")
    assert app.segmented_control(key="demo_split").value == "own question"
    assert "about" in str(app.text_area(key="own_question").value)
