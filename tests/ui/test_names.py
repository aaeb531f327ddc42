"""One name for each model and way of asking, wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from semievol.export import export
from semievol.store import schema
from semievol.store.database import Store
from tests.ui import made
from tests.ui.conftest import told

Visit = Callable[..., AppTest]


@pytest.mark.parametrize("later_round", [False, True])
def test_a_model_has_one_name_on_every_page(visit: Visit, store: Store, tmp_path: Path, later_round: bool) -> None:
    project = made.with_results(store)
    if later_round:
        with store.write() as connection:
            connection.execute(schema.rounds.update().values(parent_id=1))
    here, other = "Plain fine-tuning (warm-up)", "Round before"
    if later_round:
        here, other = other, here
    for page in ("overview", "evaluation"):
        words = told(visit(page, project=project.id))
        assert here in words, page
        assert other not in words, page
    app = visit("evaluation", project=project.id)
    assert f"{here}, with demonstrations" in app.selectbox(key="confusion_model").options
    assert here in app.selectbox(key="flips_against").options
    report = export(store, project, "report", tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"{here}: right on" in report
    assert f">{here}, with demonstrations<" in report
    assert here in visit("demonstrations", project=project.id).selectbox(key="ask_model").options
