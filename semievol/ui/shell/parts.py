"""Building blocks of every page: colours, the page head, tiles, cards, empty states, errors.

HTML here holds our own words and numbers only; text from data goes through `paint`, `st.text` or a table.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import streamlit as st

from semievol.errors import UserError
from semievol.progress import Watch
from semievol.store.database import open_store
from semievol.ui.shell import notices, state
from semievol.ui.shell.router import guard
from semievol.ui.shell.state import Place
from semievol.wording import STATUS_WORDS, brief

ASSETS = Path(__file__).parents[3] / "assets"
_PERCENT = re.compile(r"(?<=\d) %")
LARGEST_DOWNLOAD = 500 * 2**20
"""Bytes; a browser's download goes through the dashboard's memory."""
LETTERS_A_SECOND = 12
"""How fast a message that vanishes is read by somebody who is doing something else."""

_COLOURS = {
    "card": ("#ffffff", "#151d1b"),
    "side": ("#f4f2ec", "#131b19"),
    "line": ("#e6e2d8", "#26312f"),
    "line-strong": ("#cfcabd", "#3d4b48"),
    "text": ("#1b2422", "#e4eae7"),
    "quiet": ("#5d6764", "#9aa7a3"),
    "wash": ("#efece4", "#1f2a28"),
    "accent": ("#0f766e", "#2fb3a4"),
    "on-accent": ("#ffffff", "#05211d"),
    "accent-text": ("#0b625b", "#5fcfc1"),
    "accent-faint": ("#9fcbc5", "#1d564f"),
    "accent-soft": ("#eaf5f3", "#12302c"),
    "accent-soft-line": ("#b9dcd7", "#1f544d"),
    "amber": ("#c2660c", "#e09a3e"),
    "amber-text": ("#8a4708", "#f0b568"),
    "amber-soft": ("#fbefdd", "#33260f"),
    "red": ("#b3261e", "#f2786d"),
    "mark": ("#fbe7b8", "#5a4715"),
    "shadow": ("0 1px 2px rgb(50 45 30 / 5%)", "none"),
}
"""Name -> the colour in the light theme, and in the dark one."""


def colours() -> dict[str, str]:
    """The colours of the visitor's theme (light or dark), by name."""
    return {name: dark if state.dark() else light for name, (light, dark) in _COLOURS.items()}


def style() -> None:
    """Writes the stylesheet and the theme's colours. Call it once per rerun, before anything is drawn."""
    variables = "".join(f"--sv-{name}:{value};" for name, value in colours().items())
    st.html(f"<style>:root{{{variables}}}</style>")
    st.html(ASSETS / "style.css")


@contextmanager
def page() -> Iterator[Place]:
    """Wraps a whole page: guards deep links, shows waiting messages, and shows errors in plain words."""
    guard()
    with state.connected():
        yield from _page()


