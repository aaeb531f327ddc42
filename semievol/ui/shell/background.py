"""Work in a thread, which a click, another page or a closed tab does not interrupt.

Streamlit stops a page's script as soon as the visitor clicks something. Our own thread continues, and the page that is
drawn next shows its progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import streamlit as st

from semievol.ui.shell import formats, session


def begin(name: str, work: Callable[[Callable[[int], None]], Any], total: int) -> None:
    """Starts the session's job of this name; `follow` shows its progress and returns its result.

    work: receives a function that reports how many of `total` are done.
    """
    job = session.Job(total)

    def watch(done: int) -> None:
        job.done = done

    executor = ThreadPoolExecutor(max_workers=1)
    job.future = executor.submit(work, watch)
    executor.shutdown(wait=False)
    session.shell().jobs[name] = job


def busy(name: str) -> bool:
    """Whether this session has a job of this name that nobody has followed to its end."""
    return name in session.shell().jobs


def follow(name: str, doing: str, what: str) -> Any:
    """Draws the progress of the session's job of this name until it ends; returns its result or raises its error."""
    job = session.shell().jobs[name]
    bar = st.progress(0.0, doing)
    while wait([job.future], timeout=0.1).not_done:
        words = formats.progress(job.done, job.total, what, time.monotonic() - job.began)
        bar.progress(min(1.0, job.done / max(1, job.total)), f"{doing}: {words}")
    del session.shell().jobs[name]
    return job.future.result()
