"""The table of pages, the links between them, and the guard for deep links. Knows nothing of what a page shows.

Because the folder is named `pages/`, Streamlit runs a deep-linked page alone, without `app.py` and its navigation, if
it is the first visit after a server start. Every page therefore begins with `guard()`, which starts `app.py` instead.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from semievol.ui.shell import session

PAGES = {
    "overview": ":material/space_dashboard:",
    "data": ":material/table_rows:",
    "demonstrations": ":material/hub:",
    "responses": ":material/forum:",
    "selection": ":material/tune:",
    "review": ":material/rate_review:",
    "training": ":material/model_training:",
    "evaluation": ":material/monitoring:",
    "settings": ":material/settings:",
}
"""Page -> its icon in the sidebar. The name is also the file's stem and, except for Overview (`/`), the address."""
UNDER = {"review": "selection"}
"""Page -> the page that it belongs to and stands under in the sidebar."""


def pages() -> list[Any]:
    """The pages for `st.navigation`; the first is the default one.

    Without icons, because the browser would fetch the page's icon from Google's servers to show it in the tab.
    """
    return [st.Page(_file(name), title=name.capitalize(), default=name == "overview") for name in PAGES]


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
    label, icon = label or name.capitalize(), icon or PAGES[name]
    st.page_link(_file(name), label=label, icon=icon, query_params=address(**wanted))


def go(name: str, **wanted: int | str | None) -> None:
    """Switches to another page at once, keeping project and round."""
    st.switch_page(_file(name), query_params=address(**wanted))


def _file(name: str) -> str:
    return f"pages/{name}.py"
