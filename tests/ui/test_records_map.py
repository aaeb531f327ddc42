"""The map of records, and what an area of it filters on other pages."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import update
from streamlit.testing.v1 import AppTest

from semievol.selection.area import Area
from semievol.store import schema
from semievol.store.database import Store
from semievol.store.results import places, results
from tests.ui import made
from tests.ui.conftest import told

Visit = Callable[..., AppTest]
LEFT = "-1.1_-1.1~0_-1.1~0_1.1~-1.1_1.1"


def _halved(store: Store, round_id: int) -> set[str]:
    """Every second record is moved to the left; those of the pool."""
    frame = places.map_frame(store, round_id)
    places.save(store, round_id, {str(i): (-0.5 if n % 2 else 0.5, 0.1) for n, i in enumerate(frame.index)})
    moved = places.of_pool(store, round_id)
    return set(moved.index[moved["x"] < 0])


def test_a_run_draws_the_map_of_labeled_and_unlabeled_records(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    round_id = made.round_of(store, project)
    frame = places.map_frame(store, round_id)
    assert frame["split"].value_counts().to_dict() == {"unlabeled": 60, "labeled": 40}
    assert frame[["x", "y"]].notna().all().all()
    assert frame.loc[frame["split"] == "unlabeled", "answer"].notna().all()
    app = visit("demonstrations", project=project.id, view="Map")
    assert "draw a line around some" in told(app)
    assert not app.dataframe


def test_an_area_lists_its_records_and_filters_responses_and_review(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    inside = _halved(store, made.round_of(store, project))
    app = visit("demonstrations", project=project.id, view="Map", area=LEFT)
    assert f"{len(inside)} unlabeled records, {50 - len(inside)} labeled records." in told(app)
    assert len(app.dataframe[0].value) == 50
    answers = visit("responses", project=project.id, area=LEFT)
    assert set(answers.dataframe[0].value.index) <= inside or f"{len(inside)} candidates" in told(answers)
    words = f"Only candidates inside a line on the map are shown: {len(inside)}"
    assert words in told(answers)
    assert words in told(visit("review", project=project.id, area=LEFT))


def test_a_page_of_candidates_holds_only_the_area(store: Store) -> None:
    project = made.with_results(store)
    round_id = made.round_of(store, project)
    inside = _halved(store, round_id)
    area = Area.read(LEFT)
    frame, total = results.candidates_page(store, round_id, area=area, limit=7)
    everything, _ = results.candidates_page(store, round_id, area=area)
    assert total == len(inside)
    assert set(everything.index) == inside
    assert frame.index.tolist() == everything.index[:7].tolist()
    word = str(everything["question"].iloc[0]).split()[0]
    assert set(results.candidates_page(store, round_id, area=area, search=word)[0].index) <= inside


def test_a_round_without_a_map_offers_to_draw_it(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    with store.write() as connection:
        connection.execute(update(schema.demonstrations).values(x=None, y=None))
    app = visit("demonstrations", project=project.id, view="Map")
    assert [button.label for button in app.button if "map" in button.label] == ["Draw the map"]
