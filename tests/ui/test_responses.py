"""The table of candidates on the Responses page: what its address holds, and the views saved of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from semievol.config import Policy
from semievol.store import settings
from semievol.store.data import projects
from semievol.store.database import Store
from semievol.store.decisions import history, reviews
from semievol.store.results import results
from semievol.ui.responses import candidates
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "SHOWN", 10)


def test_the_address_holds_filters_order_page_and_record(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit(
        "responses",
        project=project.id,
        agreement="Agreed",
        order="Most confident first",
        page=2,
        record="unlabeled-0007",
    )
    frame, total = results.candidates_page(store, made.round_of(store, project), agreed=True, offset=10, limit=10)
    assert app.dataframe[0].value["question"].tolist() == frame["question"].tolist()
    assert f"{total} candidates" in told(app)
    assert "Caller unlabeled 7 asks" in told(app)  # in the prompts
    app.selectbox(key="agreement").set_value("All").run()
    assert not app.exception
    assert app.session_state["page"] == 1  # other filters begin with their first page
    assert "agreement" not in app.query_params


def test_an_answer_stands_with_its_collaborators_doubt(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    table = visit("responses", project=project.id).dataframe[0].value
    frame, _ = results.candidates_page(store, made.round_of(store, project), descending=True, limit=10)
    voter = "warm-up alone"
    wanted = [f"{v[voter]}, H {d[voter]:.2f}" for v, d in zip(frame["votes"], frame["doubts"], strict=True)]
    assert table[f"vote {voter}"].tolist() == wanted


def test_filters_are_saved_under_a_name_and_come_back(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("responses", project=project.id, agreement="Disputed", answer="roads")
    app.text_input(key="view_name").set_value("**Look** here").run()
    press(app, "Save the view")
    saved = {"agreement": "Disputed", "answer": "roads"}
    assert settings.views(store, project.id) == {"**Look** here": saved}
    fresh = visit("responses", project=project.id, search="nothing like it")
    fresh.selectbox(key="saved_view").set_value("**Look** here").run()
    assert not fresh.exception
    assert {key: fresh.query_params[key] for key in saved} == saved
    assert "search" not in fresh.query_params
    press(fresh, "Delete this view")
    assert settings.views(store, project.id) == {}


def test_views_leave_with_their_project(store: Store) -> None:
    project = made.with_data(store)
    settings.save_view(store, project.id, "mine", {"search": "tap"})
    projects.delete_project(store, project.id)
    assert settings.views(store, project.id) == {}


def test_a_decision_made_here_is_in_the_table_at_once_and_the_next_record_follows(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    round_id = made.round_of(store, project)
    first, second, third = results.candidates_page(store, round_id, sort="record", limit=3)[0].index
    app = press(visit("responses", project=project.id, order="As in the file"), "Accept")
    assert app.query_params["record"] == second
    press(app, "Reject")
    assert app.dataframe[0].value["decision"].tolist()[:3] == ["accept", "reject", ""]
    assert app.query_params["record"] == third
    press(app, "Undo")
    assert app.query_params["record"] == second
    assert history.history(store, project.id)["action"].tolist() == ["undo", "reject", "accept"]
    stored = results.candidate_frame(store, round_id)["decision"]
    assert stored.loc[[first, second]].tolist() == ["accept", None]


def test_a_record_of_the_open_random_review_is_not_decided_here(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    round_id = made.round_of(store, project)
    held = [str(one) for one in results.candidates_page(store, round_id, sort="record", limit=2)[0].index]
    reviews.begin(store, round_id, Policy(), held, "fixed", 2)
    app = visit("responses", project=project.id, record=held[1])
    assert "Accept" not in {button.label for button in app.button}
    assert "it is decided on there" in told(app)


def test_the_known_answer_is_shown_only_on_request_and_never_by_an_address(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    app = visit("responses", project=project.id, show_known_answer="true")
    assert "gold" not in app.dataframe[0].value.columns
    assert "no blind evidence" not in told(app)
    (switch,) = [toggle for toggle in app.toggle if toggle.label == "Show the known answer"]
    switch.set_value(True).run()
    assert set(app.dataframe[0].value["gold"]) <= set(made.LABELS)
    assert "no blind evidence" in told(app)
