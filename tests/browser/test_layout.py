"""What only a browser shows: a ticked row, a clicked point, and what fits on a small screen."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from semievol.store.database import open_store
from tests.browser.conftest import DRAWN, Dashboard, Visitor
from tests.ui import made

pytestmark = pytest.mark.browser
CUT = """() => [...document.querySelectorAll('.st-key-card_collaborators [data-testid="stColumn"] *')]
    .filter(part => part.getBoundingClientRect().width && part.offsetParent)
    .filter(part => part.getBoundingClientRect().right - 1
            > part.closest('[data-testid="stColumn"]').getBoundingClientRect().right
        || (part.matches('[data-testid="stSelectbox"] input') && part.scrollWidth > part.clientWidth + 1))
    .map(part => part.getAttribute('aria-label') || part.className)"""
"""What does not fit into its cell in the table of collaborators."""
LETTERS = {
    "tables": """() => [...document.querySelectorAll('[style*="--gdg-base-font-style"]')]
        .map(table => table.style.getPropertyValue('--gdg-base-font-style').match(/([\\d.]+)px/)[1])""",
    "figures": """() => [...document.querySelectorAll('.js-plotly-plot .xtick text')]
        .map(text => parseFloat(getComputedStyle(text).fontSize))""",
}
"""Sizes of the letters, in pixels."""
A_POINT = """() => {
  const figure = document.querySelector(".js-plotly-plot"), { xaxis, yaxis } = figure._fullLayout;
  const { x, y } = figure._fullData[0], box = figure.querySelector(".nsewdrag").getBoundingClientRect();
  return [box.left + xaxis.l2p(x[0]), box.top + yaxis.l2p(y[0])];
}"""
"""Where on the screen the first point of a figure lies."""


def _open(page: Page, dashboard: Dashboard, name: str, project: int) -> None:
    page.goto(dashboard.url(f"/{name}?project={project}"))
    page.wait_for_function(DRAWN, arg=name.capitalize())
    page.wait_for_timeout(500)  # tables and charts take their sizes after the page is drawn


def test_collaborators_fit_on_a_small_screen_and_a_large_one_is_used(dashboard: Dashboard, visitor: Visitor) -> None:
    project = made.with_results(open_store(dashboard.home))
    _open(visitor.page, dashboard, "training", project.id)
    expect(visitor.page.get_by_label("Seed of judge")).to_be_visible()
    assert visitor.page.evaluate(CUT) == []
    for width in (1920, 3840):
        visitor.page.set_viewport_size({"width": width, "height": 1080})
        _open(visitor.page, dashboard, "data", project.id)
        box = visitor.page.locator(".st-key-card_stored").bounding_box()
        assert box is not None
        assert box["width"] > 0.7 * width
    # Streamlit measures a table's letters as it mounts it: too early where a slow browser draws the whole page at once.
    for name in ("Settings", "Data"):
        visitor.page.get_by_role("link", name=name, exact=True).click()
        visitor.page.wait_for_function(DRAWN, arg=name)
    root = visitor.page.evaluate("() => parseFloat(getComputedStyle(document.documentElement).fontSize)")
    assert root >= 19
    for letters in LETTERS.values():  # what has letters of its own grows with the page
        grown = (
            f"least => {{ const sizes = ({letters})().map(Number); return sizes.length && Math.min(...sizes) > least }}"
        )
        visitor.page.wait_for_function(grown, arg=0.8 * root)


def test_a_ticked_row_is_shown_and_does_not_hold_the_page(dashboard: Dashboard, visitor: Visitor) -> None:
    project = made.with_results(open_store(dashboard.home), until="justify")
    page = visitor.page
    _open(page, dashboard, "demonstrations", project.id)
    page.locator('[class*="st-key-farthest_"] .dvn-scroller').first.click(position={"x": 16, "y": 87})
    expect(page).not_to_have_url(re.compile("record=unlabeled-0000"))
    page.wait_for_function(DRAWN, arg="Demonstrations")
    ticked = re.search(r"record=unlabeled-(\d+)", page.url)
    assert ticked
    place = int(ticked[1]) + 1
    expect(page.get_by_text(f"{place} of 60", exact=True)).to_be_visible()
    step, after = ("Previous", place - 1) if place == 60 else ("Next", place + 1)
    page.get_by_role("button", name=step).click()
    expect(page.get_by_text(f"{after} of 60", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(f"record=unlabeled-{after - 1:04d}"))
    expect(page.get_by_text(f"Caller unlabeled {after - 1} asks").first).to_be_visible()
    assert visitor.strange == []


def test_a_click_on_the_map_opens_the_record(dashboard: Dashboard, visitor: Visitor) -> None:
    """Streamlit hears no click while dragging selects, so the mouse does one of both."""
    project = made.with_results(open_store(dashboard.home), until="justify")
    page = visitor.page
    page.goto(dashboard.url(f"/demonstrations?project={project.id}&view=Map"))
    page.get_by_text("Opens a record").click()
    page.wait_for_function("document.querySelector('.js-plotly-plot')?._fullLayout?.clickmode === 'event+select'")
    at = page.evaluate(A_POINT)
    page.mouse.move(*at)
    expect(page.locator(".hoverlayer .hovertext").first).to_be_visible()
    page.mouse.click(*at)
    expect(page).to_have_url(re.compile("record="))
    assert visitor.strange == []
