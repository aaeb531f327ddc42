"""Every page in both themes, as somebody with other eyes, without a mouse or with a small screen needs it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from semievol.export import restoring
from semievol.jobs import intake
from semievol.store.database import open_store
from semievol.ui.shell.router import PAGES
from tests.browser.accessibility import CONTRAST, Finding, Theme, findings, switch
from tests.browser.conftest import DRAWN, Dashboard, Visitor

pytestmark = pytest.mark.browser
TICKS = "() => [...document.querySelectorAll('.js-plotly-plot .xtick text')].map(text => getComputedStyle(text).fill)"
"""The colours of what stands under the figures."""
WIDER = """() => [...document.querySelectorAll('[data-testid="stDataFrame"] .dvn-scroller')]
    .filter(table => table.offsetParent && table.scrollWidth > table.clientWidth + 2)
    .map(table => [...table.closest('[class*="st-key-"]').classList].find(name => name.startsWith('st-key-')))"""
"""Keys of the tables that have to be scrolled sideways."""
ENDS = """() => [...document.querySelectorAll('[data-testid="stHorizontalBlock"]')]
    .map(row => [...row.children].filter(column => column.dataset.testid === 'stColumn'))
    .filter(columns => new Set(columns.map(column => Math.round(column.getBoundingClientRect().top))).size === 1)
    .map(columns => columns.map(column => column.querySelectorAll(':scope > * > * > [class*="st-key-card"]')))
    .filter(cards => cards.length > 1 && cards.every(some => some.length))
    .map(cards => cards.map(some => Math.round(some[some.length - 1].getBoundingClientRect().bottom)))
    .filter(ends => Math.max(...ends) - Math.min(...ends) > 2)"""
"""Columns beside each other whose last cards do not end together."""


def test_axe_finds_nothing_of_ours_in_either_theme_and_nothing_is_cut_off(
    dashboard: Dashboard, visitor: Visitor
) -> None:
    project = restoring.restore(open_store(dashboard.home), intake.SAMPLE_ARCHIVE, "Looked at by axe")
    page = visitor.page
    themes: list[Theme] = ["light", "dark"]
    page.goto(dashboard.url(f"/?project={project.id}"))
    for name in PAGES:
        _go(page, name)
        page.wait_for_timeout(300)  # tables and charts take their sizes after the page is drawn
        # The candidates' last columns, a column for each collaborator, decide nothing.
        assert [one for one in page.evaluate(WIDER) if not one.startswith("st-key-candidates_")] == [], name
        assert page.evaluate(ENDS) == [], name
        _unfold(page, name)
        assert _ours(findings(page)) == [], f"{name}, {themes[0]}"
        ticks = page.evaluate(TICKS) if name == "evaluation" else []
        themes.reverse()
        switch(page, themes[0])
        assert _ours(findings(page, CONTRAST)) == [], f"{name}, {themes[0]}"
        if ticks:  # and figures are drawn anew
            page.wait_for_function(f"before => ({TICKS})().every(colour => !before.includes(colour))", arg=ticks)
            assert len(page.evaluate(TICKS)) == len(ticks)
    assert visitor.strange == []


def _ours(found: list[Finding]) -> list[Finding]:
    return [one for one in found if not one.streamlits]


def _unfold(page: Page, name: str) -> None:
    """Shows what the page has beyond its first view."""
    if name == "responses":
        page.get_by_role("radio", name="Scorecards").or_(page.get_by_text("Scorecards", exact=True)).first.click()
        page.get_by_text("Did the judge help?").wait_for()
    if name == "demonstrations":
        page.get_by_text("Add a labeled record by hand").click()
        page.get_by_label("Search the labeled records").fill("permit")
        page.get_by_role("button", name="Add it").wait_for()
    page.wait_for_function(DRAWN, arg=name.capitalize())


def _go(page: Page, name: str) -> None:
    link = page.get_by_test_id("stSidebar").get_by_role("link", name=name.capitalize(), exact=True)
    expect(link).to_be_visible(timeout=60_000)  # the first page of a busy machine
    link.click()
    page.wait_for_function(DRAWN, arg=name.capitalize())
    if name == "evaluation":
        page.wait_for_selector(".js-plotly-plot .xtick text")
