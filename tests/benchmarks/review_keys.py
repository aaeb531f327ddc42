"""Fast fingers at the review desk of a large project, in a real browser, against what the store holds afterwards.

    python -m tests.benchmarks.review_keys --home DIR [--keys 200] [--rate 10] [--pairs 3] [--kills 0]
        [--seed 11] [--json]

DIR is a workspace made by `big_project`; decisions are added to it. Kills need no large one: it only starts slowly.
keys     a mix of accept, reject, digits, skip and undo, so many a second: how many the desk took, how many are stored,
         whether as the right decisions on the right records in the right order; from the key to the frame that shows
         the next record. Bar: 100 ms.
pairs    two browsers decide differently on one record at the same time: both must be in the history, and the reviewer
         whose decision does not count must be told
kills    the dashboard's process is killed while keys stream in: what the page did not show as waiting must be in the
         store; then it is started again, and keys that still waited should arrive
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import threading
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from semievol.store.data import projects
from semievol.store.database import Store, open_store
from semievol.store.decisions import history as decision_history
from semievol.store.results import results
from semievol.store.runs.rounds import list_rounds
from tests.benchmarks.big_project import NAME
from tests.benchmarks.printed import finish, table
from tests.browser.conftest import CHROMIUM, DRAWN, FLAGS, Dashboard, end, start

BAR_MS = 100
PATIENCE_MS = 600_000
RECONNECTED_SECONDS = 60  # how long a page is waited for that lost its dashboard
MIX = {"a": 40, "r": 14, "s": 12, "digit": 22, "u": 12}
ACTS = {"a": "accept", "r": "reject", "s": "skip", "u": "undo"}

RECORD = """() => {
  const root = () => document.querySelector(".sv-review");
  const waiting = () => Number(/\\d+/.exec(root()?.querySelector(".sv-state")?.textContent ?? "")?.[0] ?? 0);
  const desk = window.desk = { keys: [], waiting: 0 };
  addEventListener("keydown", (event) => {
    const record = root()?.dataset.record ?? "";
    const one = { key: event.key, at: performance.now(), record, next: null };
    desk.keys.push(one);
    const taken = () => Number(root()?.dataset.taken ?? 0), before = taken();
    setTimeout(() => (one.taken = taken() > before));
  }, { capture: true });
  const look = () => {
    desk.waiting = waiting();
    const shown = root()?.dataset.record ?? "";
    for (const one of desk.keys.filter((one) => one.next === null && shown && shown !== one.record)) {
      one.next = performance.now() - one.at;
    }
    if (window.desk === desk) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
"""Notes in the page, key by key, the record on the screen, whether the desk took it, and the frame of the next one."""


@dataclass
class Desk:
    """A browser at the review desk, and what the store held before it began: of that it can undo nothing."""

    page: Page
    store: Store
    project_id: int
    before: int = 0

    def watch(self) -> None:
        history = decision_history.history(self.store, self.project_id)
        self.before = int(history["id"].max()) if len(history) else 0
        self.page.evaluate(RECORD)

    def keys(self, taken: bool = True) -> list[dict[str, Any]]:
        """The keys that the desk took, in order; or those that it did not take."""
        noted: list[dict[str, Any]] = self.page.evaluate("window.desk.keys")
        return [one for one in noted if one["taken"] is taken]

    def stored(self) -> list[tuple[str, str]]:
        """(action, record id) of everything stored since `watch`, oldest first."""
        found = decision_history.history(self.store, self.project_id)
        found = found[(found["id"] > self.before) & (found["reviewer"] == "")][::-1]
        return list(zip(found["action"], found["record_id"], strict=True))

    def expected(self, keys: list[dict[str, Any]], shown: dict[str, str], labels: tuple[str, ...]) -> list[Any]:
        """What these keys must have stored; `shown`: record id -> the candidate's answer."""
        undoable, wanted = list[str](), []
        for one in keys:
            act, record = ACTS.get(one["key"]), one["record"]
            if act == "undo":
                if not undoable:
                    continue  # there was nothing to undo, which the page says
                record = undoable.pop()
            else:
                undoable.append(record)
            pick = labels[int(one["key"]) - 1] if act is None else ""
            wanted.append((act or ("accept" if pick == shown[record] else "edit"), record))
        return wanted

    def await_saved(self) -> None:
        """Until nothing waits any more and nothing more is on its way."""
        for _ in range(2):
            self.page.wait_for_function("() => window.desk.waiting === 0", timeout=PATIENCE_MS)
            self.page.wait_for_timeout(1500)


def sit_down(browser: Browser, dashboard: Dashboard, reviewer: str = "") -> Desk:
    """A fresh browser before the desk, drawn to its end."""
    store = open_store(dashboard.home)
    project = projects.find_project(store, NAME)
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(120_000)
    if reviewer:
        page.goto(dashboard.url(f"/settings?project={project.id}"))
        page.get_by_label("Your name").fill(reviewer)
        page.get_by_label("Your name").press("Enter")
        page.wait_for_timeout(1000)
        page.get_by_test_id("stSidebar").get_by_role("link", name="Review").click()
    else:
        page.goto(dashboard.url(f"/review?project={project.id}"))
    page.wait_for_function(DRAWN, arg="Review")
    expect(page.locator(".sv-review")).to_contain_text("all saved", timeout=120_000)
    page.wait_for_timeout(1500)
    return Desk(page, store, project.id)


def type_keys(page: Page, keys: list[str], rate: float, until: threading.Event | None = None) -> None:
    """Presses the keys by the clock, whatever the page does meanwhile."""
    began = time.monotonic()
    for number, key in enumerate(keys):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        if until is not None and until.is_set():
            break
        page.keyboard.press(key)


def drawn(chance: random.Random, many: int, labels: int) -> list[str]:
    kinds = chance.choices(list(MIX), list(MIX.values()), k=many)
    return [str(chance.randint(1, labels)) if kind == "digit" else kind for kind in kinds]


def answers(store: Store) -> tuple[dict[str, str], tuple[str, ...]]:
    project = projects.find_project(store, NAME)
    assert project.task is not None
    pool = results.candidate_frame(store, list_rounds(store, project.id)[0].id)
    return dict(zip(pool.index.tolist(), pool["answer"].tolist(), strict=True)), project.task.labels


def streamed(browser: Browser, dashboard: Dashboard, many: int, rate: float) -> dict[str, float]:
    """The `keys` part."""
    desk = sit_down(browser, dashboard)
    shown, labels = answers(desk.store)
    desk.watch()
    began = time.monotonic()
    type_keys(desk.page, drawn(random.Random(3), many, len(labels)), rate)
    typed_in = time.monotonic() - began
    desk.await_saved()
    saved_in = time.monotonic() - began
    keys, stored = desk.keys(), desk.stored()
    wanted = desk.expected(keys, shown, labels)
    waits = [one["next"] for one in keys if one["key"] != "u" and one["next"] is not None]  # only of what was taken
    missed = desk.keys(taken=False)
    on_screen = sum(bool(one["record"]) for one in missed)
    undos = [one["next"] for one in keys if one["key"] == "u" and one["next"] is not None]
    desk.page.context.close()
    lines: list[tuple[str, object]] = [("pressed", many), ("taken by the desk", len(keys)), ("stored", len(stored))]
    lines += [("not taken, a record on the screen", on_screen), ("not taken, no record there", len(missed) - on_screen)]
    lines += [("as they were meant, in order", "yes" if stored == wanted else "NO")]
    lines += [("seconds of typing", round(typed_in, 1)), ("seconds until all was saved", round(saved_in, 1))]
    for name, of in (("key to next record", waits), ("undo to the record", undos)):
        if of:
            lines += [(f"{name}, median ms", round(statistics.median(of))), (f"{name}, most ms", round(max(of)))]
    table(lines, ("keys", ""))
    figures = {"pressed": many, "taken": len(keys), "stored": len(stored), "in order": float(stored == wanted)}
    figures |= {"next record, median ms": statistics.median(waits), "next record, most ms": max(waits)}
    figures |= {"not taken, a record on the screen": on_screen}
    return figures | {"seconds until saved": saved_in}


def pairs(browser: Browser, dashboard: Dashboard, many: int) -> dict[str, float]:
    """The `pairs` part: Ada accepts and Grace rejects, or the other way round, whichever is sent first."""
    lines = list[tuple[str, ...]]()
    found: dict[str, float] = {"pairs": many, "pairs, both stored": 0}
    found |= {"pairs, loser told": 0, "pairs, loser told with the next key": 0}
    for number in range(many):
        desks = {name: sit_down(browser, dashboard, name) for name in ("Ada", "Grace")}
        record = desks["Ada"].page.locator(".sv-review").get_attribute("data-record") or ""
        assert record == desks["Grace"].page.locator(".sv-review").get_attribute("data-record")
        keys = {"Ada": "a", "Grace": "r"} if number % 2 == 0 else {"Ada": "r", "Grace": "a"}
        for desk in desks.values():
            desk.watch()
        for name, desk in desks.items():
            desk.page.keyboard.press(keys[name])
        for desk in desks.values():
            desk.await_saved()
        store, project_id = desks["Ada"].store, desks["Ada"].project_id
        history = decision_history.history(store, project_id)
        mine = history[(history["id"] > desks["Ada"].before) & (history["record_id"] == record)]
        view = results.record_view(store, list_rounds(store, project_id)[0].id, record)
        assert view.decision is not None
        loser = next(name for name in desks if name != view.decision.reviewer)
        told = [name for name, desk in desks.items() if desk.page.get_by_text("Different decisions").count()]
        at_once = loser in told
        if not at_once:  # a page learns what others did when it is drawn anew
            desks[loser].page.keyboard.press("s")
            desks[loser].await_saved()
            told += (
                [f"{loser}, with the next key"] if desks[loser].page.get_by_text("Different decisions").count() else []
            )
        order = ", ".join(f"{who} {did}" for who, did in zip(mine["reviewer"][::-1], mine["action"][::-1], strict=True))
        lines.append((order, f"{loser}'s does not count", f"told: {', '.join(told) or 'nobody'}"))
        found["pairs, both stored"] += len(mine) == 2
        found["pairs, loser told"] += at_once
        found["pairs, loser told with the next key"] += not at_once and told[-1:] == [f"{loser}, with the next key"]
        for desk in desks.values():
            desk.page.context.close()
    table(lines, ("stored", "outcome", ""))
    return found


@dataclass(frozen=True)
class Shot:
    """One kill of the dashboard: keys taken, shown as saved, of these not in the store; waiting, of these stored by the
    kill, and arrived after the restart."""

    taken: int
    saved: int
    lost: int
    waiting: int
    stored: int
    arrived: int
    in_order: bool
    shows: str


def shoot(browser: Browser, dashboard: Dashboard, chance: random.Random, rate: float) -> tuple[Shot, Dashboard]:
    """Kills the dashboard somewhere in a stream of keys, compares, starts it again and waits for what still waited.

    Returns what was found and the dashboard that was started.
    """
    desk = sit_down(browser, dashboard)
    shown, labels = answers(desk.store)
    desk.watch()
    dead = threading.Event()

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(dashboard.process.pid, signal.SIGKILL)
        dead.set()

    timer = threading.Timer(chance.uniform(0.3, 4.0), kill)
    timer.start()
    type_keys(desk.page, drawn(chance, 100, len(labels)), rate, until=dead)
    timer.join()
    dashboard.process.wait()
    time.sleep(0.3)  # the last frame before the page knows that nobody is there
    keys, waiting = desk.keys(), int(desk.page.evaluate("window.desk.waiting"))
    wanted, stored = desk.expected(keys, shown, labels), desk.stored()
    saved = desk.expected(keys[: len(keys) - waiting], shown, labels)
    dashboard = start(dashboard.home, dashboard.port)
    try:
        deadline = time.monotonic() + RECONNECTED_SECONDS
        while len(desk.stored()) < len(wanted) and time.monotonic() < deadline:
            desk.page.wait_for_timeout(500)
            if not desk.page.evaluate("window.desk.waiting"):  # the page believes that nothing is left to be sent
                deadline = min(deadline, time.monotonic() + 5)
        after = desk.stored()
        shows = desk.page.locator(".sv-review .sv-state").first.text_content(timeout=5000) or ""
    except BaseException:
        end(dashboard)
        raise
    finally:
        desk.page.context.close()
    in_order = after == wanted[: len(after)]
    alike = takewhile(lambda two: two[0] == two[1], zip(saved, stored, strict=False))
    lost = len(saved) - len(list(alike))
    shot = Shot(len(wanted), len(saved), lost, len(wanted) - len(saved), len(stored), len(after), in_order, shows)
    return shot, dashboard


def kills(browser: Browser, home: Path, many: int, rate: float, seed: int) -> dict[str, float]:
    """The `kills` part; its lines are printed as they come."""
    chance, shots = random.Random(seed), list[Shot]()
    print("kill  taken  saved  lost  waiting  stored  after restart  in order  page shows")
    dashboard = start(home)
    for number in range(1, many + 1):
        shot, dashboard = shoot(browser, dashboard, chance, rate)
        shots.append(shot)
        counts = f"{shot.waiting:9}{shot.stored:8}{shot.arrived:15}{'yes' if shot.in_order else 'NO':>10}"
        print(f"{number:4}{shot.taken:7}{shot.saved:7}{shot.lost:6}{counts}  {shot.shows}", flush=True)
    end(dashboard)
    never = sum(s.taken - s.arrived for s in shots)
    return {
        "kills": many,
        "kills, shown as saved": sum(s.saved for s in shots),
        "kills, lost": sum(s.lost for s in shots),
        "kills, waiting": sum(s.waiting for s in shots),
        "kills, never arrived": never,
        "kills, in order": sum(s.in_order for s in shots),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=11, help="of the moments and keys of the kills")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    home, figures = chosen.home.absolute(), dict[str, float]()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if chosen.keys or chosen.pairs:
            dashboard = start(home)
            try:
                figures |= streamed(browser, dashboard, chosen.keys, chosen.rate) if chosen.keys else {}
                figures |= pairs(browser, dashboard, chosen.pairs) if chosen.pairs else {}
            finally:
                end(dashboard)
        figures |= kills(browser, home, chosen.kills, chosen.rate, chosen.seed) if chosen.kills else {}
        browser.close()
    if "next record, median ms" in figures:
        figures |= {"ms, against 100": figures["next record, median ms"] / BAR_MS}
        figures |= {"taken, of those pressed": figures["taken"] / figures["pressed"]}
    finish(figures, chosen.json)


if __name__ == "__main__":
    main()
