"""Pages on which models are asked have them loaded before; others start nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from semievol.store.database import Store
from tests.ui import made

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
