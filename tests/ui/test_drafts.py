"""What was uploaded and chosen outlasts a reload, which is a new session; a reload is a second visit here."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from semievol.records import Task
from semievol.store.data import projects, versions
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.ui.data import drafts
from tests.importing.files import xlsx_bytes
from tests.ui import made
from tests.ui.conftest import press, told
from tests.ui.test_import import LABELED, UNLABELED, _upload

pytestmark = pytest.mark.usefixtures("read_here")
Visit = Callable[..., AppTest]


@pytest.fixture
def project(store: Store) -> Project:
    return projects.create_project(store, "Draft", Task("classification"))


@pytest.fixture
def incoming(store: Store, project: Project) -> Path:
    return projects.project_folder(store, project.id) / "incoming"


def _named(app: AppTest, label: str) -> object:
    return next(box for box in app.selectbox if box.label == label)


def test_files_and_choices_are_there_after_a_reload(visit: Visit, store: Store, project: Project) -> None:
    twice = LABELED + LABELED.splitlines()[1] + "\n"
    app = _upload(visit("data", project=project.id), {"labeled": twice, "unlabeled": UNLABELED})
    _named(app, "Id").select("team").run()  # type: ignore[attr-defined]
    _named(app, "Answer").select("(none)").run()  # type: ignore[attr-defined]
    _named(app, "Id").select("(none)").run()  # type: ignore[attr-defined]
    _named(app, "Answer").select("team").run()  # type: ignore[attr-defined]
    next(one for one in app.segmented_control if one.key == "remedy_duplicates").select("take").run()
    app.toggle(key="split_off").set_value(True).run()
    app = visit("data", project=project.id)
    assert "From an earlier visit: labeled.csv" in told(app)
    assert "From an earlier visit: unlabeled.csv" in told(app)
    assert app.toggle(key="split_off").value
    assert next(one for one in app.segmented_control if one.key == "remedy_duplicates").value == "take"
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert (stored.counts["labeled"] + stored.counts["test"], stored.counts["unlabeled"]) == (24, 12)
    assert "From an earlier visit" not in told(visit("data", project=project.id))


def test_the_chosen_columns_and_sheet_are_there_after_a_reload(visit: Visit, project: Project) -> None:
    rows = [["one", "two", "team"], *[[f"a {i}", f"b {i}", made.LABELS[i % 4]] for i in range(20)]]
    app = visit("data", project=project.id)
    raw = xlsx_bytes(rows, sheets=("Data", "Notes"))
    app.file_uploader(key="upload_labeled_0").upload("book.xlsx", raw).run()
    _named(app, "Question").select("two").run()  # type: ignore[attr-defined]
    app = visit("data", project=project.id)
    assert _named(app, "Question").value == "two"  # type: ignore[attr-defined]
    _named(app, "Sheet").select("Notes").run()  # type: ignore[attr-defined]
    app = visit("data", project=project.id)
    assert "The file has 0 records." in told(app)  # the sheet chosen holds nothing, as before the reload
    assert "Read the first sheet" in [button.label for button in app.button]


@pytest.mark.parametrize("button", ["Remove", "Start over"])
def test_what_is_removed_does_not_come_back(visit: Visit, project: Project, incoming: Path, button: str) -> None:
    _upload(visit("data", project=project.id), {"labeled": LABELED})
    app = visit("data", project=project.id)
    press(app, button)
    assert "24 rows" not in told(app)
    assert "From an earlier visit" not in told(visit("data", project=project.id))
    assert not list(incoming.glob("*.json"))


def test_a_file_that_cannot_be_read_can_be_removed_after_a_reload(visit: Visit, project: Project) -> None:
    _upload(visit("data", project=project.id), {"labeled": "a,,b\n1,2,3\n"})
    app = AppTest.from_file(str(Path(__file__).parents[2] / "app.py"), default_timeout=60)
    app.query_params["project"] = str(project.id)
    app.switch_page("pages/data.py").run()
    assert "This column has no name" in told(app)
    press(app, "Remove")
    assert "This column has no name" not in told(app)


def test_another_project_does_not_show_it(visit: Visit, store: Store, project: Project) -> None:
    _upload(visit("data", project=project.id), {"labeled": LABELED})
    other = projects.create_project(store, "Other", Task("classification"))
    assert "From an earlier visit" not in told(visit("data", project=other.id))


def test_it_is_there_again_after_a_visit_to_another_project(visit: Visit, store: Store, project: Project) -> None:
    other = projects.create_project(store, "Other", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED})
    app.toggle(key="split_off").set_value(True).run()
    app.query_params["project"] = str(other.id)
    app.run()
    assert "24 rows" not in told(app)
    app.query_params["project"] = str(project.id)
    app.run()
    assert "24 rows" in told(app)
    assert app.toggle(key="split_off").value


def test_a_second_tab_that_removes_or_imports_leaves_the_first_its_own(
    visit: Visit, store: Store, project: Project
) -> None:
    first = _upload(visit("data", project=project.id), {"labeled": LABELED})
    second, third = visit("data", project=project.id), visit("data", project=project.id)
    press(second, "Start over")
    press(third, "Import records")
    press(first, "Import records")
    assert [version.number for version in versions.versions(store, project.id)] == [1, 2]


def test_importing_forgets_only_what_was_imported(visit: Visit, project: Project) -> None:
    first = _upload(visit("data", project=project.id), {"labeled": LABELED})
    second = visit("data", project=project.id)
    second.file_uploader(key="upload_labeled_0").upload("newer.csv", LABELED.encode()).run()
    press(first, "Import records")
    assert "From an earlier visit: newer.csv" in told(visit("data", project=project.id))


def _said(file: str) -> str:
    return json.dumps({"file": file, "name": "labeled.csv", "key": "k", "sha256": "0" * 64})


@pytest.mark.parametrize("damage", ["", "[]", _said("../../../studio.db"), _said("0" * 32), _said("OWN")])
def test_a_damaged_draft_is_as_good_as_none(visit: Visit, project: Project, incoming: Path, damage: str) -> None:
    _upload(visit("data", project=project.id), {"labeled": LABELED})
    [own] = [path.name for path in incoming.iterdir() if not path.suffix]
    (incoming / "labeled.json").write_text(damage.replace("OWN", own), encoding="utf-8")
    (incoming / "choices.json").write_text('{"made": {"split_off": [1]}}', encoding="utf-8")
    app = visit("data", project=project.id)
    assert "24 rows" not in told(app)
    assert "From an earlier visit" not in told(app)


def test_a_choice_that_can_no_longer_be_made_is_ignored(visit: Visit, project: Project, incoming: Path) -> None:
    app = _upload(visit("data", project=project.id), {"labeled": LABELED})
    question = str(_named(app, "Question").key)  # type: ignore[attr-defined]
    drafts.keep_choices(incoming, {question: "<img src=x>", "split_off": "yes", "remedy_duplicates": 3})
    app = visit("data", project=project.id)
    assert _named(app, "Question").value == "text"  # type: ignore[attr-defined]
    assert app.toggle(key="split_off").value is False


def test_a_draft_of_yesterday_is_swept(visit: Visit, project: Project, incoming: Path) -> None:
    _upload(visit("data", project=project.id), {"labeled": LABELED})
    long_ago = time.time() - 25 * 3600
    for path in incoming.iterdir():
        os.utime(path, (long_ago, long_ago))
    assert "From an earlier visit" not in told(visit("data", project=project.id))
    assert not list(incoming.iterdir())
