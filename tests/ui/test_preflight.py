"""The view "Before training" of the Demonstrations page, and its way through the inference process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semievol.jobs import inference_process, inference_server
from semievol.store.database import Store
from tests.fakes import FakeEngine
from tests.ui import made
from tests.ui.conftest import press, told

Visit = Callable[..., AppTest]


def test_a_project_without_a_round_is_examined_before_any_training(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(store: Store, config: object, asked: dict[str, Any], watch: object) -> Any:
        return inference_server.examine(FakeEngine(), asked)

    monkeypatch.setattr(inference_process, "request", request)
    project = made.with_data(store)
    app = visit("demonstrations", project=project.id, view="Before training")
    assert "Will propagation help?" in told(app)
    press(app, "Examine the labeled records")
    shown = told(app)
    assert "of the labeled records come out right" in shown
    assert "Labels that their neighbours contradict" in shown
    assert "of 40 labeled records" in shown