def _page() -> Iterator[Place]:
    here = None
    with errors_shown():
        here = state.place()
    if here is None:
        st.stop()
    if here.unknown is not None:
        show_error(UserError("There is no project at this address.", "project", "Choose a project in the sidebar."))
        st.stop()
    text, problem, new = notices.taken()
    if text:
        st.toast(text, icon=":material/check:", duration=max(5, len(text) // LETTERS_A_SECOND))
    if problem is not None:
        with st.container(key="problem"):
            _explain(problem, log=new)
            st.button("Close this message", key="close_problem", icon=":material/close:", on_click=notices.close)
    with errors_shown():
        yield here


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows a `UserError` as what, where and remedy. Any other exception is logged in full and reported as a fault."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the page's boundary: every unforeseen error ends here, in the log
        _explain(error)


def _explain(error: Exception, log: bool = True) -> None:
    if isinstance(error, UserError):
        show_error(error)
        return
    path = _log_path()
    if log:
        _logger(path).error("a page broke", exc_info=error)
    st.error("An unexpected error occurred. Saved data is safe.", icon=":material/error:")
    with st.expander("Details for whoever looks after the Studio"):
        st.text(f"{type(error).__name__}. The log holds all of it:")
        st.code(str(path), language=None)


def show_error(error: UserError) -> None:
    """Shows what happened, where, and what to do. As plain text, because the sentences may quote data.

    Long paths and long sentences are cut, and stand whole in a fold underneath.
    """
    parts = (("", error.what), ("Where: ", error.where), ("What to do: ", error.remedy))
    lines = {name + text: name + brief(text) for name, text in parts if text}
    with st.container(key=f"carderror_{abs(hash(str(error)))}"):
        html("<div class='sv-kicker' style='color:var(--sv-red)'>This did not work</div>")
        for line in lines.values():
            st.text(line)
        if cut := [whole for whole, line in lines.items() if whole != line]:
            with st.expander("In full"):
                for whole in cut:
                    st.text(whole)


def _log_path() -> Path:
    folder = open_store().home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "dashboard.log"


def _logger(path: Path) -> logging.Logger:
    logger = logging.getLogger(f"semievol.ui.{path}")
    if not logger.handlers:
        handler = RotatingFileHandler(path, maxBytes=2_000_000, backupCount=2, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    return logger


def html(body: str) -> None:
    """Draws our own markup. Never pass text from data."""
    st.html(body)


def unbroken(text: str) -> str:
    """The sentence with every number kept on one line with its percent sign."""
    return _PERCENT.sub("\u00a0%", text)


def head(title: str, purpose: str, kicker: str = "") -> None:
    """A page's title and the one sentence that says what it is for; empty where a sentence of results follows."""
    over = f"<div class='sv-kicker'>{escape(kicker)}</div>" if kicker else ""
    under = f"<p>{escape(purpose)}</p>" if purpose else ""
    html(f"<div class='sv-head'>{over}<h1>{escape(title)}</h1>{under}</div>")


def heading(title: str, note: str = "") -> None:
    """The head of a card."""
    under = f"<p class='sv-note'>{escape(unbroken(note))}</p>" if note else ""
    html(f"<div><h2 class='sv-title'>{escape(title)}</h2>{under}</div>")


def note(text: str) -> None:
    html(f"<p class='sv-note'>{escape(unbroken(text))}</p>")


def tiles(cells: Sequence[tuple[str, str, str] | tuple[str, str, str, str]], strong: int | None = None) -> None:
    """Numbers side by side, each (name, value, small print, explanation on hover); strong: position of the main one."""
    made = []
    for position, (name, value, under, *explanation) in enumerate(cells):
        classes = "sv-tile sv-strong" if position == strong else "sv-tile"
        hint = f" title='{escape(explanation[0])}'" if explanation else ""
        extra = f"<div class='sv-sub'>{escape(under)}</div>" if under else ""
        made.append(
            f"<div class='{classes}'{hint}><div class='sv-name'>{escape(name)}</div>"
            f"<div class='sv-value'>{escape(value)}</div>{extra}</div>"
        )
    html(f"<div class='sv-tiles'>{''.join(made)}</div>")


def badge(status: str, text: str = "") -> str:
    """Markup of a status badge. It always shows a word, so that colour is not the only sign."""
    return f"<span class='sv-badge sv-{escape(status)}'>{escape(text or STATUS_WORDS.get(status, status))}</span>"


@contextmanager
def progress() -> Iterator[Watch]:
    """Shows a progress bar while the block runs. If the visitor leaves the page, the work stops and undoes itself."""
    bar = st.progress(0.0)

    def watch(what: str, done: int, total: int) -> None:
        bar.progress(min(1.0, done / max(total, 1)), what)

    try:
        yield watch
    finally:
        bar.empty()


@contextmanager
def empty(title: str, text: str) -> Iterator[None]:
    """An empty state: what belongs here. The caller draws the buttons that make it, in a row underneath."""
    html(f"<div class='sv-empty'><h2>{escape(title)}</h2><p>{escape(text)}</p></div>")
    with st.container(horizontal=True, horizontal_alignment="center", gap="small"):
        yield


@contextmanager
def card(name: str, tight: bool = False) -> Iterator[None]:
    """A framed block. `name` must be unique on the page."""
    with st.container(key=f"{'cardtight' if tight else 'card'}_{name}"):
        yield


def act(label: str, do: Callable[[], object], why_not: str = "", **look: Any) -> None:
    """A button that does something, then draws the page again; if it fails, the page says why at its top.

    why_not: the reason why it would do nothing. The button is then disabled and has the reason as its help; the caller
    may also write it beside the button. Our own words only.
    """
    if why_not:
        look |= {"disabled": True, "help": why_not}
    if st.button(label, **look):
        with notices.errors_kept():
            do()
        st.rerun()
