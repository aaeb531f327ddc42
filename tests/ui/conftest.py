"""The dashboard under AppTest: one function that opens a page at its address, in a workspace of the test's own."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from semievol.jobs import environment, inference_client, launch
from semievol.store.database import Store, driver, open_store
from semievol.ui.shell import session
from semievol.ui.shell.session import Kept

APP = str(Path(__file__).parents[2] / "app.py")
SECONDS = 60

# Every AppTest reads what all installed packages say of themselves, for components of theirs: once is enough.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)


@pytest.fixture
def store(_own_home: None) -> Iterator[Store]:
    """A new workspace. A connection stays open, as the last one that closes removes the write-ahead log, for the next
    one to make again: half the time of a query, and a page asks seventy."""
    opened = open_store()
    with closing(driver.connect(str(opened.file))) as open_for_all:
        open_for_all.execute("SELECT name FROM sqlite_master").fetchall()
        yield opened


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of the workers that would have started; none does, though each seems to have started well."""
    started: list[list[str]] = []

    def popen(arguments: list[str], pass_fds: tuple[int], **_: object) -> SimpleNamespace:
        started.append(arguments)
        launch.reached_queue(pass_fds[0])
        return SimpleNamespace(wait=lambda: 0)

    constants = {"DEVNULL": subprocess.DEVNULL, "STDOUT": subprocess.STDOUT}
    monkeypatch.setattr(environment, "subprocess", SimpleNamespace(Popen=popen, **constants))
    return started


@pytest.fixture(autouse=True)
def warmed(_own_home: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int | None, list[str]]]]:
    """Round and models of every time that a page wanted models to be loaded; no process is started.

    A page asks in a thread, which would go on after its test, whose workspace is then gone."""
    asked: list[tuple[int | None, list[str]]] = []

    def warm(store: Store, config: object, task: object, round_id: int | None, models: list[str]) -> bool:
        asked.append((round_id, models))
        return True

    monkeypatch.setattr(inference_client, "warm", warm)
    yield asked
    for thread in threading.enumerate():
        if thread.name == "warm":
            thread.join()


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """visit("selection", project=1): the page as a visitor gets it; nothing may have broken."""

    def open_page(name: str = "overview", **params: object) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=SECONDS)
        app.query_params.update({key: str(value) for key, value in params.items()})
        if name == "overview":
            app.run()
        else:
            app.switch_page(f"pages/{name}.py").run()
        assert not app.exception, f"{name} broke: {app.exception}"
        assert not [e.value for e in app.error], f"{name} says {[e.value for e in app.error]}"
        return app

    return open_page


def kept(app: AppTest, kind: type[Kept]) -> Kept:
    """What the visitor's session keeps of this kind."""
    found: Kept = app.session_state[session.key(kind)]
    return found


def press(app: AppTest, label: str) -> AppTest:
    """Presses the one button with this label."""
    found = [button for button in app.button if button.label == label]
    assert len(found) == 1, f"{len(found)} buttons are called {label!r}: {[b.label for b in app.button]}"
    assert not found[0].disabled, f"{label} is disabled"
    return found[0].click().run()


def told(app: AppTest) -> str:
    """Everything in words on the page, tags and all, with plain spaces."""
    kinds = (app.text, app.markdown, app.caption, app.code)
    words = [element.value for kind in kinds for element in kind]
    found = "\n".join(str(word) for word in [*words, *(element.proto.body for element in app.get("html"))])
    return found.replace("\u00a0", " ")


def painted(app: AppTest) -> str:
    """What is drawn as text from data."""
    drawn = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]

    def words(node: Any) -> Iterator[str]:
        if isinstance(node, list):
            for part in node:
                yield from words(part)
        elif isinstance(node, dict):
            yield node.get("x", "")
            yield from words(node.get("k", []))

    return "\n".join(words(drawn))
