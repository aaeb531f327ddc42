"""The Selection page on a large project, in a real browser: how soon a moved threshold shows, memory, cold pages.

    python -m tests.benchmarks.selection_page --home DIR [--moves 30] [--json]

DIR is a workspace made by `big_project`.
moves    from an arrow key on the histogram's line, and from Enter in the typed share, to the frame in which the last
         of histogram, counts, precision sentence and class mix changed; all four must change. Bar: median 300 ms.
         The dashboard's processor time per move says more than that where the machine is shared.
memory   of the dashboard process after all pages were opened, and after the moves. Bar: 600 MB.
pages    from the address in a fresh browser to the content on the screen, at the dashboard's first visit and again
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from semievol.store.data import projects
from semievol.store.database import open_store
from tests.benchmarks.big_project import NAME
from tests.benchmarks.printed import finish, table
from tests.browser.conftest import CHROMIUM, DRAWN, FLAGS, Dashboard, end, start

BAR_MS, BAR_MB = 300, 600
PATIENCE = 120_000
CONTENT = {  # title: what makes the page worth looking at
    "Overview": ".sv-tile",
    "Data": "[data-testid=stDataFrame] canvas",
    "Demonstrations": ".st-key-card_shown",
    "Responses": "[data-testid=stDataFrame] canvas",
    "Selection": ".sv-threshold svg[role=group]",
    "Review": ".sv-review .sv-sides",
    "Training": "button:has-text('Fine-tune')",
    "Evaluation": ".js-plotly-plot .main-svg",
    "Settings": ".st-key-card_workspace .sv-tile",
}

PARTS = """() => {
  const text = (where) => [...document.querySelectorAll(where)].map((one) => one.textContent).join("|");
  const drawn = (where, name) => [...document.querySelectorAll(where)].map((one) => one.getAttribute(name)).join("|");
  const side = ".st-key-card_consequences ", mix = ".st-key-card_classes ";
  const line = side + ".sv-threshold svg[role=group]";
  return {
    histogram: text(line) + drawn(line + " rect", "class") + drawn(line + " .sv-cut", "x1"),
    counts: text(side + ".sv-tile .sv-value"),
    precision: text(side + ".sv-tiers"),
    "class mix": text(mix) + drawn(mix + "svg path", "d") + drawn(mix + "*", "style"),
  };
}"""
"""What stands on the page, part by part, as text that differs where the part looks different."""

WATCH = """parts => {
  window.watched = { began: null, parts: {} };
  const watch = window.watched, before = parts();
  document.addEventListener("keydown", (event) => {
    if (watch.began === null && !["Shift", "Control"].includes(event.key)) watch.began = performance.now();
  }, { capture: true });
  const look = () => {
    if (window.watched !== watch) return;
    const now = parts(), at = performance.now();
    for (const name in now) if (now[name] !== before[name]) {
      before[name] = now[name];
      if (watch.began !== null) watch.parts[name] = at - watch.began;
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
SETTLED = """() => {
  const watch = window.watched, last = Math.max(0, ...Object.values(watch.parts));
  const idle = document.querySelector('[data-testid="stApp"]').dataset.testScriptState === "notRunning";
  return idle && Object.keys(watch.parts).length === 4 && performance.now() - watch.began - last > 700;
}"""
"""Whether every part has changed and nothing has for a while."""


def moved(page: Page, press: Callable[[], None]) -> dict[str, float]:
    """Milliseconds from the key to the last change, by part."""
    page.evaluate(f"({WATCH})({PARTS})")
    press()
    page.wait_for_function(SETTLED, timeout=PATIENCE, polling=50)
    found: dict[str, float] = page.evaluate("window.watched.parts")
    return found


def arrows(page: Page, moves: int) -> list[dict[str, float]]:
    """The line, six pixels at a time to the left and then back; a key each."""
    handle = page.locator(".sv-threshold .sv-handle")
    keys = ["ArrowLeft"] * (moves // 2) + ["ArrowRight"] * (moves - moves // 2)
    handle.focus()
    return [moved(page, partial(page.keyboard.press, key)) for key in keys]


def typed(page: Page, moves: int) -> list[dict[str, float]]:
    """Shares between 20 and 80 %, typed and sent with Enter."""
    number = page.get_by_role("spinbutton", name="Kept by the policy, %, typed")
    found = []
    for turn in range(moves):
        share = 20 + (turn * 37) % 60 + 0.5

        def press(share: float = share) -> None:
            number.fill(f"{share}")
            number.press("Enter")

        found.append(moved(page, press))
    return found


def opened(browser: Browser, dashboard: Dashboard, title: str, project: int) -> tuple[float, bool]:
    """Milliseconds until a page shows its content in a browser that has never been there, and whether it broke."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    name = "" if title == "Overview" else title.lower()
    page.goto(dashboard.url(f"/{name}?project={project}"), wait_until="commit")
    shown = f"title => ({DRAWN})(title) && document.querySelector({CONTENT[title]!r}) ? performance.now() : 0"
    if ":has-text" in CONTENT[title]:
        page.locator(CONTENT[title]).first.wait_for()
        shown = f"title => ({DRAWN})(title) ? performance.now() : 0"
    taken = page.wait_for_function(shown, arg=title, polling="raf").json_value()
    text = page.inner_text("body")
    context.close()
    return float(taken), "An unexpected error" in text or "This did not work" in text


def worked(dashboard: Dashboard) -> float:
    """Seconds of processor that the dashboard has used: what a busy machine disturbs least."""
    used = psutil.Process(dashboard.process.pid).cpu_times()
    return float(used.user + used.system)


def spread(all_: list[float]) -> tuple[float, float, float]:
    """Median, 90th percentile, largest."""
    ordered = sorted(all_)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))], ordered[-1]


def pages(browser: Browser, dashboard: Dashboard, project: int) -> dict[str, float]:
    """Every page, twice."""
    lines, figures = list[tuple[Any, ...]](), dict[str, float]()
    for title in CONTENT:
        (first, broke), (again, broke_again) = (opened(browser, dashboard, title, project) for _ in range(2))
        lines.append((title, first / 1000, again / 1000, dashboard.megabytes, "broke" if broke or broke_again else ""))
        figures |= {f"{title}, cold s": first / 1000, f"{title}, again s": again / 1000}
    table(lines, ("page", "first s", "again s", "MB", ""))
    return figures | {"pages broken": sum(line[-1] == "broke" for line in lines), "pages MB": dashboard.megabytes}


def hands(browser: Browser, dashboard: Dashboard, project: int, moves: int) -> dict[str, float]:
    """The threshold, moved in two ways."""
    lines, figures = list[tuple[Any, ...]](), dict[str, float]()
    page = browser.new_context(viewport={"width": 1280, "height": 1400}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(dashboard.url(f"/selection?project={project}"))
    page.wait_for_function(DRAWN, arg="Selection")
    page.locator(".st-key-card_classes").wait_for()
    page.wait_for_timeout(4000)  # figures draw themselves after the page is done
    for way, hand in (("arrow key", arrows), ("typed share", typed)):
        before = worked(dashboard)
        found = hand(page, moves)
        figures[f"{way}, dashboard's CPU ms"] = 1000 * (worked(dashboard) - before) / moves
        for part in ("histogram", "counts", "precision", "class mix"):
            lines.append((way, part, *(round(value) for value in spread([one[part] for one in found]))))
        whole = spread([max(one.values()) for one in found])
        lines.append((way, "all", *(round(value) for value in whole)))
        lines.append((way, "CPU of the dashboard", round(figures[f"{way}, dashboard's CPU ms"]), "", ""))
        figures |= {f"{way}, median ms": whole[0], f"{way}, 90 % ms": whole[1]}
    table(lines, ("move", "part", "median ms", "90 % ms", "most ms"))
    page.context.close()
    return figures | {"moves MB": dashboard.megabytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--moves", type=int, default=30)
    parser.add_argument("--only-moves", action="store_true", help="leaves the pages out")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        dashboard = start(chosen.home.absolute())
        project = projects.find_project(open_store(dashboard.home), NAME).id
        figures = {"idle MB": dashboard.megabytes}
        try:
            figures |= {} if chosen.only_moves else pages(browser, dashboard, project)
            figures |= hands(browser, dashboard, project, chosen.moves)
        finally:
            end(dashboard)
            browser.close()
    table(
        [(name, round(value)) for name, value in figures.items() if name.endswith(" MB")], ("memory", f"bar {BAR_MB}")
    )
    worst = max(figures["arrow key, median ms"], figures["typed share, median ms"])
    ratios = {"ms, against 300": worst / BAR_MS, "MB, against 600": figures["moves MB"] / BAR_MB}
    finish(ratios | figures, chosen.json)


if __name__ == "__main__":
    main()
