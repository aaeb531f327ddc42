"""Asking a model from a page: what is being done is said while one waits, and the model is kept loaded meanwhile.

A first question takes some ten seconds (starting a process, loading the model). So a page on which questions are asked
has the model loaded when it is opened, in the background.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import streamlit as st

from semievol.jobs import inference_client
from semievol.ui.shell import state
from semievol.ui.shell.state import Place

AGAIN_SECONDS = 60.0
"""Less than the inference process waits for the next question (`inference_server.IDLE_SECONDS`)."""
LONGEST_SECONDS = 20 * 60.0
"""A page that nobody has touched for this long is forgotten, and its model is let go."""


@contextmanager
def doing() -> Iterator[Callable[[str], None]]:
    """Shows what a block is doing, in the words that it passes on, with the seconds that this has taken."""
    with st.container(), ExitStack() as shown:

        def watch(words: str) -> None:
            shown.close()
            shown.enter_context(st.spinner(f"{words} …", show_time=True))

        yield watch


def keep_warm(here: Place) -> None:
    """Has the model loaded in the background while the page is open; see `inference_client.warm`.

    With SEMIEVOL_FETCH_AHEAD=no it loads when it is asked, as in browser tests that ask nothing."""
    if os.environ.get("SEMIEVOL_FETCH_AHEAD") == "no":
        return
    opened = time.monotonic()

    def again() -> None:
        if time.monotonic() - opened < LONGEST_SECONDS:
            threading.Thread(target=_warm, args=(here,), daemon=True, name="warm").start()

    st.fragment(again, run_every=AGAIN_SECONDS, key="keep_warm")()


def _warm(here: Place) -> None:
    config = here.round.config if here.round_or_none else state.config_of(here.project)
    inference_client.warm(here.store, config, here.task, here.round_id, here.models)
