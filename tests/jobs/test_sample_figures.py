"""The figures of the first page are those of the archive that is shipped."""

from __future__ import annotations

from pathlib import Path

from semievol.export import restoring
from semievol.jobs import intake
from semievol.jobs.sample_figures import figures
from semievol.jobs.summary import summary
from semievol.store.database import open_store
from semievol.store.results import results
from semievol.store.runs import runs


def test_they_are_what_the_opened_sample_shows(tmp_path: Path) -> None:
    store = open_store(tmp_path / "workspace")
    project = restoring.restore(store, intake.SAMPLE_ARCHIVE, None)
    found = figures()
    assert found is not None
    told = summary(store, runs.list_runs(store, project.id)[0].id)
    assert (found.agreed, found.kept) == (told["agreed"], told["accepted"])
    assert (found.right, found.kept_right) == (told["pseudo_accuracy"]["all"], told["pseudo_accuracy"]["accepted"])
    assert found.evaluation["evolved"]["accuracy"] == told["evaluate"]["evolved"]["accuracy"]
    assert (found.name, found.labeled, found.unlabeled) == (project.name, 90, len(results.candidate_frame(store, 1)))
    assert sum(kept for kept, _ in found.bins) == found.kept
    assert sum(kept + out for kept, out in found.bins) == found.unlabeled


def test_without_an_archive_there_are_none(tmp_path: Path) -> None:
    assert figures(tmp_path / "missing.zip") is None
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK")
    assert figures(broken) is None
