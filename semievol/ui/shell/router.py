"""The table of pages, the links between them, and the guard for deep links. Knows nothing of what a page shows.

Because the folder is named `pages/`, Streamlit runs a deep-linked page alone, without `app.py` and its navigation, if
it is the first visit after a server start. Every page therefore begins with `guard()`, which starts `app.py` instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st

from semievol.ui.shell import session


@dataclass(frozen=True)
class PageEntry:
    """One page: its file, its address (the file's stem; Overview is `/`), its title and its icon in the sidebar."""

    name: str
    title: str
    icon: str

    @property
    def file(self) -> str:
        return f"pages/{self.name}.py"


PAGES = (
    PageEntry("overview", "Overview", ":material/space_dashboard:"),
    PageEntry("data", "Data", ":material/table_rows:"),
    PageEntry("demonstrations", "Demonstrations", ":material/hub:"),
    PageEntry("responses", "Responses", ":material/forum:"),
    PageEntry("selection", "Selection", ":material/tune:"),
    PageEntry("training", "Training", ":material/model_training:"),
    PageEntry("evaluation", "Evaluation", ":material/monitoring:"),
    PageEntry("settings", "Settings", ":material/settings:"),
)
BY_NAME = {entry.name: entry for entry in PAGES}


def pages() -> list[Any]:
    """The pages for `st.navigation`; the first is the default one.

    Without icons, because the browser would fetch the page's icon from Google's servers to show it in the tab.
    """
    return [st.Page(p.file, title=p.title, default=p.name == "overview") for p in PAGES]


def guard() -> None:
    """Must be the first call of every page: a session that did not come through `app.py` is sent there."""
    if not session.shell().entered:
        st.navigation(pages(), position="hidden")
        st.rerun()


def address(**wanted: int | str | None) -> dict[str, str]:
    """Query parameters of a link: project and round of the present address, changed by `wanted` (None removes one)."""
    present: dict[str, int | str | None] = {key: st.query_params.get(key) for key in ("project", "round")}
    return {key: str(value) for key, value in {**present, **wanted}.items() if value is not None}


def link(name: str, label: str = "", icon: str = "", **wanted: int | str | None) -> None:
    """A link to a page that keeps project and round. `label` is our own text, never data."""
    entry = BY_NAME[name]
    st.page_link(entry.file, label=label or entry.title, icon=icon or entry.icon, query_params=address(**wanted))


def go(name: str, **wanted: int | str | None) -> None:
    """Switches to another page at once, keeping project and round."""
    st.switch_page(BY_NAME[name].file, query_params=address(**wanted))
