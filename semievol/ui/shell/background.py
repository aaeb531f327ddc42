"""Work in a thread, which a click, another page or a closed tab does not interrupt.

Streamlit stops a page's script as soon as the visitor clicks something. Our own thread continues, and the page that is
drawn next shows its progress.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import streamlit as st

from semievol.ui.shell import formats, session


class Job(threading.Thread):
    """Runs `work` in a thread. `work` receives a function that reports how many of `total` are done.

    result: what `work` returned; error: what it raised.
    """

    def __init__(self, name: str, work: Callable[[Callable[[int], None]], Any], total: int) -> None:
        super().__init__(name=name)
        self._work = work
        self.done, self.total = 0, total
        self.began = time.monotonic()
        self.result: Any = None
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.result = self._work(self._watch)
        except Exception as error:  # noqa: BLE001 - the thread's boundary: the page shows or logs it
            self.error = error

    def told(self, what: str) -> str:
        """Count, rate and time left, once something is done."""
        words = f"{self.done:,} of {self.total:,} {what}"
        if not 0 < self.done < self.total:
            return words
        rate = self.done / max(time.monotonic() - self.began, 0.1)
        return f"{words} · {rate:,.0f} per second · {formats.duration((self.total - self.done) / rate)} left"

    def _watch(self, done: int) -> None:
        self.done = done


def begin(name: str, work: Callable[[Callable[[int], None]], Any], total: int) -> None:
    """Starts the session's job of this name; `follow` shows its progress and returns its result."""
    job = session.shell().jobs[name] = Job(name, work, total)
    job.start()


def busy(name: str) -> bool:
    """Whether this session has a job of this name that nobody has followed to its end."""
    return name in session.shell().jobs


def follow(name: str, doing: str, what: str) -> Any:
    """Draws the progress of the session's job of this name until it ends; returns its result or raises its error."""
    jobs = session.shell().jobs
    job = cast(Job, jobs[name])
    bar = st.progress(0.0, doing)
    while job.is_alive():
        bar.progress(min(1.0, job.done / max(1, job.total)), f"{doing}: {job.told(what)}")
        time.sleep(0.1)
    del jobs[name]
    if job.error is not None:
        raise job.error
    return job.result
