"""A real server and a real browser. Skipped, with the reason, where there is no Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

ROOT = Path(__file__).parents[2]
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
"""The first is the same browser without its own windows and menus; its pages take a fifth less of the processor."""
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--js-flags=--no-opt --no-maglev",  # optimising scripts costs more than it gives to pages that live for seconds
]


DRAWN = """title => document.querySelector('h1')?.innerText.trim() === title
    && document.querySelector('[data-testid="stApp"]').dataset.testScriptState === 'notRunning'"""
"""Whether the whole page under this title is drawn; asked at every frame, as `expect` asks twice a second at last."""


@dataclass
class Dashboard:
    """A running dashboard with a workspace of its own."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, path: str = "/") -> str:
        return f"http://localhost:{self.port}{path}"

    @property
    def megabytes(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20


@pytest.fixture(autouse=True)
def _no_other_event_loop() -> None:
    """Here the driver needs its own."""


def start(home: Path, port: int | None = None, fetch_ahead: bool = False) -> Dashboard:
    """Starts `streamlit run app.py` on this port, else on a free one, and waits until it answers.

    fetch_ahead: whether every session loads at once what draws tables and figures, as it does for a person; it takes
    1.6 s of processor time."""
    if port is None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "server.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=ROOT,
            env=os.environ | {"SEMIEVOL_HOME": str(home)} | ({} if fetch_ahead else {"SEMIEVOL_FETCH_AHEAD": "no"}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).read()
            return Dashboard(home, port, process)
        except OSError:
            time.sleep(0.1)
    raise AssertionError((home / "server.log").read_text())


def end(dashboard: Dashboard) -> None:
    """Ends the server and whatever worker it started."""
    for child in psutil.Process(dashboard.process.pid).children(recursive=True):
        child.terminate()
    os.killpg(dashboard.process.pid, signal.SIGTERM)
    dashboard.process.wait(timeout=20)


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One for all tests that make a project of their own in it: starting it and its first page take seconds."""
    started = start(tmp_path_factory.mktemp("browser") / "workspace")
    yield started
    end(started)


@pytest.fixture
def own_dashboard(tmp_path: Path) -> Iterator[Dashboard]:
    """For a test that needs an empty workspace, or that ends the dashboard."""
    started = start(tmp_path / "workspace")
    yield started
    end(started)


@pytest.fixture(scope="session")
def playwright_() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright_: Playwright) -> Iterator[Browser]:
    """For a second person beside the visitor."""
    opened = playwright_.chromium.launch(executable_path=_chromium(), args=FLAGS)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def profile(playwright_: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser with a folder of its own, where it keeps compiled scripts: a page then takes a third less of the
    processor than in a fresh context."""
    folder = tmp_path_factory.mktemp("chromium")
    opened = playwright_.chromium.launch_persistent_context(
        folder, executable_path=_chromium(), args=FLAGS, reduced_motion="reduce"
    )
    yield opened
    opened.close()


def _chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    return CHROMIUM


@dataclass
class Visitor:
    """A page together with everything suspicious that happened on it."""

    page: Page
    strange: list[str] = field(default_factory=list)

    def shot(self, folder: Path, name: str) -> None:
        self.page.screenshot(path=folder / f"{name}.png")


@pytest.fixture
def visitor(profile: BrowserContext) -> Iterator[Visitor]:
    """A visitor whom no dashboard knows; requests that leave the machine, dialogs, script errors are written down."""
    page = profile.new_page()
    page.set_viewport_size({"width": 1280, "height": 720})
    found, visited = Visitor(page), set[str]()

    def request(url: str) -> None:
        if url.startswith("http://localhost:"):
            visited.add("/".join(url.split("/")[:3]))
        elif not url.startswith(("ws://localhost:", "data:", "blob:")):
            found.strange.append(f"request to {url}")

    page.on("request", lambda asked: request(asked.url))
    page.on("websocket", lambda opened: request(opened.url))
    page.on("pageerror", lambda error: found.strange.append(f"script error {error}"))

    def dialog(opened: object) -> None:
        found.strange.append("dialog")
        opened.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", dialog)
    expect.set_options(timeout=20_000)
    yield found
    _forget(profile, visited)


def _forget(profile: BrowserContext, origins: set[str]) -> None:
    """Closes all pages but the empty one, and deletes what these origins have stored; compiled scripts stay."""
    blank, *others = profile.pages
    for page in others:
        page.close()
    protocol = profile.new_cdp_session(blank)
    for origin in origins:
        kinds = "cookies,local_storage,indexeddb,service_workers"
        protocol.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": kinds})
    protocol.detach()
