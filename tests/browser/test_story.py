"""The whole story in a real browser: open the sample, propagate, look, move the threshold, decide, tune, evaluate.

Screenshots of every step are left in the test's temporary folder (or in $SEMIEVOL_SCREENSHOTS).
"""

from __future__ import annotations

import csv
import functools
import os
import re
from pathlib import Path
from typing import cast

import pytest
from playwright.sync_api import Browser, Page, expect

from semievol.jobs import intake
from semievol.records import Split
from semievol.store.data import projects, records
from semievol.store.database import open_store
from semievol.store.decisions import history, selections
from semievol.store.results import outcomes
from tests.browser.conftest import DRAWN, Dashboard, Visitor, end, start
from tests.ui import made

pytestmark = pytest.mark.browser
PAGES = ("", "data", "demonstrations", "responses", "selection", "review", "training", "evaluation", "settings")
MINUTES = 60_000


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("SEMIEVOL_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def nav(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebar").get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=False).click()


def test_from_the_sample_to_an_evolved_model_without_a_reload(
    own_dashboard: Dashboard, visitor: Visitor, shots: Path
) -> None:
    page = visitor.page
    _part_of_the_sample(own_dashboard.home)  # the bundled one is finished, and of a model that takes minutes
    page.goto(own_dashboard.url())
    expect(page.get_by_role("button", name="Run everything")).to_be_visible()
    visitor.shot(shots, "1-sample")
    short = {"minimum_steps": 12, "epochs": 1}  # a story, not a study
    quick = {"propagation": {"warm_up": short}, "tune": short, "threads": 1}
    projects.update_project(open_store(own_dashboard.home), 1, settings=quick)

    nav(page, "Training")
    button(page, "Propagate")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.get_by_test_id("stEChartsChart").first).to_be_visible(timeout=2 * MINUTES)
    visitor.shot(shots, "2-propagating")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden(timeout=5 * MINUTES)

    nav(page, "Demonstrations")
    expect(page.get_by_text("similarity").first).to_be_visible()
    visitor.shot(shots, "3-demonstrations")
    nav(page, "Responses")
    expect(page.get_by_text("Collaborators", exact=True)).to_be_visible()
    visitor.shot(shots, "4-responses")

    nav(page, "Selection")
    kept = page.locator(".sv-tile.sv-strong .sv-value").first
    before = kept.text_content() or ""  # what `to_have_text` compares; inner_text would differ always
    histogram = page.locator(".sv-threshold svg[role=group]")
    box = histogram.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, steps=6)
    page.mouse.up()
    expect(kept).not_to_have_text(before)
    nav(page, "Review")
    card = page.locator(".sv-review")
    expect(card).to_have_attribute("data-ready", "yes")
    first = card.get_attribute("data-record") or ""
    assert first
    button(page, "Accept")
    expect(page.get_by_text("1 decision saved")).to_be_visible()
    expect(card).not_to_have_attribute("data-record", first)  # a key speaks of the record on screen
    page.keyboard.press("r")
    expect(page.get_by_text("2 decisions saved")).to_be_visible()
    button(page, "Undo")
    expect(page.get_by_text("1 decision saved")).to_be_visible()
    visitor.shot(shots, "5-review")
    nav(page, "Selection")
    button(page, "Freeze selection")
    expect(page.get_by_text("is frozen with")).to_be_visible()
    visitor.shot(shots, "5-selection")

    nav(page, "Training")
    button(page, "Fine-tune")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    where = page.get_by_text("Tune · ").first
    expect(where).to_be_visible(timeout=2 * MINUTES)
    before = where.text_content() or ""
    expect(page.get_by_text(before, exact=True)).to_be_hidden()  # it moves on, or the short training has ended
    expect(page.get_by_test_id("stEChartsChart").first).to_be_visible()
    visitor.shot(shots, "6-tuning")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden(timeout=5 * MINUTES)
    nav(page, "Evaluation")
    expect(page.get_by_text("mid-p McNemar").first).to_be_visible()
    visitor.shot(shots, "7-evaluation")

    store = open_store(own_dashboard.home)
    (project,) = projects.list_projects(store)
    (frozen,) = selections.selections(store, 1)
    assert frozen["origins"].get("expert") == 1
    assert outcomes.evaluation(store, 2) is not None
    assert project.counts["unlabeled"] > 0
    assert own_dashboard.megabytes < 300
    assert visitor.strange == []


