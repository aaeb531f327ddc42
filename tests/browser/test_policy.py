"""The histogram and its line as a browser draws them, and a policy that one browser tries."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from semievol.store.database import open_store
from tests.browser.conftest import Dashboard, Visitor
from tests.ui import made

pytestmark = pytest.mark.browser

BARS = """() => {
  const look = (one) => { const style = getComputedStyle(one); return `${style.fill} ${style.opacity}`; };
  const all = [...document.querySelectorAll(".sv-threshold > svg rect")].filter((one) => one.classList.length);
  const bars = all.filter((one) => /sv-(agreed|disputed)/.test(one.getAttribute("class"))).map((one) => ({
    name: one.getAttribute("class"), look: look(one), left: +one.getAttribute("x"), count: +one.getAttribute("height"),
    right: +one.getAttribute("x") + +one.getAttribute("width") }));
  const legend = [...document.querySelectorAll(".sv-threshold .sv-legend rect")]
    .map((one) => [one.getAttribute("class"), look(one)]);
  return { bars, legend, line: +document.querySelector(".sv-handle .sv-cut").getAttribute("x1") };
}"""


UNSTYLED = "rgb(0, 0, 0)"
"""A shape before the stylesheet is in force; a busy browser may draw the figure a moment earlier."""


def _told(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(BARS)
    return found


def _kept(page: Page) -> Any:
    return page.locator(".sv-tile.sv-strong .sv-value").first


def test_bins_are_split_at_the_line_in_the_colours_of_the_legend(dashboard: Dashboard, visitor: Visitor) -> None:
    project = made.with_results(open_store(dashboard.home), until="justify")
    page = visitor.page
    page.goto(dashboard.url(f"/selection?project={project.id}&policy=rule.value:0.6"))
    expect(page.locator(".sv-threshold .sv-legend rect").first).not_to_have_css("fill", UNSTYLED)
    for moved in (False, True):
        found = _told(page)
        out = [bar for bar in found["bars"] if "sv-out" in bar["name"]]
        kept = [bar for bar in found["bars"] if "sv-out" not in bar["name"]]
        assert out
        assert kept
        assert all(bar["right"] <= found["line"] + 0.01 for bar in kept)
        assert all(bar["left"] >= found["line"] - 0.01 for bar in out)
        looks = dict(found["legend"])
        assert len(set(looks.values())) == 4
        assert all(looks[bar["name"]] == bar["look"] for bar in found["bars"])
        if not moved:
            before = _kept(page).text_content() or ""
            page.locator(".sv-handle").focus()
            for _ in range(8):
                page.keyboard.press("ArrowLeft")
            expect(_kept(page)).not_to_have_text(before)
    assert visitor.strange == []


def test_a_line_that_was_moved_survives_a_reload_and_is_nobody_elses(
    dashboard: Dashboard, visitor: Visitor, browser: Browser
) -> None:
    project = made.with_results(open_store(dashboard.home), until="justify")
    address = dashboard.url(f"/selection?project={project.id}")
    page, others = visitor.page, browser.new_context()
    other = others.new_page()
    for one in (page, other):
        one.goto(address)
        expect(_kept(one)).to_have_text("51")
    page.get_by_role("spinbutton", name="Kept by the policy, %, typed").fill("60")
    page.keyboard.press("Enter")
    expect(_kept(page)).to_have_text("36")
    page.reload()
    expect(_kept(page)).to_have_text("36")
    other.reload()
    expect(_kept(other)).to_have_text("51")
    page.get_by_role("button", name="Save for everybody").click()
    expect(page.get_by_text("You are trying this policy")).to_be_hidden()
    other.reload()
    expect(_kept(other)).to_have_text("36")
    others.close()
    assert visitor.strange == []
