"""What two people see while the database is held for longer than the dashboard waits for it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from semievol.store.database import open_store
from semievol.store.decisions import history
from tests.browser.conftest import Dashboard, Visitor
from tests.ui import made

pytestmark = pytest.mark.browser


def test_a_key_is_not_lost_and_an_error_stays_in_sight_until_it_is_closed(
    dashboard: Dashboard, visitor: Visitor, browser: Browser
) -> None:
    store = open_store(dashboard.home)
    project = made.with_results(store, until="justify")
    reviewing, freezing = visitor.page, browser.new_page(viewport={"width": 1280, "height": 720})
    reviewing.goto(dashboard.url(f"/review?project={project.id}"))
    freezing.goto(dashboard.url(f"/selection?project={project.id}"))
    freeze = freezing.get_by_role("button", name="Freeze selection")
    freeze.scroll_into_view_if_needed()
    expect(freezing.locator(".sv-threshold svg[role=group]")).to_be_visible()
    expect(reviewing.locator(".sv-review")).to_have_attribute("data-ready", "yes")
    problem = freezing.locator(".st-key-problem")
    with store.write():
        reviewing.keyboard.press("a")
        freeze.click()
        expect(reviewing.get_by_text("not saved yet: 1, trying again")).to_be_visible()
        expect(reviewing.get_by_text("This did not work")).to_be_visible()
        expect(problem.get_by_text("This did not work")).to_be_in_viewport(ratio=1)

    expect(reviewing.get_by_text("1 decision saved")).to_be_visible()
    expect(reviewing.get_by_text("all saved")).to_be_visible()
    assert history.history(store, project.id)["action"].tolist() == ["accept"]

    part = freezing.get_by_role("radio", name="History")
    part.click()
    expect(part).to_be_checked()  # the page is drawn again, and what it says stays
    expect(problem.get_by_text("What to do")).to_be_in_viewport(ratio=1)
    freezing.get_by_role("button", name="Close this message").click()
    expect(problem).to_have_count(0)
    freezing.context.close()
    assert visitor.strange == []
