"""The Data page's way from files to a dataset version."""

from __future__ import annotations

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from semievol.records import Task
from semievol.store import projects
from semievol.store.database import Store
from tests.ui import made
from tests.ui.conftest import press, told

LABELED = "text,team\n" + "".join(f"call {i} about {made.LABELS[i % 4]},{made.LABELS[i % 4]}\n" for i in range(24))
UNLABELED = "text\n" + "".join(f"another call {i}\n" for i in range(12))


def _upload(app: AppTest, files: dict[str, str]) -> AppTest:
    for split, text in files.items():
        app.file_uploader(key=f"upload_{split}_0").upload(f"{split}.csv", text.encode()).run()
        assert not app.exception
    return app


def test_two_files_become_a_version_only_when_confirmed(visit: Callable[..., AppTest], store: Store) -> None:
    project = projects.create_project(store, "Mail", Task("classification"))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": UNLABELED})
    assert "[user]\ncall 0 about roads" in told(app)
    assert projects.find_project(store, project.id).version_id is None
    press(app, "Import records")
    stored = projects.find_project(store, project.id)
    assert stored.counts["labeled"] == 24
    assert stored.counts["unlabeled"] == 12
    assert stored.task == Task("classification", tuple(sorted(made.LABELS)))
    assert [source["name"] for source in projects.versions(store, project.id)[0]["sources"]] == [
        "labeled.csv",
        "unlabeled.csv",
    ]


def test_a_bad_file_says_why_and_spoils_nothing(visit: Callable[..., AppTest], store: Store) -> None:
    project = made.with_data(store)
    app = visit("data", project=project.id)
    _upload(app, {"labeled": "question,answer\n"})
    assert "0 rows" in told(app)
    assert projects.find_project(store, project.id).version_id == project.version_id
    assert not list((projects.project_folder(store, project.id)).glob("**/labeled.csv"))


def test_a_test_set_split_off_takes_unlabeled_copies_and_their_hidden_gold_along(
    visit: Callable[..., AppTest], store: Store
) -> None:
    project = projects.create_project(store, "Split", Task("classification"))
    copied = "".join(LABELED.splitlines(keepends=True)[1:16])
    unlabeled = "text,team\n" + copied + "".join(f"another call {i},roads\n" for i in range(12))
    app = _upload(visit("data", project=project.id), {"labeled": LABELED, "unlabeled": unlabeled})
    app.toggle(key="hide_gold").set_value(True)
    app.toggle(key="split_off").set_value(True).run()
    press(app, "Import records")
    assert not app.exception
    stored = projects.find_project(store, project.id)
    assert stored.version_id is not None
    counts, gold = stored.counts, projects.hidden_gold(store, stored.version_id)
    assert counts["labeled"] + counts["test"] == 24
    assert counts["test"] > 0
    assert counts["unlabeled"] == len(gold) < 27
