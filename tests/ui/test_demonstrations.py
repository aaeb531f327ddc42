"""The address says which record the Demonstrations page shows, and everything that chooses one changes the address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semievol.jobs import inference_process, inference_server
from semievol.records import Demonstration, Record
from semievol.store.data import records
from semievol.store.database import Store
from semievol.store.results import results
from semievol.store.runs import rounds
from semievol.ui.demonstrations import by_hand
from semievol.ui.demonstrations.browsing import Browsing
from tests.fakes import FakeEngine
from tests.ui import made
from tests.ui.conftest import kept, press, told


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

    monkeypatch.setattr(inference_process, "request", request)
    return engine


def test_each_demonstration_is_left_out_in_turn(
    visit: Callable[..., AppTest], store: Store, engine: FakeEngine
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    press(app, "Leave each out in turn")
    assert len(engine.asked) == 4  # with all three, and without each
    (lines,) = (table.value for table in app.dataframe if "effect" in table.value)
    assert len(lines) == 3
    assert lines["effect"].map(float).between(-100, 100).all()
    assert any("With all of them: " in text.value for text in app.text)


def test_more_demonstrations_can_be_asked_for(visit: Callable[..., AppTest], store: Store, engine: FakeEngine) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    app.number_input[0].set_value(5).run()
    press(app, "Find demonstrations")
    (shown,) = (box.value for box in app.button_group if box.label == "Shown to the model")
    assert shown == ["1", "2", "3", "4", "5"]


def test_a_copy_of_a_record_can_be_edited(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    press(app, "Edit a copy")
    assert app.segmented_control(key="demo_split").value == "own question"
    assert "about" in str(app.text_area(key="own_question").value)


def test_a_question_of_ones_own_is_kept_while_another_view_is_shown(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id)
    app.segmented_control(key="demo_split").set_value("own question").run()
    assert "Type a question, and press Ctrl+Enter" in told(app)
    app.text_area(key="own_question").set_value("where is my bin?").run()
    for view in ("Map", "Before training"):
        app.segmented_control(key="view").set_value(view).run()
        app.segmented_control(key="view").set_value("Record").run()
        assert app.segmented_control(key="demo_split").value == "own question"
        assert app.text_area(key="own_question").value == "where is my bin?"
    other = made.with_results(store, until="justify", name="Another")
    app.query_params["project"] = str(other.id)
    app.run()
    assert app.segmented_control(key="demo_split").value == "unlabeled", "it belongs to the project it was typed in"
    assert not app.exception


def _choice(app: AppTest) -> tuple[list[str], list[str]]:
    """The demonstrations on offer, and those that a model is shown."""
    (box,) = (box for box in app.button_group if box.label == "Shown to the model")
    return list(box.options), list(box.value or [])


@pytest.fixture
def first_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first record that a search lists is ticked."""
    monkeypatch.setattr(by_hand.tables, "pick", lambda *_, **__: 0)


def _search(app: AppTest, words: str) -> AppTest:
    return app.text_input(key="by_hand_search").input(words).run()


@pytest.mark.usefixtures("first_hit")
def test_a_labeled_record_is_added_by_hand_compared_and_removed(
    visit: Callable[..., AppTest], store: Store, engine: FakeEngine
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    (box,) = (box for box in app.button_group if box.label == "Shown to the model")
    box.set_value(["1", "3"]).run()
    press(_search(app, "labeled 13 "), "Add it")
    assert _choice(app) == (["1", "2", "3", "+1"], ["1", "3", "+1"]), "what was struck out stays so"
    press(app, "Ask")
    assert [len(asked.messages) // 2 for asked in engine.asked] == [3, 3]
    with_it, without = (" ".join(turn.content for turn in asked.messages) for asked in engine.asked[::-1])
    assert "Caller labeled 13 asks" in with_it
    assert "Caller labeled 13 asks" not in without
    (said,) = (said for said in kept(app, Browsing).answers.values() if said)
    assert [one.how for one in said] == [
        "with demonstrations 1, 2 and 3, as in the round",
        "with demonstrations 1, 3 and +1",
    ]
    press(app, "Remove +1")
    assert _choice(app) == (["1", "2", "3"], ["1", "3"])


@pytest.mark.usefixtures("first_hit", "engine")
def test_what_would_give_the_answer_away_is_not_added(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = _search(visit("demonstrations", project=project.id, record="labeled-0002"), "labeled 2 ")
    assert "it would give the answer away" in told(app)
    assert [button.disabled for button in app.button if button.label == "Add it"] == [True]
    assert "No labeled record contains this." in told(_search(app, "nowhere"))


@pytest.mark.usefixtures("first_hit", "engine")
def test_a_question_that_becomes_the_added_record_is_not_shown_it(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    press(press(app, "Edit a copy"), "Find demonstrations")
    press(_search(app, "labeled 13 "), "Add it")
    added = kept(app, Browsing).added[made.round_of(store, project), "own-question"]["+1"]
    app.text_area(key="own_question").input(added.question).run()
    press(app, "Find demonstrations")
    assert _choice(app)[0] == ["1", "2", "3"]
    assert "text now, so it is not shown" in told(app)


@pytest.mark.usefixtures("engine")
def test_what_was_answered_to_one_question_is_not_shown_under_another(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = made.with_results(store, until="justify")
    app = visit("demonstrations", project=project.id)
    app.segmented_control(key="demo_split").set_value("own question").run()
    app.text_area(key="own_question").set_value("where is my bin?").run()
    press(press(app, "Find demonstrations"), "Ask")
    asked, other = (Record("", text).content_hash for text in ("where is my bin?", "is there a hole in the road?"))
    round_id = made.round_of(store, project)
    assert kept(app, Browsing).answers[round_id, asked]
    app.text_area(key="own_question").set_value("is there a hole in the road?").run()
    press(app, "Find demonstrations")
    assert kept(app, Browsing).answers[round_id, other] == []


def test_another_embedder_is_tried_beside_the_rounds(
    visit: Callable[..., AppTest], store: Store, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def farthest(labeled: list[Record], queries: list[Record], k: int, embedder: str) -> list[list[Demonstration]]:
        found = FakeEngine().neighbours(labeled, queries, len(labeled), embedder)[0]
        return [(found[::-1] if embedder == "model" else found)[:k]]

    monkeypatch.setattr(engine, "neighbours", farthest)
    project = made.with_results(store, until="justify")
    view = results.record_view(store, made.round_of(store, project), "unlabeled-0007")
    app = visit("demonstrations", project=project.id, record="unlabeled-0007")
    app.selectbox(key="found_by").select("model").run()
    press(press(app, "Find demonstrations"), "Ask")
    (before, now) = kept(app, Browsing).answers[made.round_of(store, project), view.record.content_hash]
    assert before.ids == tuple(one.record.id for one in view.demonstrations)
    assert not set(before.ids) & set(now.ids)
    assert now.how.startswith("with demonstrations 1, 2 and 3, found by ")
    assert now.how.endswith("own hidden states")
    assert results.record_view(store, made.round_of(store, project), "unlabeled-0007") == view, "nothing is stored"


@pytest.mark.usefixtures("first_hit")
def test_calibration_records_are_never_added(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_results(store, until="justify")
    held = rounds.held(store, made.round_of(store, project))
    assert project.version_id is not None
    one = next(r for r in records.load_records(store, project.version_id, "labeled") if r.content_hash in held)
    app = _search(visit("demonstrations", project=project.id, record="unlabeled-0007"), one.id)
    assert "held out for calibration" in told(app)
