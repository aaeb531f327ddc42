"""Reviewed elsewhere: out by a download, imported by an upload that says first what it would do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from semievol.annotation.decisions import REASONS
from semievol.export import export
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.decisions import decisions, history
from semievol.ui.shell.session import Shell
from tests.annotation.annotators import Press, argilla_flat
from tests.ui import made
from tests.ui.conftest import kept, press, told

pytestmark = pytest.mark.usefixtures("read_here")

Visit = Callable[..., AppTest]


def reviewed(store: Store, project: Project, folder: Path) -> bytes:
    """Two annotators' work in Argilla: twelve records confirmed, a tie, the rest not answered."""
    out = export(store, project, "argilla", folder / "review")
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.json")}
    ids = [record["id"] for record in json.loads(files["records.json"])]
    presses = {record_id: [Press("bo", "accept")] if place < 12 else [] for place, record_id in enumerate(ids)}
    presses[ids[20]] = [Press("bo", "accept"), Press("cy", "reject")]
    lines = [json.dumps(one) for one in argilla_flat(files, presses)]
    return "\n".join(lines).encode()


def _part(app: AppTest) -> AppTest:
    app.session_state["part"] = "elsewhere"
    return app.run()


def not_stored(app: AppTest) -> list[tuple[str, int]]:
    """Reason -> number of records, as the table has them."""
    (frame,) = (table.value for table in app.dataframe if "what" in table.value)
    reasons = {words: reason for reason, words in REASONS.items()}
    return [(reasons[what], int(count)) for what, count in zip(frame["what"], frame["count"], strict=True)]


def test_an_upload_says_what_it_would_store_and_one_button_stores_it(
    visit: Visit, store: Store, tmp_path: Path
) -> None:
    project = made.with_results(store, until="justify")
    found = reviewed(store, project, tmp_path)
    first = json.loads(found.splitlines()[0])["record_id"]
    decisions.decide(store, project.id, made.round_of(store, project), first, "ambiguous", None, reviewer="Eve")
    app = _part(visit("selection", project=project.id))
    offered = [element.proto.label for element in app.get("download_button")]
    assert offered == ["Candidates for Label Studio (ZIP)"]
    app.file_uploader(key="elsewhere_file").upload("reviewed.jsonl", found).run()
    words = told(app)
    assert "Records from Argilla: 60." in words
    assert "Decisions: 11 (accept 11)." in words
    assert not_stored(app) == [("tied", 1), ("contrary", 1), ("unanswered", 47)]
    (button,) = [one for one in app.button if one.label == "Store 11 decisions"]
    assert button.disabled, "nobody signs yet"
    kept(app, Shell).reviewer = "Ada"
    next(box for box in app.checkbox if box.label == "Overrule decisions that were made here").check().run()
    assert "Decisions made here that they overrule: 1." in told(app)
    press(app, "Store 12 decisions")
    stored = history.since(store, project.id, 1)
    assert {(one.action, one.reviewer, one.note) for one in stored} == {("accept", "Ada", "Argilla")}
    assert len(stored) == 12
    assert ("known", 12) in not_stored(app)
    press(app, "Undo")
    assert len(history.since(store, project.id, 1)) == 24


def test_a_file_of_no_known_tool_is_refused_in_words(visit: Visit, store: Store) -> None:
    project = made.with_results(store, until="justify")
    app = _part(visit("selection", project=project.id))
    app.file_uploader(key="elsewhere_file").upload("plain.json", b'[{"question": "<b>q</b>"}]').run()
    assert "not an export of a known tool (Label Studio, Argilla, Prodigy)" in told(app)
    assert not [one for one in app.button if one.label.startswith("Store")]
