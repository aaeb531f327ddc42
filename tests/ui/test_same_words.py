"""The exported report says what the pages say, in the same words; and the counts are the same everywhere."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from semievol.cli import main
from semievol.export import card, export
from semievol.jobs import intake
from semievol.method import conclusions
from semievol.records import GOLD_REVIEWER
from semievol.selection.counts import Counts
from semievol.store.data import projects
from semievol.store.data.projects import Project
from semievol.store.database import Store
from semievol.store.decisions import decisions, selections
from semievol.store.results import outcomes, results
from semievol.store.runs import rounds, runs
from tests.ui import made
from tests.ui.conftest import told

Visit = Callable[..., AppTest]


def _report(store: Store, project: Project, folder: Path) -> str:
    text = export(store, project, "report", folder / "report.html").read_text(encoding="utf-8")
    return html.unescape(re.sub(r"<[^>]+>", "", text)).replace("\u00a0", " ")


def _plain(app: AppTest) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", told(app)))


def test_the_report_repeats_the_pages_claims_and_caveats(visit: Visit, store: Store, tmp_path: Path) -> None:
    project = made.with_results(store, until="justify")
    found = results.candidate_frame(store, 1)
    decisions.decide(store, project.id, 1, str(found.index[0]), "accept", found["answer"].iloc[0])
    decisions.decide(
        store, project.id, 1, str(found.index[1]), "accept", found["answer"].iloc[1], reviewer=GOLD_REVIEWER
    )
    decisions.decide(store, project.id, 1, str(found.index[2]), "reject", found["answer"].iloc[2])
    made.evolved(store, project, "select", "evaluate")
    report = _report(store, projects.find_project(store, project.id), tmp_path)
    app = visit("selection", project=project.id)
    estimated, verified = re.findall(r"sv-figure'>[^<]*</b><p>([^<]*)</p>", told(app))
    assert html.unescape(estimated) in report
    assert "Not verified yet." in verified
    assert "Not verified yet." not in report, "nothing can be done about it there"
    assert "1 decision was made from the hidden gold" in _plain(app)
    assert "1 decision was made from the hidden gold" in report
    page = _plain(visit("evaluation", project=project.id))
    (gold,) = re.findall(r"Measured with hidden gold, [0-9.]+ % of all candidates are right, and [0-9.]+ %", report)
    for sentence in (
        gold,
        "The test set has only 40 records: on many more, the same model may be right on anything between",
        "also learned from 2 answers given or confirmed by experts, which plain fine-tuning never saw. 1 of them",
        "the same test records as plain fine-tuning (mid-p McNemar test, p = 1).",
    ):
        assert sentence in page, sentence
        assert sentence in report, sentence


def test_what_the_simple_models_add_is_said_on_the_page_in_report_and_card_and_on_the_command_line(
    visit: Visit, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = intake.open_sample(store)
    found = outcomes.evaluation(store, 3)
    assert found is not None
    (sentence,) = conclusions.beside_simple_models(found)
    assert sentence.startswith("Averaged with the simple models (ensemble), the evolved model is right on")
    assert sentence in _plain(visit("evaluation", project=project.id))
    assert sentence in _report(store, project, tmp_path)
    round_ = rounds.get_round(store, 1)
    run = runs.get_run(store, 3)
    assert sentence in card.page(store, project, round_, run, "", "adapter", licence=None, script=False)
    assert main(["compare", "3"]) == 0
    assert sentence in capsys.readouterr().out
    assert main(["compare", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["better_in_ensemble"] == sentence


def test_the_counts_add_up_and_are_the_same_in_report_and_pages(visit: Visit, store: Store, tmp_path: Path) -> None:
    project = made.with_results(store, until="justify")
    found = results.candidate_frame(store, 1)
    for place, action in enumerate(("accept", "reject", "ambiguous")):
        shown = found["answer"].iloc[place]
        decisions.decide(store, project.id, 1, str(found.index[place]), action, shown)
    made.evolved(store, project, "select", "evaluate")
    (frozen,) = selections.selections(store, 1)
    counts = frozen["evidence"]["counts"]
    assert sum(counts.values()) == len(found) == 60
    assert counts["by_policy"] + counts["by_expert"] == frozen["size"]
    assert counts["set_aside"] == 2
    app = visit("selection", project=project.id)
    assert [one.proto.label for one in app.get("download_button")] == ["Answers of selection 1 (XLSX)"]
    page = _plain(app)
    assert Counts(**counts).sentence() in page
    assert Counts(**counts).sentence() in _report(store, project, tmp_path)
    assert f"Left out{counts['left_out']}" in page
    assert "Set aside2" in page
