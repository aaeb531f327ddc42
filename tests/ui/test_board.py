"""The board of agreement and confidence, and what a line on it filters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from streamlit.testing.v1 import AppTest

from semievol import board_figure
from semievol.selection.area import Area, board_place
from semievol.store.database import Store
from semievol.store.results import results
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def test_a_line_on_the_board_filters_table_and_review(visit: Visit, store: Store) -> None:
    project = made.with_results(store)
    round_id = made.round_of(store, project)
    pool = results.candidate_frame(store, round_id)
    answers, probability = board_place(pool["vote_entropy"], pool["answer_nll"])
    unsure = pool.index[(answers < 1.2) & (probability < 60)]
    split = pool.index[(answers > 1.2) & (probability > 60)]
    app = visit("responses", project=project.id, show="Board")
    labels = [button.label for button in app.button]
    assert f"Unanimous but unsure (below 60 %): {len(unsure)}" in labels
    assert f"Split but confident (above 60 %): {len(split)}" in labels
    line = Area.of((0, 4), (0, float(np.median(probability))), "board")
    assert line is not None
    chosen = pool.index[line.holds(answers, probability)]
    assert 0 < len(chosen) < len(pool)
    shown = visit("responses", project=project.id, show="Board", area=line.written())
    assert f"{len(chosen)} candidates." in told(shown)
    page, total = results.candidates_page(store, round_id, area=line)
    assert (set(page.index), total) == (set(chosen), len(chosen))
    words = f"Only candidates inside a line on the board are shown: {len(chosen)}"
    for name in ("responses", "review"):
        assert words in told(visit(name, project=project.id, area=line.written()))
    press(shown, "Remove the line")
    assert "area" not in shown.query_params


def test_every_candidate_with_a_place_is_counted_once() -> None:
    draw = np.random.default_rng(0)
    answers, probability = draw.uniform(1, 3, 500), draw.uniform(0, 100, 500)
    bins = board_figure.binned([*answers, np.nan], [*probability, 50], [True] * 501)
    assert bins["records"].sum() == 500
    assert bins["decided"].eq(1).all()
    assert bins["probability"].between(0, 100).all()
    assert len(board_figure.figure_of(bins, dark=True).data[0].x) == len(bins)
