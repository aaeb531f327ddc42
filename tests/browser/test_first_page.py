"""The first page explains itself at one glance."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Dashboard, Visitor

pytestmark = pytest.mark.browser


def test_the_method_and_both_ways_to_begin_are_in_sight_without_scrolling(
    own_dashboard: Dashboard, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(own_dashboard.url())
    for step in ("Propagate", "Inspect", "Select", "Evolve"):
        expect(page.locator(".sv-tour").get_by_text(step, exact=True)).to_be_in_viewport(ratio=1)
    for name in ("Open sample project", "New project"):
        expect(page.get_by_role("button", name=name)).to_be_in_viewport(ratio=1)
    assert page.locator(".sv-tour .sv-at").count() == 3, "the sample's models stand in the picture"
    assert visitor.strange == []
