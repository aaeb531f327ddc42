"""Every page with the sample open, everything unfolded, looked at by axe-core in both themes: findings by page.

    python -m tests.benchmarks.accessibility [--shots FOLDER] [--json]

Needs Chromium. What is in Streamlit's own widgets is only counted (`tests/browser/accessibility.py` names it).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from playwright.sync_api import sync_playwright

from semievol.export import restoring
from semievol.jobs import intake
from semievol.store.database import open_store
from semievol.ui.shell.router import PAGES
from tests.browser.accessibility import Finding, findings, unfold
from tests.browser.conftest import CHROMIUM, DRAWN, FLAGS, end, start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=Path)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        found = looked_at(Path(home), chosen.shots)
    if chosen.json:
        print(json.dumps({place: [asdict(one) for one in some] for place, some in found.items()}))
        return
    for place, some in found.items():
        own = [one for one in some if not one.streamlits]
        print(f"{place}: {len(own)}, and {len(some) - len(own)} in Streamlit's own widgets")
        for (rule, where, html, why), times in Counter((f.rule, f.where, f.html[:150], f.why) for f in own).items():
            print(f"    {times} × {rule} in {where}\n        {html}\n        {why}")


def looked_at(home: Path, shots: Path | None) -> dict[str, list[Finding]]:
    """Theme and page -> findings."""
    store = open_store(home)
    project = restoring.restore(store, intake.SAMPLE_ARCHIVE, None)
    dashboard, found = start(home), {}
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for theme in ("light", "dark"):
                context = browser.new_context(viewport={"width": 1280, "height": 720}, color_scheme=theme)
                page = context.new_page()
                for name in PAGES:
                    page.goto(dashboard.url(f"/{'' if name == 'overview' else name}?project={project.id}"))
                    page.wait_for_function(DRAWN, arg=name.capitalize())
                    page.wait_for_timeout(500)
                    unfold(page)
                    page.wait_for_timeout(1_000)  # tables and charts
                    found[f"{theme} {name}"] = findings(page)
                    if shots:
                        page.screenshot(path=shots / f"{theme}-{name}.png", full_page=True)
                context.close()
            browser.close()
    finally:
        end(dashboard)
    return found


if __name__ == "__main__":
    main()
