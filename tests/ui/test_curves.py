"""The loss chart where the loss is no number."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import pandas as pd
from streamlit.testing.v1 import AppTest

from semievol.store.database import Store
from semievol.store.runs import claims, runs
from semievol.store.runs.journal import StoreJournal
from semievol.store.runs.rounds import open_round
from semievol.ui.shell import state
from semievol.ui.training import curves, training
from tests.ui import made
from tests.ui.conftest import told


def test_what_is_no_finite_number_is_a_gap() -> None:
    part = pd.DataFrame({"step": [1, 2, 3, 4], "value": [2.0, math.nan, math.inf, 1.0]})
    assert curves.points(part) == [[1, 2.0], [2, None], [3, None], [4, 1.0]]
    assert curves.first_break(part) == 2
    assert curves.first_break(part[:1]) is None


def test_a_loss_that_became_nan_breaks_no_page_and_is_pointed_out(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    round_ = open_round(store, project.id, state.config_of(project))
    run = claims.claim(store, runs.enqueue(store, round_.id, round_.config).id, os.getpid())
    journal = StoreJournal(store, run)
    journal.metric("warm_up", "loss", 1, 2.0)
    journal.metric("warm_up", "loss", 2, math.nan)
    journal.progress("warm_up", 2, 100)
    for page in ("overview", "training"):
        assert "The warm-up training loss became NaN (not a number) at step 2." in told(visit(page, project=project.id))


def test_the_newest_number_is_the_one_measured_last_whatever_its_step() -> None:
    columns = ["stage", "name", "step", "value", "at"]
    rows = [("warm_up", "learning_rate", 100, 1e-9, 1.0), ("tune", "learning_rate", 3, 2e-3, 2.0)]
    assert training.newest_values(pd.DataFrame(rows, columns=columns)) == {"learning_rate": 2e-3}
    assert training.newest_values(pd.DataFrame(columns=columns)) == {}
