"""A person with three files, in a real browser: upload, map, propagate, look at all pages, freeze, fine-tune, evaluate.

    python -m tests.benchmarks.browser_walk --data fpb|arc [--shots FOLDER] [--json]

Prints how long every step took, the largest memory of dashboard and worker, and whatever was strange (script errors,
requests that leave the machine, tracebacks on a page). Nothing is reloaded on the way. Needs Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from playwright.sync_api import Page, expect, sync_playwright

from semievol.jobs.summary import summary
from semievol.store.database import open_store
from semievol.store.runs import runs
from tests.benchmarks.method_study import SHARED
from tests.browser.conftest import CHROMIUM, DRAWN, FLAGS, Dashboard, end, start

LONG = 20 * 60_000


class Watch(threading.Thread):
    """The largest memory, in megabytes, of the dashboard and of all workers together."""

    def __init__(self, dashboard: Dashboard) -> None:
        super().__init__(daemon=True)
        self.dashboard, self.most = dashboard, {"dashboard": 0.0, "workers": 0.0}
        self.ended = False

    def run(self) -> None:
        while not self.ended:
            with contextlib.suppress(psutil.Error):
                self.note("dashboard", self.dashboard.megabytes)
                others = psutil.Process(self.dashboard.process.pid).children(recursive=True)
                self.note("workers", sum(child.memory_info().rss for child in others) / 2**20)
            time.sleep(0.5)

    def note(self, who: str, megabytes: float) -> None:
        self.most[who] = max(self.most[who], megabytes)


class Walk:
    """One visitor's way through the pages, with a clock and a camera."""

    def __init__(self, page: Page, shots: Path) -> None:
        self.page, self.shots, self.seconds = page, shots, dict[str, float]()
        self.strange: list[str] = []
        page.on("pageerror", lambda error: self.strange.append(f"script error {error}"))
        page.on("request", lambda asked: self.outside(asked.url))

    def outside(self, url: str) -> None:
        if not url.startswith(("http://localhost:", "ws://localhost:", "data:", "blob:")):
            self.strange.append(f"request to {url}")

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)
        print(f"{name:32}{self.seconds[name]:8.2f} s", flush=True)
        self.page.screenshot(path=self.shots / f"{len(self.seconds):02}-{name.replace(' ', '-')}.png")
        if "Traceback" in self.page.inner_text("body"):
            self.strange.append(f"traceback at {name}")

    def go(self, title: str) -> None:
        with self.step(f"page {title}"):
            self.page.get_by_test_id("stSidebar").get_by_role("link", name=title).click()
            self.page.wait_for_function(DRAWN, arg=title, polling="raf")

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=False).click()

    def await_end(self) -> None:
        stop = self.page.get_by_role("button", name="Stop")
        expect(stop).to_be_visible(timeout=LONG)
        expect(stop).to_be_hidden(timeout=LONG)


def walk(visit: Walk, dashboard: Dashboard, data: str) -> None:
    page = visit.page
    with visit.step("first page"):
        page.goto(dashboard.url())
        expect(page.get_by_role("button", name="New project")).to_be_visible()
    with visit.step("new project"):
        visit.press("New project")
        page.get_by_role("textbox", name="Name").fill(data)
        visit.press("Create project")
        expect(page.get_by_role("heading", level=1, name="Data")).to_be_visible()
    with visit.step("upload and map"):
        for split in ("labeled", "unlabeled", "test"):
            slot = page.get_by_role("region", name=f"{split.capitalize()} file", exact=True)
            slot.locator('input[type="file"]').set_input_files(SHARED / data / f"{split}.csv")
        expect(page.get_by_role("button", name="Import records")).to_be_visible(timeout=LONG)
    page.get_by_text("What was read").scroll_into_view_if_needed()
    with visit.step("import"):
        visit.press("Import records")
        expect(page.get_by_text("is stored")).to_be_visible(timeout=LONG)
    visit.go("Training")
    with visit.step("propagate"):
        visit.press("Propagate")
        visit.await_end()
    for title in ("Overview", "Data", "Demonstrations", "Responses", "Selection"):
        visit.go(title)
    with visit.step("freeze"):
        visit.press("Freeze selection")
        expect(page.get_by_text("is frozen with")).to_be_visible()
    visit.go("Training")
    with visit.step("fine-tune"):
        visit.press("Fine-tune")
        where = page.get_by_text("Tune · ").first
        expect(where).to_be_visible(timeout=LONG)
        told = where.text_content() or ""
        expect(where).not_to_have_text(told, timeout=LONG)  # metrics stream
        expect(page.get_by_test_id("stEChartsChart").first).to_be_visible()
        page.screenshot(path=visit.shots / "tuning.png")
        visit.await_end()
    visit.go("Evaluation")
    expect(page.get_by_text("mid-p McNemar")).to_be_visible()
    page.screenshot(path=visit.shots / "evaluation.png", full_page=True)
    visit.go("Settings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("fpb", "arc", "mmlu"), default="fpb")
    parser.add_argument("--shots", type=Path, default=Path("screenshots"))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    chosen.shots.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=30_000)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
        dashboard = start(Path(home))
        watch, visit = Watch(dashboard), Walk(page, chosen.shots)
        watch.start()
        try:
            walk(visit, dashboard, chosen.data)
        except Exception:
            page.screenshot(path=chosen.shots / "failed.png", full_page=True)
            raise
        finally:
            watch.ended = True
            store = open_store(Path(home))
            told = [summary(store, run.id) for run in runs.list_runs(store)]
            end(dashboard)
            browser.close()
    print(f"most memory, MB: {watch.most}; strange: {visit.strange or 'nothing'}")
    if chosen.json:
        print(json.dumps({"seconds": visit.seconds, "memory": watch.most, "strange": visit.strange, "runs": told}))


if __name__ == "__main__":
    main()
