"""The first page explains itself at one glance, and an error can be read wherever it happens."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from semievol.store.database import open_store
from tests.browser.conftest import Dashboard, Visitor
from tests.ui import made

pytestmark = pytest.mark.browser


def test_the_method_and_both_ways_to_begin_are_in_sight_without_scrolling(
    dashboard: Dashboard, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(dashboard.url())
    for step in ("Propagate", "Inspect", "Select", "Evolve"):
        expect(page.locator(".sv-tour").get_by_text(step, exact=True)).to_be_in_viewport(ratio=1)
    for name in ("Open sample project", "New project"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    assert page.locator(".sv-tour .sv-at").count() == 3, "the sample's models stand in the picture"
    assert visitor.strange == []


def test_an_error_is_in_sight_where_it_happens_and_stays_until_it_is_closed(
    dashboard: Dashboard, visitor: Visitor
) -> None:
    store = open_store(dashboard.home)
    project = made.with_results(store, until="justify")
    page = visitor.page
    page.goto(dashboard.url(f"/selection?project={project.id}"))
    freeze = page.get_by_role("button", name="Freeze selection")
    freeze.scroll_into_view_if_needed()
    expect(page.locator(".sv-threshold svg[role=img]")).to_be_visible()
    with store.write():  # held for longer than the dashboard waits for it
        freeze.click()
        problem = page.locator(".st-key-problem")
        expect(problem.get_by_text("This did not work")).to_be_in_viewport(ratio=1)
    history = page.get_by_role("radio", name="History")
    history.click()
    expect(history).to_be_checked()  # the page is drawn again, and what it says stays
    expect(problem.get_by_text("What to do")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Close this message").click()
    expect(problem).to_have_count(0)
    assert visitor.strange == []
