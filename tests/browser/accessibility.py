"""What axe-core finds on a page, and which of it is in Streamlit's own widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

Theme = Literal["light", "dark"]
CONTRAST = ("color-contrast",)
"""The rule that depends on the theme."""
_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_LOOK = """async only => {
    const found = await axe.run({runOnly: only, resultTypes: ['violations'], elementRef: true, preload: false});
    const inside = element => {
        const names = [];
        for (let e = element; e && e !== document.body; e = e.parentElement) {
            if (e.dataset?.testid) names.push(e.dataset.testid);
            names.push(...[...e.classList || []].filter(name => name.startsWith('st-key-')));
        }
        return names.slice(0, 6).join(' < ');
    };
    return found.violations.flatMap(rule => rule.nodes.map(node => ({
        rule: rule.id, impact: rule.impact || '', html: node.html, where: inside(node.element),
        why: [...node.any, ...node.all, ...node.none].map(check => check.message).join('; '),
    })));
}"""

STREAMLITS = {
    ("presentation-role-conflict", "stFileUploaderDropzone"): "The file uploader's drop zone has a role and a name.",
    ("scrollable-region-focusable", "stCode"): "A block of code that scrolls cannot have the focus.",
}
"""What is found in Streamlit's own widgets, by axe's rule and the widget's name; nothing of ours can mend it."""


@dataclass(frozen=True)
class Finding:
    """rule: axe's name. where: the test ids and keys around the element, innermost first. why: axe's own words."""

    rule: str
    impact: str
    html: str
    where: str
    why: str

    @property
    def streamlits(self) -> str:
        """Why it is none of ours; empty if it is."""
        return STREAMLITS.get((self.rule, self.where.split(" < ")[0]), "")


_AT_REST = """() => document.querySelector('[data-testid="stApp"]').dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-stale="true"]')
    && document.getAnimations().every(one => one.playState !== 'running'
        || one.effect.getComputedTiming().iterations === Infinity)"""
"""Nothing is being drawn or faded: what Streamlit is about to replace is pale."""
_CARD = "() => getComputedStyle(document.documentElement).getPropertyValue('--sv-card')"


def switch(page: Page, theme: Theme) -> None:
    """Changes the browser's theme, and waits until the page has its colours of our own in it."""
    card = page.evaluate(_CARD)
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(f"card => ({_CARD})() !== card", arg=card)


def unfold(page: Page) -> None:
    """Opens everything that is folded, so that it is looked at, too."""
    for _ in range(40):
        closed = page.locator("[data-testid=stExpander] details:not([open]) > summary").locator("visible=true")
        if not closed.count():
            return
        closed.first.click()
        page.wait_for_timeout(100)


def findings(page: Page, rules: Sequence[str] = ()) -> list[Finding]:
    """What axe-core finds on the page as it is, by these rules or, without any, by all."""
    page.wait_for_function(_AT_REST, timeout=60_000)
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return [Finding(**one) for one in page.evaluate(_LOOK, list(rules or _RULES))]
