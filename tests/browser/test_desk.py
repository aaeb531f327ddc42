"""The Selection page as one person's browser has it: the name that signs, keys after the order was changed."""

from __future__ import annotations

import os
import signal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from semievol.store.database import open_store
from semievol.store.decisions import decisions, history
from tests.browser.conftest import Dashboard, Visitor, start
from tests.ui import made

pytestmark = pytest.mark.browser
SIZE: ViewportSize = {"width": 1280, "height": 720}


def _sign(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Your name").press("Enter")


def test_a_browser_keeps_its_reviewers_name(dashboard: Dashboard, visitor: Visitor, browser: Browser) -> None:
    store = open_store(dashboard.home)
    project = made.with_results(store, until="justify")
    address = dashboard.url(f"/review?project={project.id}")
    page = visitor.page
    page.goto(address)
    expect(page.get_by_text("Not signed. Your name:")).to_be_visible()
    _sign(page, "Ada")
    expect(page.get_by_text("Signed as Ada")).to_be_visible()
    page.wait_for_function("localStorage.getItem('semievol-reviewer') === 'Ada'")

    others = browser.new_context(viewport=SIZE)
    other = others.new_page()
    other.goto(address)
    expect(other.get_by_text("Not signed. Your name:")).to_be_visible()  # a name is nobody else's
    _sign(other, "Bob")
    expect(other.get_by_text("Signed as Bob")).to_be_visible()
    page.bring_to_front()  # a page behind another one is not drawn, and takes no decision until it is
    page.reload()
    expect(page.get_by_text("Signed as Ada")).to_be_visible()
    expect(page.locator(".sv-review")).to_have_attribute("data-ready", "yes")
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("1 decision saved")).to_be_visible()
    assert history.history(store, project.id)["reviewer"].tolist() == ["Ada"]

    other.get_by_role("button", name="Change").click()
    expect(other.get_by_label("Your name")).to_have_value("Bob")
    _sign(other, "")
    other.wait_for_function("localStorage.getItem('semievol-reviewer') === null")
    other.reload()
    expect(other.get_by_text("Not signed. Your name:")).to_be_visible()
    others.close()
    assert visitor.strange == []


def test_keys_work_at_once_after_another_order_was_chosen(dashboard: Dashboard, visitor: Visitor) -> None:
    project = made.with_results(open_store(dashboard.home), until="justify")
    page = visitor.page
    page.goto(dashboard.url(f"/review?project={project.id}"))
    card = page.locator(".sv-review")
    expect(card).to_have_attribute("data-record", "unlabeled-0011")
    page.get_by_role("radiogroup", name="Order").get_by_role("radio", name="Threshold").click()
    expect(card).not_to_have_attribute("data-record", "unlabeled-0011")
    expect(card).to_have_attribute("data-ready", "yes")
    shown = card.get_attribute("data-record") or ""
    page.keyboard.press("a")  # without a click elsewhere
    expect(page.get_by_text("1 decision saved")).to_be_visible()
    assert history.history(open_store(dashboard.home), project.id)["record_id"].tolist() == [shown]
    assert visitor.strange == []


def test_keys_that_a_killed_dashboard_never_heard_reach_the_next_one(
    own_dashboard: Dashboard, visitor: Visitor
) -> None:
    """A dashboard that was started anew hears no part of an open page before the whole of it is drawn."""
    store = open_store(own_dashboard.home)
    project = made.with_results(store, until="justify")
    page = visitor.page
    page.goto(own_dashboard.url(f"/review?project={project.id}"))
    expect(page.locator(".sv-review")).to_have_attribute("data-ready", "yes")
    os.killpg(own_dashboard.process.pid, signal.SIGKILL)
    own_dashboard.process.wait()
    page.keyboard.press("a")
    page.keyboard.press("r")
    expect(page.locator(".sv-review")).to_contain_text("saving 2")
    own_dashboard.process = start(own_dashboard.home, own_dashboard.port).process
    expect(page.get_by_text("2 decisions saved")).to_be_visible(timeout=60_000)
    assert history.history(store, project.id)["action"].tolist() == ["reject", "accept"]


def test_the_part_of_the_page_is_in_its_address(dashboard: Dashboard, visitor: Visitor) -> None:
    project = made.with_results(open_store(dashboard.home), until="justify")
    page = visitor.page
    page.goto(dashboard.url(f"/selection?project={project.id}"))
    parts = page.get_by_role("radiogroup", name="Part")
    parts.get_by_role("radio", name="Many at once").click()
    expect(page.get_by_text("Decide on many candidates")).to_be_visible()
    page.wait_for_url("**part=Many*")
    page.reload()
    expect(page.get_by_text("Decide on many candidates")).to_be_visible()
    page.goto(dashboard.url(f"/selection?project={project.id}&part=I+have+time+for+40"))  # a colleague's link
    expect(page.get_by_role("button", name="Start the review")).to_be_visible()
    page.goto(dashboard.url(f"/selection?project={project.id}&part=nonsense"))
    expect(page.get_by_role("button", name="Start the review")).to_be_visible()
    assert visitor.strange == []


def test_links_between_board_and_table_lead_where_they_say(dashboard: Dashboard, visitor: Visitor) -> None:
    project = made.with_results(open_store(dashboard.home), until="justify")
    page = visitor.page
    page.goto(dashboard.url(f"/responses?project={project.id}&show=Board&area=board~0_0~20_0~20_101~0_101"))
    page.get_by_role("link", name="List the").click()
    expect(page.get_by_label("Agreement")).to_be_visible()
    page.wait_for_url(lambda url: "area=board" in url and "show=" not in url)
    page.get_by_role("link", name="Show the board").click()
    expect(page.get_by_text("Inside the line")).to_be_visible()
    page.wait_for_url("**show=Board*")
    assert visitor.strange == []


def test_a_random_review_that_begins_comes_into_view_with_its_buttons(dashboard: Dashboard, visitor: Visitor) -> None:
    project = made.with_results(open_store(dashboard.home), until="justify")
    page = visitor.page
    page.set_viewport_size(SIZE)
    page.goto(dashboard.url(f"/selection?project={project.id}"))
    page.get_by_role("button", name="Start the review").click()
    expect(page.locator(".sv-review")).to_have_attribute("data-ready", "yes")
    for name in ("Save answer", "None fits", "Skip"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport()
    page.mouse.move(700, 300)
    page.mouse.wheel(0, -300)  # the empty end of the card and the buttons leave the screen, question and choices do not
    expect(page.get_by_role("button", name="Skip")).not_to_be_in_viewport()
    expect(page.locator(".sv-review")).to_have_attribute("data-ready", "yes")
    page.keyboard.press("1")
    expect(page.get_by_text("1 of 40 answered")).to_be_visible()
    assert visitor.strange == []


def test_no_column_is_cut_off_at_1280_pixels(dashboard: Dashboard, visitor: Visitor) -> None:
    store = open_store(dashboard.home)
    project = made.with_results(store, until="justify")
    note = "a note about what was read there"
    decisions.decide(
        store,
        project.id,
        made.round_of(store, project),
        "unlabeled-0001",
        "edit",
        "roads",
        "parking",
        "Ada Lovelace",
        note,
    )
    page = visitor.page
    for part in ("Many+at+once", "History"):
        page.goto(dashboard.url(f"/selection?project={project.id}&part={part}"))
        table = page.locator(".st-key-card_desk .dvn-scroller")
        expect(table).to_be_visible()
        page.wait_for_timeout(1500)  # widths are settled after the first drawing
        inside, seen = table.evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert 400 < inside <= seen, part