def _part_of_the_sample(home: Path) -> None:
    """A project of the sample's first records, enough for all stages, as the sample opens it."""
    store, few = open_store(home), {"labeled": 40, "unlabeled": 60, "test": 24}
    files: dict[Split, Path] = {}
    for split, number in few.items():
        lines = (intake.SAMPLE_FOLDER / f"{split}.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        files[cast(Split, split)] = home.with_name(f"{split}.csv")
        files[cast(Split, split)].write_text("".join(lines[: number + 1]), encoding="utf-8")
    intake.import_files(store, "City service line", files, functools.partial(intake.prepare, hide_gold=True))


@pytest.mark.parametrize("name", ["selection", "evaluation"])
def test_a_deep_link_opens_as_the_very_first_visit(dashboard: Dashboard, visitor: Visitor, name: str) -> None:
    store = open_store(dashboard.home)
    project = made.with_results(store)
    page = visitor.page
    page.goto(dashboard.url(f"/{name}?project={project.id}&round={made.round_of(store, project)}"))
    expect(page.get_by_role("heading", level=1, name=name.capitalize())).to_be_visible()
    expect(page.get_by_test_id("stSidebar").get_by_role("link")).to_have_count(len(PAGES))
    expect(page).to_have_title(f"{name.capitalize()} · SemiEvol Studio")
    assert f"project={project.id}" in page.url
    assert page.get_by_text("Deploy").count() == 0
    assert visitor.strange == []


def test_what_draws_figures_is_loaded_before_a_page_has_one(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    dashboard = start(tmp_path / "workspace", fetch_ahead=True)
    with page.expect_event("requestfinished", lambda asked: "PlotlyChart" in asked.url):
        page.goto(dashboard.url())
        page.get_by_role("button", name="Open sample project").click()
    assert page.locator(".st-key-unseen").is_hidden()
    assert not visitor.strange
    end(dashboard)


def test_hostile_text_stays_text_on_every_page(dashboard: Dashboard, visitor: Visitor, shots: Path) -> None:
    project = made.with_results(open_store(dashboard.home), name=made.HOSTILE[:100], hostile=True)
    page = visitor.page
    page.goto(dashboard.url(f"/?project={project.id}"))
    for name in PAGES:
        if name in ("responses", "review"):  # which show one record
            page.goto(dashboard.url(f"/{name}?project={project.id}&record=unlabeled-0000"))
        elif name:
            page.get_by_role("link", name=name.capitalize(), exact=True).click()  # quicker than a visit of its own
        if name:
            page.wait_for_function(DRAWN, arg=name.capitalize())
        expect(page.locator(".sv-head")).to_be_visible()
        page.wait_for_timeout(700)
        visitor.shot(shots, f"hostile-{name or 'overview'}")
        if name == "demonstrations":
            page.get_by_text("Add a labeled record by hand").click()
            page.get_by_label("Search the labeled records").fill("beacon")
            expect(page.locator('[class*="st-key-by_hand_hits"] canvas').first).to_be_visible()
            visitor.shot(shots, "hostile-by-hand")
            page.goto(dashboard.url(f"/{name}?project={project.id}&view=Map"))
            expect(page.locator(".js-plotly-plot")).to_be_visible()
        if name == "responses":
            page.goto(dashboard.url(f"/{name}?project={project.id}&show=Scorecards"))
            expect(page.get_by_text("Did the judge help?")).to_be_visible()
            visitor.shot(shots, "hostile-scorecards")
    assert visitor.strange == []


def test_a_hostile_file_is_read_checked_and_imported_as_text(
    dashboard: Dashboard, visitor: Visitor, shots: Path, tmp_path: Path
) -> None:
    project = projects.create_project(open_store(dashboard.home), "Upload")
    column = "<img src=http://evil.example/c onerror=alert(1)> **text** $x$ :material/x:"
    hostile = made.HOSTILE.replace("\n", " ")
    rows = [[f"{hostile} {i}", "yes" if i % 2 else "no"] for i in range(20)]
    bad = [[f"{hostile} without an answer", ""], rows[0], [hostile, "<b>no</b>"]]
    labeled = tmp_path / "<b>labeled.csv"
    with labeled.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([[column, "label"], *rows, *bad])
    page = visitor.page
    page.goto(dashboard.url(f"/data?project={project.id}"))
    slot = page.get_by_role("region", name="Labeled file", exact=True)  # the slots come one after the other
    slot.locator('input[type="file"]').set_input_files(labeled)
    expect(page.get_by_text("Rejected rows (1)")).to_be_visible()
    page.get_by_role("radio", name="Keep one of each (1)").or_(page.get_by_text("Keep one of each (1)")).first.click()
    expect(page.get_by_text("21 records will become dataset version 1.", exact=True)).to_be_visible()
    visitor.shot(shots, "hostile-upload")
    button(page, "Import records")
    expect(page.get_by_text("Dataset version 1 is stored.")).to_be_visible()
    stored = projects.find_project(open_store(dashboard.home), project.id)
    assert stored.counts["labeled"] == 21
    assert stored.version_id is not None
    assert records.load_records(open_store(dashboard.home), stored.version_id)[0].question == rows[0][0]
    assert visitor.strange == []


def test_a_reload_keeps_what_was_uploaded_and_chosen(
    dashboard: Dashboard, visitor: Visitor, shots: Path, tmp_path: Path
) -> None:
    project = made.with_data(open_store(dashboard.home))
    labeled = tmp_path / "labeled.csv"
    rows = [[f"letter {i} about {made.LABELS[i % 4]}", made.LABELS[i % 4]] for i in range(20)]
    with labeled.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["text", "team"], *rows])
    page = visitor.page
    page.goto(dashboard.url(f"/data?project={project.id}"))
    page.get_by_text("Import a new version").click()
    slot = page.get_by_role("region", name="Labeled file", exact=True)
    slot.locator('input[type="file"]').set_input_files(labeled)
    page.get_by_role("radio", name="Replace the 40 labeled records").click()
    page.get_by_text("Keep the 60 unlabeled records of version 1").click()
    expect(page.get_by_text("60 records will become dataset version 2.", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_text("60 records will become dataset version 2.", exact=True)).to_be_visible()
    expect(page.get_by_text("From an earlier visit: labeled.csv")).to_be_visible()
    visitor.shot(shots, "reloaded-upload")
    button(page, "Import records")
    expect(page.get_by_text("Dataset version 2 is stored.")).to_be_visible()
    stored = projects.find_project(open_store(dashboard.home), project.id)
    assert (stored.counts["labeled"], stored.counts["unlabeled"], stored.counts["test"]) == (20, 0, 40)
    assert visitor.strange == []


def test_a_copied_link_opens_the_same_view_and_keys_decide_there(
    dashboard: Dashboard, visitor: Visitor, browser: Browser
) -> None:
    store = open_store(dashboard.home)
    project = made.with_results(store)
    round_ = f"round={made.round_of(store, project)}"
    page = visitor.page
    chosen = f"{round_}&record=unlabeled-0007&agreement=Agreed"
    page.goto(dashboard.url(f"/responses?project={project.id}&{chosen}"))
    expect(page.get_by_role("combobox", name="Agreement")).to_have_value("Agreed")
    page.get_by_role("combobox", name="Order").click()
    page.get_by_role("option", name="As in the file").click()
    expect(page).to_have_url(re.compile("order=As"))
    card = page.locator(".sv-review")
    expect(card).to_contain_text("Caller unlabeled 7 asks")
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    other = context.new_page()
    other.goto(page.url)
    expect(other.locator(".sv-review")).to_contain_text("Caller unlabeled 7 asks")
    expect(other.get_by_role("combobox", name="Order")).to_have_value("As in the file")
    context.close()
    card.click()  # else keys belong to the field that was used last
    expect(card).to_have_attribute("data-ready", "yes")
    page.keyboard.press("a")
    expect(page).not_to_have_url(re.compile("record=unlabeled-0007"))
    expect(card).to_contain_text("all saved")
    assert history.history(store, project.id)[["action", "record_id"]].values.tolist() == [["accept", "unlabeled-0007"]]
    nav(page, "Demonstrations")
    assert f"project={project.id}" in page.url
    assert round_ in page.url
    assert visitor.strange == []


def test_the_look_holds_in_dark(dashboard: Dashboard, visitor: Visitor, shots: Path) -> None:
    project = made.with_results(open_store(dashboard.home))
    page = visitor.page
    page.emulate_media(color_scheme="dark")
    page.goto(dashboard.url(f"/selection?project={project.id}"))
    expect(page.locator(".sv-threshold svg[role=group]")).to_be_visible()
    page.wait_for_timeout(800)
    page.screenshot(path=shots / "selection-dark.png")
    background = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert background == "rgb(15, 21, 20)"
